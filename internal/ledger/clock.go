package ledger

import (
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"
)

// maxSkew is how far our clock may be from the API server's, and how far behind
// the last record.
const maxSkew = 5 * time.Second

// ErrClock means that our clock is too far off to date records.
var ErrClock = errors.New("this machine's clock is off")

// clock tells the time of records.
type clock struct {
	now  func() time.Time
	boot func() instant
	// server is how far the API server's clock was ahead of ours when it last
	// answered, in nanoseconds.
	server atomic.Int64
}

// recordTime is the time for records that follow one of the given time: never
// before it, in whole microseconds. It refuses when our clock disagrees with
// the API server's, or with the last record's.
func (c *clock) recordTime(last time.Time) (time.Time, error) {
	now := c.now().UTC().Truncate(time.Microsecond)
	if err := c.skewed(); err != nil {
		return time.Time{}, err
	}
	if behind := last.Sub(now); behind > maxSkew {
		return time.Time{}, fmt.Errorf("%w: it is %s behind the last record", ErrClock, behind.Round(time.Second))
	} else if behind > 0 {
		return last, nil
	}
	return now, nil
}

// skewed is ErrClock if our clock disagreed with the API server's when that last
// answered.
func (c *clock) skewed() error {
	// The server tells its time in whole seconds, cut off.
	if ahead := time.Duration(c.server.Load()); ahead > maxSkew || ahead < -maxSkew-time.Second {
		return fmt.Errorf("%w: it differs from the API server's by %s", ErrClock, ahead.Abs().Round(time.Second))
	}
	return nil
}

// watching learns the API server's time from its answers.
func (c *clock) watching(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(req *http.Request) (*http.Response, error) {
		sent := c.now()
		resp, err := next.RoundTrip(req)
		if err != nil {
			return nil, err
		}
		if date, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
			c.heard(sent, c.now(), date)
		}
		return resp, nil
	})
}

// heard notes a time the server told between two readings of our clock: the
// difference to the nearer one, none if it lies between them.
func (c *clock) heard(sent, received, server time.Time) {
	var ahead time.Duration
	switch {
	case server.After(received):
		ahead = server.Sub(received)
	case server.Before(sent):
		ahead = server.Sub(sent)
	}
	c.server.Store(int64(ahead))
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }
