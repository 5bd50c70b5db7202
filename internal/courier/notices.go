package courier

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/time/rate"

	"github.com/neosc/mfa-operator/internal/mfa"
)

const (
	// mostNotices wait to be sent; one more is not.
	mostNotices = 1024
	// noticeSenders send at once.
	noticeSenders = 4
	// noticeTries, with noticePause between them, and noticePatience for what waits
	// when the process ends.
	noticeTries    = 3
	noticePause    = 10 * time.Second
	noticePatience = 10 * time.Second
)

// Notices sends notices by e-mail, one after the other, in its own time. It can be a
// manager.Runnable. What cannot be sent is logged, without the address, and not
// kept: the audit ledger has what it was about.
type Notices struct {
	mail  *mailer
	limit *rate.Limiter
	queue chan mfa.Notice
	pause time.Duration
	log   logr.Logger
}

var _ mfa.Notifier = (*Notices)(nil)

// NewNotices makes it; nil if no e-mails are configured.
func NewNotices(c Config, clock func() time.Time, log logr.Logger) (*Notices, error) {
	c, err := c.complete()
	if err != nil || c.Email == nil {
		return nil, err
	}
	mail, err := newMailer(*c.Email, clock)
	if err != nil {
		return nil, err
	}
	return &Notices{mail: mail, limit: perMinute(c.Email.PerMinute), queue: make(chan mfa.Notice, mostNotices), pause: noticePause, log: log}, nil
}

// NeedLeaderElection implements manager.LeaderElectionRunnable: every replica sends
// what it is told.
func (n *Notices) NeedLeaderElection() bool { return false }

// Notify implements mfa.Notifier.
func (n *Notices) Notify(notice mfa.Notice) {
	select {
	case n.queue <- notice:
	default:
		n.failed(notice, errors.New("too many are waiting"))
	}
}

// Start implements manager.Runnable. What is waiting when ctx ends is sent yet, if it
// does not take long.
func (n *Notices) Start(ctx context.Context) error {
	last, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	context.AfterFunc(ctx, func() { time.AfterFunc(noticePatience, cancel) })
	var senders sync.WaitGroup
	for range noticeSenders {
		senders.Go(func() { n.work(ctx, last) })
	}
	senders.Wait()
	return nil
}

// work sends until ctx has ended and nothing waits.
func (n *Notices) work(ctx, last context.Context) {
	for {
		select {
		case notice := <-n.queue:
			n.send(last, notice)
			continue
		default:
		}
		select {
		case notice := <-n.queue:
			n.send(last, notice)
		case <-ctx.Done():
			return
		}
	}
}

// send sends one, and again if that may help.
func (n *Notices) send(ctx context.Context, notice mfa.Notice) {
	var err error
	for try := range noticeTries {
		if try > 0 {
			select {
			case <-time.After(n.pause):
			case <-ctx.Done():
				n.failed(notice, err)
				return
			}
		}
		if err = n.limit.Wait(ctx); err == nil {
			err = n.mail.post(ctx, notice.To, noticeSubject, noticeText(notice))
		}
		if err == nil {
			return
		}
		if !errors.Is(err, mfa.ErrUnavailable) {
			break
		}
	}
	n.failed(notice, err)
}

func (n *Notices) failed(notice mfa.Notice, err error) {
	n.log.Error(err, "A user was not told of a change to their second factor",
		"namespace", notice.Owner.Namespace, "user", notice.Owner.Name, "event", notice.Event, "at", notice.At)
}
