package zitadeltest

import "testing"

// Start runs a server on a free loopback port for the time of a test.
func Start(tb testing.TB, options ...Options) *Server {
	tb.Helper()
	var o Options
	if len(options) > 0 {
		o = options[0]
	}
	s := New(o)
	if _, err := s.Listen("127.0.0.1:0"); err != nil {
		tb.Fatalf("zitadeltest: %v", err)
	}
	go s.Serve() //nolint:errcheck // a broken listener shows in the test's calls
	tb.Cleanup(s.Close)
	return s
}
