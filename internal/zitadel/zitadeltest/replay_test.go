package zitadeltest_test

import (
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/neosc/mfa-operator/internal/zitadel/zitadeltest"
	"github.com/neosc/mfa-operator/internal/zitadel/zitadeltest/replay"
)

// recordings are the files the server must answer exactly like the real one.
var recordings = []string{
	"authz.jsonl",
	"events.jsonl",
	"factors.jsonl",
	"fresh-instance.jsonl",
	"orgs-users.jsonl",
	"policies-instance.jsonl",
	"policies-org.jsonl",
	"sessions.jsonl",
	"actions.jsonl",
}

var lags = map[string]zitadeltest.Options{
	"current reads": {},
	"lagging reads": {Lag: 20 * time.Millisecond, Jitter: 230 * time.Millisecond},
}

// TestRecordedExchanges plays every recording, once with current reads and once with reads that
// trail behind as far as was ever observed.
func TestRecordedExchanges(t *testing.T) {
	for name, options := range lags {
		for _, file := range recordings {
			t.Run(name+"/"+file, func(t *testing.T) {
				t.Parallel()
				playFile(t, zitadeltest.Start(t, options), filepath.Join("testdata", "recorded", file))
			})
		}
	}
}

// TestStatedFacts plays what is known of the real server without a recording: each scenario names
// the part of the description it holds the simulator to.
func TestStatedFacts(t *testing.T) {
	files, err := filepath.Glob("testdata/stated/*.jsonl")
	if err != nil || len(files) == 0 {
		t.Fatalf("finding the stated facts: %v, %v", files, err)
	}
	for name, options := range lags {
		for _, file := range files {
			t.Run(name+"/"+filepath.Base(file), func(t *testing.T) {
				t.Parallel()
				playFile(t, zitadeltest.Start(t, options), file)
			})
		}
	}
}

func playFile(t *testing.T, srv *zitadeltest.Server, file string) {
	t.Helper()
	scenarios, err := replay.Read(file)
	if err != nil {
		t.Fatal(err)
	}
	target := replay.Target{Conn: dial(t, srv.Addr()), OwnerToken: srv.OwnerToken(), Domain: srv.Domain()}
	for _, scenario := range scenarios {
		t.Run(scenario.Name, func(t *testing.T) {
			err := replay.Play(t.Context(), target, scenario)
			if err != nil {
				t.Errorf("%s: %v", scenario.Why, err)
			}
		})
	}
}

func dial(t *testing.T, address string, options ...grpc.DialOption) *grpc.ClientConn {
	t.Helper()
	options = append([]grpc.DialOption{grpc.WithTransportCredentials(insecure.NewCredentials())}, options...)
	conn, err := grpc.NewClient(address, options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() }) //nolint:errcheck // the test is over
	return conn
}
