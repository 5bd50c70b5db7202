package install

import (
	"bytes"
	"context"
	"io"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/onsi/gomega"
	policypb "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/policy"
	authorizationv1 "k8s.io/api/authorization/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/cmd/manager/app"
	"github.com/neosc/mfa-operator/internal/audit"
	"github.com/neosc/mfa-operator/internal/controlplane"
	"github.com/neosc/mfa-operator/internal/doorbell"
	"github.com/neosc/mfa-operator/internal/rights"
	"github.com/neosc/mfa-operator/internal/zitadel/zitadeltest"
	"github.com/neosc/mfa-operator/test/harness"
)

const serviceAccount = "system:serviceaccount:" + namespace + ":" + manager

// The other way to apply config/, with a doorbell, and what the manager and the
// webhook may do with it.
func TestConfigWithKustomize(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	c.do(overlayManifests(t, withDoorbell), kubectl(t), "apply", "--server-side", "--validate=strict", "-f", "-")
	c.kindsEstablished()

	t.Run("the manager may do this and nothing else", func(t *testing.T) {
		c.forTest(t).mayExactly(serviceAccount, rights.ForManager.Everywhere, places{namespace: rights.ForManager.Home})
	})
	t.Run("the webhook may do this and nothing else", func(t *testing.T) {
		c.forTest(t).mayExactly(webhookAccount, rights.ForWebhook.Everywhere, places{namespace: rights.ForWebhook.Home})
	})
	t.Run("the manager may not", func(t *testing.T) { c.forTest(t).mayNot() })
	t.Run("the webhook may not", func(t *testing.T) { c.forTest(t).webhookMayNot() })
	t.Run("both can do their work with it", func(t *testing.T) { c.forTest(t).managerWorks() })
}

// places are the rights in some namespaces, beside those everywhere.
type places map[string][]rights.Right

// mayExactly compares the rights the API server sees with the list.
func (c *cluster) mayExactly(account string, everywhere []rights.Right, there places) {
	c.t.Helper()
	for _, in := range slices.Concat(slices.Collect(maps.Keys(there)), []string{"default"}) {
		wanted := sets.New[string]()
		for _, r := range slices.Concat(everywhere, there[in]) {
			for verb := range strings.FieldsSeq(r.Verbs) {
				wanted.Insert(verb + " " + r.Resource + "." + r.Group)
			}
		}
		c.Eventually(func() []string {
			found := c.rights(account, in).Difference(c.rights("system:serviceaccount:default:nobody", in))
			return append(
				diff("may, against the list: ", found, wanted),
				diff("may not, against the list: ", wanted, found)...)
		}).Should(gomega.BeEmpty(), "in namespace %s", in)
	}
}

func diff(say string, a, b sets.Set[string]) []string {
	list := sets.List(a.Difference(b))
	for i := range list {
		list[i] = say + list[i]
	}
	return list
}

// rights asks, as that user, what it may do in a namespace.
func (c *cluster) rights(user, in string) sets.Set[string] {
	c.t.Helper()
	review := &authorizationv1.SelfSubjectRulesReview{Spec: authorizationv1.SelfSubjectRulesReviewSpec{Namespace: in}}
	c.Expect(c.as(user).Create(c.t.Context(), review)).To(gomega.Succeed())
	found := sets.New[string]()
	for _, rule := range review.Status.ResourceRules {
		suffixes := []string{""}
		if len(rule.ResourceNames) > 0 {
			suffixes = nil
			for _, name := range rule.ResourceNames {
				suffixes = append(suffixes, ":"+name)
			}
		}
		for _, group := range rule.APIGroups {
			for _, resource := range rule.Resources {
				for _, suffix := range suffixes {
					for _, verb := range rule.Verbs {
						found.Insert(verb + " " + resource + suffix + "." + group)
					}
				}
			}
		}
	}
	return found
}

func (c *cluster) as(user string) client.Client {
	c.t.Helper()
	config := rest.CopyConfig(c.env.Config)
	config.Impersonate.UserName = user
	as, err := client.New(config, client.Options{Scheme: scheme})
	c.Expect(err).NotTo(gomega.HaveOccurred())
	return as
}

// mayNot asks the API server about the requests that would hurt most.
func (c *cluster) mayNot() {
	const neosc = "security.neosc.io"
	for _, no := range []struct{ verb, group, resource, subresource, namespace, name, why string }{
		{"get", "", "secrets", "", "default", "", "other people's secrets"},
		{"list", "", "secrets", "", "kube-system", "", "tokens and keys of the cluster"},
		{"list", "", "secrets", "", "", "", "the same, all at once"},
		{"create", "", "secrets", "", namespace, "", "a service account token Secret would be a way to more rights"},
		{"update", "", "secrets", "", namespace, "zitadel-credentials", "credentials are the administrator's"},
		{"patch", "", "secrets", "", namespace, "zitadel-credentials", "the same"},
		{"patch", "", "secrets", "", "default", "zitadel-doorbell", "a name means nothing elsewhere"},
		{"create", "", "configmaps", "", "default", "", "claims live in one place only"},
		{"delete", neosc, "securitypolicies", "", namespace, "pol-mfa-required", "the intent is the users'"},
		{"create", neosc, "securitypolicies", "", namespace, "", "the same"},
		{"update", neosc, "securitypolicies", "", namespace, "pol-mfa-required", "status and finalizers are patched"},
		{"create", neosc, "mfaexemptions", "", namespace, "", "it must not let anybody off"},
		{"create", neosc, "mfaresets", "", namespace, "", "nor take anybody's factors away by itself"},
		{"delete", neosc, "zitadelconnections", "", "", "default", "the same"},
		{"create", neosc, "zitadelconnections", "", "", "", "it must not give itself access"},
		{"update", "coordination.k8s.io", "leases", "", namespace, "another", "other components' leases"},
		{"update", "coordination.k8s.io", "leases", "", "kube-system", "kube-scheduler", "the cluster's leases"},
		{"create", "", "pods", "", namespace, "", "a Pod is a way to every Secret beside it"},
		{"create", "", "pods", "exec", namespace, "", "the same"},
		{"create", "", "serviceaccounts", "token", namespace, manager, "tokens that outlive the Pod"},
		{"impersonate", "", "users", "", "", "system:admin", "to be somebody else"},
		{"bind", "rbac.authorization.k8s.io", "clusterroles", "", "", "cluster-admin", "to give itself more"},
		{"escalate", "rbac.authorization.k8s.io", "clusterroles", "", "", manager, "to give itself more"},
		{"patch", "apiextensions.k8s.io", "customresourcedefinitions", "", "", "", "to weaken its own validation"},
	} {
		c.Expect(c.allowed(serviceAccount, no.verb, no.group, no.resource, no.subresource, no.namespace, no.name)).To(gomega.BeFalse(),
			"%s %s/%s %s in %q: %s", no.verb, no.resource, no.subresource, no.name, no.namespace, no.why)
	}
	// The question is put rightly: the neighbouring ones have the other answer.
	c.Expect(c.allowed(serviceAccount, "get", "", "secrets", "", namespace, "zitadel-credentials")).To(gomega.BeTrue())
	c.Expect(c.allowed(serviceAccount, "patch", neosc, "securitypolicies", "status", "default", "any")).To(gomega.BeTrue())
	c.Expect(c.allowed(serviceAccount, "update", "coordination.k8s.io", "leases", "", namespace, manager)).To(gomega.BeTrue())
}

func (c *cluster) allowed(user, verb, group, resource, subresource, in, name string) bool {
	c.t.Helper()
	review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
		User:   user,
		Groups: []string{"system:serviceaccounts", "system:serviceaccounts:" + namespace, "system:authenticated"},
		ResourceAttributes: &authorizationv1.ResourceAttributes{
			Verb: verb, Group: group, Resource: resource, Subresource: subresource, Namespace: in, Name: name,
		},
	}}
	c.Expect(c.client.Create(c.t.Context(), review)).To(gomega.Succeed())
	return review.Status.Allowed
}

// managerWorks runs the real manager as its service account, on the samples and
// a fake Zitadel, from the first lease to the last clean-up.
func (c *cluster) managerWorks() {
	zitadel := zitadeltest.Start(c.t, zitadeltest.Options{DenyList: []string{}})
	bell, err := controlplane.FreeAddress()
	c.Expect(err).NotTo(gomega.HaveOccurred())
	for _, organization := range []string{"acme", "globex"} {
		zitadel.AddOrganization(organization)
	}
	c.kubectl("create", "secret", "generic", "zitadel-credentials", "-n", namespace, "--from-literal=token="+zitadel.OwnerToken())
	samples := kustomization(c.t, "samples")
	for _, conn := range only[v1alpha1.ZitadelConnection](c.t, samples, "ZitadelConnection") {
		if conn.Name == "default" {
			host, port, err := net.SplitHostPort(zitadel.Addr())
			c.Expect(err).NotTo(gomega.HaveOccurred())
			number, err := strconv.ParseInt(port, 10, 32)
			c.Expect(err).NotTo(gomega.HaveOccurred())
			conn.Spec.Domain, conn.Spec.Port, conn.Spec.Insecure = host, ptr.To(int32(number)), true
			conn.Spec.Events.Webhook = v1alpha1.EventsWebhook{Enabled: true, URL: "http://" + bell}
			c.Expect(c.client.Create(c.t.Context(), conn)).To(gomega.Succeed())
		}
	}
	// The webhook is asked about all that follows.
	running := c.startWebhook("--doorbell-bind-address=" + bell)
	c.Expect(harness.Redirect(c.t.Context(), c.client, running.URL)).To(gomega.Succeed())
	policies := only[v1alpha1.SecurityPolicy](c.t, samples, "SecurityPolicy")
	for _, p := range policies {
		c.Expect(c.client.Create(c.t.Context(), p)).To(gomega.Succeed())
	}

	logs := &recorder{}
	stop := c.startManager(logs)
	reason := func(p *v1alpha1.SecurityPolicy) string {
		if err := c.client.Get(c.t.Context(), client.ObjectKeyFromObject(p), p); err != nil {
			return err.Error()
		}
		ready := meta.FindStatusCondition(p.Status.Conditions, v1alpha1.ConditionReady)
		if ready == nil {
			return "no Ready condition"
		}
		return ready.Reason
	}
	for _, p := range policies {
		want := v1alpha1.ReasonInForce
		if p.Spec.Mode == v1alpha1.ModeAudit {
			want = v1alpha1.ReasonAuditOnly
		}
		c.Eventually(reason).WithArguments(p).Should(gomega.Equal(want), "%s; log:\n%s", p.Name, logs)
	}
	c.rings(zitadel)
	// Deletion releases the claims, by all three ways to leave.
	for _, p := range policies {
		c.Expect(c.client.Delete(c.t.Context(), p)).To(gomega.Succeed())
		c.Eventually(reason).WithArguments(p).Should(gomega.ContainSubstring("not found"), "%s; log:\n%s", p.Name, logs)
	}
	// A right to tell is not missed by anything else that happens here.
	c.Eventually(func(g gomega.Gomega) {
		told := &eventsv1.EventList{}
		g.Expect(c.client.List(c.t.Context(), told)).To(gomega.Succeed())
		for _, kind := range []string{"SecurityPolicy", "ZitadelConnection", "Lease"} {
			g.Expect(told.Items).To(gomega.ContainElement(gomega.HaveField("Regarding.Kind", kind)))
		}
	}).Should(gomega.Succeed(), "log:\n%s", logs)
	// What a claim tells is recorded after it.
	c.Eventually(func(g gomega.Gomega) {
		recorded := &v1alpha1.MFAAuditRecordList{}
		g.Expect(c.client.List(c.t.Context(), recorded)).To(gomega.Succeed())
		for _, action := range []audit.Action{audit.PolicyApplied, audit.PolicyRestored} {
			g.Expect(recorded.Items).To(gomega.ContainElement(gomega.HaveField("Spec.Records", gomega.ContainElement(gomega.ContainSubstring(string(action))))))
		}
	}).Should(gomega.Succeed(), "log:\n%s", logs)
	stop()
	c.get(&coordinationv1.Lease{}, namespace+"/"+manager)
	for line := range strings.Lines(logs.String()) {
		if strings.Contains(line, "forbidden") {
			c.t.Errorf("a right is missing: %s", line)
		}
	}
}

// rings checks that a change at Zitadel arrives by the doorbell, which takes
// rights of both.
func (c *cluster) rings(zitadel *zitadeltest.Server) {
	conn := &v1alpha1.ZitadelConnection{}
	c.Eventually(func() []metav1.Condition {
		c.get(conn, "default")
		return conn.Status.Conditions
	}).Should(gomega.ContainElement(gomega.HaveField("Reason", v1alpha1.ReasonDoorbellInPlace)))
	heard := func() string {
		lease := &coordinationv1.Lease{}
		c.get(lease, namespace+"/"+doorbell.Name)
		return lease.Annotations[doorbell.AnnotationPrefix+conn.Name]
	}
	before := heard()
	adam := zitadel.AddHuman(zitadel.DefaultOrganizationID(), "adam", "adam@example.com")
	zitadel.As(adam).ChangeLoginPolicy("", func(p *policypb.LoginPolicy) { p.ForceMfa = !p.ForceMfa })
	c.Eventually(heard).ShouldNot(gomega.Equal(before))
}

// startManager runs the manager in this process as its service account.
func (c *cluster) startManager(logs *recorder) (stop func()) {
	kubeconfig := c.writeKubeconfig(serviceAccount)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- app.Run(ctx, "test", []string{
			"--kubeconfig=" + kubeconfig, "--namespace=" + namespace, "--leader-elect", "--health-probe-bind-address=0",
		}, io.Discard, logs)
	}()
	stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-ended:
			c.Expect(err).NotTo(gomega.HaveOccurred(), "log:\n%s", logs)
		case <-time.After(time.Minute):
			c.t.Errorf("the manager did not stop within a minute")
		}
	})
	c.t.Cleanup(stop)
	return stop
}

// recorder keeps what was logged.
type recorder struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (r *recorder) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.Write(p)
}

func (r *recorder) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.String()
}
