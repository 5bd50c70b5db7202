package sink

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	cehttp "github.com/cloudevents/sdk-go/v2/protocol/http"

	"github.com/neosc/mfa-operator/internal/audit"
)

// EventTypePrefix begins the type of every CloudEvent; the action follows.
const EventTypePrefix = "io.neosc.security.mfa."

// deliveryTimeout bounds one request.
const deliveryTimeout = 30 * time.Second

// CloudEvents sends each batch as one HTTP request in batched content mode.
type CloudEvents struct {
	url    string
	client *http.Client
	token  func() (string, error)
}

// NewCloudEvents makes a sink that posts to an https URL, or to an http URL on
// loopback. token, if not nil, is called for each request and sent as a bearer
// token.
func NewCloudEvents(target string, client *http.Client, token func() (string, error)) (*CloudEvents, error) {
	u, err := url.Parse(target)
	if err != nil {
		return nil, fmt.Errorf("the sink's URL: %w", err)
	}
	local := u.Hostname() == "127.0.0.1" || u.Hostname() == "::1"
	if u.Host == "" || u.Scheme != "https" && (u.Scheme != "http" || !local) {
		return nil, errors.New("the sink's URL must be https://host/…")
	}
	if client == nil {
		// Whoever redirects has not taken it, and would be sent the token too.
		client = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	}
	return &CloudEvents{url: target, client: client, token: token}, nil
}

// Name implements ledger.Sink.
func (*CloudEvents) Name() string { return "CloudEvents" }

// Deliver implements ledger.Sink. Any answer of 2xx means that the whole batch
// has been taken.
func (c *CloudEvents) Deliver(ctx context.Context, namespace string, b audit.Batch) error {
	ctx, cancel := context.WithTimeout(ctx, deliveryTimeout)
	defer cancel()
	events, err := Events(namespace, b)
	if err != nil {
		return err
	}
	req, err := cehttp.NewHTTPRequestFromEvents(ctx, c.url, events)
	if err != nil {
		return fmt.Errorf("encoding batch %d: %w", b.Sequence, err)
	}
	if c.token != nil {
		token, err := c.token()
		if err != nil {
			return fmt.Errorf("reading the sink's token: %w", err)
		}
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := c.client.Do(req)
	if err != nil {
		return fmt.Errorf("posting batch %d: %w", b.Sequence, err)
	}
	defer func() { _ = resp.Body.Close() }() // it has been read, or is of no use
	// Read to the end, within reason, so that the connection can be used again.
	if _, err := io.CopyN(io.Discard, resp.Body, 64<<10); err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("reading the answer to batch %d: %w", b.Sequence, err)
	}
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return fmt.Errorf("posting batch %d: the sink answers %s", b.Sequence, resp.Status)
	}
	return nil
}

// Events are the records of a batch as CloudEvents. Their ids do not change
// when a batch is sent again. Their order, and whether one is missing, can be
// seen by batch, index and batchsize.
func Events(namespace string, b audit.Batch) ([]event.Event, error) {
	events := make([]event.Event, len(b.Records))
	for i, record := range b.Records {
		e := event.New(event.CloudEventsVersionV1)
		e.SetID(b.Ledger + "/" + record.ID)
		e.SetSource("/namespaces/" + namespace + "/mfaledgers/ledger")
		e.SetType(EventTypePrefix + string(record.Action))
		e.SetSubject(record.Subject)
		e.SetTime(record.Time)
		e.SetExtension("sequence", fmt.Sprintf("%012d-%04d", b.Sequence, i))
		e.SetExtension("batch", fmt.Sprint(b.Sequence)) // CloudEvents' integers have 32 bits
		e.SetExtension("index", i)
		e.SetExtension("batchsize", len(b.Records))
		e.SetExtension("writer", b.Writer)
		e.SetExtension("nonce", b.Nonce)
		e.SetExtension("previoushash", b.PreviousHash)
		e.SetExtension("hash", b.Hash)
		if err := e.SetData(event.ApplicationJSON, record); err != nil {
			return nil, fmt.Errorf("encoding record %s: %w", record.ID, err)
		}
		events[i] = e
	}
	return events, nil
}
