// Package replay plays exchanges recorded from a real Zitadel against any server that claims to
// behave like one, over gRPC. It knows the format of the recordings and how to compare; it knows
// nothing about the server, least of all that it might be a fake.
//
// A recording is a file with one JSON object per line. A line with "scenario" starts a scenario and
// clears its variables; the lines after it are steps, played in order.
package replay

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

const (
	// patience is how long a step marked "eventually" may take.
	patience = 2 * time.Second
	// pollEvery is the pause between its tries.
	pollEvery = 10 * time.Millisecond
)

// Target is the server to play against. The API definitions of the recorded RPCs must be linked in.
type Target struct {
	Conn       grpc.ClientConnInterface
	OwnerToken string // of a caller holding IAM_OWNER
	Domain     string // external domain of the instance
}

// Scenario is a sequence of steps that depend on each other and on nothing else.
type Scenario struct {
	Name, Why string
	Steps     []Step
}

// Step is one call and what is known about its answer. The README of the recordings describes the
// fields.
type Step struct {
	Name           string            `json:"step"`
	As             string            `json:"as"`
	RPC            string            `json:"rpc"`
	Org            *string           `json:"org"`
	Request        any               `json:"request"`
	TOTPCode       map[string]string `json:"totpCode"`
	WebAuthnCreate map[string]string `json:"webauthnCreate"`
	WebAuthnGet    map[string]string `json:"webauthnGet"`
	Key            string            `json:"key"`
	WaitMs         int               `json:"waitMs"`
	Code           string            `json:"code"`
	ErrorID        string            `json:"errorId"`
	FailedAttempts *int32            `json:"failedAttempts"`
	Response       any               `json:"response"`
	Absent         []string          `json:"absent"`
	Set            []string          `json:"set"`
	Save           map[string]string `json:"save"`
	Eventually     bool              `json:"eventually"`
	Unchecked      bool              `json:"unchecked"`
	Why            string            `json:"why"`
}

// Read reads the scenarios of a recording. A field it does not know is an error: what is not
// understood is not checked.
func Read(path string) ([]Scenario, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("reading a recording: %w", err)
	}
	defer file.Close() //nolint:errcheck // only read
	var scenarios []Scenario
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for n := 1; lines.Scan(); n++ {
		var line struct {
			Step
			Scenario string `json:"scenario"`
		}
		decoder := json.NewDecoder(strings.NewReader(lines.Text()))
		decoder.UseNumber()
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&line); err != nil {
			return nil, fmt.Errorf("reading line %d of %s: %w", n, path, err)
		}
		if line.Scenario != "" {
			scenarios = append(scenarios, Scenario{Name: line.Scenario, Why: line.Why})
			continue
		}
		if len(scenarios) == 0 {
			return nil, fmt.Errorf("reading line %d of %s: a step before any scenario", n, path)
		}
		current := &scenarios[len(scenarios)-1]
		current.Steps = append(current.Steps, line.Step)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	return scenarios, nil
}

// Play plays a scenario. It stops at the first step that does not match, since later ones build on
// it, and returns what was different.
func Play(ctx context.Context, target Target, scenario Scenario) error {
	run := &run{target: target, vars: newVariables(target.Domain), authenticators: authenticators{}}
	for _, step := range scenario.Steps {
		if err := run.play(ctx, step); err != nil {
			return fmt.Errorf("step %q (%s): %w", step.Name, step.Why, err)
		}
	}
	return nil
}

// run is one playing of a scenario.
type run struct {
	target         Target
	vars           variables
	authenticators authenticators
}

func (r *run) play(ctx context.Context, step Step) error {
	if err := sleep(ctx, time.Duration(step.WaitMs)*time.Millisecond); err != nil {
		return err
	}
	call, err := r.prepare(step)
	if err != nil {
		return err
	}
	deadline := time.Now().Add(patience)
	for {
		answer, err := call.send(ctx, r.target.Conn)
		if err != nil {
			return err
		}
		if step.Unchecked {
			return nil
		}
		mismatch := r.compare(step, answer)
		if mismatch == nil {
			return r.save(step, answer)
		}
		if !step.Eventually || time.Now().After(deadline) {
			return fmt.Errorf("%w; answered %s", mismatch, answer)
		}
		if err := sleep(ctx, pollEvery); err != nil {
			return err
		}
	}
}

// call is a step with its variables filled in.
type call struct {
	rpc      string
	metadata metadata.MD
	request  proto.Message
	response protoreflect.MessageType
}

func (r *run) prepare(step Step) (*call, error) {
	method, err := findMethod(step.RPC)
	if err != nil {
		return nil, err
	}
	c := &call{rpc: step.RPC, metadata: metadata.MD{}}
	if c.response, err = protoregistry.GlobalTypes.FindMessageByName(method.Output().FullName()); err != nil {
		return nil, fmt.Errorf("finding the response type: %w", err)
	}
	if c.request, err = r.request(step, method.Input().FullName()); err != nil {
		return nil, err
	}
	switch step.As {
	case "none":
	case "bad":
		c.metadata.Set("authorization", "Bearer not-a-token")
	case "owner":
		c.metadata.Set("authorization", "Bearer "+r.target.OwnerToken)
	default:
		token, err := r.vars.text(fmt.Sprintf("${%s.token}", step.As))
		if err != nil {
			return nil, err
		}
		c.metadata.Set("authorization", "Bearer "+token)
	}
	if step.Org != nil {
		org, err := r.vars.text(*step.Org)
		if err != nil {
			return nil, err
		}
		c.metadata.Set("x-zitadel-orgid", org)
	}
	return c, nil
}

func (r *run) request(step Step, name protoreflect.FullName) (proto.Message, error) {
	fields, err := r.vars.fill(step.Request)
	if err != nil {
		return nil, err
	}
	if fields, err = r.authenticate(fields, step); err != nil {
		return nil, err
	}
	for path, secret := range step.TOTPCode {
		secret, err := r.vars.text(secret)
		if err != nil {
			return nil, err
		}
		code, err := totp(secret, time.Now())
		if err != nil {
			return nil, err
		}
		if fields, err = put(fields, path, code); err != nil {
			return nil, err
		}
	}
	text, err := json.Marshal(fields)
	if err != nil {
		return nil, fmt.Errorf("rendering the request: %w", err)
	}
	kind, err := protoregistry.GlobalTypes.FindMessageByName(name)
	if err != nil {
		return nil, fmt.Errorf("finding the request type: %w", err)
	}
	request := kind.New().Interface()
	if err := protojson.Unmarshal(text, request); err != nil {
		return nil, fmt.Errorf("building the request %s: %w", text, err)
	}
	return request, nil
}

// authenticate puts the answers of the step's software authenticator into a request.
func (r *run) authenticate(fields any, step Step) (any, error) {
	answer := func(paths map[string]string, give func(name string, options any) (any, error)) error {
		for path, reference := range paths {
			options, err := r.vars.fill(reference)
			if err != nil {
				return err
			}
			given, err := give(step.Key, options)
			if err != nil {
				return err
			}
			if fields, err = put(fields, path, given); err != nil {
				return err
			}
		}
		return nil
	}
	if err := answer(step.WebAuthnCreate, r.authenticators.create); err != nil {
		return nil, err
	}
	if err := answer(step.WebAuthnGet, r.authenticators.get); err != nil {
		return nil, err
	}
	return fields, nil
}

func findMethod(rpc string) (protoreflect.MethodDescriptor, error) {
	name := protoreflect.FullName(strings.ReplaceAll(strings.TrimPrefix(rpc, "/"), "/", "."))
	found, err := protoregistry.GlobalFiles.FindDescriptorByName(name)
	if err != nil {
		return nil, fmt.Errorf("finding %s: %w", rpc, err)
	}
	method, ok := found.(protoreflect.MethodDescriptor)
	if !ok {
		return nil, fmt.Errorf("finding %s: not a method", rpc)
	}
	return method, nil
}

func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
