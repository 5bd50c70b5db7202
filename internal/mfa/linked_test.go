package mfa_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/neosc/mfa-operator/internal/audit"
	"github.com/neosc/mfa-operator/internal/mfa"
)

// linked enrols an app with a link.
func (w *world) linked(link string) (mfa.Linked, error) {
	w.Helper()
	e, err := w.StartEnrolment(w.Context(), w.alice, w.rules, mfa.EnrolmentRequest{Method: mfa.TOTP, Link: link, From: w.from})
	if err != nil {
		return mfa.Linked{}, err
	}
	code := device{secret: e.Secret}.at(w.clock.Now(), 0)
	return w.ConfirmLinked(w.Context(), w.alice, w.rules, link, mfa.Confirmation{Token: e.Token, Code: code, From: w.from})
}

// record puts a record into the ledger that is not the service's.
func (w *world) record(r audit.Record) {
	w.Helper()
	if err := w.ledger.Record("team-a", r); err != nil {
		w.Fatal(err)
	}
}

func TestALinkGivesAFactorAndRecoveryCodesAndNoSession(t *testing.T) {
	w := newWorld(t)
	offer, err := w.LinkOffer(t.Context(), w.alice, w.rules, w.link())
	if err != nil || offer.Preferred != mfa.WebAuthn || !slices.Equal(offer.Methods, []mfa.Method{mfa.WebAuthn, mfa.TOTP, mfa.Email, mfa.SMS}) {
		t.Fatalf("on offer are %+v, %v", offer, err)
	}
	got, err := w.linked(w.link())
	if err != nil || got.Factor.Method != mfa.TOTP || len(got.Codes) != 10 {
		t.Fatalf("the first link gives %+v, %v", got.Factor, err)
	}
	if list, err := w.Sessions(t.Context(), w.alice, w.rules); err != nil || len(list) != 0 {
		t.Errorf("there are sessions: %v, %v", list, err)
	}
	again, err := w.linked(w.link())
	if err != nil || again.Codes != nil {
		t.Errorf("with codes left, a second link gives %d codes, %v; want none, for those still count", len(again.Codes), err)
	}
	w.clock.Move(30 * time.Second)
	if _, err := w.recover(got.Codes[9]); err != nil {
		t.Errorf("a code of the first link: %v", err)
	}
	w.rules.Methods = []mfa.Method{mfa.TOTP}
	w.record(mfa.Reset(w.alice.UID, "admin", "lost", nil, nil, false))
	if got, err := w.linked(w.link()); err != nil || got.Codes != nil {
		t.Errorf("where the policy has no recovery codes: %d, %v", len(got.Codes), err)
	}
}

// What is against a link is told once it has been opened, and not before.
func TestWhatEndsALink(t *testing.T) {
	for why, end := range map[string]func(w *world){
		"its time":                         func(w *world) { w.clock.Move(time.Hour) },
		"another link":                     func(w *world) { w.link() },
		"a reset":                          func(w *world) { w.record(mfa.Reset(w.alice.UID, "admin", "lost", nil, nil, false)) },
		"a reset of one method":            func(w *world) { w.record(mfa.Reset(w.alice.UID, "admin", "lost", []mfa.Method{mfa.SMS}, nil, true)) },
		"a suspension, also if it is over": func(w *world) { w.record(mfa.Suspension(w.alice.UID, 1)) },
		"the removal of the user":          func(w *world) { w.record(mfa.Gone(w.alice.UID, "alice")) },
	} {
		t.Run(why, func(t *testing.T) {
			w := newWorld(t)
			link := w.link()
			e, err := w.StartEnrolment(t.Context(), w.alice, w.rules, mfa.EnrolmentRequest{Method: mfa.TOTP, Link: link})
			if err != nil {
				t.Fatal(err)
			}
			end(w)
			if _, err := w.LinkOwner(t.Context(), "team-a", link); !errors.Is(err, mfa.ErrDenied) {
				t.Errorf("whose it is: %v", err)
			}
			if _, err := w.LinkOffer(t.Context(), w.alice, w.rules, link); !errors.Is(err, mfa.ErrNotAllowed) {
				t.Errorf("what is on offer: %v", err)
			}
			code := device{secret: e.Secret}.at(w.clock.Now(), 0)
			if _, err := w.ConfirmLinked(t.Context(), w.alice, w.rules, link, mfa.Confirmation{Token: e.Token, Code: code}); err == nil {
				t.Error("an enrolment that had begun was confirmed")
			}
			if list, err := w.Factors(t.Context(), w.alice); err != nil || len(list) != 0 {
				t.Errorf("factors: %v, %v", list, err)
			}
		})
	}
}

// An enrolment that began by another right is not the link's.
func TestALinkConfirmsItsOwnEnrolmentsOnly(t *testing.T) {
	w := newWorld(t)
	e, err := w.StartEnrolment(t.Context(), w.alice, w.rules, mfa.EnrolmentRequest{Method: mfa.TOTP})
	if err != nil {
		t.Fatal(err)
	}
	code := device{secret: e.Secret}.at(w.clock.Now(), 0)
	_, err = w.ConfirmLinked(t.Context(), w.alice, w.rules, w.link(), mfa.Confirmation{Token: e.Token, Code: code})
	if !errors.Is(err, mfa.ErrDenied) || w.last().Reason != mfa.ReasonBadToken {
		t.Errorf("%v, %s", err, w.last().Reason)
	}
	if r := w.last(); r.Action != audit.FactorEnrolled || r.Outcome != audit.Failed {
		t.Errorf("the record is %s %s", r.Action, r.Outcome)
	}
}

// A ledger that could not be reached makes people try again. What they are shown then
// is what counts.
func TestALinkThatIsTriedAgainGivesCodesThatCount(t *testing.T) {
	w := newWorld(t)
	link := w.link()
	e, err := w.StartEnrolment(t.Context(), w.alice, w.rules, mfa.EnrolmentRequest{Method: mfa.TOTP, Link: link, From: w.from})
	if err != nil {
		t.Fatal(err)
	}
	d := device{secret: e.Secret}
	c := mfa.Confirmation{Token: e.Token, Code: d.at(w.clock.Now(), 0), From: w.from}
	w.ledger.FailAppend(errors.New("away"))
	if _, err := w.ConfirmLinked(t.Context(), w.alice, w.rules, link, c); !errors.Is(err, mfa.ErrUnavailable) {
		t.Fatal(err)
	}
	w.ledger.FailAppend(nil)
	got, err := w.ConfirmLinked(t.Context(), w.alice, w.rules, link, c)
	if err != nil || len(got.Codes) != 10 {
		t.Fatalf("the second try gives %d codes, %v", len(got.Codes), err)
	}
	if _, err := w.recover(got.Codes[0]); err != nil {
		t.Errorf("a recovery code: %v, recorded as %s", err, w.last().Reason)
	}
	w.clock.Move(30 * time.Second)
	w.mustVerify(w.alice, d)
}
