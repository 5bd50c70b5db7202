package app

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/neosc/mfa-operator/internal/audit"
	"github.com/neosc/mfa-operator/internal/ledger/sink"
)

// The token is replaced in its file while the process runs, as a mounted Secret is.
func TestTheReceiverOfCloudEventsSeesTheTokenThatIsInTheFileNow(t *testing.T) {
	var sent []string
	receiver := httptest.NewTLSServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		sent = append(sent, r.Header.Get("Authorization"))
	}))
	defer receiver.Close()
	file := filepath.Join(t.TempDir(), "token")
	events, err := sink.NewCloudEvents(receiver.URL, receiver.Client(), tokenIn(file))
	if err != nil {
		t.Fatal(err)
	}
	b := audit.Batch{Ledger: "uid", Writer: "w", Nonce: strings.Repeat("N", 26), Records: []audit.Record{
		{Action: audit.UserLocked, Outcome: audit.Succeeded, Subject: "alice"},
	}}
	b.Seal(audit.Start("uid"), time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
	for _, c := range []struct {
		content, header string
		why             string
	}{
		{"first\n", "Bearer first", "a line's end is no part of a token"},
		{"second", "Bearer second", "the file has been replaced"},
		{"", "", "without a token nothing is sent: the receiver would refuse it, or worse, not"},
		{"se cret\r\nX-Other: 1", "", "two headers are no token"},
		{"third", "Bearer third", "it goes on when the file is right again"},
	} {
		sent = nil
		if err := os.WriteFile(file, []byte(c.content), 0o600); err != nil {
			t.Fatal(err)
		}
		err := events.Deliver(t.Context(), "shop", b)
		switch {
		case c.header == "" && (err == nil || len(sent) > 0):
			t.Errorf("%q: sent %q, %v: %s", c.content, sent, err, c.why)
		case c.header == "" && strings.Contains(err.Error(), "cret"):
			t.Errorf("the token is in the error: %v", err)
		case c.header != "" && (err != nil || len(sent) != 1 || sent[0] != c.header):
			t.Errorf("%q: sent %q, %v, want %q: %s", c.content, sent, err, c.header, c.why)
		}
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if err := events.Deliver(t.Context(), "shop", b); err == nil {
		t.Error("without the file it is delivered")
	}
}
