package ledger

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/audit"
	"github.com/neosc/mfa-operator/internal/ledger"
)

// soon is how long nothing here may take: refusals are told, not waited for.
const soon = 12 * time.Second

func (r *replica) must(t testing.TB, namespace string, a try) audit.Record {
	t.Helper()
	records, err := r.Append(t.Context(), namespace, a)
	ok(t, err)
	return records[0]
}

func TestARecordAtItsBoundsIsTaken(t *testing.T) {
	namespace := newNamespace(t)
	r := start(t, "writer", nil)
	full := func(n int) string {
		text := make([]rune, n)
		for i := range text {
			text[i] = 'ß' // bounds count characters, not bytes
		}
		return string(text)
	}
	record := audit.Record{
		Action: audit.PolicyChanged, Outcome: audit.Succeeded, Reason: full(audit.MaxReason), Actor: full(audit.MaxActor),
		Subject: full(audit.MaxSubject), Method: full(audit.MaxMethod), Claim: full(audit.MaxClaim), Policy: full(audit.MaxPolicy),
		Session: full(audit.MaxSession), SourceIP: full(audit.MaxSourceIP), UserAgent: full(audit.MaxUserAgent),
		Origin: &audit.Origin{Aggregate: full(audit.MaxAggregate), Sequence: 1<<63 - 1},
	}
	for range audit.MaxDetails {
		record.Details = append(record.Details, audit.Detail{
			Name: full(audit.MaxDetailName), Old: full(audit.MaxDetailValue), Value: full(audit.MaxDetailValue),
		})
	}
	ok(t, record.Check())
	ok(t, r.Record(t.Context(), namespace, record))
	for _, action := range audit.Actions() {
		ok(t, r.Record(t.Context(), namespace, audit.Record{Action: action, Outcome: audit.Failed, Subject: "x"}))
	}
	if got := len(follow(t, namespace)); got != 1+len(audit.Actions()) {
		t.Errorf("%d records are in etcd", got)
	}
}

// Records never change, and their names say what they hold.
func TestTheAPIServerHoldsToTheFormat(t *testing.T) {
	namespace := newNamespace(t)
	r := start(t, "writer", nil)
	r.must(t, namespace, try{Thing: "a", Who: "x"})
	obj := batches(t, namespace)[0]
	edited := obj.DeepCopy()
	edited.Spec.Records[0] = "{}"
	if err := cluster.client.Update(t.Context(), edited); !apierrors.IsInvalid(err) {
		t.Errorf("editing a record: %v", err)
	}
	misnamed := obj.DeepCopy()
	misnamed.ObjectMeta = metav1.ObjectMeta{Namespace: namespace, Name: ledger.Name(7)}
	if err := cluster.client.Create(t.Context(), misnamed); !apierrors.IsInvalid(err) {
		t.Errorf("a name that is not of the sequence: %v", err)
	}
	second := &v1alpha1.MFALedger{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "second"}}
	if err := cluster.client.Create(t.Context(), second); !apierrors.IsInvalid(err) {
		t.Errorf("a second ledger: %v", err)
	}
}

func TestRefusalsAreToldAtOnce(t *testing.T) {
	r := start(t, "writer", nil)
	refusedSoon := func(t *testing.T, namespace string) {
		t.Helper()
		began := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), soon)
		defer cancel()
		_, err := r.Append(ctx, namespace, try{Thing: "refused", Who: "x"})
		if !errors.Is(err, ledger.ErrRefused) {
			t.Errorf("after %s: %v", time.Since(began), err)
		}
	}

	t.Run("a namespace that does not exist", func(t *testing.T) { refusedSoon(t, "nowhere") })

	t.Run("a quota", func(t *testing.T) {
		namespace := newNamespace(t)
		r.must(t, namespace, try{Thing: "first", Who: "x"})
		// Nobody counts quotas here, so the status says what a cluster's would.
		quota := &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "quota"}}
		key := corev1.ResourceName("count/mfaauditrecords.security.neosc.io")
		quota.Spec.Hard = corev1.ResourceList{key: resource.MustParse("1")}
		ok(t, cluster.client.Create(t.Context(), quota))
		quota.Status = corev1.ResourceQuotaStatus{Hard: quota.Spec.Hard, Used: corev1.ResourceList{key: resource.MustParse("1")}}
		ok(t, cluster.client.Status().Update(t.Context(), quota))
		eventually(t, "the quota is not enforced", func() bool {
			_, err := r.Append(t.Context(), namespace, try{Thing: "probe", Who: "x", What: free})
			return errors.Is(err, ledger.ErrRefused)
		})
		refusedSoon(t, namespace)
		ok(t, cluster.client.Delete(t.Context(), quota))
		eventually(t, "it does not recover", func() bool {
			_, err := r.Append(t.Context(), namespace, try{Thing: "after", Who: "x"})
			return err == nil
		})
		follow(t, namespace)
	})

	t.Run("an admission rule", func(t *testing.T) {
		namespace := newNamespace(t)
		r.must(t, namespace, try{Thing: "first", Who: "x"})
		policy := denyAll(namespace)
		ok(t, cluster.client.Create(t.Context(), policy))
		binding := &admissionv1.ValidatingAdmissionPolicyBinding{
			ObjectMeta: metav1.ObjectMeta{Name: policy.Name},
			Spec: admissionv1.ValidatingAdmissionPolicyBindingSpec{
				PolicyName: policy.Name, ValidationActions: []admissionv1.ValidationAction{admissionv1.Deny},
			},
		}
		ok(t, cluster.client.Create(t.Context(), binding))
		t.Cleanup(func() {
			ok(t, cluster.client.Delete(context.Background(), binding))
			ok(t, cluster.client.Delete(context.Background(), policy))
		})
		eventually(t, "the rule is not enforced", func() bool {
			_, err := r.Append(t.Context(), namespace, try{Thing: "probe", Who: "x", What: free})
			return errors.Is(err, ledger.ErrRefused)
		})
		refusedSoon(t, namespace)
		// What needs no write is answered all the same.
		if _, err := r.Append(t.Context(), namespace, try{Thing: "first", Who: "x", What: claimOnly}); !errors.Is(err, errUsed) {
			t.Errorf("a refusal of the fold: %v", err)
		}
	})

	t.Run("a namespace that is being deleted", func(t *testing.T) {
		namespace := newNamespace(t)
		r.must(t, namespace, try{Thing: "first", Who: "x"})
		ok(t, cluster.client.Delete(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}))
		refusedSoon(t, namespace)
	})
}

func denyAll(namespace string) *admissionv1.ValidatingAdmissionPolicy {
	return &admissionv1.ValidatingAdmissionPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: "deny-" + namespace},
		Spec: admissionv1.ValidatingAdmissionPolicySpec{
			FailurePolicy: ptr.To(admissionv1.Fail),
			MatchConstraints: &admissionv1.MatchResources{
				NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: namespace}},
				ResourceRules: []admissionv1.NamedRuleWithOperations{{RuleWithOperations: admissionv1.RuleWithOperations{
					Operations: []admissionv1.OperationType{admissionv1.Create},
					Rule: admissionv1.Rule{
						APIGroups: []string{v1alpha1.GroupVersion.Group}, APIVersions: []string{"*"}, Resources: []string{"mfaauditrecords"},
					},
				}}},
			},
			Validations: []admissionv1.Validation{{Expression: "false", Message: "not today"}},
		},
	}
}

func eventually(t testing.TB, otherwise string, what func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !what(); {
		if time.Now().After(deadline) {
			t.Fatal(otherwise)
		}
		pause(t.Context(), 50*time.Millisecond)
	}
}

// The case the fence is for, on a real API server: a writer stops right before
// its create, retention frees the very name, and it goes on.
func TestAWriterThatSleptAcrossRetention(t *testing.T) {
	namespace := newNamespace(t)
	real, err := ledger.NewStore(cluster.env.Config, nil)
	ok(t, err)
	bed := &bed{Store: real, asleep: make(chan struct{}), wake: make(chan struct{})}
	sleeper, awake := start(t, "sleeper", bed), start(t, "awake", nil)
	sleeper.must(t, namespace, try{Thing: "opens", Who: "x"})

	bed.tired.Store(true)
	answered := make(chan error, 1)
	go func() {
		_, err := sleeper.Append(context.Background(), namespace, try{Thing: "code", Who: "sleeper"})
		answered <- err
	}()
	<-bed.asleep
	if got := awake.must(t, namespace, try{Thing: "code", Who: "awake"}); got.ID != "2-0" || got.Outcome != audit.Succeeded {
		t.Fatalf("awake: %+v", got)
	}
	for i := range 3 {
		awake.must(t, namespace, try{Thing: fmt.Sprint("more-", i), Who: "awake"})
	}
	// A day that nothing is kept for would be too short for the kind, so all of it
	// grows old at once.
	old := start(t, "keeper", nil)
	old.ahead.Store(int64(40 * 24 * time.Hour))
	for range 3 {
		_, err := old.Keep(t.Context(), namespace)
		ok(t, err)
		old.slept.Add(int64(6 * time.Minute))
		sleeper.slept.Add(int64(6 * time.Minute))
	}
	if left := batches(t, namespace); len(left) != 0 {
		t.Fatalf("retention left %d batches", len(left))
	}

	close(bed.wake)
	if err := <-answered; !errors.Is(err, ledger.ErrUnknown) {
		t.Errorf("the sleeper got %v: the claim was accepted twice", err)
	}
	if left := batches(t, namespace); len(left) != 0 {
		t.Errorf("what the sleeper created is still there: %s", left[0].Name)
	}
	for _, r := range []*replica{sleeper, awake} {
		if got := r.must(t, namespace, try{Thing: "code", Who: "again"}); got.Outcome != audit.Replayed {
			t.Errorf("the claim is accepted once more: %+v", got)
		}
	}
}

// bed stops a create until it is woken, once.
type bed struct {
	ledger.Store
	tired        atomic.Bool
	asleep, wake chan struct{}
}

func (b *bed) Create(ctx context.Context, namespace string, batch audit.Batch) error {
	if b.tired.CompareAndSwap(true, false) {
		close(b.asleep)
		<-b.wake
	}
	return b.Store.Create(ctx, namespace, batch)
}

// 100,000 records are few objects, and a ledger of 64 MiB is opened by its tail.
func TestManyRecordsAreFewObjects(t *testing.T) {
	if testing.Short() {
		t.Skip("takes half a minute")
	}
	const callers, each = 256, 400
	namespace := newNamespace(t)
	r := start(t, "writer", nil)
	keeping, stop := context.WithCancel(t.Context())
	defer stop()
	kept := make(chan error, 1)
	go func() { // as the manager would, only more often
		var err error
		for pause(keeping, 2*time.Second) && err == nil {
			_, err = r.Keep(t.Context(), namespace)
		}
		kept <- err
	}()
	began := time.Now()
	var all sync.WaitGroup
	for c := range callers {
		all.Go(func() {
			for n := range each {
				if _, err := r.Append(t.Context(), namespace, try{Thing: fmt.Sprint(c, "-", n), Who: "x"}); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	stop()
	ok(t, <-kept)
	took := time.Since(began)
	objects := batches(t, namespace)
	if len(objects) >= 2000 {
		t.Errorf("%d records are %d objects", callers*each, len(objects))
	}
	t.Logf("%d records in %s: %d objects", callers*each, took.Round(time.Millisecond), len(objects))

	var obj v1alpha1.MFALedger
	ok(t, cluster.client.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: v1alpha1.LedgerName}, &obj))
	real, err := ledger.NewStore(cluster.env.Config, nil)
	ok(t, err)
	counting := &counting{Store: real}
	began = time.Now()
	start(t, "reader", counting).must(t, namespace, try{Thing: "last", Who: "x"})
	tail := int64(len(objects)) - obj.Status.Checkpoint.Sequence
	t.Logf("opened in %s: %d MiB, %d batches after the checkpoint, %d reads", time.Since(began).Round(time.Millisecond),
		obj.Status.Head.Bytes>>20, tail, counting.reads.Load())
	if counting.reads.Load() > tail+80 { // what is read ahead in vain
		t.Errorf("%d reads for a tail of %d", counting.reads.Load(), tail)
	}
}

type counting struct {
	ledger.Store
	reads atomic.Int64
}

func (c *counting) Batch(ctx context.Context, namespace string, sequence int64) (audit.Batch, error) {
	c.reads.Add(1)
	return c.Store.Batch(ctx, namespace, sequence)
}
