package zitadeltest

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"google.golang.org/protobuf/types/known/structpb"

	userpb "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/user/v2"
)

// keyKind is what a WebAuthn key is for. It is the middle of its event types.
type keyKind string

const (
	u2fKey     keyKind = "mfa.u2f"
	passkeyKey keyKind = "passwordless"
)

type webAuthnKey struct {
	id, name string
	kind     keyKind
	ready    bool
}

func (k webAuthnKey) readyU2F() bool     { return k.ready && k.kind == u2fKey }
func (k webAuthnKey) readyPasskey() bool { return k.ready && k.kind == passkeyKey }

// webAuthnKeys are a user's keys, twice: what reads list and what writes hold. They part ways when a
// passkey is removed as if it were a U2F key: writes forget it, reads list it for good.
type webAuthnKeys struct {
	listed []webAuthnKey   // never edited in place
	held   map[string]bool // by id; never edited in place
}

var unknownKey = notFound("COMMAND-DAfb2", "Errors.User.WebAuthN.NotFound")

// registerKey starts a registration. Finishing it takes an authenticator's answer, which this server
// cannot verify yet: VerifyU2FRegistration and VerifyPasskeyRegistration are Unimplemented, and
// AddU2F and AddPasskey (seed.go) set the scene instead.
func (s *Server) registerKey(ctx context.Context, userID string, kind keyKind, domain string) (e *event, id string, options *structpb.Struct, err error) {
	user := s.write.users[userID]
	if !user.exists() || !user.isHuman {
		return nil, "", nil, notFound("COMMAND-M9dsd", "Errors.User.NotFound").err()
	}
	if err := s.mayCredential(ctx, userID); err != nil {
		return nil, "", nil, err
	}
	id = s.ids.next()
	options, err = creationOptions(user, kind, orDefault(domain, s.domain))
	if err != nil {
		return nil, "", nil, err
	}
	return s.push(editor(ctx), user.aggregate(), keyRegistered{id: id, kind: kind}), id, options, nil
}

func creationOptions(user userRow, kind keyKind, domain string) (*structpb.Struct, error) {
	verification, resident := "discouraged", "discouraged"
	if kind == passkeyKey {
		verification, resident = "required", "required"
	}
	options, err := structpb.NewStruct(map[string]any{"publicKey": map[string]any{
		"challenge":              randomText(32),
		"rp":                     map[string]any{"id": domain, "name": "ZITADEL"},
		"user":                   map[string]any{"id": user.id, "name": user.username, "displayName": user.displayName()},
		"pubKeyCredParams":       []any{map[string]any{"type": "public-key", "alg": -7}},
		"authenticatorSelection": map[string]any{"userVerification": verification, "residentKey": resident},
		"attestation":            "none",
		"timeout":                60_000,
	}})
	if err != nil {
		return nil, fmt.Errorf("rendering creation options: %w", err)
	}
	return options, nil
}

// removeKey takes any key's id, whatever kind the caller thinks it is.
func (s *Server) removeKey(ctx context.Context, userID, id string, as keyKind) (*event, error) {
	if !s.write.factors[userID].keys.held[id] {
		return nil, unknownKey.err()
	}
	if err := s.mayRemoveFactor(ctx, userID); err != nil {
		return nil, err
	}
	return s.push(editor(ctx), s.write.users[userID].aggregate(), webAuthnKeyRemoved{id: id, as: as}), nil
}

func (s userService) RegisterU2F(ctx context.Context, r *userpb.RegisterU2FRequest) (*userpb.RegisterU2FResponse, error) {
	e, id, options, err := s.registerKey(ctx, r.GetUserId(), u2fKey, r.GetDomain())
	if err != nil {
		return nil, err
	}
	return &userpb.RegisterU2FResponse{Details: writtenDetails(e), U2FId: id, PublicKeyCredentialCreationOptions: options}, nil
}

func (s userService) RemoveU2F(ctx context.Context, r *userpb.RemoveU2FRequest) (*userpb.RemoveU2FResponse, error) {
	e, err := s.removeKey(ctx, r.GetUserId(), r.GetU2FId(), u2fKey)
	if err != nil {
		return nil, err
	}
	return &userpb.RemoveU2FResponse{Details: writtenDetails(e)}, nil
}

func (s userService) RegisterPasskey(ctx context.Context, r *userpb.RegisterPasskeyRequest) (*userpb.RegisterPasskeyResponse, error) {
	if r.GetCode() != nil {
		return nil, unimplemented("registering a passkey with a code")
	}
	e, id, options, err := s.registerKey(ctx, r.GetUserId(), passkeyKey, r.GetDomain())
	if err != nil {
		return nil, err
	}
	return &userpb.RegisterPasskeyResponse{Details: writtenDetails(e), PasskeyId: id, PublicKeyCredentialCreationOptions: options}, nil
}

func (s userService) RemovePasskey(ctx context.Context, r *userpb.RemovePasskeyRequest) (*userpb.RemovePasskeyResponse, error) {
	e, err := s.removeKey(ctx, r.GetUserId(), r.GetPasskeyId(), passkeyKey)
	if err != nil {
		return nil, err
	}
	return &userpb.RemovePasskeyResponse{Details: writtenDetails(e)}, nil
}

// ListPasskeys lists ready passkeys only, and none for a user that is not there.
func (s userService) ListPasskeys(ctx context.Context, r *userpb.ListPasskeysRequest) (*userpb.ListPasskeysResponse, error) {
	st := s.read()
	var passkeys []*userpb.Passkey
	if user := st.users[r.GetUserId()]; user.id == callOf(ctx).userID || s.may(ctx, "user.read", user.owner) {
		for _, key := range st.factors[r.GetUserId()].keys.listed {
			if key.readyPasskey() {
				passkeys = append(passkeys, &userpb.Passkey{Id: key.id, State: factorState(true), Name: key.name})
			}
		}
	}
	return &userpb.ListPasskeysResponse{Details: s.listDetails(len(passkeys)), Result: passkeys}, nil
}

type keyRegistered struct {
	id   string
	kind keyKind
}

func (c keyRegistered) eventType(string) string {
	return fmt.Sprintf("user.human.%s.token.added", c.kind)
}
func (c keyRegistered) payload() any { return map[string]any{"webAuthNTokenId": c.id} }
func (c keyRegistered) apply(st *state, e *event) {
	editFactors(st, e, func(f *userFactors) {
		f.keys.listed = append(slices.Clone(f.keys.listed), webAuthnKey{id: c.id, kind: c.kind})
		held := map[string]bool{c.id: true}
		maps.Copy(held, f.keys.held)
		f.keys.held = held
	})
}

type keyVerified struct {
	id, name string
	kind     keyKind
}

func (c keyVerified) eventType(string) string {
	return fmt.Sprintf("user.human.%s.token.verified", c.kind)
}
func (c keyVerified) payload() any {
	return map[string]any{"webAuthNTokenId": c.id, "webAuthNTokenName": c.name}
}
func (c keyVerified) apply(st *state, e *event) {
	editFactors(st, e, func(f *userFactors) {
		f.keys.listed = slices.Clone(f.keys.listed)
		for i := range f.keys.listed {
			if key := &f.keys.listed[i]; key.id == c.id {
				key.name, key.ready = c.name, true
			}
		}
	})
}

type webAuthnKeyRemoved struct {
	id string
	as keyKind
}

func (c webAuthnKeyRemoved) eventType(string) string {
	return fmt.Sprintf("user.human.%s.token.removed", c.as)
}
func (c webAuthnKeyRemoved) payload() any { return map[string]any{"webAuthNTokenId": c.id} }
func (c webAuthnKeyRemoved) apply(st *state, e *event) {
	editFactors(st, e, func(f *userFactors) {
		f.keys.listed = slices.DeleteFunc(slices.Clone(f.keys.listed), func(k webAuthnKey) bool {
			return k.id == c.id && k.kind == c.as
		})
		f.keys.held = maps.Clone(f.keys.held)
		delete(f.keys.held, c.id)
	})
}
