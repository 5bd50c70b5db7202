package zitadeltest_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/zitadel/zitadel-go/v3/pkg/actions"
	actionpb "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/action/v2"
	managementpb "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/management"
	policypb "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/policy"
	userpb "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/user/v2"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/neosc/mfa-operator/internal/zitadel/zitadeltest"
)

// recordedDelivery is a webhook request as a real server sent it.
type recordedDelivery struct {
	Event, Why, Body, SigningKey string
	ReceivedAt                   time.Time
	Headers                      map[string]string
}

func recordedDeliveries(t *testing.T) []recordedDelivery {
	t.Helper()
	text, err := os.ReadFile("testdata/recorded/deliveries.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Deliveries []recordedDelivery }
	if err := json.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	if len(file.Deliveries) == 0 {
		t.Fatal("no deliveries are recorded")
	}
	return file.Deliveries
}

// hook is an endpoint that keeps what it is sent and answers what it is told to.
type hook struct {
	*httptest.Server
	mu       sync.Mutex
	received []received
	status   int
	answer   string
	wait     chan struct{} // nil to answer at once
}

type received struct {
	header http.Header
	body   []byte
}

func newHook(t *testing.T) *hook {
	h := &hook{status: http.StatusOK}
	h.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("reading a delivery: %v", err)
		}
		h.mu.Lock()
		h.received = append(h.received, received{r.Header, body})
		status, answer, wait := h.status, h.answer, h.wait
		h.mu.Unlock()
		if wait != nil {
			<-wait
		}
		w.WriteHeader(status)
		fmt.Fprintf(w, "%s", answer)
	}))
	t.Cleanup(h.Close)
	return h
}

func (h *hook) all() []received {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.received)
}

// events returns the types of the events received.
func (h *hook) events() []string {
	var names []string
	for _, r := range h.all() {
		var body struct {
			Type string `json:"event_type"`
		}
		json.Unmarshal(r.body, &body) //nolint:errcheck // an empty name fails the test
		names = append(names, body.Type)
	}
	return names
}

func (h *hook) answers(status int, answer string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.status, h.answer = status, answer
}

// actionScene is a server that may call this machine, and its owner.
type actionScene struct {
	t       *testing.T
	srv     *zitadeltest.Server
	actions actionpb.ActionServiceClient
	users   userpb.UserServiceClient
}

func newActionScene(t *testing.T, options ...zitadeltest.Options) actionScene {
	o := zitadeltest.Options{DenyList: []string{"169.254.0.0/16"}}
	if len(options) > 0 {
		o = options[0]
	}
	srv := zitadeltest.Start(t, o)
	conn := dial(t, srv.Addr())
	return actionScene{t, srv, actionpb.NewActionServiceClient(conn), userpb.NewUserServiceClient(conn)}
}

// target makes one of the named kind for a hook.
func (s actionScene) target(h *hook, kind string, change ...func(*actionpb.CreateTargetRequest)) *actionpb.CreateTargetResponse {
	s.t.Helper()
	r := &actionpb.CreateTargetRequest{
		Name: fmt.Sprintf("%s-%d", kind, time.Now().UnixNano()), Endpoint: h.URL + "/hook", Timeout: durationpb.New(5 * time.Second),
	}
	switch kind {
	case "webhook":
		r.TargetType = &actionpb.CreateTargetRequest_RestWebhook{RestWebhook: &actionpb.RESTWebhook{}}
	case "interrupting webhook":
		r.TargetType = &actionpb.CreateTargetRequest_RestWebhook{RestWebhook: &actionpb.RESTWebhook{InterruptOnError: true}}
	case "interrupting call":
		r.TargetType = &actionpb.CreateTargetRequest_RestCall{RestCall: &actionpb.RESTCall{InterruptOnError: true}}
	case "async":
		r.TargetType = &actionpb.CreateTargetRequest_RestAsync{RestAsync: &actionpb.RESTAsync{}}
	default:
		s.t.Fatalf("unknown kind %q", kind)
	}
	for _, c := range change {
		c(r)
	}
	created, err := s.actions.CreateTarget(as(s.t.Context(), s.srv.OwnerToken()), r)
	if err != nil {
		s.t.Fatal(err)
	}
	return created
}

func (s actionScene) execute(condition *actionpb.Condition, targets ...string) {
	s.t.Helper()
	_, err := s.actions.SetExecution(as(s.t.Context(), s.srv.OwnerToken()), &actionpb.SetExecutionRequest{Condition: condition, Targets: targets})
	if err != nil {
		s.t.Fatal(err)
	}
}

func onEvent(name string) *actionpb.Condition {
	return &actionpb.Condition{ConditionType: &actionpb.Condition_Event{Event: &actionpb.EventExecution{Condition: &actionpb.EventExecution_Event{Event: name}}}}
}

func onGroup(name string) *actionpb.Condition {
	return &actionpb.Condition{ConditionType: &actionpb.Condition_Event{Event: &actionpb.EventExecution{Condition: &actionpb.EventExecution_Group{Group: name}}}}
}

func onAllEvents() *actionpb.Condition {
	return &actionpb.Condition{ConditionType: &actionpb.Condition_Event{Event: &actionpb.EventExecution{Condition: &actionpb.EventExecution_All{All: true}}}}
}

func onRequest(method string) *actionpb.Condition {
	return &actionpb.Condition{ConditionType: &actionpb.Condition_Request{Request: &actionpb.RequestExecution{Condition: &actionpb.RequestExecution_Method{Method: method}}}}
}

func (s actionScene) lock(user string) {
	s.t.Helper()
	if _, err := s.users.LockUser(as(s.t.Context(), s.srv.OwnerToken()), &userpb.LockUserRequest{UserId: user}); err != nil {
		s.t.Fatal(err)
	}
}

func (s actionScene) unlock(user string) {
	s.t.Helper()
	if _, err := s.users.UnlockUser(as(s.t.Context(), s.srv.OwnerToken()), &userpb.UnlockUserRequest{UserId: user}); err != nil {
		s.t.Fatal(err)
	}
}

// TestRecordedSignatures pins what the real server signs, and how.
func TestRecordedSignatures(t *testing.T) {
	for _, d := range recordedDeliveries(t) {
		var seconds int64
		if _, err := fmt.Sscanf(d.Headers["Zitadel-Signature"], "t=%d,", &seconds); err != nil {
			t.Fatal(err)
		}
		if got := actions.ComputeSignatureHeader(time.Unix(seconds, 0), []byte(d.Body), d.SigningKey); got != d.Headers["Zitadel-Signature"] {
			t.Errorf("%s (%s): the signature is %s, want %s", d.Event, d.Why, got, d.Headers["Zitadel-Signature"])
		}
	}
}

// TestDeliveriesLookAsRecorded makes the recorded events happen here and compares what arrives:
// headers, the names of the fields and their order, and every value that is not an id or a time.
func TestDeliveriesLookAsRecorded(t *testing.T) {
	s := newActionScene(t)
	org := s.srv.AddOrganization("acme")
	user := s.srv.AddHuman(org, "ann", "ann@example.com")
	h := newHook(t)
	target := s.target(h, "webhook")
	s.execute(onAllEvents(), target.GetId())
	ctx := as(t.Context(), s.srv.OwnerToken(), org)

	key := target.GetSigningKey()
	keys := []string{key, key, key}
	if _, err := s.users.AddOTPEmail(ctx, &userpb.AddOTPEmailRequest{UserId: user}); err != nil {
		t.Fatal(err)
	}
	s.lock(user)
	_, err := managementpb.NewManagementServiceClient(dial(t, s.srv.Addr())).AddSecondFactorToLoginPolicy(ctx,
		&managementpb.AddSecondFactorToLoginPolicyRequest{Type: policypb.SecondFactorType_SECOND_FACTOR_TYPE_OTP_SMS})
	if err != nil {
		t.Fatal(err)
	}
	rotated, err := s.actions.UpdateTarget(ctx, &actionpb.UpdateTargetRequest{Id: target.GetId(), ExpirationSigningKey: durationpb.New(0)})
	if err != nil || rotated.GetSigningKey() == "" || rotated.GetSigningKey() == target.GetSigningKey() {
		t.Fatalf("rotating the key: %v, %v", rotated, err)
	}
	s.unlock(user)
	keys = append(keys, rotated.GetSigningKey())

	notTarget := func() []received {
		return slices.DeleteFunc(h.all(), func(r received) bool {
			return strings.Contains(string(r.body), `"aggregateType":"target"`) || strings.Contains(string(r.body), `"aggregateType":"execution"`)
		})
	}
	recorded := recordedDeliveries(t)
	eventually(t, "all deliveries arrive", func() bool { return len(notTarget()) == len(recorded) })
	for i, got := range notTarget() {
		want := recorded[i]
		for _, name := range []string{"Content-Type", "User-Agent"} {
			if got.header.Get(name) != want.Headers[name] {
				t.Errorf("%s: %s is %q, want %q", want.Event, name, got.header.Get(name), want.Headers[name])
			}
		}
		if err := actions.ValidateRequestPayload(got.body, &got.header, keys[i]); err != nil {
			t.Errorf("%s (%s): %v", want.Event, want.Why, err)
		}
		if strings.Count(got.header.Get(actions.SigningHeader), "v1=") != 1 {
			t.Errorf("%s: signed with %q, want one key", want.Event, got.header.Get(actions.SigningHeader))
		}
		if a, b := shape(t, got.body), shape(t, []byte(want.Body)); !slices.Equal(a, b) {
			t.Errorf("%s (%s):\n got %v\nwant %v", want.Event, want.Why, a, b)
		}
	}
}

// shape lists the fields of a body in their order, with the values that do not depend on the run.
func shape(t *testing.T, body []byte) []string {
	t.Helper()
	var fields []string
	decoder := json.NewDecoder(strings.NewReader(string(body)))
	if _, err := decoder.Token(); err != nil {
		t.Fatal(err)
	}
	for decoder.More() {
		name, err := decoder.Token()
		if err != nil {
			t.Fatal(err)
		}
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			t.Fatal(err)
		}
		switch name {
		case "aggregateID", "resourceOwner", "instanceID", "created_at", "userID":
			fields = append(fields, fmt.Sprintf("%v is a text: %v", name, value[0] == '"'))
		default:
			fields = append(fields, fmt.Sprintf("%v=%s", name, value))
		}
	}
	return fields
}

// TestBestMatchOnly: an exact execution hides the group, a longer group the shorter, a group all.
func TestBestMatchOnly(t *testing.T) {
	s := newActionScene(t)
	user := s.srv.AddHuman(s.srv.AddOrganization("acme"), "ann", "ann@example.com")
	all, short, long, exact := newHook(t), newHook(t), newHook(t), newHook(t)
	s.execute(onAllEvents(), s.target(all, "webhook").GetId())
	s.execute(onGroup("user.human"), s.target(short, "webhook").GetId())
	s.execute(onGroup("user.human.mfa"), s.target(long, "webhook").GetId())
	s.execute(onEvent("user.human.mfa.otp.email.added"), s.target(exact, "webhook").GetId())
	ctx := as(t.Context(), s.srv.OwnerToken())

	if _, err := s.users.AddOTPEmail(ctx, &userpb.AddOTPEmailRequest{UserId: user}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.users.RemoveOTPEmail(ctx, &userpb.RemoveOTPEmailRequest{UserId: user}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.users.SetPassword(ctx, &userpb.SetPasswordRequest{UserId: user, NewPassword: &userpb.Password{Password: "AAaa11!!"}}); err != nil {
		t.Fatal(err)
	}
	s.lock(user)
	eventually(t, "the last event arrives", func() bool { return slices.Contains(all.events(), "user.locked") })
	for _, test := range []struct {
		reason string
		hook   *hook
		want   string
	}{
		{"the exact event", exact, "user.human.mfa.otp.email.added"},
		{"the longer group", long, "user.human.mfa.otp.email.removed"},
		{"the shorter group", short, "user.human.password.changed"},
	} {
		if got := test.hook.events(); !slices.Equal(got, []string{test.want}) {
			t.Errorf("%s: got %v, want %s alone", test.reason, got, test.want)
		}
	}
	for _, name := range all.events() {
		if strings.HasPrefix(name, "user.human.") {
			t.Errorf("all events: %s went there too", name)
		}
	}
}

// TestOneTryInOrder: failures are not tried again, and the order of the log is kept.
func TestOneTryInOrder(t *testing.T) {
	s := newActionScene(t)
	org := s.srv.AddOrganization("acme")
	user := s.srv.AddHuman(org, "ann", "ann@example.com")
	h := newHook(t)
	h.answers(http.StatusInternalServerError, "")
	s.execute(onGroup("user"), s.target(h, "webhook").GetId())
	var want []string
	for range 20 {
		s.lock(user)
		s.unlock(user)
		want = append(want, "user.locked", "user.unlocked")
	}
	eventually(t, "everything was tried", func() bool { return len(s.srv.Deliveries()) == len(want) })
	if got := h.events(); !slices.Equal(got, want) {
		t.Errorf("got %v, want each once and in order", got)
	}
	for _, d := range s.srv.Deliveries() {
		if d.Err == nil {
			t.Errorf("%s counts as delivered", d.EventType)
		}
	}
	h.answers(http.StatusOK, "")
	s.lock(user)
	eventually(t, "a target that recovers hears again", func() bool { return len(h.events()) == len(want)+1 })
}

// TestSlowTargets: a webhook holds up what comes after it, an asynchronous target does not.
func TestSlowTargets(t *testing.T) {
	s := newActionScene(t)
	user := s.srv.AddHuman(s.srv.AddOrganization("acme"), "ann", "ann@example.com")
	slow, async, fine := newHook(t), newHook(t), newHook(t)
	release := make(chan struct{})
	slow.wait, async.wait = release, release
	s.execute(onEvent("user.locked"), s.target(async, "async").GetId(), s.target(fine, "webhook").GetId())
	s.lock(user)
	eventually(t, "the target after the asynchronous one is called", func() bool { return len(fine.all()) == 1 })

	s.execute(onEvent("user.unlocked"), s.target(slow, "webhook").GetId(), s.target(fine, "webhook").GetId())
	s.unlock(user)
	eventually(t, "the slow one is called", func() bool { return len(slow.all()) == 1 })
	if len(fine.all()) != 1 {
		t.Error("the target after the slow one was not held up")
	}
	close(release)
	eventually(t, "and then the next", func() bool { return len(fine.all()) == 2 })
}

// TestTargetsOfOneExecution: in their order, to the end unless one that interrupts fails.
func TestTargetsOfOneExecution(t *testing.T) {
	s := newActionScene(t)
	user := s.srv.AddHuman(s.srv.AddOrganization("acme"), "ann", "ann@example.com")
	broken, last := newHook(t), newHook(t)
	broken.answers(http.StatusInternalServerError, "")
	signed := func(r *actionpb.CreateTargetRequest) { r.PayloadType = actionpb.PayloadType_PAYLOAD_TYPE_JWT }
	s.execute(onEvent("user.locked"), s.target(broken, "webhook").GetId(), s.target(last, "webhook").GetId())
	s.execute(onEvent("user.unlocked"), s.target(broken, "interrupting webhook").GetId(), s.target(last, "webhook").GetId())
	s.lock(user)
	s.unlock(user)
	s.execute(onEvent("user.locked"), s.target(last, "webhook", signed).GetId())
	s.lock(user)
	eventually(t, "everything was tried", func() bool { return len(s.srv.Deliveries()) == 4 })
	if got := last.events(); !slices.Equal(got, []string{"user.locked"}) {
		t.Errorf("got %v, want what no failure interrupted, and no signed payload", got)
	}
}

// TestExecutionsTakeTimeToCount: they are read from the view that lags.
func TestExecutionsTakeTimeToCount(t *testing.T) {
	s := newActionScene(t, zitadeltest.Options{DenyList: []string{}, Lag: 200 * time.Millisecond})
	user := s.srv.AddHuman(s.srv.AddOrganization("acme"), "ann", "ann@example.com")
	h := newHook(t)
	set := time.Now()
	s.execute(onGroup("user"), s.target(h, "webhook").GetId())
	s.lock(user)
	early := time.Since(set) < 150*time.Millisecond
	eventually(t, "the execution counts", func() bool {
		list, err := s.actions.ListExecutions(as(t.Context(), s.srv.OwnerToken()), &actionpb.ListExecutionsRequest{})
		return err == nil && len(list.GetExecutions()) == 1
	})
	s.unlock(user)
	eventually(t, "an event after that arrives", func() bool { return slices.Contains(h.events(), "user.unlocked") })
	if early && slices.Contains(h.events(), "user.locked") {
		t.Error("an event right after SetExecution arrived")
	}
}

func TestDenyList(t *testing.T) {
	strict, open := newActionScene(t, zitadeltest.Options{}), newActionScene(t, zitadeltest.Options{DenyList: []string{}})
	create := func(s actionScene, endpoint string) error {
		_, err := s.actions.CreateTarget(as(t.Context(), s.srv.OwnerToken()), &actionpb.CreateTargetRequest{
			Name: "t-" + endpoint, Endpoint: endpoint, Timeout: durationpb.New(time.Second),
			TargetType: &actionpb.CreateTargetRequest_RestAsync{RestAsync: &actionpb.RESTAsync{}},
		})
		return err
	}
	for _, endpoint := range []string{
		"http://localhost:8080/x", "http://LOCALHOST/x", "http://127.0.0.2/x", "http://0.0.0.0/x", "http://10.1.2.3/x", "http://100.64.0.1/x",
		"http://169.254.169.254/x", "http://172.16.0.1/x", "http://192.168.1.1/x", "http://198.18.0.1/x",
		"http://[::1]/x", "http://[fd00::1]/x", "http://[fe80::1]/x", "http://[::ffff:10.0.0.1]/x",
		"http://no-such-host.invalid/x", "not a url", "ftp://192.0.2.10/x", "",
	} {
		err := create(strict, endpoint)
		if endpoint == "" {
			wantRefusal(t, "an endpoint is required", err, codes.InvalidArgument, errorID(err))
			continue
		}
		wantRefusal(t, endpoint, err, codes.InvalidArgument, "COMMAND-NcJUKo")
	}
	for _, endpoint := range []string{"https://192.0.2.10/x", "http://[2001:db8::1]/x"} {
		if err := create(strict, endpoint); err != nil {
			t.Errorf("%s is public: %v", endpoint, err)
		}
	}
	if err := create(open, "http://127.0.0.1:1/x"); err != nil {
		t.Errorf("the operator of the server can relax the list: %v", err)
	}
}

// TestTargetsOfRequests: they see the call, secrets included, and can refuse it.
func TestTargetsOfRequests(t *testing.T) {
	const lock = "/zitadel.user.v2.UserService/LockUser"
	s := newActionScene(t)
	user := s.srv.AddHuman(s.srv.AddOrganization("acme"), "ann", "ann@example.com")
	h := newHook(t)
	s.execute(onRequest(lock), s.target(h, "interrupting call").GetId())
	try := func() error {
		_, err := s.users.LockUser(as(t.Context(), s.srv.OwnerToken()), &userpb.LockUserRequest{UserId: user})
		return err
	}
	h.answers(http.StatusOK, `{"forwardedStatusCode":403,"forwardedErrorMessage":"no"}`)
	wantRefusal(t, "a forwarded refusal", try(), codes.PermissionDenied, "EXEC-reUaUZCzCp")
	h.answers(http.StatusInternalServerError, "")
	wantRefusal(t, "a failure that interrupts", try(), codes.FailedPrecondition, "EXEC-dra6yamk98")
	other := s.srv.AddHuman(s.srv.DefaultOrganizationID(), "bob", "bob@example.com")
	h.answers(http.StatusOK, fmt.Sprintf(`{"userId":%q}`, other))
	if err := try(); err != nil {
		t.Fatal(err)
	}
	if types := s.srv.EventTypes(other); !slices.Contains(types, "user.locked") {
		t.Errorf("the target's request counts: the other user had %v", types)
	}
	var body struct {
		FullMethod string
		UserID     string
		Request    struct{ UserID string }
	}
	if err := json.Unmarshal(h.all()[0].body, &body); err != nil || body.FullMethod != lock || body.Request.UserID != user || body.UserID != s.srv.OwnerID() {
		t.Errorf("the target was told %s, %v", h.all()[0].body, err)
	}
}
