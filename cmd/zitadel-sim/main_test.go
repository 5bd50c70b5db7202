package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/neosc/mfa-operator/internal/zitadel/zitadeltest/replay"
)

const (
	recorded = "../../internal/zitadel/zitadeltest/testdata/recorded"
	stated   = "../../internal/zitadel/zitadeltest/testdata/stated"
)

var ready = regexp.MustCompile(`^zitadel-sim ready on http://([0-9.:]+) \(instance \d+, organization \d+\)\n$`)

// TestServesTheRecordings starts the command as a user would and talks to it over TCP.
func TestServesTheRecordings(t *testing.T) {
	const ownerToken = "owner-token-for-the-test"
	address, stop := start(t, "--owner-token", ownerToken, "--lag", "30ms")
	conn, err := replay.Dial(address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close() //nolint:errcheck // the test is over

	// fresh-instance must come first: it holds only for an instance nobody has written to.
	files := []string{filepath.Join(recorded, "fresh-instance.jsonl")}
	for _, folder := range []string{recorded, stated} {
		more, err := filepath.Glob(filepath.Join(folder, "*.jsonl"))
		if err != nil || len(more) == 0 {
			t.Fatalf("finding the scenarios in %s: %v, %v", folder, more, err)
		}
		files = append(files, slices.DeleteFunc(more, func(file string) bool { return file == files[0] })...)
	}
	for _, file := range files {
		scenarios, err := replay.Read(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, scenario := range scenarios {
			t.Run(scenario.Name, func(t *testing.T) {
				target := replay.Target{Conn: conn, OwnerToken: ownerToken, Domain: "localhost"}
				if err := replay.Play(t.Context(), target, scenario); err != nil {
					t.Errorf("%s: %v", scenario.Why, err)
				}
			})
		}
	}
	if err := stop(); err != nil {
		t.Errorf("stopping: %v", err)
	}
}

func TestAddsOrganizations(t *testing.T) {
	address, stop := start(t, "--owner-token", "t", "--organizations", "acme,globex", "--domain", "id.example.com")
	if address == "" {
		t.Fatal("no address")
	}
	if err := stop(); err != nil {
		t.Errorf("stopping: %v", err)
	}
}

func TestRefusesBadCommandLines(t *testing.T) {
	for _, test := range []struct {
		reason string
		args   []string
		want   string
	}{
		{"the token is the only way in", nil, "--owner-token is required"},
		{"a typo must not start a server", []string{"--owner-tokn", "t"}, "unknown flag: --owner-tokn"},
		{"an address needs a port", []string{"--owner-token", "t", "--listen", "localhost"}, "missing port"},
		{"reads cannot run ahead", []string{"--owner-token", "t", "--lag", "-1s"}, "--lag must not be negative"},
		{"organization names are unique", []string{"--owner-token", "t", "--organizations", "a,a"}, `"a" is empty or given twice`},
		{"a typo in the deny list would allow something", []string{"--owner-token", "t", "--deny-list", "10.0.0.0/99"}, `"10.0.0.0/99" is no host name`},
		{"the default organization exists", []string{"--owner-token", "t", "--organizations", "ZITADEL"}, `"ZITADEL" is empty or given twice`},
		{"nothing takes arguments", []string{"--owner-token", "t", "serve"}, `unexpected argument "serve"`},
	} {
		err := run(t.Context(), test.args, io.Discard, io.Discard)
		if exitCode(err) != 2 || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v: got %v (exit %d), want %q (exit 2)", test.reason, test.args, err, exitCode(err), test.want)
		}
	}
}

func TestReportsATakenPort(t *testing.T) {
	address, stop := start(t, "--owner-token", "t")
	err := run(t.Context(), []string{"--owner-token", "t", "--listen", address}, io.Discard, io.Discard)
	if exitCode(err) != 1 {
		t.Errorf("listening on a taken port: got %v (exit %d), want exit 1", err, exitCode(err))
	}
	if err := stop(); err != nil {
		t.Errorf("stopping: %v", err)
	}
}

func TestHelpIsNoError(t *testing.T) {
	var help bytes.Buffer
	if err := run(t.Context(), []string{"--help"}, io.Discard, &help); err != nil {
		t.Errorf("--help: %v", err)
	}
	if !strings.Contains(help.String(), "--owner-token") {
		t.Errorf("--help does not explain the flags: %s", help.String())
	}
}

// start runs the command on a free port until stop, which returns how it ended and checks that it
// said one line and no more.
func start(t *testing.T, args ...string) (address string, stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	out := &firstLine{seen: make(chan struct{})}
	ended := make(chan error, 1)
	go func() {
		ended <- run(ctx, append([]string{"--listen", "127.0.0.1:0"}, args...), out, os.Stderr)
	}()
	select {
	case <-out.seen:
	case err := <-ended:
		t.Fatalf("ended before it was ready: %v", err)
	case <-time.After(10 * time.Second):
		t.Fatal("not ready after 10 s")
	}
	match := ready.FindStringSubmatch(out.String())
	if match == nil {
		t.Fatalf("announced %q", out.String())
	}
	return match[1], func() error {
		cancel()
		err := <-ended
		if strings.Count(out.String(), "\n") != 1 {
			t.Errorf("wrote more than one line: %q", out.String())
		}
		return err
	}
}

// firstLine collects output and tells when there is some.
type firstLine struct {
	mu   sync.Mutex
	text bytes.Buffer
	seen chan struct{}
}

func (l *firstLine) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.text.Len() == 0 {
		close(l.seen)
	}
	return l.text.Write(p)
}

func (l *firstLine) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
