package mfa

import (
	"time"

	"github.com/neosc/mfa-operator/internal/audit"
)

// The numbers of the throttle.
const (
	// mostFailures since the last success from the same place lock a user until
	// an administrator ends it (SP 800-63B-4, 3.2.2), however many locks have
	// ended by themselves.
	mostFailures = 100
	// freeFailures have no consequence; after each further one the user waits
	// twice as long, from firstDelay to lastDelay.
	freeFailures = 2
	firstDelay   = time.Second
	lastDelay    = 30 * time.Second
	// mostSourceFailures of one address within sourceWindow, over all users.
	mostSourceFailures = 100
	// refusalPause is how often at most a refusal is recorded, by user and by
	// source: refusals are not looked at, so they need not be counted.
	refusalPause = time.Second

	// A code is sent to a user once in sendPause, and mostUserSends times an hour;
	// mostSourceSends and mostSends are per sourceWindow, for one address and for
	// a whole namespace.
	sendPause       = 30 * time.Second
	mostUserSends   = 5
	mostSourceSends = 20
	mostSends       = 500
	// mostTries are how many wrong codes a sent code survives.
	mostTries = 5
)

// act is what all attempts of a user have in common.
type act struct {
	// record is the template: who, from where, which policy and method.
	record audit.Record
	// suspended: the user may do nothing.
	suspended bool
	rules     Rules
	// max and autoUnlock are those of the rules, within our bounds.
	max        int
	autoUnlock time.Duration
	// notify tells the user of what was recorded.
	notify func([]audit.Record)
}

func (s *Service) newAct(record audit.Record, p Person, r Rules) act {
	a := act{
		record: record, suspended: p.Suspended, rules: r, max: r.MaxAttempts, autoUnlock: r.AutoUnlock,
		notify: func(records []audit.Record) { s.notify(p, records) },
	}
	if a.max <= 0 {
		a.max = DefaultMaxAttempts
	}
	a.max = min(a.max, mostFailures)
	if a.autoUnlock == 0 {
		a.autoUnlock = DefaultAutoUnlock
	}
	return a
}

// Recorded implements audit.Witness: whoever hangs up keeps nobody from being told.
func (a act) Recorded(records []audit.Record) { a.notify(records) }

// guarded lets decide judge an attempt, unless the user may not try or has tried
// too much; a right answer makes no difference to that. It locks the user whose
// failures are too many.
func (a act) guarded(state audit.State[Entry], now time.Time, decide func(*User) []audit.Record) ([]audit.Record, error) {
	u := UserAt(state, a.record.Subject, now)
	var before []audit.Record
	if u.Lock != nil && u.Lock.over(now) {
		before = append(before, as(a.record, audit.UserUnlocked, ReasonLockOver))
		u.forgive()
	}
	if !u.Removed.IsZero() {
		return []audit.Record{with(a.record, audit.Failed, ReasonUserRemoved)}, nil
	}
	// A source that tries too much is told so whether or not the user is locked.
	if source := sourceOfRecord(a.record); source != "" {
		if s := sourceAt(state, sourcePrefix+source, now); s.Failures >= mostSourceFailures {
			return a.throttled(ReasonSource, s.Since.Add(sourceWindow).Sub(now), s.Refused, now)
		}
	}
	if u.Lock != nil {
		return []audit.Record{with(a.record, audit.Failed, ReasonLocked)}, nil
	}
	window, total, last := u.failed()
	if wait := last.Add(delay(window)).Sub(now); window > freeFailures && wait > 0 {
		return a.throttled(ReasonTooSoon, wait, u.Refused, now)
	}
	if len(u.Spent) >= mostSpent {
		return a.throttled(ReasonChallenges, u.Spent[0].Until.Sub(now), u.Refused, now)
	}
	var records []audit.Record
	if a.suspended { // and throttled like anybody
		records = []audit.Record{with(a.record, audit.Failed, ReasonSuspended)}
	} else {
		records = decide(&u)
	}
	if r := records[0]; guesses(r.Action) && r.Outcome == audit.Failed && !isHarmless(r.Reason) {
		if window, total = window+1, total+1; window >= a.max || total >= mostFailures {
			records = append(records, a.lock(total, now))
		}
	}
	return append(before, records...), nil
}

// delay is how long to wait after so many failures.
func delay(failures int) time.Duration {
	if failures <= freeFailures {
		return 0
	}
	d := firstDelay
	for range failures - freeFailures - 1 {
		if d *= 2; d >= lastDelay {
			return lastDelay
		}
	}
	return d
}

// lock is the record that locks the user.
func (a act) lock(total int, now time.Time) audit.Record {
	r := as(a.record, audit.UserLocked, ReasonTooManyFailures)
	if a.autoUnlock > 0 && total < mostFailures {
		r.Details = append(r.Details, untilDetail(now.Add(a.autoUnlock)))
	}
	return r
}

// throttled refuses an attempt without looking at it. That is recorded once in
// refusalPause.
func (a act) throttled(reason string, wait time.Duration, recorded, now time.Time) ([]audit.Record, error) {
	wait = max((wait + time.Second - 1).Truncate(time.Second), time.Second) // whole seconds, up
	if now.Sub(recorded) < refusalPause {
		return nil, &ThrottledError{RetryAfter: wait}
	}
	return []audit.Record{with(a.record, audit.Throttled, reason, numberDetail(detailRetryAfter, int64(wait/time.Second)))}, nil
}

// sendable refuses to send a code when too many were sent, and says so whether
// or not one would have been.
func (a act) sendable(state audit.State[Entry], now time.Time) ([]audit.Record, error) {
	u := UserAt(state, a.record.Subject, now)
	if n := len(u.Sends); n > 0 {
		if wait := u.Sends[n-1].Add(sendPause).Sub(now); wait > 0 {
			return a.throttled(ReasonSends, wait, u.Refused, now)
		}
		if n >= mostUserSends {
			return a.throttled(ReasonSends, u.Sends[0].Add(time.Hour).Sub(now), u.Refused, now)
		}
	}
	if source := sourceOfRecord(a.record); source != "" {
		if s := sourceAt(state, sourcePrefix+source, now); s.Sends >= mostSourceSends {
			return a.throttled(ReasonSource, s.Since.Add(sourceWindow).Sub(now), s.Refused, now)
		}
	}
	if s := sourceAt(state, sendsKey, now); s.Sends >= mostSends {
		return a.throttled(ReasonSends, s.Since.Add(sourceWindow).Sub(now), u.Refused, now)
	}
	return nil, nil
}
