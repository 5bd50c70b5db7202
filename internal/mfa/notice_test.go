package mfa_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/neosc/mfa-operator/internal/mfa"
)

// told keeps the notices.
type told struct{ notices []mfa.Notice }

func (t *told) Notify(n mfa.Notice) { t.notices = append(t.notices, n) }

// A user is told of what somebody else may have done in their name: once it is
// recorded, and of nothing else.
func TestWhatUsersAreToldOf(t *testing.T) {
	w := newWorld(t)
	heard := &told{}
	w.Notifier = heard
	expect := func(what string, want ...string) {
		t.Helper()
		var got []string
		for _, n := range heard.notices {
			if n.To != "alice@example.com" || n.Owner != w.alice.Owner || !n.At.Equal(w.last().Time) {
				t.Errorf("%s: %+v", what, n)
			}
			got = append(got, fmt.Sprint(n.Event, " ", n.Method))
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: told of %q, want %q", what, got, want)
		}
		heard.notices = nil
	}
	link := w.link()
	expect("a link", "EnrolmentLinkIssued ")
	linked, err := w.linked(link)
	if err != nil {
		t.Fatal(err)
	}
	expect("the link is spent", "FactorEnrolled TOTP")
	s, err := w.recover(linked.Codes[0])
	if err != nil {
		t.Fatal(err)
	}
	expect("a recovery code", "RecoveryCodeUsed RecoveryCodes")
	if _, err := w.recover(linked.Codes[0]); !errors.Is(err, mfa.ErrDenied) {
		t.Fatal(err)
	}
	expect("the same once more")
	d, c := w.enrolTOTP(w.alice, mfa.EnrolmentRequest{Session: s.Token})
	expect("a further factor", "FactorEnrolled TOTP")
	verified := w.mustVerify(w.alice, d)
	expect("a verification like any other")
	codes := w.codes(verified.Token)
	expect("new codes", "RecoveryCodesIssued RecoveryCodes")
	if err := w.Remove(t.Context(), w.alice, w.rules, mfa.RemoveRequest{ID: c.Factor.ID, Session: verified.Token, From: w.from}); err != nil {
		t.Fatal(err)
	}
	expect("a factor is removed", "FactorRemoved TOTP")
	if err := w.Remove(t.Context(), w.alice, w.rules, mfa.RemoveRequest{ID: linked.Factor.ID, Session: verified.Token, From: w.from}); !errors.Is(err, mfa.ErrNotAllowed) {
		t.Fatal(err)
	}
	expect("the last one is not")

	w.ledger.Fail(errors.New("away"))
	if _, err := w.recover(linked.Codes[1]); !errors.Is(err, mfa.ErrUnavailable) {
		t.Fatal(err)
	}
	w.ledger.Fail(nil)
	expect("what is not recorded has not happened")
	w.ledger.LoseAnswers(context.Canceled)
	if _, err := w.recover(codes[0]); !errors.Is(err, mfa.ErrUnavailable) {
		t.Fatal(err)
	}
	w.ledger.LoseAnswers(nil)
	expect("who hung up keeps nobody from being told", "RecoveryCodeUsed RecoveryCodes")
	w.alice.Contact.Email = ""
	w.link()
	expect("there is no address")
}
