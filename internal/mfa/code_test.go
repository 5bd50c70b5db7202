package mfa_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/neosc/mfa-operator/internal/audit"
	"github.com/neosc/mfa-operator/internal/mfa"
)

// enrolAddress enrols e-mail or SMS as the first factor.
func (w *world) enrolAddress(m mfa.Method) mfa.Confirmed {
	w.Helper()
	e, err := w.StartEnrolment(w.Context(), w.alice, w.rules, mfa.EnrolmentRequest{Method: m, From: w.from})
	if err != nil {
		w.Fatal(err)
	}
	c, err := w.ConfirmEnrolment(w.Context(), w.alice, w.rules, mfa.Confirmation{Token: e.Token, Code: w.sent(), Audience: "shop", From: w.from})
	if err != nil {
		w.Fatalf("enrolling %s: %v, %s", m, err, w.last().Reason)
	}
	w.clock.Move(time.Minute)
	return c
}

// sent is the code that was sent last.
func (w *world) sent() string {
	all := w.courier.Sent()
	return all[len(all)-1].Code
}

func (w *world) send(m mfa.Method) mfa.Challenge {
	w.Helper()
	c, err := w.StartChallenge(w.Context(), w.alice, w.rules, mfa.ChallengeRequest{Method: m, Application: "The Shop", From: w.from})
	if err != nil {
		w.Fatal(err)
	}
	return c
}

func (w *world) code(m mfa.Method, c mfa.Challenge, code string) (mfa.Session, error) {
	return w.Verify(w.Context(), w.alice, w.rules, mfa.Proof{Method: m, Challenge: c.Token, Code: code, From: w.from})
}

// not is another code of six digits.
func not(code string) string {
	if code == "123456" {
		return "654321"
	}
	return "123456"
}

func TestACodeThatIsSent(t *testing.T) {
	for m, want := range map[mfa.Method]struct {
		to, acr string
		amr     []string
	}{
		mfa.Email: {"alice@example.com", mfa.ACROne, []string{"otp", "mca", "mfa"}},
		mfa.SMS:   {"+4915100000001", mfa.ACRTwo, []string{"sms", "mfa"}},
	} {
		w := newWorld(t)
		w.enrolAddress(m)
		c := w.send(m)
		message := w.courier.Sent()[1]
		if message.To != want.to || message.Application != "The Shop" || message.Method != m || message.ExpiresAt != c.ExpiresAt || len(message.Code) != 6 {
			t.Errorf("sent to %s by %s for %s", message.To, message.Method, message.Application)
		}
		if d := c.ExpiresAt.Sub(w.clock.Now()); d > 10*time.Minute {
			t.Errorf("it lives %s", d)
		}
		s, err := w.code(m, c, message.Code)
		w.want(string(m), err, nil, audit.Succeeded, "")
		if s.ACR != want.acr || !slices.Equal(s.AMR, want.amr) || !s.Verified {
			t.Errorf("%s is worth %s %v", m, s.ACR, s.AMR)
		}
		_, err = w.code(m, c, message.Code)
		w.want("again", err, mfa.ErrDenied, audit.Replayed, mfa.ReasonUsed)
	}
}

func TestACodeIsBoundToItsChallenge(t *testing.T) {
	w := newWorld(t)
	w.enrolAddress(mfa.Email)
	first := w.send(mfa.Email)
	old := w.sent()
	w.clock.Move(30 * time.Second)
	second := w.send(mfa.Email)
	fresh := w.sent()
	if old == fresh {
		t.Skip("one in a million: both codes are the same")
	}
	_, err := w.code(mfa.Email, first, old)
	w.want("the first, after another was sent", err, mfa.ErrDenied, audit.Failed, mfa.ReasonNotLatest)
	_, err = w.code(mfa.Email, second, old)
	w.want("the first code for the second challenge", err, mfa.ErrDenied, audit.Failed, mfa.ReasonWrongCode)
	_, err = w.code(mfa.SMS, second, fresh)
	w.want("as if it had come by SMS", err, mfa.ErrDenied, audit.Failed, mfa.ReasonBadToken)
	w.clock.Move(time.Minute)
	p := w.alice
	p.Contact.Email = "mallory@example.com"
	_, err = w.Verify(t.Context(), p, w.rules, mfa.Proof{Method: mfa.Email, Challenge: second.Token, Code: fresh, From: w.from})
	w.want("after the address was changed", err, mfa.ErrDenied, audit.Failed, mfa.ReasonAddressChanged)
	w.clock.Move(time.Minute)
	_, err = w.code(mfa.Email, second, fresh)
	w.want("the second", err, nil, audit.Succeeded, "")

	w.clock.Move(time.Minute)
	late := w.send(mfa.Email)
	code := w.sent()
	w.clock.Move(10*time.Minute + time.Second)
	_, err = w.code(mfa.Email, late, code)
	w.want("too late", err, mfa.ErrDenied, audit.Failed, mfa.ReasonExpired)
}

func TestACodeSurvivesFiveTries(t *testing.T) {
	for tries, right := range map[int]bool{4: true, 5: false} {
		w := newWorld(t)
		w.enrolAddress(mfa.Email)
		c := w.send(mfa.Email)
		code := w.sent()
		for range tries {
			if _, err := w.code(mfa.Email, c, not(code)); !errors.Is(err, mfa.ErrDenied) {
				t.Fatal(err)
			}
			w.clock.Move(30 * time.Second)
		}
		_, err := w.code(mfa.Email, c, code)
		if right {
			w.want(fmt.Sprint(tries, " tries"), err, nil, audit.Succeeded, "")
		} else {
			w.want(fmt.Sprint(tries, " tries"), err, mfa.ErrDenied, audit.Failed, mfa.ReasonTooManyTries)
		}
	}
}

func TestSendingIsLimited(t *testing.T) {
	w := newWorld(t)
	w.enrolAddress(mfa.SMS) // one was sent, a minute ago
	ask := func() error {
		_, err := w.StartChallenge(t.Context(), w.alice, w.rules, mfa.ChallengeRequest{Method: mfa.SMS, From: w.from})
		return err
	}
	if err := ask(); err != nil {
		t.Fatal(err)
	}
	var throttled *mfa.ThrottledError
	if err := ask(); !errors.As(err, &throttled) || throttled.RetryAfter > 31*time.Second {
		t.Errorf("at once again: %v", err)
	}
	for range 3 {
		w.clock.Move(30 * time.Second)
		if err := ask(); err != nil {
			t.Fatal(err)
		}
	}
	w.clock.Move(30 * time.Second)
	if err := ask(); !errors.As(err, &throttled) || throttled.RetryAfter < 30*time.Minute {
		t.Errorf("the sixth in an hour: %v", err)
	}
	if n := len(w.courier.Sent()); n != 5 {
		t.Errorf("%d were sent", n)
	}
	w.clock.Move(time.Hour)
	if err := ask(); err != nil {
		t.Errorf("an hour later: %v", err)
	}

	w = newWorld(t)
	sent := 0
	for n := range 25 {
		p := w.alice
		p.UID = fmt.Sprintf("6f1c1f6e-0000-4000-8000-%012d", n)
		if _, err := w.StartEnrolment(t.Context(), p, w.rules, mfa.EnrolmentRequest{Method: mfa.SMS, From: w.from}); err == nil {
			sent++
		}
	}
	if sent != 20 || len(w.courier.Sent()) != 20 {
		t.Errorf("one address had %d sent", sent)
	}
	w = newWorld(t)
	sent = 0
	for n := range 600 {
		p := w.alice
		p.UID = fmt.Sprintf("6f1c1f6e-0000-4000-8000-%012d", n)
		w.from.IP = netip.AddrFrom4([4]byte{198, 51, byte(n / 200), byte(n % 200)})
		if _, err := w.StartEnrolment(t.Context(), p, w.rules, mfa.EnrolmentRequest{Method: mfa.SMS, From: w.from}); err == nil {
			sent++
		}
	}
	if sent != 500 {
		t.Errorf("a namespace sent %d", sent)
	}
}

// Nobody learns from a challenge whether there is such a user, or such a factor.
func TestSendingLooksTheSameForNobody(t *testing.T) {
	for reason, prepare := range map[string]func(*world) mfa.Person{
		mfa.ReasonUnknownUser: func(w *world) mfa.Person { return w.nobody },
		mfa.ReasonNoFactor:    func(w *world) mfa.Person { return w.alice },
		mfa.ReasonAddressChanged: func(w *world) mfa.Person {
			w.enrolAddress(mfa.Email)
			p := w.alice
			p.Contact.Email = "new@example.com"
			return p
		},
	} {
		w := newWorld(t)
		p := prepare(w)
		before := len(w.courier.Sent())
		c, err := w.StartChallenge(t.Context(), p, w.rules, mfa.ChallengeRequest{Method: mfa.Email, From: w.from})
		if err != nil || c.Token == "" || len(w.courier.Sent()) != before {
			t.Errorf("%s: %v, and %d were sent", reason, err, len(w.courier.Sent())-before)
		}
		if w.last().Action != audit.ChallengeSent || w.last().Outcome != audit.Failed {
			t.Errorf("%s: recorded as %s %s", reason, w.last().Action, w.last().Outcome)
		}
		if _, err := w.StartChallenge(t.Context(), p, w.rules, mfa.ChallengeRequest{Method: mfa.Email, From: w.from}); !errors.Is(err, mfa.ErrThrottled) {
			t.Errorf("%s: at once again: %v", reason, err)
		}
		_, err = w.Verify(t.Context(), p, w.rules, mfa.Proof{Method: mfa.Email, Challenge: c.Token, Code: "123456", From: w.from})
		w.want(reason, err, mfa.ErrDenied, audit.Failed, reason)
	}
}

func TestACodeThatCannotBeSent(t *testing.T) {
	w := newWorld(t)
	w.enrolAddress(mfa.Email)
	w.courier.Fail(errors.New("550 no such mailbox alice@example.com"))
	_, err := w.StartChallenge(t.Context(), w.alice, w.rules, mfa.ChallengeRequest{Method: mfa.Email, From: w.from})
	w.want("the gateway refuses", err, mfa.ErrUnavailable, audit.Failed, mfa.ReasonNotDelivered)
	w.courier.Fail(nil)
	w.Courier = nil
	var no *mfa.NotAllowedError
	if _, err := w.StartChallenge(t.Context(), w.alice, w.rules, mfa.ChallengeRequest{Method: mfa.Email}); !errors.As(err, &no) || no.Reason != mfa.ReasonNotOffered {
		t.Errorf("without a gateway: %v", err)
	}
}

// impatient is a gateway during whose work everybody leaves.
type impatient struct {
	mfa.Courier
	leave func()
}

func (i impatient) Send(ctx context.Context, m mfa.Message) error {
	i.leave()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return i.Courier.Send(ctx, m)
}

// What is recorded as sent is sent, and what became of it is recorded.
func TestACodeIsSentThoughNobodyWaits(t *testing.T) {
	w := newWorld(t)
	w.enrolAddress(mfa.Email)
	before := len(w.courier.Sent())
	for _, fails := range []error{nil, errors.New("550 no such mailbox")} {
		w.clock.Move(time.Minute)
		ctx, leave := context.WithCancel(t.Context())
		w.courier.Fail(fails)
		w.Courier = impatient{w.courier, leave}
		_, err := w.StartChallenge(ctx, w.alice, w.rules, mfa.ChallengeRequest{Method: mfa.Email, From: w.from})
		if fails != nil {
			w.want("the gateway refuses", err, mfa.ErrUnavailable, audit.Failed, mfa.ReasonNotDelivered)
		} else if err != nil || len(w.courier.Sent()) != before+1 {
			t.Errorf("%v, and %d were sent", err, len(w.courier.Sent())-before)
		}
	}
}

func TestAnAddressIsShownHidden(t *testing.T) {
	w := newWorld(t)
	for m, want := range map[mfa.Method]string{mfa.Email: "a…@example.com", mfa.SMS: "…01"} {
		e, err := w.StartEnrolment(t.Context(), w.alice, w.rules, mfa.EnrolmentRequest{Method: m, From: w.from})
		if err != nil || e.SentTo != want {
			t.Errorf("%s: %q, %v", m, e.SentTo, err)
		}
		w.clock.Move(time.Minute)
	}
	if strings.Contains(fmt.Sprint(w.ledger.Records("team-a")), "example.com") {
		t.Error("a record has the address")
	}
}

// Both addresses are enrolled; the code went to the other one.
func TestACodeIsBoundToWhereItWasSent(t *testing.T) {
	w := newWorld(t)
	first := w.enrolAddress(mfa.Email)
	other := w.alice
	other.Contact.Email = "new@example.com"
	e, err := w.StartEnrolment(t.Context(), other, w.rules, mfa.EnrolmentRequest{Method: mfa.Email, Session: first.Session.Token, From: w.from})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.ConfirmEnrolment(t.Context(), other, w.rules, mfa.Confirmation{Token: e.Token, Code: w.sent(), From: w.from}); err != nil {
		t.Fatal(err)
	}
	w.clock.Move(time.Minute)
	c := w.send(mfa.Email)
	proof := mfa.Proof{Method: mfa.Email, Challenge: c.Token, Code: w.sent(), From: w.from}
	_, err = w.Verify(t.Context(), other, w.rules, proof)
	w.want("sent to the old address", err, mfa.ErrDenied, audit.Failed, mfa.ReasonWrongCode)
	_, err = w.Verify(t.Context(), w.alice, w.rules, proof)
	w.want("where it was sent", err, nil, audit.Succeeded, "")
}
