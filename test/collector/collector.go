// Package collector takes OpenTelemetry spans by OTLP over gRPC on loopback, as a
// collector does, and shows tests what arrived.
package collector

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"

	collectorpb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
)

// Span is one that arrived. IDs are in hexadecimal; Parent is empty at the root.
type Span struct {
	Service, Name     string
	Trace, ID, Parent string
	Kind              string // SERVER, CLIENT or INTERNAL
	Failed            bool
	Attributes        map[string]string
	Links             []string // the IDs of spans
	Begin, End        uint64   // nanoseconds since 1970
}

// Collector is a running one.
type Collector struct {
	collectorpb.UnimplementedTraceServiceServer
	// Endpoint is its URL.
	Endpoint string

	mu    sync.Mutex
	spans []Span
	raw   []byte
	hold  <-chan struct{}
	held  chan struct{}
}

// Start serves until the test ends.
func Start(t testing.TB) *Collector {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &Collector{Endpoint: "http://" + listener.Addr().String(), held: make(chan struct{})}
	server := grpc.NewServer()
	collectorpb.RegisterTraceServiceServer(server, c)
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	t.Cleanup(func() {
		server.Stop()
		if err := <-ended; err != nil && !errors.Is(err, grpc.ErrServerStopped) {
			t.Errorf("serving spans: %v", err)
		}
	})
	return c
}

// Hold lets no export be answered until release is closed. What it returns is closed
// once the first one waits.
func (c *Collector) Hold(release <-chan struct{}) (waits <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.hold = release
	return c.held
}

// Export implements collectorpb.TraceServiceServer.
func (c *Collector) Export(ctx context.Context, req *collectorpb.ExportTraceServiceRequest) (*collectorpb.ExportTraceServiceResponse, error) {
	raw, err := proto.Marshal(req)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	hold := c.hold
	if hold != nil {
		select {
		case <-c.held:
		default:
			close(c.held)
		}
	}
	c.mu.Unlock()
	if hold != nil {
		select {
		case <-hold:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.raw = append(c.raw, raw...)
	for _, from := range req.GetResourceSpans() {
		service := attributes(from.GetResource().GetAttributes())["service.name"]
		for _, scope := range from.GetScopeSpans() {
			for _, s := range scope.GetSpans() {
				c.spans = append(c.spans, spanOf(service, s))
			}
		}
	}
	return &collectorpb.ExportTraceServiceResponse{}, nil
}

func spanOf(service string, s *tracepb.Span) Span {
	out := Span{
		Service: service, Name: s.GetName(),
		Trace: hex.EncodeToString(s.GetTraceId()), ID: hex.EncodeToString(s.GetSpanId()), Parent: hex.EncodeToString(s.GetParentSpanId()),
		Kind:   strings.TrimPrefix(s.GetKind().String(), "SPAN_KIND_"),
		Failed: s.GetStatus().GetCode() == tracepb.Status_STATUS_CODE_ERROR, Attributes: attributes(s.GetAttributes()),
		Begin: s.GetStartTimeUnixNano(), End: s.GetEndTimeUnixNano(),
	}
	for _, l := range s.GetLinks() {
		out.Links = append(out.Links, hex.EncodeToString(l.GetSpanId()))
	}
	return out
}

func attributes(list []*commonpb.KeyValue) map[string]string {
	out := map[string]string{}
	for _, a := range list {
		switch v := a.GetValue().GetValue().(type) {
		case *commonpb.AnyValue_StringValue:
			out[a.GetKey()] = v.StringValue
		case *commonpb.AnyValue_IntValue:
			out[a.GetKey()] = fmt.Sprint(v.IntValue)
		case *commonpb.AnyValue_BoolValue:
			out[a.GetKey()] = fmt.Sprint(v.BoolValue)
		default:
			out[a.GetKey()] = a.GetValue().String()
		}
	}
	return out
}

// Spans are all that have arrived.
func (c *Collector) Spans() []Span {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]Span(nil), c.spans...)
}

// Raw is every byte that has arrived.
func (c *Collector) Raw() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return string(c.raw)
}

// Tree writes a trace as lines, children below their parents and indented, in the order
// in which they began. A span whose parent did not arrive is a root.
func Tree(spans []Span, trace string) string {
	children := map[string][]Span{}
	known := map[string]bool{}
	for _, s := range spans {
		known[s.ID] = true
	}
	for _, s := range spans {
		if s.Trace == trace {
			parent := s.Parent
			if !known[parent] {
				parent = ""
			}
			children[parent] = append(children[parent], s)
		}
	}
	var out strings.Builder
	var write func(of string, depth int)
	write = func(of string, depth int) {
		list := children[of]
		slices.SortFunc(list, func(a, b Span) int { return cmp.Compare(a.Begin, b.Begin) })
		for _, s := range list {
			fmt.Fprintf(&out, "%s%s\n", strings.Repeat("  ", depth), s.Name)
			write(s.ID, depth+1)
		}
	}
	write("", 0)
	return out.String()
}
