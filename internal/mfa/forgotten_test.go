package mfa_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/neosc/mfa-operator/internal/audit"
	"github.com/neosc/mfa-operator/internal/mfa"
)

// Who deletes a ledger makes nobody new: the password alone opens nothing to whom
// it opened nothing before.
func TestWhoHadFactorsIsNotNewToAnotherLedger(t *testing.T) {
	for name, enforcement := range map[string]mfa.Enforcement{
		"somebody new could enrol with the password":        mfa.RequiredOnFirstLogin,
		"somebody new would have time to":                   mfa.AlwaysRequired,
		"somebody new would not be asked for anything more": mfa.Optional,
	} {
		w := newWorld(t)
		w.rules.Enforcement = enforcement
		if enforcement == mfa.AlwaysRequired {
			w.rules.GracePeriod = 24 * time.Hour
		}
		_, c := w.enrolTOTP(w.alice, mfa.EnrolmentRequest{})
		begun, err := w.StartEnrolment(t.Context(), w.alice, w.rules, mfa.EnrolmentRequest{Method: mfa.TOTP, Session: c.Session.Token, From: w.from})
		if err != nil {
			t.Fatal(err)
		}
		w.ledger.Lose("team-a")

		q, err := w.Requirement(t.Context(), w.alice, w.rules, mfa.RequirementRequest{From: w.from})
		if err != nil || !q.Needed || q.Why != mfa.GraceOver || len(q.Methods)+len(q.Enrollable) > 0 || !q.GraceEndsAt.IsZero() {
			t.Errorf("%s: %v, %+v, want her kept out", name, err, q)
		}
		if n := len(w.ledger.Records("team-a")); n != 0 {
			t.Errorf("%s: %d records, want no time to enrol begun", name, n)
		}
		refused := &mfa.NotAllowedError{}
		_, err = w.StartEnrolment(t.Context(), w.alice, w.rules, mfa.EnrolmentRequest{Method: mfa.TOTP, From: w.from})
		if !errors.As(err, &refused) || refused.Reason != mfa.ReasonLedgerLost {
			t.Errorf("%s: beginning to enrol: %v", name, err)
		}
		d := device{secret: begun.Secret}
		_, err = w.ConfirmEnrolment(t.Context(), w.alice, w.rules, mfa.Confirmation{Token: begun.Token, Code: d.at(w.clock.Now(), 0), From: w.from})
		if !errors.As(err, &refused) || refused.Reason != mfa.ReasonVerificationNeeded {
			t.Errorf("%s: an enrolment that had begun: %v", name, err)
		}

		link, err := w.StartLink(t.Context(), w.alice, w.rules, mfa.LinkRequest{From: w.from})
		if err != nil {
			t.Fatal(err)
		}
		w.enrolTOTP(w.alice, mfa.EnrolmentRequest{Link: link.Token})
		if q, err := w.Requirement(t.Context(), w.alice, w.rules, mfa.RequirementRequest{From: w.from}); err != nil || len(q.Methods) == 0 {
			t.Errorf("%s: with a link: %v, %+v", name, err, q)
		}
	}
}

// Their enrolment had been proved when the ledger was lost; it had not begun with
// more than the password.
func TestAFirstEnrolmentDoesNotOutliveTheLedger(t *testing.T) {
	w := newWorld(t)
	begin := func() (mfa.Enrolment, device) {
		e, err := w.StartEnrolment(t.Context(), w.alice, w.rules, mfa.EnrolmentRequest{Method: mfa.TOTP, From: w.from})
		if err != nil {
			t.Fatal(err)
		}
		return e, device{secret: e.Secret}
	}
	e, d := begin()
	w.enrolTOTP(w.alice, mfa.EnrolmentRequest{})
	w.ledger.Lose("team-a")
	refused := &mfa.NotAllowedError{}
	_, err := w.ConfirmEnrolment(t.Context(), w.alice, w.rules, mfa.Confirmation{Token: e.Token, Code: d.at(w.clock.Now(), 0), From: w.from})
	if !errors.As(err, &refused) || refused.Reason != mfa.ReasonLedgerLost {
		t.Errorf("%v", err)
	}

	t.Log("an administrator's reset makes her new")
	if err := w.ledger.Record("team-a", mfa.Reset(w.alice.UID, "carol", "Reset", nil, nil, false)); err != nil {
		t.Fatal(err)
	}
	w.enrolTOTP(w.alice, mfa.EnrolmentRequest{})
}

// What an enrolment has left that the ledger never took makes nobody known.
func TestAnInterruptedEnrolmentLeavesSomebodyNew(t *testing.T) {
	w := newWorld(t)
	e, err := w.StartEnrolment(t.Context(), w.alice, w.rules, mfa.EnrolmentRequest{Method: mfa.TOTP, From: w.from})
	if err != nil {
		t.Fatal(err)
	}
	w.Ledger = deaf{w.ledger}
	d := device{secret: e.Secret}
	_, err = w.ConfirmEnrolment(t.Context(), w.alice, w.rules, mfa.Confirmation{Token: e.Token, Code: d.at(w.clock.Now(), 0), From: w.from})
	if !errors.Is(err, mfa.ErrUnavailable) {
		t.Fatal(err)
	}
	kept, err := w.vault.Load(t.Context(), w.alice.Owner)
	if err != nil || len(kept.Credentials) != 1 {
		t.Fatalf("%v, %d kept, want the one the ledger did not take", err, len(kept.Credentials))
	}
	w.Ledger = w.ledger
	w.clock.Move(time.Hour)
	w.enrolTOTP(w.alice, mfa.EnrolmentRequest{})
}

// deaf takes nothing.
type deaf struct{ mfa.Ledger }

func (deaf) Append(context.Context, string, mfa.Attempt) ([]audit.Record, error) {
	return nil, errors.New("the API server is away")
}
