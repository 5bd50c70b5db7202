package integration

import (
	"bytes"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"github.com/zitadel/zitadel-go/v3/pkg/actions"
	actionpb "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/action/v2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/types/known/durationpb"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/controllers/zitadelconnection"
	"github.com/neosc/mfa-operator/internal/doorbell"
	"github.com/neosc/mfa-operator/internal/zitadel/zitadeltest"
)

const listEvents = "/zitadel.admin.v1.AdminService/ListEvents"

// openWorld is a world whose Zitadel may call this machine.
func openWorld(t *testing.T) *world {
	t.Helper()
	return newWorld(t, zitadeltest.Options{DenyList: []string{}})
}

// patchEvents changes spec.events of the connection.
func (w *world) patchEvents(patch string) {
	w.t.Helper()
	w.Expect(cluster.client.Patch(w.ctx, w.connectionObject(), client.RawPatch("application/merge-patch+json", []byte(`{"spec":{"events":`+patch+`}}`)))).To(Succeed())
}

// ringing has the connection ring, and looks at the log by itself once an hour.
func (w *world) ringing() metav1.Condition {
	w.t.Helper()
	w.patchEvents(`{"pollSeconds":3600,"webhook":{"enabled":true,"url":"` + cluster.bell + `"}}`)
	return w.condition(w.connectionObject(), v1alpha1.ConditionDoorbellReady, metav1.ConditionTrue, v1alpha1.ReasonDoorbellInPlace)
}

// keys are those that the webhook verifies calls with.
func (w *world) keys() doorbell.Keys {
	w.t.Helper()
	secret := &corev1.Secret{}
	w.Expect(cluster.client.Get(w.ctx, client.ObjectKey{Namespace: operatorNamespace, Name: doorbell.Name}, secret)).To(Succeed())
	entry, has := secret.Data[w.connection]
	if !has {
		return nil
	}
	keys, err := doorbell.ParseKeys(entry)
	w.Expect(err).NotTo(HaveOccurred())
	return keys
}

// actions is the owner's client for targets and executions.
func (w *world) actions() actionpb.ActionServiceClient {
	w.t.Helper()
	conn, err := grpc.NewClient(w.zitadel.Addr(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	w.Expect(err).NotTo(HaveOccurred())
	w.t.Cleanup(func() { _ = conn.Close() })
	w.ctx = metadata.AppendToOutgoingContext(w.ctx, "authorization", "Bearer "+w.zitadel.OwnerToken())
	return actionpb.NewActionServiceClient(conn)
}

// left counts targets and executions at the instance.
func (w *world) left(api actionpb.ActionServiceClient) (targets, executions int) {
	w.t.Helper()
	foundTargets, err := api.ListTargets(w.ctx, &actionpb.ListTargetsRequest{})
	w.Expect(err).NotTo(HaveOccurred())
	foundExecutions, err := api.ListExecutions(w.ctx, &actionpb.ListExecutionsRequest{})
	w.Expect(err).NotTo(HaveOccurred())
	return len(foundTargets.GetTargets()), len(foundExecutions.GetExecutions())
}

// polls counts looks at the log since the last ResetCalls.
func (w *world) polls() int { return w.zitadel.CountCalls()[listEvents] }

// TestFloodOfRings: valid or forged, a flood costs at most one look at the log
// per second.
func TestFloodOfRings(t *testing.T) {
	w := openWorld(t)
	w.ringing()
	key := w.keys()[0].Key
	url := doorbell.Endpoint(cluster.bell, w.connection)
	body := []byte(`{"event_type":"instance.policy.login.changed"}`)
	flood := func(sign func() string) (accepted, refused int) {
		var mu sync.Mutex
		var callers sync.WaitGroup
		end := time.Now().Add(3 * time.Second)
		for range 4 {
			callers.Go(func() {
				for time.Now().Before(end) {
					request, err := http.NewRequestWithContext(w.ctx, http.MethodPost, url, bytes.NewReader(body))
					if err != nil {
						t.Error(err)
						return
					}
					request.Header.Set(doorbell.SignatureHeader, sign())
					response, err := http.DefaultClient.Do(request)
					if err != nil {
						t.Error(err)
						return
					}
					_ = response.Body.Close()
					mu.Lock()
					if response.StatusCode == http.StatusNoContent {
						accepted++
					} else {
						refused++
					}
					mu.Unlock()
				}
			})
		}
		callers.Wait()
		return accepted, refused
	}

	w.quiet()
	accepted, refused := flood(func() string { return actions.ComputeSignatureHeader(time.Now(), body, "guess") })
	w.Expect(accepted).To(BeZero())
	w.Expect(w.polls()).To(BeZero(), "forged calls: %d", refused)
	t.Logf("%d forged calls, no look at the log", refused)

	w.quiet()
	start := time.Now()
	accepted, refused = flood(func() string { return actions.ComputeSignatureHeader(time.Now(), body, key) })
	w.Expect(refused).To(BeZero())
	most := int(time.Since(start)/time.Second) + 1
	w.Expect(w.polls()).To(And(BeNumerically(">=", 2), BeNumerically("<=", most)), "valid calls: %d", accepted)
	t.Logf("%d valid calls in %s, %d looks at the log", accepted, time.Since(start).Round(time.Millisecond), w.polls())
}

// quiet waits until nobody has looked at the log for a while longer than the
// pause between two rings, and counts from then on.
func (w *world) quiet() {
	w.t.Helper()
	var since time.Time
	w.Eventually(func() bool {
		if since.IsZero() || w.polls() > 0 {
			since = time.Now()
			w.zitadel.ResetCalls()
		}
		return time.Since(since) > 1500*time.Millisecond
	}).Should(BeTrue())
}

// TestDoorbellBesideOthers: what somebody else is called on stays theirs, is
// reported, and is taken back when it is free.
func TestDoorbellBesideOthers(t *testing.T) {
	w := openWorld(t)
	api := w.actions()
	theirs, err := api.CreateTarget(w.ctx, &actionpb.CreateTargetRequest{
		Name: "auditor", Endpoint: cluster.bell, Timeout: durationpb.New(time.Second),
		TargetType: &actionpb.CreateTargetRequest_RestWebhook{RestWebhook: &actionpb.RESTWebhook{}},
	})
	w.Expect(err).NotTo(HaveOccurred())
	login := &actionpb.Condition{ConditionType: &actionpb.Condition_Event{Event: &actionpb.EventExecution{
		Condition: &actionpb.EventExecution_Group{Group: "instance.policy.login"},
	}}}
	_, err = api.SetExecution(w.ctx, &actionpb.SetExecutionRequest{Condition: login, Targets: []string{theirs.GetId()}})
	w.Expect(err).NotTo(HaveOccurred())

	w.patchEvents(`{"webhook":{"enabled":true,"url":"` + cluster.bell + `"}}`)
	conn := w.connectionObject()
	taken := w.condition(conn, v1alpha1.ConditionDoorbellReady, metav1.ConditionFalse, v1alpha1.ReasonDoorbellExecutionTaken)
	w.Expect(taken.Message).To(And(ContainSubstring("group instance.policy.login,"), ContainSubstring("mfa-operator/"+w.connection)))
	w.ready(conn)
	held, err := api.ListExecutions(w.ctx, &actionpb.ListExecutionsRequest{Filters: []*actionpb.ExecutionSearchFilter{{
		Filter: &actionpb.ExecutionSearchFilter_InConditionsFilter{InConditionsFilter: &actionpb.InConditionsFilter{Conditions: []*actionpb.Condition{login}}},
	}}})
	w.Expect(err).NotTo(HaveOccurred())
	w.Expect(held.GetExecutions()).To(HaveLen(1))
	w.Expect(held.GetExecutions()[0].GetTargets()).To(Equal([]string{theirs.GetId()}))

	t.Log("removed when disabled, and theirs is as it was")
	w.patchEvents(`{"webhook":{"enabled":false}}`)
	w.Eventually(func() []string { return w.stored().Finalizers }).ShouldNot(ContainElement(v1alpha1.FinalizerDoorbell))
	w.Expect(meta.FindStatusCondition(w.stored().Status.Conditions, v1alpha1.ConditionDoorbellReady)).To(BeNil())
	w.Expect(w.keys()).To(BeEmpty())
	targets, executions := w.left(api)
	w.Expect([]int{targets, executions}).To(Equal([]int{1, 1}), "theirs")
}

func TestDoorbellRefusals(t *testing.T) {
	t.Parallel()
	t.Run("a URL on the deny list", func(t *testing.T) {
		w := newWorld(t)
		w.patchEvents(`{"webhook":{"enabled":true,"url":"` + cluster.bell + `"}}`)
		conn := w.connectionObject()
		denied := w.condition(conn, v1alpha1.ConditionDoorbellReady, metav1.ConditionFalse, v1alpha1.ReasonDoorbellURLDenied)
		w.Expect(denied.Message).To(ContainSubstring("ZITADEL_HTTPCLIENT_DENYLIST"))
		w.ready(conn)
		w.condition(conn, v1alpha1.ConditionEventsFollowed, metav1.ConditionTrue, v1alpha1.ReasonFollowing)
		w.Eventually(func() string { return strings.Join(w.allNotes(), "\n") }).Should(ContainSubstring(v1alpha1.ReasonDoorbellURLDenied))
	})
	t.Run("an account that may only read", func(t *testing.T) {
		w := openWorld(t)
		_, token := w.zitadel.AddMachine(w.zitadel.DefaultOrganizationID(), "viewer", "IAM_OWNER_VIEWER")
		w.putCredential(token)
		conn := w.connectionObject()
		w.Eventually(func() []string { w.ready(conn); return conn.Status.Credential.Roles }).Should(ConsistOf("IAM_OWNER_VIEWER"))
		w.patchEvents(`{"webhook":{"enabled":true,"url":"` + cluster.bell + `"}}`)
		missing := w.condition(conn, v1alpha1.ConditionDoorbellReady, metav1.ConditionFalse, v1alpha1.ReasonDoorbellPermissionMissing)
		w.Expect(missing.Message).To(ContainSubstring("IAM_OWNER"))
		w.ready(conn)
	})
}

// TestDeletedConnectionTakesItsDoorbellAlong.
func TestDeletedConnectionTakesItsDoorbellAlong(t *testing.T) {
	w := openWorld(t)
	w.ringing()
	w.Expect(w.keys()).To(HaveLen(1))
	conn := w.connectionObject()
	w.Expect(cluster.client.Delete(w.ctx, conn)).To(Succeed())
	w.gone(conn)
	targets, executions := w.left(w.actions())
	w.Expect([]int{targets, executions}).To(Equal([]int{0, 0}))
	w.Expect(w.keys()).To(BeEmpty())
}

// TestDoorbellThatCannotBeRemoved holds up a deletion only for so long.
func TestDoorbellThatCannotBeRemoved(t *testing.T) {
	w := quietWorld(t) // nothing is connected
	w.patchEvents(`{"webhook":{"enabled":true,"url":"` + cluster.bell + `"}}`)
	conn := w.connectionObject()
	w.condition(conn, v1alpha1.ConditionDoorbellReady, metav1.ConditionUnknown, v1alpha1.ReasonDoorbellPending)
	w.Expect(conn.Finalizers).To(ContainElement(v1alpha1.FinalizerDoorbell), "before anything is made")
	w.Expect(cluster.client.Delete(w.ctx, conn)).To(Succeed())
	deleted := w.stored().DeletionTimestamp.Time

	told := events.NewFakeRecorder(10)
	reconcile := func(after time.Duration) ctrl.Result {
		d := &zitadelconnection.Doorbell{
			Client: cluster.client, Live: cluster.client, Bells: noBells{}, Events: told, Namespace: operatorNamespace,
			Now: func() time.Time { return deleted.Add(after) },
		}
		result, err := d.Reconcile(w.ctx, ctrl.Request{NamespacedName: client.ObjectKeyFromObject(conn)})
		w.Expect(err).NotTo(HaveOccurred())
		return result
	}
	w.Expect(reconcile(29*time.Second).RequeueAfter).To(BeNumerically(">", 0), "it is tried again")
	w.Expect(w.stored().Finalizers).To(ContainElement(v1alpha1.FinalizerDoorbell))
	w.Expect(told.Events).To(BeEmpty())
	w.Expect(reconcile(30 * time.Second)).To(Equal(ctrl.Result{}))
	w.gone(conn)
	w.Expect(<-told.Events).To(And(ContainSubstring(v1alpha1.ReasonZitadelUnreachable), ContainSubstring("mfa-operator/"+w.connection+"@")))
}

type noBells struct{}

func (noBells) Bell(string) (zitadelconnection.Bell, bool) { return nil, false }

// TestDoorbellKeyIsRotated by somebody at the instance: the new one counts as
// soon as it is noticed, the one before for the roll-over.
func TestDoorbellKeyIsRotated(t *testing.T) {
	t.Parallel()
	w := openWorld(t)
	w.ringing()
	before := w.keys()[0].Key
	api := w.actions()
	targets, err := api.ListTargets(w.ctx, &actionpb.ListTargetsRequest{})
	w.Expect(err).NotTo(HaveOccurred())
	rotated, err := api.UpdateTarget(w.ctx, &actionpb.UpdateTargetRequest{Id: targets.GetTargets()[0].GetId(), ExpirationSigningKey: durationpb.New(0)})
	w.Expect(err).NotTo(HaveOccurred())
	w.Eventually(func(g Gomega) {
		keys := w.keys()
		g.Expect(keys).To(HaveLen(2))
		g.Expect(keys[0].Key).To(Equal(rotated.GetSigningKey()))
		g.Expect(keys[1].Key).To(Equal(before))
		g.Expect(*keys[1].Until).To(BeTemporally("~", time.Now().Add(doorbell.RollOver), 10*time.Second))
	}).Should(Succeed())
	w.Expect(w.json(w.stored())).NotTo(Or(ContainSubstring(before), ContainSubstring(rotated.GetSigningKey())))
	w.Expect(cluster.logs.String()).NotTo(Or(ContainSubstring(before), ContainSubstring(rotated.GetSigningKey())))
}
