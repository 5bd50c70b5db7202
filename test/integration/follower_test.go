package integration

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/user/v2"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/controllers/zitadelconnection"
	"github.com/neosc/mfa-operator/internal/idp"
	"github.com/neosc/mfa-operator/internal/kube"
	"github.com/neosc/mfa-operator/internal/zitadel"
	"github.com/neosc/mfa-operator/internal/zitadel/zitadeltest"
	"github.com/neosc/mfa-operator/test/harness"
)

// quietWorld is a world whose connection the manager cannot use, so that the
// test's own follower is the only one.
func quietWorld(t *testing.T) *world {
	t.Helper()
	w := &world{WithT: NewWithT(t), t: t, ctx: t.Context(), zitadel: zitadeltest.Start(t, zitadeltest.Options{})}
	w.SetDefaultEventuallyTimeout(patience)
	w.connection = "quiet-" + strconv.Itoa(int(worlds.Add(1)))
	w.namespace = w.connection
	conn := w.newConnection()
	conn.Spec.Credentials.SecretRef.Name = "nothing"
	conn.Spec.Events.PollSeconds = 1
	w.create(conn)
	return w
}

// log is the adapter's event log of the world's Zitadel.
func (w *world) log(token string) *zitadel.Client {
	w.t.Helper()
	host, port, err := net.SplitHostPort(w.zitadel.Addr())
	w.Expect(err).NotTo(HaveOccurred())
	number, err := strconv.ParseUint(port, 10, 16)
	w.Expect(err).NotTo(HaveOccurred())
	c, err := zitadel.Dial(zitadel.Config{
		Domain: host, Port: uint16(number), Insecure: true, RequestsPerSecond: 1e6, Burst: 1e6,
		Credentials: zitadel.Credentials{Type: zitadel.PAT, Secret: []byte(token)},
	})
	w.Expect(err).NotTo(HaveOccurred())
	w.t.Cleanup(func() { _ = c.Close() })
	return c
}

// logs are the event logs by connection.
type logs map[string]zitadelconnection.EventLog

func (l logs) EventLog(connection string) (zitadelconnection.EventLog, bool) {
	log, ok := l[connection]
	return log, ok
}

// effects is a listener whose effects are keyed by event, as they must be.
type effects struct {
	mu    sync.Mutex
	done  map[idp.EventKey]string
	began int
	// before and after are called around taking a batch, if set.
	before, after func() error
}

func (e *effects) Heard(_ context.Context, _ string, batch []idp.Event) error {
	if e.before != nil {
		if err := e.before(); err != nil {
			return err
		}
	}
	e.mu.Lock()
	if e.done == nil {
		e.done = map[idp.EventKey]string{}
	}
	for _, event := range batch {
		e.done[event.Key()] = event.Name
	}
	e.mu.Unlock()
	if e.after != nil {
		return e.after()
	}
	return nil
}

func (e *effects) Began(string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.began++
}

// of lists what was heard of one aggregate, by sequence.
func (e *effects) of(kind, id string) []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	var names []string
	for sequence := uint64(1); ; sequence++ {
		name, ok := e.done[idp.EventKey{Aggregate: idp.Aggregate{Type: kind, ID: id}, Sequence: sequence}]
		if !ok {
			return names
		}
		names = append(names, name)
	}
}

func (w *world) follower(log zitadelconnection.EventLog, listeners ...zitadelconnection.Listener) *zitadelconnection.Follower {
	return &zitadelconnection.Follower{
		Client: cluster.client, Live: cluster.client, Logs: logs{w.connection: log},
		Listeners: listeners, Events: events.NewFakeRecorder(100),
	}
}

func (w *world) poll(f *zitadelconnection.Follower) (ctrl.Result, error) {
	return f.Reconcile(w.ctx, ctrl.Request{NamespacedName: types.NamespacedName{Name: w.connection}})
}

func (w *world) polled(f *zitadelconnection.Follower) {
	w.t.Helper()
	result, err := w.poll(f)
	w.Expect(err).NotTo(HaveOccurred())
	w.Expect(result.RequeueAfter).To(Equal(time.Second), "the pause of spec.events.pollSeconds")
}

func (w *world) stored() *v1alpha1.ZitadelConnection {
	w.t.Helper()
	conn := w.connectionObject()
	w.Expect(cluster.client.Get(w.ctx, client.ObjectKeyFromObject(conn), conn)).To(Succeed())
	return conn
}

func (w *world) followed() *metav1.Condition {
	w.t.Helper()
	return meta.FindStatusCondition(w.stored().Status.Conditions, v1alpha1.ConditionEventsFollowed)
}

func TestFollowerBeginsAtNow(t *testing.T) {
	w := quietWorld(t)
	before := w.zitadel.AddOrganization("before")
	heard := &effects{}
	f := w.follower(w.log(w.zitadel.OwnerToken()), heard)
	f.Now = func() time.Time { return time.Date(2026, 11, 23, 15, 37, 28, 5, time.UTC) }

	w.polled(f)
	w.Expect(heard.done).To(BeEmpty(), "what happened before the first start is told to nobody")
	w.Expect(heard.began).To(Equal(1))
	conn := w.stored()
	w.Expect(w.followed().Reason).To(Equal(v1alpha1.ReasonFollowing))
	w.Expect(conn.Status.Events.LastPollTime.UTC()).To(Equal(time.Date(2026, 11, 23, 15, 37, 0, 0, time.UTC)))
	w.Expect(conn.Status.Events.Instance).To(Equal(w.zitadel.URL()))

	w.polled(f)
	w.Expect(w.stored().ResourceVersion).To(Equal(conn.ResourceVersion), "a poll that finds nothing writes nothing")

	after := w.zitadel.AddOrganization("after")
	w.polled(f)
	w.polled(f)
	w.Expect(heard.of("org", after)).To(Equal(w.zitadel.EventTypes(after)))
	w.Expect(heard.of("org", before)).To(BeEmpty())
	w.Expect(heard.began).To(Equal(1))
}

// TestNoEventIsLostWhereverAPollEnds ends a poll at each of its steps, as a
// crash would, and goes on with a new follower, as the next process does.
func TestNoEventIsLostWhereverAPollEnds(t *testing.T) {
	died := errors.New("the process died")
	die := func() error { return died }
	crash := func() error { panic(died) }
	for step, sabotage := range map[string]func(w *world, f *zitadelconnection.Follower, first, second *effects){
		"before reading": func(w *world, f *zitadelconnection.Follower, _, _ *effects) {
			f.Logs = logs{w.connection: brokenLog{f.Logs.(logs)[w.connection], die, nil}}
		},
		"after reading": func(w *world, f *zitadelconnection.Follower, _, _ *effects) {
			f.Logs = logs{w.connection: brokenLog{f.Logs.(logs)[w.connection], nil, die}}
		},
		"panic after reading": func(w *world, f *zitadelconnection.Follower, _, _ *effects) {
			f.Logs = logs{w.connection: brokenLog{f.Logs.(logs)[w.connection], nil, crash}}
		},
		"before the first listener": func(_ *world, _ *zitadelconnection.Follower, first, _ *effects) { first.before = die },
		"after the first listener":  func(_ *world, _ *zitadelconnection.Follower, first, _ *effects) { first.after = die },
		"panic after the first":     func(_ *world, _ *zitadelconnection.Follower, first, _ *effects) { first.after = crash },
		"panic in the second":       func(_ *world, _ *zitadelconnection.Follower, _, second *effects) { second.before = crash },
		"after the second listener": func(_ *world, _ *zitadelconnection.Follower, _, second *effects) { second.after = die },
		"before the status is written": func(_ *world, f *zitadelconnection.Follower, _, _ *effects) {
			f.Client = statusWriter(func(context.Context, client.SubResourceWriter, client.Object, client.Patch) error { return died })
		},
		"panic before the status is written": func(_ *world, f *zitadelconnection.Follower, _, _ *effects) {
			f.Client = statusWriter(func(context.Context, client.SubResourceWriter, client.Object, client.Patch) error { panic(died) })
		},
		"after the status is written": func(_ *world, f *zitadelconnection.Follower, _, _ *effects) {
			f.Client = statusWriter(func(ctx context.Context, c client.SubResourceWriter, obj client.Object, p client.Patch) error {
				return errors.Join(c.Patch(ctx, obj, p), died)
			})
		},
	} {
		t.Run(step, func(t *testing.T) {
			t.Parallel()
			w := quietWorld(t)
			log := w.log(w.zitadel.OwnerToken())
			first, second := &effects{}, &effects{}
			w.polled(w.follower(log, first, second))

			acme := w.zitadel.AddOrganization("acme")
			doomed := w.follower(log, first, second)
			sabotage(w, doomed, first, second)
			w.Expect(func() (err error) {
				defer func() {
					if recovered := recover(); recovered != nil {
						err = recovered.(error)
					}
				}()
				_, err = w.poll(doomed)
				return err
			}()).To(MatchError(died), "the poll must end there, or the case proves nothing")

			first.before, first.after, second.before, second.after = nil, nil, nil, nil
			ann := w.zitadel.AddHuman(acme, "ann", "ann@example.com")
			next := w.follower(log, first, second)
			w.polled(next)
			w.polled(next)
			for which, listener := range map[string]*effects{"first": first, "second": second} {
				w.Expect(listener.of("org", acme)).To(Equal(w.zitadel.EventTypes(acme)), "the %s listener", which)
				w.Expect(listener.of("user", ann)).To(Equal(w.zitadel.EventTypes(ann)), "the %s listener", which)
				w.Expect(listener.done).To(HaveLen(len(w.zitadel.EventTypes(acme))+len(w.zitadel.EventTypes(ann))), "the %s listener", which)
			}
			w.Expect(w.followed().Reason).To(Equal(v1alpha1.ReasonFollowing))
		})
	}
}

// brokenLog fails before or after it has read.
type brokenLog struct {
	zitadelconnection.EventLog
	before, after func() error
}

func (b brokenLog) Events(ctx context.Context, since idp.Cursor) (idp.Batch, error) {
	if b.before != nil {
		return idp.Batch{}, b.before()
	}
	if _, err := b.EventLog.Events(ctx, since); err != nil {
		return idp.Batch{}, err
	}
	return idp.Batch{}, b.after()
}

func statusWriter(patch func(context.Context, client.SubResourceWriter, client.Object, client.Patch) error) client.Client {
	c, err := client.NewWithWatch(cluster.env.Config, client.Options{Scheme: harness.Scheme})
	if err != nil {
		panic(err)
	}
	return interceptor.NewClient(c, interceptor.Funcs{
		SubResourcePatch: func(ctx context.Context, c client.Client, sub string, obj client.Object, p client.Patch, _ ...client.SubResourcePatchOption) error {
			return patch(ctx, c.SubResource(sub), obj, p)
		},
	})
}

func TestFollowerWithoutPermission(t *testing.T) {
	w := quietWorld(t)
	machine, token := w.zitadel.AddMachine(w.zitadel.DefaultOrganizationID(), "operator", "IAM_USER_MANAGER")
	heard := &effects{}
	f := w.follower(w.log(token), heard)
	result, err := w.poll(f)
	w.Expect(err).NotTo(HaveOccurred(), "only somebody else can help; retrying at once cannot")
	w.Expect(result.RequeueAfter).To(BeNumerically(">=", kube.SlowRetry))
	w.Expect(w.followed().Reason).To(Equal(v1alpha1.ReasonEventsPermissionMissing))
	w.Expect(w.followed().Message).To(ContainSubstring("IAM_OWNER_VIEWER"))
	w.Expect(w.stored().Status.Events).To(BeNil())

	w.zitadel.GrantRoles(machine, "", "IAM_OWNER_VIEWER")
	w.polled(f)
	acme := w.zitadel.AddOrganization("acme")
	w.polled(f)
	w.Expect(w.followed().Reason).To(Equal(v1alpha1.ReasonFollowing))
	w.Expect(heard.of("org", acme)).To(Equal(w.zitadel.EventTypes(acme)))
}

// TestFollowerKeepsItsPlace: neither a listener that fails nor a Zitadel that is
// down moves the cursor, and both are said.
func TestFollowerKeepsItsPlace(t *testing.T) {
	w := quietWorld(t)
	heard := &effects{}
	f := w.follower(w.log(w.zitadel.OwnerToken()), heard)
	w.polled(f)
	place := w.stored().Status.Events

	acme := w.zitadel.AddOrganization("acme")
	heard.before = func() error { return fmt.Errorf("writing to a ledger: %w", idp.ErrDenied) }
	_, err := w.poll(f)
	w.Expect(err).To(MatchError(idp.ErrDenied), "a listener's failure is retried, whatever it is")
	w.Expect(w.followed().Reason).To(Equal(v1alpha1.ReasonEventsNotHandled))
	w.Expect(w.stored().Status.Events).To(Equal(place))

	heard.before = nil
	f.Logs = logs{w.connection: brokenLog{f.Logs.(logs)[w.connection], func() error { return &idp.Error{Cause: idp.Down, Doing: "reading the event log"} }, nil}}
	_, err = w.poll(f)
	w.Expect(err).To(MatchError(idp.ErrUnreachable))
	w.Expect(w.followed().Reason).To(Equal(v1alpha1.ReasonZitadelUnreachable))
	w.Expect(w.stored().Status.Events).To(Equal(place))

	w.polled(w.follower(w.log(w.zitadel.OwnerToken()), heard))
	w.Expect(heard.of("org", acme)).To(Equal(w.zitadel.EventTypes(acme)))
	w.Expect(w.followed().Status).To(Equal(metav1.ConditionTrue))
}

// TestFollowerOfAnotherInstance: a cursor into one log means nothing in another.
func TestFollowerOfAnotherInstance(t *testing.T) {
	w := quietWorld(t)
	heard := &effects{}
	w.polled(w.follower(w.log(w.zitadel.OwnerToken()), heard))
	w.zitadel = zitadeltest.Start(t, zitadeltest.Options{})
	w.zitadel.AddOrganization("before")
	w.polled(w.follower(w.log(w.zitadel.OwnerToken()), heard))
	w.Expect(heard.done).To(BeEmpty())
	w.Expect(heard.began).To(Equal(2))
	w.Expect(w.stored().Status.Events.Instance).To(Equal(w.zitadel.URL()))

	t.Log("and one that cannot be read means nothing, either")
	w.Expect(cluster.client.Status().Patch(w.ctx, w.connectionObject(), client.RawPatch(types.MergePatchType, []byte(`{"status":{"events":{"seen":["x"]}}}`)))).To(Succeed())
	w.polled(w.follower(w.log(w.zitadel.OwnerToken()), heard))
	w.Expect(heard.began).To(Equal(3))
}

// TestOvertakenFollower: a leader that lost its lease in the middle of a poll
// does not set back the cursor of the one that came after it.
func TestOvertakenFollower(t *testing.T) {
	w := quietWorld(t)
	log := w.log(w.zitadel.OwnerToken())
	heard := &effects{}
	w.polled(w.follower(log, heard))
	w.zitadel.AddOrganization("first")

	old := w.follower(log, &effects{after: func() error {
		w.zitadel.AddOrganization("second")
		w.polled(w.follower(log, heard))
		return nil
	}})
	_, err := w.poll(old)
	w.Expect(err).To(MatchError(ContainSubstring("another follower was faster")))
	place := w.stored().Status.Events
	w.polled(w.follower(log, &effects{after: func() error { t.Error("events were told again"); return nil }}))
	w.Expect(w.stored().Status.Events).To(Equal(place))
}

// TestTwoWritersOfOneStatus: the connection's reconciler and the follower keep
// a part of the status each, and neither loses the other's.
func TestTwoWritersOfOneStatus(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	conn := w.connectionObject()
	w.Expect(cluster.client.Patch(w.ctx, conn, client.RawPatch(types.MergePatchType, []byte(`{"spec":{"events":{"pollSeconds":1}}}`)))).To(Succeed())
	w.condition(conn, v1alpha1.ConditionEventsFollowed, metav1.ConditionTrue, v1alpha1.ReasonFollowing)
	for i := range 5 {
		w.putCredential("not-a-token")
		w.failing(conn, v1alpha1.ReasonCredentialsRefused)
		w.putCredential(w.zitadel.OwnerToken())
		w.ready(conn)
		from := w.stored().Status.Events.From
		w.Expect(w.followed().Status).To(Equal(metav1.ConditionTrue))
		ann := w.zitadel.AddHuman(w.zitadel.DefaultOrganizationID(), fmt.Sprint("ann", i), "ann@example.com")
		w.zitadel.SetUserState(ann, user.UserState_USER_STATE_LOCKED)
		w.Eventually(func() bool { return w.stored().Status.Events.From.After(from.Time) }).Should(BeTrue(), "the follower goes on")
	}
}

// TestOneCallPerPoll: where nothing happens, following costs one ListEvents per
// poll.
func TestOneCallPerPoll(t *testing.T) {
	w := quietWorld(t)
	f := w.follower(w.log(w.zitadel.OwnerToken()), &effects{})
	w.polled(f)
	for i := range 100 {
		w.zitadel.AddOrganization(fmt.Sprint("org-", i))
	}
	w.polled(f)
	w.zitadel.ResetCalls()
	for range 5 {
		w.polled(f)
	}
	w.Expect(w.zitadel.CountCalls()).To(Equal(map[string]int{"/zitadel.admin.v1.AdminService/ListEvents": 5}))
}
