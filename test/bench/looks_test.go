package bench

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/test/harness"
)

// lookAtEverybody measures what it costs that a policy of everybody's changes, and
// that their connection's status does.
func lookAtEverybody(b *testing.B, config *rest.Config, kube client.Client, m managerProcess) {
	b.Helper()
	policy := &v1alpha1.SecurityPolicy{
		ObjectMeta: metav1.ObjectMeta{Namespace: harness.OperatorNamespace, Name: "everybody"},
		Spec: v1alpha1.SecurityPolicySpec{
			Mode: v1alpha1.ModeAudit,
			Targets: v1alpha1.Targets{Zitadel: []v1alpha1.ZitadelTarget{{
				Connection: "bench", Scope: v1alpha1.ScopeOrganization, Organization: &v1alpha1.OrganizationSelector{Name: "acme"},
			}}},
			MFA: &v1alpha1.MFASettings{Enforcement: v1alpha1.EnforcementRequiredOnFirstLogin, Methods: []v1alpha1.Method{v1alpha1.MethodTOTP}},
		},
	}
	everybody(b, m, func() { ok(b, kube.Create(b.Context(), policy)) })

	conn := &v1alpha1.ZitadelConnection{ObjectMeta: metav1.ObjectMeta{Name: "bench"}}
	const polls = 10
	looks := m.looks(b)
	for i := range polls {
		patch := fmt.Sprintf(`{"status":{"serverVersion":"v%d"}}`, i)
		ok(b, kube.Status().Patch(b.Context(), conn, client.RawPatch(types.MergePatchType, []byte(patch))))
	}
	settled(b, m)
	b.ReportMetric((m.looks(b)-looks)/polls, "looks/poll")

	writes, cpu := writesToUsers(b, config), m.cpu(b)
	everybody(b, m, func() { change(b, kube, policy, `{"description":"says something else"}`) })
	perUser := (m.cpu(b) - cpu) / benchUsers
	b.ReportMetric(float64(perUser.Microseconds()), "look-µs")
	b.ReportMetric(float64(perUser)/float64(timeOfAnUpdate(b, kube, policy)), "of-update")
	b.ReportMetric(writesToUsers(b, config)-writes, "idle-writes")

	writes = writesToUsers(b, config)
	everybody(b, m, func() { change(b, kube, policy, `{"mode":"Enforce"}`) })
	b.ReportMetric((writesToUsers(b, config)-writes)/benchUsers, "writes/user")
}

func change(b *testing.B, kube client.Client, policy *v1alpha1.SecurityPolicy, spec string) {
	b.Helper()
	ok(b, kube.Patch(b.Context(), policy, client.RawPatch(types.MergePatchType, []byte(`{"spec":`+spec+`}`))))
}

// everybody waits until all users were looked at after a change.
func everybody(b *testing.B, m managerProcess, change func()) {
	b.Helper()
	settled(b, m)
	before := m.looks(b)
	change()
	ok(b, wait.PollUntilContextTimeout(b.Context(), time.Second, 10*time.Minute, true, func(context.Context) (bool, error) {
		return m.looks(b)-before >= benchUsers, nil
	}))
	settled(b, m)
}

// settled waits until no user has been looked at for a while.
func settled(b *testing.B, m managerProcess) {
	b.Helper()
	const quiet = 5 * time.Second
	last, since := m.looks(b), time.Now()
	ok(b, wait.PollUntilContextTimeout(b.Context(), time.Second, 10*time.Minute, true, func(context.Context) (bool, error) {
		if now := m.looks(b); now != last {
			last, since = now, time.Now()
		}
		return time.Since(since) >= quiet, nil
	}))
}

// looks counts the looks at users.
func (m managerProcess) looks(b *testing.B) float64 {
	b.Helper()
	return m.shows(b, "controller_runtime_reconcile_total", "controller", "mfauser")
}

// writesToUsers counts what the API server was asked to write to MFAUsers, by
// whomever.
func writesToUsers(b *testing.B, config *rest.Config) float64 {
	b.Helper()
	set, err := kubernetes.NewForConfig(config)
	ok(b, err)
	stream, err := set.CoreV1().RESTClient().Get().AbsPath("/metrics").Stream(b.Context())
	ok(b, err)
	defer stream.Close() //nolint:errcheck // it has been read
	parser := expfmt.NewTextParser(model.UTF8Validation)
	all, err := parser.TextToMetricFamilies(stream)
	ok(b, err)
	var sum float64
	for _, verb := range []string{"POST", "PUT", "PATCH", "DELETE"} {
		sum += harness.Metrics(all).Value("apiserver_request_total", map[string]string{"resource": "mfausers", "verb": verb})
	}
	return sum
}

// timeOfAnUpdate is the mean of some that nobody acts on.
func timeOfAnUpdate(b *testing.B, kube client.Client, policy *v1alpha1.SecurityPolicy) time.Duration {
	b.Helper()
	const updates = 200
	start := time.Now()
	for i := range updates {
		patch := fmt.Sprintf(`{"metadata":{"annotations":{"bench":"%d"}}}`, i)
		ok(b, kube.Patch(b.Context(), policy, client.RawPatch(types.MergePatchType, []byte(patch))))
	}
	return time.Since(start) / updates
}
