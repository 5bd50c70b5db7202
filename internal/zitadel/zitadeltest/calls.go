package zitadeltest

import (
	"slices"
	"sync"
)

// Call is one RPC the server received, whatever became of it.
type Call struct {
	Method    string // full name, "/zitadel.admin.v1.AdminService/GetLoginPolicy"
	Org       string // value of the x-zitadel-orgid header
	OrgHeader bool   // whether that header was sent at all
	Read      bool   // whether the RPC only looks
}

type callList struct {
	mu    sync.Mutex
	calls []Call
}

func (l *callList) record(c Call) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calls = append(l.calls, c)
}

// Calls returns the calls received since the start or the last ResetCalls, in order of arrival.
func (s *Server) Calls() []Call {
	s.calls.mu.Lock()
	defer s.calls.mu.Unlock()
	return slices.Clone(s.calls.calls)
}

// ResetCalls forgets the calls received so far.
func (s *Server) ResetCalls() {
	s.calls.mu.Lock()
	defer s.calls.mu.Unlock()
	s.calls.calls = nil
}

// CountCalls returns how often each RPC was called, by full method name.
func (s *Server) CountCalls() map[string]int {
	counts := map[string]int{}
	for _, c := range s.Calls() {
		counts[c.Method]++
	}
	return counts
}

// CountReads and CountWrites return how many calls only looked, and how many meant to write.
func (s *Server) CountReads() int { return s.countReads(true) }

// CountWrites is described at CountReads.
func (s *Server) CountWrites() int { return s.countReads(false) }

func (s *Server) countReads(read bool) int {
	n := 0
	for _, c := range s.Calls() {
		if c.Read == read {
			n++
		}
	}
	return n
}
