package sink

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	cehttp "github.com/cloudevents/sdk-go/v2/protocol/http"

	"github.com/neosc/mfa-operator/internal/audit"
)

func sealed() audit.Batch {
	b := audit.Batch{Ledger: "uid", Writer: "w", Nonce: strings.Repeat("N", 26), Records: []audit.Record{
		{Action: audit.Verification, Outcome: audit.Failed, Reason: "WrongCode", Subject: "alice"},
		{Action: audit.UserLocked, Outcome: audit.Succeeded, Subject: "alice", Details: []audit.Detail{{Name: "until", Value: "noon"}}},
	}}
	b.Seal(audit.Start("uid"), time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
	return b
}

// What arrives is all that is needed to check the chain.
func TestJSONLinesHoldTheChain(t *testing.T) {
	var out bytes.Buffer
	if err := NewJSONLines(&out).Deliver(t.Context(), "shop", sealed()); err != nil {
		t.Fatal(err)
	}
	var back audit.Batch
	for lines := bufio.NewScanner(&out); lines.Scan(); {
		var line Line
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			t.Fatal(err)
		}
		if line.Namespace != "shop" || line.Size != 2 || line.Index != len(back.Records) {
			t.Errorf("%+v", line)
		}
		next := line.Envelope()
		next.Records = append(next.Records, back.Records...)
		next.Records = append(next.Records, line.Record)
		back = next
	}
	if _, err := audit.Start("uid").Follow(back); err != nil {
		t.Error(err)
	}
}

func TestAWriterThatFailsIsNoDelivery(t *testing.T) {
	if err := NewJSONLines(full{}).Deliver(t.Context(), "shop", sealed()); !errors.Is(err, errDiskFull) {
		t.Errorf("%v", err)
	}
}

type full struct{}

var errDiskFull = errors.New("no space left on device")

func (full) Write([]byte) (int, error) { return 0, errDiskFull }

func TestCloudEvents(t *testing.T) {
	var got []event.Event
	var token string
	answer := http.StatusAccepted
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token = r.Header.Get("Authorization")
		events, err := cehttp.NewEventsFromHTTPRequest(r)
		if err != nil {
			t.Error(err)
		}
		got = append(got, events...)
		w.WriteHeader(answer)
		_, _ = io.WriteString(w, "thanks")
	}))
	defer server.Close()
	sink, err := NewCloudEvents(server.URL, server.Client(), func() (string, error) { return "secret", nil })
	if err != nil {
		t.Fatal(err)
	}
	if err := sink.Deliver(t.Context(), "shop", sealed()); err != nil {
		t.Fatal(err)
	}
	if token != "Bearer secret" {
		t.Errorf("the token is %q", token)
	}
	if len(got) != 2 {
		t.Fatalf("%d events", len(got))
	}
	for i, e := range got {
		if err := e.Validate(); err != nil {
			t.Error(err)
		}
		if id, want := e.ID(), "uid/"+audit.RecordID(1, i); id != want {
			t.Errorf("id %s, want %s", id, want)
		}
	}
	second := got[1]
	if second.Type() != "io.neosc.security.mfa.UserLocked" || second.Subject() != "alice" ||
		second.Extensions()["sequence"] != "000000000001-0001" || second.Extensions()["hash"] != sealed().Hash {
		t.Errorf("%s", second)
	}
	for _, answer = range []int{http.StatusServiceUnavailable, http.StatusUnauthorized, http.StatusFound} {
		if err := sink.Deliver(t.Context(), "shop", sealed()); err == nil {
			t.Errorf("an answer of %d counts as taken", answer)
		} else if strings.Contains(err.Error(), "secret") {
			t.Errorf("the token is in the error: %v", err)
		}
	}
}

func TestCloudEventsNeedsAnHonestURL(t *testing.T) {
	for target, fine := range map[string]bool{
		"https://siem.example.com/events": true, "http://127.0.0.1:8080": true, "http://[::1]/x": true,
		"http://siem.example.com": false, "siem.example.com": false, "ftp://127.0.0.1": false, "https://": false, "": false,
	} {
		if _, err := NewCloudEvents(target, nil, nil); (err == nil) != fine {
			t.Errorf("%q: %v", target, err)
		}
	}
}
