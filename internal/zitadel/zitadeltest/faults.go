package zitadeltest

import (
	"context"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Fault is something going wrong on purpose. Of several faults that fit a call, the one injected
// first strikes.
type Fault struct {
	// Method is the full gRPC method it applies to; "*" or unset means every method.
	Method string
	// Org, when set, limits it to calls carrying this value in the x-zitadel-orgid header.
	Org string
	// Times is how often it strikes before it is used up; 0 means until removed.
	Times int

	// Delay holds the call back before anything else happens, at most until its deadline.
	Delay time.Duration
	// Code, when not OK, is answered instead of handling the call: nothing is checked or written.
	Code codes.Code
	// ErrorID goes into the error detail; unset means no detail, as for a proxy's or a database's
	// error.
	ErrorID string
	// Message is the text of the error.
	Message string
	// LoseAnswer handles the call, writes included, and then answers Unavailable as if the
	// connection had broken. Code is not looked at.
	LoseAnswer bool
}

// Conflict is the fault Zitadel answers when two commands write the same aggregate at once. Nothing
// was written; trying again is safe.
func Conflict(method string, times int) Fault {
	return Fault{
		Method: method,
		Times:  times,
		Code:   codes.Unknown,
		Message: `ERROR: duplicate key value violates unique constraint "events2_pkey" ` +
			`(SQLSTATE 23505)`,
	}
}

// Inject arms a fault. Calling remove disarms it, also before it is used up.
func (s *Server) Inject(f Fault) (remove func()) {
	armed := &armedFault{Fault: f, left: f.Times}
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	s.faults.armed = append(s.faults.armed, armed)
	return func() { s.faults.disarm(armed) }
}

type armedFault struct {
	Fault
	left int
}

type faultList struct {
	mu    sync.Mutex
	armed []*armedFault
}

func (l *faultList) disarm(fault *armedFault) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.armed = slices.DeleteFunc(l.armed, func(f *armedFault) bool { return f == fault })
}

// strike returns the fault for a call and uses it up once.
func (l *faultList) strike(method, org string) (Fault, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, f := range l.armed {
		if (f.Method != "" && f.Method != "*" && f.Method != method) || (f.Org != "" && f.Org != org) {
			continue
		}
		if f.Times > 0 {
			if f.left--; f.left == 0 {
				l.armed = slices.Delete(l.armed, i, i+1)
			}
		}
		return f.Fault, true
	}
	return Fault{}, false
}

func (f Fault) delay(ctx context.Context) error {
	if f.Delay <= 0 {
		return nil
	}
	timer := time.NewTimer(f.Delay)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return status.FromContextError(ctx.Err()).Err()
	}
}

func (f Fault) before() error {
	switch {
	case f.LoseAnswer || f.Code == codes.OK:
		return nil
	case f.ErrorID != "":
		return refusal{f.Code, f.ErrorID, f.Message}.err()
	}
	return status.Error(f.Code, f.Message)
}

func (f Fault) after() error {
	if f.LoseAnswer {
		return status.Error(codes.Unavailable, "connection lost before the answer")
	}
	return nil
}
