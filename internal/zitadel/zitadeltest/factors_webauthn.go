package zitadeltest

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/go-webauthn/webauthn/webauthn"
	"google.golang.org/grpc/codes"
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
	id, name   string
	kind       keyKind
	ready      bool
	ceremony   webauthn.SessionData // of the registration
	credential webauthn.Credential  // once it is ready
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

// registerKey starts a registration; finishing it takes an authenticator's answer to the options.
func (s *Server) registerKey(ctx context.Context, userID string, kind keyKind, domain string, more ...change) (e *event, id string, options *structpb.Struct, err error) {
	user := s.write.users[userID]
	if !user.exists() || !user.isHuman {
		return nil, "", nil, notFound("COMMAND-M9dsd", "Errors.User.NotFound").err()
	}
	id = s.ids.next()
	options, session, err := creationOptions(user, kind, orDefault(domain, s.domain))
	if err != nil {
		return nil, "", nil, err
	}
	changes := append([]change{keyRegistered{id: id, kind: kind, ceremony: *session}}, more...)
	return s.push(editor(ctx), user.aggregate(), changes...), id, options, nil
}

// verifyKey finishes a registration. Like the real server it does not insist on the id: without it,
// the oldest pending registration of the kind is meant.
func (s *Server) verifyKey(ctx context.Context, userID, id string, kind keyKind, name string, answer *structpb.Struct) (*event, error) {
	if err := s.mayCredential(ctx, userID); err != nil {
		return nil, err
	}
	pending := s.write.factors[userID].keys.pending(kind, id)
	if pending == nil {
		return nil, refusal{codes.Internal, "WEBAU-5M9so", "Errors.User.WebAuthN.NotFound"}.err()
	}
	user := s.write.users[userID]
	credential, err := finishRegistration(user, pending.ceremony, answer)
	if err != nil {
		return nil, err
	}
	return s.push(editor(ctx), user.aggregate(), keyVerified{id: pending.id, name: name, kind: kind, credential: *credential}), nil
}

func (k webAuthnKeys) pending(kind keyKind, id string) *webAuthnKey {
	var found *webAuthnKey
	for i := range k.listed {
		key := &k.listed[i]
		if key.ready || key.kind != kind || !k.held[key.id] {
			continue
		}
		if key.id == id {
			return key
		}
		if found == nil {
			found = key
		}
	}
	return found
}

// usable returns the credentials of a kind that belong to a domain and can take part in a login.
// Seeded keys, which no authenticator holds, cannot.
func (k webAuthnKeys) usable(kind keyKind, domain string) []webauthn.Credential {
	var credentials []webauthn.Credential
	for _, key := range k.listed {
		if key.ready && key.kind == kind && k.held[key.id] && key.ceremony.RelyingPartyID == domain {
			credentials = append(credentials, key.credential)
		}
	}
	return credentials
}

// keyOf finds the key a credential belongs to.
func (k webAuthnKeys) keyOf(credentialID []byte) (webAuthnKey, bool) {
	i := slices.IndexFunc(k.listed, func(key webAuthnKey) bool { return bytes.Equal(key.credential.ID, credentialID) })
	if i < 0 {
		return webAuthnKey{}, false
	}
	return k.listed[i], true
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
	if s.write.users[r.GetUserId()].isHuman {
		if err := s.mayCredential(ctx, r.GetUserId()); err != nil {
			return nil, err
		}
	}
	e, id, options, err := s.registerKey(ctx, r.GetUserId(), u2fKey, r.GetDomain())
	if err != nil {
		return nil, err
	}
	return &userpb.RegisterU2FResponse{Details: writtenDetails(e), U2FId: id, PublicKeyCredentialCreationOptions: options}, nil
}

func (s userService) VerifyU2FRegistration(ctx context.Context, r *userpb.VerifyU2FRegistrationRequest) (*userpb.VerifyU2FRegistrationResponse, error) {
	e, err := s.verifyKey(ctx, r.GetUserId(), r.GetU2FId(), u2fKey, r.GetTokenName(), r.GetPublicKeyCredential())
	if err != nil {
		return nil, err
	}
	return &userpb.VerifyU2FRegistrationResponse{Details: writtenDetails(e)}, nil
}

func (s userService) RemoveU2F(ctx context.Context, r *userpb.RemoveU2FRequest) (*userpb.RemoveU2FResponse, error) {
	e, err := s.removeKey(ctx, r.GetUserId(), r.GetU2FId(), u2fKey)
	if err != nil {
		return nil, err
	}
	return &userpb.RemoveU2FResponse{Details: writtenDetails(e)}, nil
}

// RegisterPasskey takes a code of a registration link instead of the right to give credentials.
func (s userService) RegisterPasskey(ctx context.Context, r *userpb.RegisterPasskeyRequest) (*userpb.RegisterPasskeyResponse, error) {
	var used []change
	if code := r.GetCode(); code != nil {
		if want, given := s.write.factors[r.GetUserId()].passkeyCodes[code.GetId()]; !given || want != code.GetCode() {
			s.push(editor(ctx), s.write.users[r.GetUserId()].aggregate(), passkeyCodeChecked{id: code.GetId()})
			return nil, invalid("COMMAND-Eeb2a", "Errors.User.Code.Invalid").err()
		}
		used = append(used, passkeyCodeChecked{id: code.GetId(), succeeded: true})
	} else if s.write.users[r.GetUserId()].isHuman {
		if err := s.mayCredential(ctx, r.GetUserId()); err != nil {
			return nil, err
		}
	}
	e, id, options, err := s.registerKey(ctx, r.GetUserId(), passkeyKey, r.GetDomain(), used...)
	if err != nil {
		return nil, err
	}
	return &userpb.RegisterPasskeyResponse{Details: writtenDetails(e), PasskeyId: id, PublicKeyCredentialCreationOptions: options}, nil
}

func (s userService) VerifyPasskeyRegistration(ctx context.Context, r *userpb.VerifyPasskeyRegistrationRequest) (*userpb.VerifyPasskeyRegistrationResponse, error) {
	e, err := s.verifyKey(ctx, r.GetUserId(), r.GetPasskeyId(), passkeyKey, r.GetPasskeyName(), r.GetPublicKeyCredential())
	if err != nil {
		return nil, err
	}
	return &userpb.VerifyPasskeyRegistrationResponse{Details: writtenDetails(e)}, nil
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
	id       string
	kind     keyKind
	ceremony webauthn.SessionData
}

func (c keyRegistered) eventType(string) string {
	return fmt.Sprintf("user.human.%s.token.added", c.kind)
}
func (c keyRegistered) payload() any { return map[string]any{"webAuthNTokenId": c.id} }
func (c keyRegistered) apply(st *state, e *event) {
	editFactors(st, e, func(f *userFactors) {
		f.keys.listed = append(slices.Clone(f.keys.listed), webAuthnKey{id: c.id, kind: c.kind, ceremony: c.ceremony})
		held := map[string]bool{c.id: true}
		maps.Copy(held, f.keys.held)
		f.keys.held = held
	})
}

type keyVerified struct {
	id, name   string
	kind       keyKind
	credential webauthn.Credential
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
				key.name, key.ready, key.credential = c.name, true, c.credential
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
