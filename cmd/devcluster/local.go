package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/descope/virtualwebauthn"
	"github.com/pquerna/otp/totp"
	"k8s.io/apimachinery/pkg/util/wait"
)

const (
	relyingParty = "shop.example"
	// step is the time step of one-time codes (RFC 6238).
	step = 30 * time.Second
)

// alice is a local user: the shop has checked her password, and asks about the rest.
type alice struct {
	*caller
	phone   string // the seed in her app
	session string
	key     virtualwebauthn.Credential
	codes   []string // on paper
}

// localUsers is the story of one of them.
func localUsers(ctx context.Context, s *stage) error {
	user := &alice{}
	return inOrder(
		func() error {
			return s.step("An application with a password login of its own may ask about its users", func() (err error) {
				user.caller, err = s.newCaller(ctx)
				s.app = user.caller
				return err
			})
		},
		func() error {
			return s.step("It registers alice. No policy speaks of her, so the built-in baseline does: MFA is on", func() error {
				return user.registers(ctx)
			})
		},
		func() error {
			return s.step("She enrols an authenticator app, a security key and recovery codes", func() error {
				return inOrder(
					func() error { return user.enrolsApp(ctx) },
					func() error { return user.enrolsKey(ctx) },
					func() error { return user.getsRecoveryCodes(ctx) },
				)
			})
		},
		func() error {
			return s.step("She signs in, with either. Whoever looked over her shoulder does not", func() error {
				return user.signsIn(ctx)
			})
		},
		func() error {
			return s.step("She loses phone and key: a recovery code lets her in to enrol anew, once", func() error {
				return user.recovers(ctx)
			})
		},
		func() error {
			return s.step("Who did what, bound together by hashes", func() error { return s.audit(ctx) })
		},
	)
}

func (a *alice) registers(ctx context.Context) error {
	if _, err := a.call(ctx, http.MethodPut, "alice", object{}, http.StatusCreated, "name"); err != nil {
		return err
	}
	_, err := a.call(ctx, http.MethodPost, "alice/requirement", object{}, http.StatusOK, "needed", "why", "enrollable")
	return err
}

// enrolsApp confirms with the code of the step before the present one, so that she
// need not wait for a code that is not used up.
func (a *alice) enrolsApp(ctx context.Context) error {
	started, err := a.call(ctx, http.MethodPost, "alice/enrolments", object{"method": "TOTP", "name": "phone"}, http.StatusCreated, "expiresAt")
	if err != nil {
		return err
	}
	if a.phone, err = text(started, "secret"); err != nil {
		return err
	}
	// The step before must still be that when it arrives.
	err = wait.PollUntilContextTimeout(ctx, 50*time.Millisecond, patience, true, func(context.Context) (bool, error) {
		return time.Until(time.Now().Truncate(step).Add(step)) > step/6, nil
	})
	if err != nil {
		return fmt.Errorf("waiting for a new time step: %w", err)
	}
	code, err := totp.GenerateCode(a.phone, time.Now().Add(-step))
	if err != nil {
		return fmt.Errorf("making a code: %w", err)
	}
	return a.confirms(ctx, object{"token": started["token"], "code": code, "audience": application})
}

func (a *alice) enrolsKey(ctx context.Context) error {
	a.key = virtualwebauthn.NewCredential(virtualwebauthn.KeyTypeEC2)
	for len(a.key.Key.AttestationData()) != 77 { // it drops leading zeros of coordinates
		a.key = virtualwebauthn.NewCredential(virtualwebauthn.KeyTypeEC2)
	}
	started, err := a.call(ctx, http.MethodPost, "alice/enrolments", object{"method": "WebAuthn", "name": "key", "session": a.session}, http.StatusCreated, "expiresAt")
	if err != nil {
		return err
	}
	options, err := raw(started, "options")
	if err != nil {
		return err
	}
	asked, err := virtualwebauthn.ParseAttestationOptions(options)
	if err != nil {
		return fmt.Errorf("reading what the browser is asked: %w", err)
	}
	response := virtualwebauthn.CreateAttestationResponse(browserAt(), virtualwebauthn.NewAuthenticator(), a.key, *asked)
	return a.confirms(ctx, object{"token": started["token"], "response": json.RawMessage(response), "audience": application})
}

func (a *alice) confirms(ctx context.Context, proof object) error {
	confirmed, err := a.call(ctx, http.MethodPost, "alice/enrolments/confirm", proof, http.StatusCreated)
	if err != nil {
		return err
	}
	session, _ := confirmed["session"].(object)
	a.session, err = text(session, "token")
	return err
}

func (a *alice) getsRecoveryCodes(ctx context.Context) error {
	issued, err := a.call(ctx, http.MethodPost, "alice/recovery-codes", object{"session": a.session}, http.StatusCreated)
	if err != nil {
		return err
	}
	list, _ := issued["codes"].([]any)
	for _, code := range list {
		if code, ok := code.(string); ok {
			a.codes = append(a.codes, code)
		}
	}
	if len(a.codes) == 0 {
		return errors.New("there are no recovery codes in the answer")
	}
	return nil
}

func (a *alice) signsIn(ctx context.Context) error {
	code, err := totp.GenerateCode(a.phone, time.Now())
	if err != nil {
		return fmt.Errorf("making a code: %w", err)
	}
	proof := object{"method": "TOTP", "code": code, "audience": application}
	if _, err := a.verifies(ctx, proof, http.StatusCreated, "mfaVerified", "amr"); err != nil {
		return err
	}
	if _, err := a.verifies(ctx, proof, http.StatusForbidden, "type"); err != nil {
		return err
	}
	challenge, err := a.call(ctx, http.MethodPost, "alice/challenges", object{"method": "WebAuthn"}, http.StatusCreated, "expiresAt")
	if err != nil {
		return err
	}
	options, err := raw(challenge, "options")
	if err != nil {
		return err
	}
	asked, err := virtualwebauthn.ParseAssertionOptions(options)
	if err != nil {
		return fmt.Errorf("reading what the browser is asked: %w", err)
	}
	response := virtualwebauthn.CreateAssertionResponse(browserAt(), virtualwebauthn.NewAuthenticator(), a.key, *asked)
	proof = object{"method": "WebAuthn", "challenge": challenge["token"], "response": json.RawMessage(response), "audience": application}
	if _, err := a.verifies(ctx, proof, http.StatusCreated, "mfaVerified", "amr"); err != nil {
		return err
	}
	_, err = a.verifies(ctx, proof, http.StatusForbidden, "type")
	return err
}

func (a *alice) recovers(ctx context.Context) error {
	proof := object{"method": "RecoveryCodes", "code": a.codes[0], "audience": application}
	won, err := a.verifies(ctx, proof, http.StatusCreated, "mfaVerified", "amr")
	if err != nil {
		return err
	}
	if _, err := a.verifies(ctx, proof, http.StatusForbidden, "type"); err != nil {
		return err
	}
	_, err = a.call(ctx, http.MethodPost, "alice/enrolments", object{"method": "TOTP", "name": "new phone", "session": won["token"]}, http.StatusCreated, "expiresAt")
	return err
}

func (a *alice) verifies(ctx context.Context, proof object, want int, shown ...string) (object, error) {
	return a.call(ctx, http.MethodPost, "alice/verifications", proof, want, shown...)
}

// audit shows and verifies the ledger of the users' namespace, with the plugin.
func (s *stage) audit(ctx context.Context) error {
	for _, what := range []string{"list", "verify"} {
		cmd := exec.CommandContext(ctx, s.plugin, "audit", what, "-n", usersNamespace)
		cmd.Env = append(os.Environ(), "KUBECONFIG="+s.kubeconfig)
		out, err := cmd.CombinedOutput()
		s.quote("$ kubectl mfa audit " + what + " -n " + usersNamespace)
		s.quote(string(out))
		if err != nil {
			return fmt.Errorf("kubectl mfa audit %s: %w: %s", what, err, strings.TrimSpace(string(out)))
		}
	}
	return nil
}

// browserAt is a browser at the origin of the shop's login.
func browserAt() virtualwebauthn.RelyingParty {
	return virtualwebauthn.RelyingParty{ID: relyingParty, Name: "Shop", Origin: "https://" + relyingParty}
}
