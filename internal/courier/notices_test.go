package courier_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"

	"github.com/neosc/mfa-operator/internal/audit"
	"github.com/neosc/mfa-operator/internal/courier"
	"github.com/neosc/mfa-operator/internal/mfa"
)

// journal is a log.
type journal struct {
	mu    sync.Mutex
	lines []string
}

func (j *journal) logger() logr.Logger {
	return funcr.New(func(_, args string) {
		j.mu.Lock()
		defer j.mu.Unlock()
		j.lines = append(j.lines, args)
	}, funcr.Options{})
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return strings.Join(j.lines, "\n")
}

func noticeOf(event audit.Action, method mfa.Method) mfa.Notice {
	return mfa.Notice{Owner: mfa.Owner{Namespace: "shop", Name: "alice"}, To: "alice@example.com", Event: event, Method: method, At: now}
}

// deliver sends what it is given, as a process does that ends meanwhile.
func deliver(t *testing.T, e courier.Email, j *journal, notices ...mfa.Notice) {
	t.Helper()
	n, err := courier.NewNotices(courier.Config{Email: &e}, func() time.Time { return now }, j.logger())
	ok(t, err)
	courier.SetNoticePause(n, time.Millisecond)
	for _, notice := range notices {
		n.Notify(notice)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	ok(t, n.Start(ctx))
}

func TestANoticeArrives(t *testing.T) {
	certificate, ca := authority(t)
	for _, c := range []struct {
		notice mfa.Notice
		says   string
	}{
		{noticeOf(audit.RecoveryCodeUsed, mfa.RecoveryCodes), "One of your recovery codes was used"},
		{noticeOf(audit.RecoveryCodesIssued, mfa.RecoveryCodes), "New recovery codes were made"},
		{noticeOf(audit.FactorEnrolled, mfa.WebAuthn), "was set up for you: a security key or passkey"},
		{noticeOf(audit.FactorRemoved, mfa.TOTP), "was removed: an authenticator app"},
		{noticeOf(audit.EnrolmentLinkIssued, ""), "A link was made"},
		{noticeOf(audit.MFAReset, ""), "was reset by an administrator"},
		{noticeOf(audit.MFAReset, ""), "If you did not, somebody else may have asked in your name"},
		{noticeOf(audit.FactorRemoved, mfa.TOTP), "If it was not, somebody else may be signing in in your name"},
	} {
		p, j := serve(t, &certificate, false), &journal{}
		deliver(t, courier.Email{Host: "127.0.0.1", Port: p.Port, CAFile: ca, From: "no-reply@acme.example"}, j, c.notice)
		got := got(t, p)
		subject, text, err := got.Read()
		ok(t, err)
		if got.To[0] != "alice@example.com" || !got.Encrypted || subject != "Your second factor: please check" ||
			!strings.Contains(text, c.says) || !strings.Contains(text, now.UTC().Format("2 January 2006 at 15:04")) || strings.Contains(text, "http") {
			t.Errorf("%s: to %v, %s\n%s", c.notice.Event, got.To, subject, text)
		}
		if j.String() != "" {
			t.Errorf("logged: %s", j)
		}
	}
}

// A notice that cannot be sent is logged, so that somebody can find it, without the
// address; nobody waits for it.
func TestANoticeThatCannotBeSent(t *testing.T) {
	certificate, ca := authority(t)
	p, j := serve(t, &certificate, false), &journal{}
	p.Refuse(&smtp.SMTPError{Code: 550, Message: "alice@example.com is not here"})
	e := courier.Email{Host: "127.0.0.1", Port: p.Port, CAFile: ca, From: "no-reply@acme.example"}
	deliver(t, e, j, noticeOf(audit.RecoveryCodeUsed, mfa.RecoveryCodes))
	if log := j.String(); strings.Contains(log, "alice@") || !strings.Contains(log, `"user"="alice"`) || !strings.Contains(log, "RecoveryCodeUsed") {
		t.Errorf("logged: %s", log)
	}

	e.Port, j = 1, &journal{} // nobody is there: it is tried again, and then logged once
	deliver(t, e, j, noticeOf(audit.FactorRemoved, mfa.TOTP))
	if n := len(j.lines); n != 1 {
		t.Errorf("logged are %d lines: %s", n, j)
	}

	n, err := courier.NewNotices(courier.Config{Email: &e}, time.Now, j.logger())
	ok(t, err)
	j.lines = nil
	for i := range 1030 { // nobody sends: the queue is full, and Notify returns
		notice := noticeOf(audit.FactorEnrolled, mfa.TOTP)
		notice.Owner.Name = fmt.Sprint("user-", i)
		n.Notify(notice)
	}
	if n := len(j.lines); n != 6 || !strings.Contains(j.String(), "user-1029") {
		t.Errorf("logged are %d lines: %s", n, j)
	}
}

func TestWithoutEmailThereAreNoNotices(t *testing.T) {
	if n, err := courier.NewNotices(courier.Config{}, time.Now, logr.Discard()); n != nil || err != nil {
		t.Errorf("%v, %v", n, err)
	}
}
