package doorbell_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/zitadel/zitadel-go/v3/pkg/actions"

	"github.com/neosc/mfa-operator/internal/doorbell"
)

// delivery is a call that a real Zitadel made.
type delivery struct {
	Event      string            `json:"event"`
	ReceivedAt time.Time         `json:"receivedAt"`
	Headers    map[string]string `json:"headers"`
	Body       string            `json:"body"`
	SigningKey string            `json:"signingKey"`
}

func (d delivery) header() string { return d.Headers["Zitadel-Signature"] }

func recorded(t *testing.T) []delivery {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "zitadel", "zitadeltest", "testdata", "recorded", "deliveries.json"))
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Deliveries []delivery `json:"deliveries"`
	}
	if err := json.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	if len(file.Deliveries) < 4 {
		t.Fatalf("only %d deliveries are recorded", len(file.Deliveries))
	}
	return file.Deliveries
}

func verify(header, body string, keys doorbell.Keys, now time.Time) error {
	s, err := doorbell.ParseSignature(header)
	if err != nil {
		return err
	}
	return s.Verify(strings.NewReader(body), keys, now)
}

func only(key string) doorbell.Keys { return doorbell.Keys{{Key: key}} }

func TestRecordedDeliveriesAreVerified(t *testing.T) {
	for _, d := range recorded(t) {
		if err := verify(d.header(), d.Body, only(d.SigningKey), d.ReceivedAt); err != nil {
			t.Errorf("%s: %v", d.Event, err)
		}
	}
}

func TestWhatIsNotAsSignedIsRefused(t *testing.T) {
	for _, d := range recorded(t) {
		var fields map[string]any
		if err := json.Unmarshal([]byte(d.Body), &fields); err != nil {
			t.Fatal(err)
		}
		again, err := json.Marshal(fields)
		if err != nil {
			t.Fatal(err)
		}
		signed := time.Unix(signedAt(t, d), 0)
		flipped := []byte(d.Body)
		flipped[len(flipped)/2] ^= 1
		for _, c := range []struct {
			header, body, key string
			now               time.Time
			want              error
			why               string
		}{
			{d.header(), string(flipped), d.SigningKey, d.ReceivedAt, doorbell.ErrWrongKey, "one bit of the body changed"},
			{d.header(), string(again), d.SigningKey, d.ReceivedAt, doorbell.ErrWrongKey, "the same JSON, written again: the raw body counts"},
			{d.header(), d.Body + "\n", d.SigningKey, d.ReceivedAt, doorbell.ErrWrongKey, "a line end more"},
			{d.header(), "", d.SigningKey, d.ReceivedAt, doorbell.ErrWrongKey, "no body"},
			{d.header(), d.Body, d.SigningKey + "x", d.ReceivedAt, doorbell.ErrWrongKey, "another key"},
			{strings.Replace(d.header(), "t=1", "t=01", 1), d.Body, d.SigningKey, d.ReceivedAt, doorbell.ErrWrongKey, "the time is signed as it is written"},
			{d.header(), d.Body, d.SigningKey, signed.Add(301 * time.Second), doorbell.ErrOutOfTime, "too old"},
			{d.header(), d.Body, d.SigningKey, signed.Add(300 * time.Second), nil, "just in time"},
			{d.header(), d.Body, d.SigningKey, signed.Add(-301 * time.Second), doorbell.ErrOutOfTime, "from a future that could be repeated for long"},
			{d.header(), d.Body, d.SigningKey, signed.Add(-300 * time.Second), nil, "our clock is behind, within the tolerance"},
		} {
			if err := verify(c.header, c.body, only(c.key), c.now); !errors.Is(err, c.want) || (err == nil) != (c.want == nil) {
				t.Errorf("%s: %s: got %v, want %v", d.Event, c.why, err, c.want)
			}
		}
	}
}

func signedAt(t *testing.T, d delivery) (seconds int64) {
	t.Helper()
	if _, err := fmt.Sscanf(d.header(), "t=%d,", &seconds); err != nil {
		t.Fatal(err)
	}
	return seconds
}

func TestHeaders(t *testing.T) {
	now := time.Unix(1795451302, 0)
	body := `{"sequence":3}`
	right := actions.ComputeSignatureHeader(now, []byte(body), "key")
	_, mac, _ := strings.Cut(right, ",")
	wrong := "v1=" + strings.Repeat("ab", 32)
	for _, c := range []struct {
		header string
		want   error
		why    string
	}{
		{right, nil, "as Zitadel's own library signs"},
		{actions.ComputeSignatureHeader(now, []byte(body), "other", "key"), nil, "several signatures, ours the last"},
		{actions.ComputeSignatureHeader(now, []byte(body), "key", "other"), nil, "several signatures, ours the first"},
		{actions.ComputeSignatureHeader(now, []byte(body), "other", "another"), doorbell.ErrWrongKey, "several signatures, none ours"},
		{mac + ",t=1795451302", nil, "in another order"},
		{right + ",v2=abc", nil, "a newer scheme beside it"},
		{right + ", " + wrong, nil, "with a space"},
		{"t=1795451302,v1=zz," + mac, nil, "one that is no signature beside it"},
		{"t=1795451302," + strings.Repeat(wrong+",", 8) + mac, doorbell.ErrWrongKey, "only so many are read"},
		{"", doorbell.ErrNotSigned, "no header"},
		{"v1", doorbell.ErrNotSigned, "no pairs"},
		{mac, doorbell.ErrNotSigned, "no time"},
		{"t=1795451302", doorbell.ErrNotSigned, "no signature"},
		{"t=1795451302,v1=", doorbell.ErrNotSigned, "an empty signature"},
		{"t=1795451302,v1=" + mac[3:35], doorbell.ErrNotSigned, "half a signature"},
		{"t=,," + mac, doorbell.ErrNotSigned, "an empty time"},
		{"t=soon," + mac, doorbell.ErrNotSigned, "a time that is none"},
		{"t=99999999999999999999," + mac, doorbell.ErrNotSigned, "a time that is too large"},
		{"t=1,t=1795451302," + mac, doorbell.ErrNotSigned, "two times: which one was signed?"},
	} {
		if err := verify(c.header, body, only("key"), now); !errors.Is(err, c.want) || (err == nil) != (c.want == nil) {
			t.Errorf("%s: %q: got %v, want %v", c.why, c.header, err, c.want)
		}
	}
}

// TestWithoutKeysNothingIsRight: HMAC with an empty key is a signature, too.
func TestWithoutKeysNothingIsRight(t *testing.T) {
	now := time.Unix(1795451302, 0)
	header := actions.ComputeSignatureHeader(now, []byte("{}"), "")
	if err := verify(header, "{}", nil, now); !errors.Is(err, doorbell.ErrWrongKey) {
		t.Errorf("without keys: %v", err)
	}
	if keys, err := doorbell.ParseKeys([]byte(`[{"key":""}]`)); err == nil {
		t.Errorf("an empty key is read as %d keys", len(keys))
	}
}

func TestABodyThatBreaksOffIsNoWrongKey(t *testing.T) {
	now := time.Unix(1795451302, 0)
	s, err := doorbell.ParseSignature(actions.ComputeSignatureHeader(now, []byte("{}"), "key"))
	if err != nil {
		t.Fatal(err)
	}
	body := io.MultiReader(strings.NewReader("{"), broken{})
	if err := s.Verify(body, only("key"), now); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("got %v, want what reading failed with", err)
	}
	var unread bytes.Buffer
	unread.WriteString("{}")
	if err := s.Verify(&unread, only("key"), now.Add(time.Hour)); !errors.Is(err, doorbell.ErrOutOfTime) || unread.Len() != 2 {
		t.Errorf("%v, with %d bytes left: a signature out of time is not worth a look at the body", err, unread.Len())
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func FuzzHeaders(f *testing.F) {
	f.Add("t=1795451302,v1=67143ef74817c9e03f7dcf538b0d20f962c10e96a72be5db04f3cb18cfc3f999")
	f.Add("t=-1,v1=,v1,=")
	f.Fuzz(func(t *testing.T, header string) {
		if err := verify(header, "{}", only("key"), time.Unix(1795451302, 0)); err == nil {
			t.Errorf("%q opens", header)
		}
	})
}
