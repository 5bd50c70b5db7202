package install

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/onsi/gomega"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/doorbell"
	"github.com/neosc/mfa-operator/internal/options"
	"github.com/neosc/mfa-operator/internal/sealed"
	"github.com/neosc/mfa-operator/internal/signing"
)

const (
	chart   = "charts/mfa-operator"
	release = "mfa-operator"
)

// rendered renders the chart without a cluster, and without what only helm test makes.
func rendered(t *testing.T, args ...string) []*unstructured.Unstructured {
	t.Helper()
	args = append([]string{"template", release, chart, "--skip-tests", "--namespace", namespace}, args...)
	return objects(t, output(t, tool(t, "helm"), args...))
}

func set(values ...string) []string {
	var args []string
	for _, value := range values {
		args = append(args, "--set-json", value)
	}
	return args
}

func TestChartIsClean(t *testing.T) {
	t.Parallel()
	output(t, tool(t, "helm"), "lint", "--strict", chart)
}

// What the chart shares with config/ is copied, never written twice.
func TestChartIsInSync(t *testing.T) {
	t.Parallel()
	g := gomega.NewWithT(t)
	check := exec.CommandContext(t.Context(), root(t, "hack", "sync-chart.sh"), "--check")
	out, err := check.CombinedOutput()
	g.Expect(err).NotTo(gomega.HaveOccurred(), string(out))

	// And the check is not blind: every CRD and every rule file is there.
	for folder, copies := range map[string]string{"config/crd/bases": "crds", "config/rbac": "rbac"} {
		files, err := filepath.Glob(root(t, filepath.FromSlash(folder), "*.yaml"))
		g.Expect(err).NotTo(gomega.HaveOccurred())
		g.Expect(files).NotTo(gomega.BeEmpty())
		for _, file := range files {
			name := filepath.Base(file)
			if name != "kustomization.yaml" && !strings.HasSuffix(name, "service_account.yaml") {
				g.Expect(read(t, path.Join(chart, "files", copies, name))).To(gomega.Equal(read(t, path.Join(folder, name))), name)
			}
		}
	}
}

// Both ways to install give the same rights, kinds and Pod.
func TestChartEqualsConfig(t *testing.T) {
	t.Parallel()
	t.Run("by default", func(t *testing.T) {
		chartEqualsConfig(t, rendered(t), kustomization(t, "default"), nothingMore)
	})
	t.Run("with a doorbell", func(t *testing.T) {
		fromChart := rendered(t, set(`webhook.doorbell.enabled=true`)...)
		chartEqualsConfig(t, fromChart, overlay(t, withDoorbell), more{rings: true})
	})
	t.Run("with NeoSC's API", func(t *testing.T) {
		fromChart := rendered(t, set(`neosc.namespace="`+namespace+`"`)...)
		chartEqualsConfig(t, fromChart, overlay(t, withNeoSC), nothingMore)
	})
	t.Run("with local users", func(t *testing.T) {
		fromConfig := overlay(t, withLocalUsers)
		for _, obj := range objects(t, read(t, "config/localusers/credentials_role_binding.yaml")) {
			obj.SetNamespace(usersNamespace)
			fromConfig = append(fromConfig, obj)
		}
		fromChart := rendered(t, set(`localUsers.namespaces=["`+usersNamespace+`"]`)...)
		chartEqualsConfig(t, fromChart, fromConfig, more{verifies: true})
	})
}

// more is what an installation does beyond the default.
type more struct{ rings, verifies bool }

var nothingMore more

func chartEqualsConfig(t *testing.T, fromChart, fromConfig []*unstructured.Unstructured, does more) {
	t.Helper()
	t.Run("rights", func(t *testing.T) {
		if d := cmp.Diff(rulesIn(t, fromConfig), rulesIn(t, fromChart)); d != "" {
			t.Errorf("config (-) and chart (+) differ:\n%s", d)
		}
	})
	t.Run("kinds", func(t *testing.T) {
		g := gomega.NewWithT(t)
		specs := func(list []*unstructured.Unstructured) map[string]apiextensionsv1.CustomResourceDefinitionSpec {
			found := map[string]apiextensionsv1.CustomResourceDefinitionSpec{}
			for _, crd := range only[apiextensionsv1.CustomResourceDefinition](t, list, "CustomResourceDefinition") {
				found[crd.Name] = crd.Spec
			}
			return found
		}
		g.Expect(specs(fromConfig)).To(gomega.HaveLen(8))
		if d := cmp.Diff(specs(fromConfig), specs(fromChart)); d != "" {
			t.Errorf("config (-) and chart (+) differ:\n%s", d)
		}
		for _, crd := range only[apiextensionsv1.CustomResourceDefinition](t, fromChart, "CustomResourceDefinition") {
			g.Expect(crd.Annotations).To(gomega.HaveKeyWithValue("helm.sh/resource-policy", "keep"), crd.Name)
		}
	})
	t.Run("pod", func(t *testing.T) {
		g := gomega.NewWithT(t)
		for _, name := range []string{manager, hook} {
			a, b := deployment(t, fromConfig, name), deployment(t, fromChart, name)
			g.Expect(a.Spec.Replicas).To(gomega.Equal(b.Spec.Replicas))
			g.Expect(a.Spec.Strategy).To(gomega.Equal(b.Spec.Strategy))
			if name == manager {
				g.Expect(managerPod(t, a.Spec.Template.Spec)).To(gomega.Equal(managerPod(t, b.Spec.Template.Spec)), "what the flags mean")
			} else {
				g.Expect(webhookPod(t, a.Spec.Template.Spec)).To(gomega.Equal(webhookPod(t, b.Spec.Template.Spec)), "what the flags mean")
			}
			a.Spec.Template.Spec.Containers[0].Args, b.Spec.Template.Spec.Containers[0].Args = nil, nil
			b.Spec.Template.Spec.Containers[0].ImagePullPolicy = ""         // what the server sets, too
			for i := range b.Spec.Template.Spec.TopologySpreadConstraints { // as the selector
				delete(b.Spec.Template.Spec.TopologySpreadConstraints[i].LabelSelector.MatchLabels, "app.kubernetes.io/instance")
			}
			if d := cmp.Diff(a.Spec.Template.Spec, b.Spec.Template.Spec); d != "" {
				t.Errorf("config (-) and chart (+) differ:\n%s", d)
			}
		}
	})
	t.Run("webhook configuration", func(t *testing.T) {
		a, b := configuration(t, fromConfig), configuration(t, fromChart)
		if d := cmp.Diff(a.Webhooks, b.Webhooks); d != "" {
			t.Errorf("config (-) and chart (+) differ:\n%s", d)
		}
	})
	t.Run("services and secrets", func(t *testing.T) {
		g := gomega.NewWithT(t)
		for _, list := range [][]*unstructured.Unstructured{fromConfig, fromChart} {
			service := only[corev1.Service](t, list, "Service")[0]
			g.Expect(service.Name).To(gomega.Equal(hook))
			pod := deployment(t, list, hook).Spec.Template
			for name, value := range service.Spec.Selector {
				g.Expect(pod.Labels).To(gomega.HaveKeyWithValue(name, value))
			}
			g.Expect(deployment(t, list, manager).Spec.Template.Labels).NotTo(gomega.HaveKeyWithValue("app.kubernetes.io/component", "webhook"))
			ports := map[int32]string{}
			for _, port := range service.Spec.Ports {
				ports[port.Port] = port.TargetPort.StrVal
			}
			o := webhookPod(t, pod.Spec)
			leads, kept := map[int32]string{443: "https"}, []string{o.CertificateSecret}
			leases := only[coordinationv1.Lease](t, list, "Lease")
			if does.rings {
				leads[80], kept = "doorbell", append(kept, doorbell.Name)
				g.Expect(leases).To(gomega.ConsistOf(gomega.HaveField("Name", doorbell.Name)))
				g.Expect(leases[0].Namespace).To(gomega.Equal(namespace))
				g.Expect(leases[0].Annotations).To(gomega.BeEmpty(), "applying it again must not take rings away")
			} else {
				g.Expect(leases).To(gomega.BeEmpty(), "nobody listens")
			}
			g.Expect(o.DoorbellAddress != "0").To(gomega.Equal(does.rings))
			g.Expect(ports).To(gomega.Equal(leads))
			g.Expect(o.DNSNames).To(gomega.Equal([]string{service.Name + "." + service.Namespace + ".svc"}))
			if does.verifies {
				kept = append(kept, sealed.KeysName, signing.KeysName)
			}
			g.Expect(len(o.MFA.Namespaces) > 0).To(gomega.Equal(does.verifies))
			var secrets []string
			for _, secret := range only[corev1.Secret](t, list, "Secret") {
				secrets = append(secrets, secret.Name)
				g.Expect(secret.Namespace).To(gomega.Equal(namespace))
				g.Expect(secret.Data).To(gomega.BeEmpty(), "applying it again must not take certificate or keys away")
				if kind, ours := map[string]corev1.SecretType{sealed.KeysName: sealed.TypeKeys, signing.KeysName: signing.TypeKeys}[secret.Name]; ours {
					g.Expect(secret.Type).To(gomega.Equal(kind), secret.Name)
				}
			}
			g.Expect(secrets).To(gomega.ConsistOf(kept))
			g.Expect(configuration(t, list).Name).To(gomega.Equal(o.Configuration))
		}
	})
}

// configuration is the webhook configuration, checked for what must hold in
// every form of it.
func configuration(t *testing.T, list []*unstructured.Unstructured) *admissionregistrationv1.ValidatingWebhookConfiguration {
	t.Helper()
	g := gomega.NewWithT(t)
	found := only[admissionregistrationv1.ValidatingWebhookConfiguration](t, list, "ValidatingWebhookConfiguration")
	g.Expect(found).To(gomega.HaveLen(1))
	for _, w := range found[0].Webhooks {
		g.Expect(*w.SideEffects).To(gomega.BeElementOf(admissionregistrationv1.SideEffectClassNone, admissionregistrationv1.SideEffectClassNoneOnDryRun),
			"a dry run has none")
		g.Expect(w.TimeoutSeconds).To(gomega.HaveValue(gomega.BeNumerically("<=", 5)))
		g.Expect(w.ClientConfig.CABundle).To(gomega.BeEmpty(), "applying it again must not take the trust away")
		for _, r := range w.Rules {
			g.Expect(r.APIGroups).To(gomega.Equal([]string{v1alpha1.GroupVersion.Group}), "never asked about unrelated kinds")
			for _, resource := range r.Resources {
				g.Expect(resource).To(gomega.BeElementOf("securitypolicies", "zitadelconnections", "mfaresets", "mfaexemptions", "mfausers"))
			}
			if slices.Contains(r.Operations, admissionregistrationv1.Delete) {
				g.Expect(w.FailurePolicy).To(gomega.HaveValue(gomega.Equal(admissionregistrationv1.Ignore)), "%s: a deletion is never blocked", w.Name)
			}
		}
	}
	return found[0]
}

// rulesIn are the rules, bindings and aggregation labels of RBAC by kind and
// name.
func rulesIn(t *testing.T, list []*unstructured.Unstructured) map[string]any {
	t.Helper()
	found := map[string]any{}
	for _, obj := range list {
		if obj.GroupVersionKind().Group != rbacv1.GroupName {
			continue
		}
		labels := map[string]string{}
		for name, value := range obj.GetLabels() {
			if strings.HasPrefix(name, "rbac.authorization.k8s.io/") {
				labels[name] = value
			}
		}
		found[obj.GetKind()+" "+obj.GetNamespace()+"/"+obj.GetName()] = []any{
			labels, obj.Object["rules"], obj.Object["roleRef"], obj.Object["subjects"],
		}
	}
	if len(found) < 10 {
		t.Fatalf("only %d objects of RBAC", len(found))
	}
	return found
}

func deployment(t *testing.T, list []*unstructured.Unstructured, name string) *appsv1.Deployment {
	t.Helper()
	for _, d := range only[appsv1.Deployment](t, list, "Deployment") {
		if d.Name == name {
			return d
		}
	}
	t.Fatalf("there is no Deployment %s", name)
	return nil
}

// Every value does what it says, above all those that change security.
func TestChartValues(t *testing.T) {
	t.Parallel()
	digest := "sha256:" + strings.Repeat("0a", 32)
	flags := func(t *testing.T, list []*unstructured.Unstructured) options.Manager {
		return managerPod(t, deployment(t, list, manager).Spec.Template.Spec)
	}
	container := func(t *testing.T, list []*unstructured.Unstructured) corev1.Container {
		return deployment(t, list, manager).Spec.Template.Spec.Containers[0]
	}
	for name, c := range map[string]struct {
		args  []string
		check func(*testing.T, *gomega.WithT, []*unstructured.Unstructured)
	}{
		"defaults": {nil, func(t *testing.T, g *gomega.WithT, list []*unstructured.Unstructured) {
			o := flags(t, list)
			g.Expect(o.AllowInsecure).To(gomega.BeFalse(), "plain HTTP is asked for, never given")
			g.Expect(o.MetricsAddress).To(gomega.Equal("0"))
			g.Expect(o.Tracing.Endpoint).To(gomega.BeEmpty())
			g.Expect([]any{o.AuditStdout, o.AuditCloudEventsURL}).To(gomega.Equal([]any{false, ""}), "who signed in goes nowhere unasked")
			g.Expect(container(t, list).Image).To(gomega.Equal(container(t, kustomization(t, "default")).Image))
			policies := only[v1alpha1.SecurityPolicy](t, list, "SecurityPolicy")
			g.Expect(policies).To(gomega.ConsistOf(gomega.HaveField("Spec.Mode", v1alpha1.ModeAudit)), "it shows what MFA for everybody would change, and changes nothing")
			for _, kind := range []string{"NetworkPolicy", "HorizontalPodAutoscaler", "Certificate"} {
				g.Expect(list).NotTo(gomega.ContainElement(gomega.HaveField("Object", gomega.HaveKeyWithValue("kind", kind))))
			}
		}},
		"manager": {
			set(`manager={"logLevel":"debug","logFormat":"console","resync":"1h","probe":"90s","allowInsecure":true,"audit":{"stdout":true,"cloudEventsURL":"https://siem.example.com/in","cloudEventsTokenSecret":"siem"},"metrics":{"enabled":true,"port":9090}}`),
			func(t *testing.T, g *gomega.WithT, list []*unstructured.Unstructured) {
				o := flags(t, list)
				g.Expect([]any{o.LogLevel, o.LogFormat, o.Resync, o.Probe, o.AllowInsecure, o.AuditStdout, o.AuditCloudEventsURL, o.MetricsAddress}).To(
					gomega.Equal([]any{"debug", "console", time.Hour, 90 * time.Second, true, true, "https://siem.example.com/in", ":9090"}))
				g.Expect(container(t, list).Ports).To(gomega.ContainElement(gomega.HaveField("ContainerPort", int32(9090))))
				g.Expect(o.AuditCloudEventsTokenFile).To(gomega.Equal("/etc/mfa/audit/token"))
				g.Expect(container(t, list).VolumeMounts).To(gomega.ConsistOf(corev1.VolumeMount{Name: "audit", MountPath: "/etc/mfa/audit", ReadOnly: true}))
				g.Expect(deployment(t, list, manager).Spec.Template.Spec.Volumes).To(gomega.ConsistOf(
					gomega.And(gomega.HaveField("Name", "audit"), gomega.HaveField("Secret.SecretName", "siem"))))
			},
		},
		"traces": {
			set(`tracing={"endpoint":"http://collector.observability:4317","sampling":0.05}`),
			func(t *testing.T, g *gomega.WithT, list []*unstructured.Unstructured) {
				want := options.Tracing{Endpoint: "http://collector.observability:4317", Sampling: 0.05}
				g.Expect(flags(t, list).Tracing).To(gomega.Equal(want))
				g.Expect(webhookPod(t, deployment(t, list, hook).Spec.Template.Spec).Tracing).To(gomega.Equal(want))
			},
		},
		"image digest": {
			set(`image={"repository":"registry.example.com/mfa","tag":"1","digest":"`+digest+`","pullPolicy":"Always"}`, `imagePullSecrets=[{"name":"pull"}]`),
			func(t *testing.T, g *gomega.WithT, list []*unstructured.Unstructured) {
				g.Expect(container(t, list).Image).To(gomega.Equal("registry.example.com/mfa@" + digest))
				g.Expect(container(t, list).ImagePullPolicy).To(gomega.Equal(corev1.PullAlways))
				g.Expect(deployment(t, list, manager).Spec.Template.Spec.ImagePullSecrets).To(gomega.Equal([]corev1.LocalObjectReference{{Name: "pull"}}))
			},
		},
		"image tag": {set(`image.tag="1.2.3"`), func(t *testing.T, g *gomega.WithT, list []*unstructured.Unstructured) {
			g.Expect(container(t, list).Image).To(gomega.HaveSuffix(":1.2.3"))
		}},
		"own service account": {
			set(`serviceAccount={"create":false,"name":"mine"}`),
			func(t *testing.T, g *gomega.WithT, list []*unstructured.Unstructured) {
				accounts := only[corev1.ServiceAccount](t, list, "ServiceAccount")
				g.Expect(accounts).To(gomega.HaveLen(1))
				g.Expect(accounts[0].Name).To(gomega.Equal(hook))
				g.Expect(deployment(t, list, manager).Spec.Template.Spec.ServiceAccountName).To(gomega.Equal("mine"))
				bound := map[string][]rbacv1.Subject{}
				for _, b := range only[rbacv1.RoleBinding](t, list, "RoleBinding") {
					bound["Role "+b.Name] = b.Subjects
				}
				for _, b := range only[rbacv1.ClusterRoleBinding](t, list, "ClusterRoleBinding") {
					bound["ClusterRole "+b.Name] = b.Subjects
				}
				account := func(name string) []rbacv1.Subject {
					return []rbacv1.Subject{{Kind: "ServiceAccount", Name: name, Namespace: namespace}}
				}
				g.Expect(bound).To(gomega.Equal(map[string][]rbacv1.Subject{
					"Role " + manager: account("mine"), "ClusterRole " + manager: account("mine"), "Role mfa-operator-leader-election": account("mine"),
					"Role " + hook: account(hook), "ClusterRole " + hook: account(hook),
				}))
			},
		},
		"service account annotations": {
			set(`serviceAccount.annotations={"example.com/role":"x"}`),
			func(t *testing.T, g *gomega.WithT, list []*unstructured.Unstructured) {
				g.Expect(only[corev1.ServiceAccount](t, list, "ServiceAccount")[0].Annotations).To(gomega.HaveKeyWithValue("example.com/role", "x"))
			},
		},
		"no roles for people": {set(`userRoles.create=false`), func(t *testing.T, g *gomega.WithT, list []*unstructured.Unstructured) {
			roles := only[rbacv1.ClusterRole](t, list, "ClusterRole")
			g.Expect(roles).To(gomega.ConsistOf(
				gomega.HaveField("Name", manager), gomega.HaveField("Name", hook), gomega.HaveField("Name", manager+"-credentials")))
		}},
		"no webhook": {set(`webhook.enabled=false`), func(_ *testing.T, g *gomega.WithT, list []*unstructured.Unstructured) {
			for _, obj := range list {
				if obj.GetKind() != "CustomResourceDefinition" {
					g.Expect(obj.GetName()).NotTo(gomega.ContainSubstring("webhook"), obj.GetKind())
					g.Expect(obj.GetKind()).NotTo(gomega.BeElementOf("ValidatingWebhookConfiguration", "Service", "Secret"))
				}
			}
		}},
		"webhook": {
			set(`webhook={"replicas":3,"failurePolicy":"Ignore","logLevel":"debug","logFormat":"console","metrics":{"enabled":true,"port":9090},"serviceAccount":{"create":false,"name":"theirs"},"resources":{"limits":{"memory":"1Gi"}}}`,
				`podLabels={"a":"b","app.kubernetes.io/component":"manager"}`),
			func(t *testing.T, g *gomega.WithT, list []*unstructured.Unstructured) {
				d := deployment(t, list, hook)
				o := webhookPod(t, d.Spec.Template.Spec)
				g.Expect(d.Spec.Replicas).To(gomega.HaveValue(gomega.Equal(int32(3))))
				g.Expect([]string{o.LogLevel, o.LogFormat, o.MetricsAddress}).To(gomega.Equal([]string{"debug", "console", ":9090"}))
				g.Expect(d.Spec.Template.Labels).To(gomega.HaveKeyWithValue("a", "b"))
				g.Expect(d.Spec.Template.Labels).To(gomega.HaveKeyWithValue("app.kubernetes.io/component", "webhook"), "the selector's labels win")
				g.Expect(d.Spec.Template.Spec.ServiceAccountName).To(gomega.Equal("theirs"))
				g.Expect(only[corev1.ServiceAccount](t, list, "ServiceAccount")).To(gomega.HaveLen(1))
				for _, w := range configuration(t, list).Webhooks {
					g.Expect(w.FailurePolicy).To(gomega.HaveValue(gomega.Equal(admissionregistrationv1.Ignore)), w.Name)
				}
				g.Expect(d.Spec.Template.Spec.Containers[0].Resources.Limits.Memory().String()).To(gomega.Equal("1Gi"))
			},
		},
		"local users": {
			set(`localUsers={"namespaces":["shop","blog"],"issuer":"https://mfa.example.com","page":{"publicURL":"https://mfa.example.com","proxies":["10.0.0.0/8"]},"webauthn":{"rpID":"example.com","rpName":"Example","origins":["https://login.example.com"],"metadata":{"file":"blob.jwt","volume":{"persistentVolumeClaim":{"claimName":"fido"}}}},`+
				`"email":{"host":"smtp.example.com","port":2465,"tls":"Implicit","from":"ACME, sign-in <no-reply@example.com>","subject":"Your code","secretName":"smtp","customCA":true},`+
				`"sms":{"url":"https://sms.example.com/send","prefixes":["+49","+43"],"secretName":"gateway","token":true,"customCA":true}}`,
				`webhook.serviceAccount={"create":false,"name":"theirs"}`),
			func(t *testing.T, g *gomega.WithT, list []*unstructured.Unstructured) {
				email := options.Email{
					Host: "smtp.example.com", Port: 2465, TLS: "Implicit", CAFile: "/etc/mfa/email/ca.crt",
					UsernameFile: "/etc/mfa/email/username", PasswordFile: "/etc/mfa/email/password",
					From: "ACME, sign-in <no-reply@example.com>",
				}
				g.Expect(flags(t, list).Email).To(gomega.Equal(email), "the manager tells of resets")
				g.Expect(container(t, list).VolumeMounts).To(gomega.ConsistOf(corev1.VolumeMount{Name: "email", MountPath: "/etc/mfa/email", ReadOnly: true}))
				g.Expect(deployment(t, list, manager).Spec.Template.Spec.Volumes).To(gomega.ConsistOf(
					gomega.And(gomega.HaveField("Name", "email"), gomega.HaveField("Secret.SecretName", "smtp"))))
				email.Subject = "Your code" // and sends none
				pod := deployment(t, list, hook).Spec.Template.Spec
				g.Expect(webhookPod(t, pod).MFA).To(gomega.And(
					gomega.HaveField("Namespaces", []string{"shop", "blog"}), gomega.HaveField("Issuer", "https://mfa.example.com"),
					gomega.HaveField("RelyingPartyID", "example.com"), gomega.HaveField("RelyingPartyName", "Example"),
					gomega.HaveField("Origins", []string{"https://login.example.com", "https://mfa.example.com"}),
					gomega.HaveField("FIDOMetadataFile", "/etc/mfa/fido/blob.jwt"),
					gomega.HaveField("PublicURL", "https://mfa.example.com"),
					gomega.HaveField("PageProxies", []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}),
					gomega.HaveField("Email", email),
					gomega.HaveField("SMS", options.SMS{
						URL: "https://sms.example.com/send", SigningKeyFile: "/etc/mfa/sms/signing-key", TokenFile: "/etc/mfa/sms/token",
						CAFile: "/etc/mfa/sms/ca.crt", Prefixes: []string{"+49", "+43"},
					}),
				))
				g.Expect(pod.Containers[0].VolumeMounts).To(gomega.ConsistOf(
					corev1.VolumeMount{Name: "email", MountPath: "/etc/mfa/email", ReadOnly: true},
					corev1.VolumeMount{Name: "sms", MountPath: "/etc/mfa/sms", ReadOnly: true},
					corev1.VolumeMount{Name: "fido", MountPath: "/etc/mfa/fido", ReadOnly: true},
				))
				g.Expect(pod.Volumes).To(gomega.ConsistOf(
					gomega.And(gomega.HaveField("Name", "email"), gomega.HaveField("Secret.SecretName", "smtp")),
					gomega.And(gomega.HaveField("Name", "sms"), gomega.HaveField("Secret.SecretName", "gateway")),
					gomega.And(gomega.HaveField("Name", "fido"), gomega.HaveField("PersistentVolumeClaim.ClaimName", "fido")),
				))
				for _, s := range only[corev1.Secret](t, list, "Secret") {
					if s.Name == sealed.KeysName || s.Name == signing.KeysName {
						g.Expect(s.Annotations).To(gomega.HaveKeyWithValue("helm.sh/resource-policy", "keep"), "without the keys nobody's factors open any more")
					}
				}
				bound := map[string][]rbacv1.Subject{}
				for _, b := range only[rbacv1.RoleBinding](t, list, "RoleBinding") {
					if b.RoleRef.Name == "mfa-operator-credentials" {
						bound[b.Namespace] = b.Subjects
					}
				}
				theirs := []rbacv1.Subject{{Kind: "ServiceAccount", Name: "theirs", Namespace: namespace}}
				g.Expect(bound).To(gomega.Equal(map[string][]rbacv1.Subject{"shop": theirs, "blog": theirs}), "there and nowhere else")
				for _, b := range only[rbacv1.ClusterRoleBinding](t, list, "ClusterRoleBinding") {
					g.Expect(b.RoleRef.Name).NotTo(gomega.Equal("mfa-operator-credentials"))
				}
				for _, p := range only[admissionregistrationv1.ValidatingAdmissionPolicy](t, list, "ValidatingAdmissionPolicy") {
					for _, v := range p.Spec.Variables {
						if v.Name == "operator" {
							g.Expect(v.Expression).To(gomega.ContainSubstring(`"system:serviceaccount:`+namespace+`:theirs"`), "who verifies writes ledgers")
						}
					}
				}
			},
		},
		"e-mails to nobody": {
			set(`localUsers.email={"host":"smtp.example.com","from":"no-reply@example.com","secretName":"smtp"}`),
			func(t *testing.T, g *gomega.WithT, list []*unstructured.Unstructured) {
				for _, name := range []string{manager, hook} {
					pod := deployment(t, list, name).Spec.Template.Spec
					g.Expect(pod.Containers[0].Args).NotTo(gomega.ContainElement(gomega.ContainSubstring("smtp")), name)
					g.Expect(pod.Volumes).To(gomega.BeEmpty(), "%s holds no password it has no use for", name)
				}
			},
		},
		"NeoSC's API": {
			set(`neosc.namespace="policies"`, `webhook.serviceAccount={"create":false,"name":"theirs"}`),
			func(t *testing.T, g *gomega.WithT, list []*unstructured.Unstructured) {
				g.Expect(webhookPod(t, deployment(t, list, hook).Spec.Template.Spec).NeoSCNamespace).To(gomega.Equal("policies"))
				bound := map[string][]rbacv1.Subject{}
				for _, b := range only[rbacv1.RoleBinding](t, list, "RoleBinding") {
					if strings.Contains(b.RoleRef.Name, "neosc") {
						bound[b.RoleRef.Name+" in "+b.Namespace] = b.Subjects
					}
				}
				theirs := []rbacv1.Subject{{Kind: "ServiceAccount", Name: "theirs", Namespace: namespace}}
				g.Expect(bound).To(gomega.Equal(map[string][]rbacv1.Subject{
					"mfa-operator-neosc-policies in policies": theirs, "mfa-operator-webhook-neosc in " + namespace: theirs,
				}), "there and nowhere else")
				for _, r := range only[rbacv1.Role](t, list, "Role") {
					if r.Name == "mfa-operator-webhook-neosc" {
						g.Expect(r.Rules).To(gomega.ConsistOf(gomega.HaveField("ResourceNames", []string{"theirs"})), "it may be itself, and nobody else")
					}
				}
			},
		},
		"no CRDs": {set(`crds.install=false`), func(t *testing.T, g *gomega.WithT, list []*unstructured.Unstructured) {
			g.Expect(only[apiextensionsv1.CustomResourceDefinition](t, list, "CustomResourceDefinition")).To(gomega.BeEmpty())
		}},
		"pod": {
			set(`replicas=2`, `podLabels={"a":"b","app.kubernetes.io/name":"other"}`, `podAnnotations={"c":"d"}`, `nodeSelector={"e":"f"}`,
				`tolerations=[{"operator":"Exists"}]`, `affinity={"nodeAffinity":{}}`, `priorityClassName="high"`, `resources.limits.memory="1Gi"`),
			func(t *testing.T, g *gomega.WithT, list []*unstructured.Unstructured) {
				d := deployment(t, list, manager)
				managerPod(t, d.Spec.Template.Spec)
				g.Expect(d.Spec.Replicas).To(gomega.HaveValue(gomega.Equal(int32(2))))
				g.Expect(d.Spec.Template.Labels).To(gomega.HaveKeyWithValue("a", "b"))
				for name, value := range d.Spec.Selector.MatchLabels {
					g.Expect(d.Spec.Template.Labels).To(gomega.HaveKeyWithValue(name, value), "the selector's labels win")
				}
				g.Expect(d.Spec.Template.Annotations).To(gomega.HaveKeyWithValue("c", "d"))
				pod := d.Spec.Template.Spec
				g.Expect(pod.NodeSelector).To(gomega.Equal(map[string]string{"e": "f"}))
				g.Expect(pod.Tolerations).To(gomega.HaveLen(1))
				g.Expect(pod.Affinity.NodeAffinity).NotTo(gomega.BeNil())
				g.Expect(pod.PriorityClassName).To(gomega.Equal("high"))
				g.Expect(pod.Containers[0].Resources.Limits.Memory().String()).To(gomega.Equal("1Gi"))
			},
		},
		"no default policy": {set(`defaultPolicy.enabled=false`), func(t *testing.T, g *gomega.WithT, list []*unstructured.Unstructured) {
			g.Expect(only[v1alpha1.SecurityPolicy](t, list, "SecurityPolicy")).To(gomega.BeEmpty())
		}},
		"default policy with its CRDs": {nil, func(t *testing.T, g *gomega.WithT, list []*unstructured.Unstructured) {
			g.Expect(only[v1alpha1.SecurityPolicy](t, list, "SecurityPolicy")[0].Annotations).To(gomega.Equal(map[string]string{
				"helm.sh/hook": "post-install,post-upgrade", "helm.sh/hook-delete-policy": "hook-failed", "helm.sh/resource-policy": "keep",
				"meta.helm.sh/release-name": release, "meta.helm.sh/release-namespace": namespace,
			}), "after the CRDs, never deleted, and found again by the next release")
		}},
		"default policy, CRDs from elsewhere": {set(`crds.install=false`), func(t *testing.T, g *gomega.WithT, list []*unstructured.Unstructured) {
			g.Expect(only[v1alpha1.SecurityPolicy](t, list, "SecurityPolicy")[0].Annotations).NotTo(gomega.HaveKey("helm.sh/hook"))
		}},
		"default policy in force": {set(`defaultPolicy.mode="Enforce"`), func(t *testing.T, g *gomega.WithT, list []*unstructured.Unstructured) {
			g.Expect(only[v1alpha1.SecurityPolicy](t, list, "SecurityPolicy")).To(gomega.ConsistOf(gomega.HaveField("Spec.Mode", v1alpha1.ModeEnforce)))
		}},
		"default policy": {
			append(set(`defaultPolicy={"enabled":true,"connection":"other"}`), "--api-versions", "security.neosc.io/v1alpha1/SecurityPolicy"),
			func(t *testing.T, g *gomega.WithT, list []*unstructured.Unstructured) {
				found := only[v1alpha1.SecurityPolicy](t, list, "SecurityPolicy")
				g.Expect(found).To(gomega.HaveLen(1))
				sample := only[v1alpha1.SecurityPolicy](t, objects(t, read(t, "config/samples/securitypolicy_pol-mfa-required.yaml")), "SecurityPolicy")[0]
				sample.Spec.Mode = v1alpha1.ModeAudit // by default it writes nothing
				sample.Spec.Targets.Zitadel[0].Connection = "other"
				g.Expect(found[0].Name).To(gomega.Equal(sample.Name))
				g.Expect(found[0].Spec).To(gomega.Equal(sample.Spec))
				g.Expect(found[0].Annotations).To(gomega.Equal(map[string]string{"helm.sh/resource-policy": "keep"}))
			},
		},
		"disruptions": {nil, func(t *testing.T, g *gomega.WithT, list []*unstructured.Unstructured) {
			budget := only[policyv1.PodDisruptionBudget](t, list, "PodDisruptionBudget")
			g.Expect(budget).To(gomega.HaveLen(1))
			g.Expect(budget[0].Spec.MaxUnavailable.IntValue()).To(gomega.Equal(1), "one by one, and one alone does not keep its node")
			pod := deployment(t, list, hook).Spec.Template
			g.Expect(budget[0].Spec.Selector.MatchLabels).To(gomega.Equal(deployment(t, list, hook).Spec.Selector.MatchLabels))
			g.Expect(pod.Spec.TopologySpreadConstraints).To(gomega.ConsistOf(
				gomega.HaveField("WhenUnsatisfiable", corev1.ScheduleAnyway)), "both run where there is one node only")
		}},
		"autoscaling": {
			set(`webhook.autoscaling={"enabled":true,"minReplicas":3,"maxReplicas":9,"averageCPU":"2"}`),
			func(t *testing.T, g *gomega.WithT, list []*unstructured.Unstructured) {
				g.Expect(deployment(t, list, hook).Spec.Replicas).To(gomega.BeNil(), "an upgrade must not undo what was scaled")
				scaler := only[autoscalingv2.HorizontalPodAutoscaler](t, list, "HorizontalPodAutoscaler")[0].Spec
				g.Expect([]any{scaler.ScaleTargetRef.Name, *scaler.MinReplicas, scaler.MaxReplicas, scaler.Metrics[0].Resource.Target.AverageValue.String()}).To(
					gomega.Equal([]any{hook, int32(3), int32(9), "2"}))
			},
		},
		"certificates from cert-manager": {
			set(`webhook.certificates.certManager={"enabled":true,"issuerRef":{"kind":"ClusterIssuer","name":"internal"}}`),
			func(t *testing.T, g *gomega.WithT, list []*unstructured.Unstructured) {
				o := webhookPod(t, deployment(t, list, hook).Spec.Template.Spec)
				g.Expect(o.CertificateProvided).To(gomega.BeTrue())
				g.Expect(only[corev1.Secret](t, list, "Secret")).To(gomega.BeEmpty(), "two would keep it")
				g.Expect(configuration(t, list).Annotations).To(gomega.HaveKeyWithValue("cert-manager.io/inject-ca-from", namespace+"/"+hook))
				certificate := list[slices.IndexFunc(list, func(obj *unstructured.Unstructured) bool { return obj.GetKind() == "Certificate" })]
				g.Expect(certificate.GetName()).To(gomega.Equal(hook))
				g.Expect(certificate.Object["spec"]).To(gomega.Equal(map[string]any{
					"secretName": o.CertificateSecret, "dnsNames": []any{o.DNSNames[0]}, "usages": []any{"server auth"},
					"privateKey": map[string]any{"rotationPolicy": "Always"}, "issuerRef": map[string]any{"kind": "ClusterIssuer", "name": "internal"},
				}))
				for _, kind := range []string{"Role", "ClusterRole"} {
					for _, role := range only[rbacv1.ClusterRole](t, list, kind) {
						if role.Name != hook {
							continue
						}
						for _, rule := range role.Rules {
							g.Expect(rule.Verbs).NotTo(gomega.ContainElement("update"), "%s %s: %v", kind, role.Name, rule.ResourceNames)
						}
					}
				}
			},
		},
		"network policies": {
			set(`networkPolicy={"enabled":true,"metricsFrom":[{"podSelector":{"matchLabels":{"a":"b"}}}]}`, `manager.metrics.enabled=true`,
				`webhook.metrics.enabled=true`, `webhook.doorbell.enabled=true`),
			func(t *testing.T, g *gomega.WithT, list []*unstructured.Unstructured) {
				g.Expect(letIn(t, list, hook)).To(gomega.Equal(map[string]int{"https": 0, "doorbell": 0, "metrics": 1}))
				g.Expect(letIn(t, list, manager)).To(gomega.Equal(map[string]int{"metrics": 1}))
			},
		},
		"network policies, nobody reads metrics": {
			set(`networkPolicy={"enabled":true,"doorbellFrom":[{"podSelector":{}}]}`, `manager.metrics.enabled=true`,
				`webhook.metrics.enabled=true`, `webhook.doorbell.enabled=true`),
			func(t *testing.T, g *gomega.WithT, list []*unstructured.Unstructured) {
				g.Expect(letIn(t, list, hook)).To(gomega.Equal(map[string]int{"https": 0, "doorbell": 1}))
				g.Expect(letIn(t, list, manager)).To(gomega.BeEmpty(), "nobody has business there")
			},
		},
		"extra manifests": {
			set(`extraManifests=["apiVersion: v1\nkind: ConfigMap\nmetadata: {name: {{ .Release.Name }}-text}",{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"{{ .Release.Name }}-yaml"}}]`),
			func(t *testing.T, g *gomega.WithT, list []*unstructured.Unstructured) {
				g.Expect(only[corev1.ConfigMap](t, list, "ConfigMap")).To(gomega.ConsistOf(
					gomega.HaveField("Name", release+"-text"), gomega.HaveField("Name", release+"-yaml")))
			},
		},
		"another namespace": {
			[]string{"--namespace", "elsewhere"},
			func(_ *testing.T, g *gomega.WithT, list []*unstructured.Unstructured) {
				for _, obj := range list {
					g.Expect(mentions(obj.Object, namespace)).To(gomega.BeFalse(), "%s %s is tied to %s", obj.GetKind(), obj.GetName(), namespace)
				}
			},
		},
	} {
		t.Run(name, func(t *testing.T) { c.check(t, gomega.NewWithT(t), rendered(t, c.args...)) })
	}
}

// letIn is how many peers may reach each port of a Deployment's Pods; 0 is everybody.
func letIn(t *testing.T, list []*unstructured.Unstructured, name string) map[string]int {
	t.Helper()
	g := gomega.NewWithT(t)
	found := map[string]int{}
	for _, policy := range only[networkingv1.NetworkPolicy](t, list, "NetworkPolicy") {
		if policy.Name != name {
			continue
		}
		g.Expect(policy.Spec.PodSelector).To(gomega.Equal(*deployment(t, list, name).Spec.Selector))
		g.Expect(policy.Spec.PolicyTypes).To(gomega.Equal([]networkingv1.PolicyType{networkingv1.PolicyTypeIngress}))
		for _, rule := range policy.Spec.Ingress {
			for _, port := range rule.Ports {
				found[port.Port.StrVal] = len(rule.From)
				portOf(deployment(t, list, name).Spec.Template.Spec.Containers[0], port.Port.StrVal) // panics if there is none
			}
		}
	}
	return found
}

// Another release name gives other names that still refer to each other. Only
// what both programs look for by its name keeps it.
func TestChartUnderAnotherName(t *testing.T) {
	t.Parallel()
	g := gomega.NewWithT(t)
	args := append([]string{"template", "security", chart, "--namespace", "elsewhere"}, set(`webhook.doorbell.enabled=true`)...)
	list := objects(t, output(t, tool(t, "helm"), args...))
	names := map[string]bool{}
	for _, obj := range list {
		if obj.GetKind() != "CustomResourceDefinition" && obj.GetName() != doorbell.Name && obj.GetKind() != "SecurityPolicy" {
			g.Expect(obj.GetName()).To(gomega.HavePrefix("security-mfa-operator-"), obj.GetKind())
		}
		names[obj.GetKind()+" "+obj.GetName()] = true
	}
	g.Expect(names).To(gomega.HaveKey("Secret " + doorbell.Name))
	g.Expect(names).To(gomega.HaveKey("Lease " + doorbell.Name))
	for _, b := range only[rbacv1.RoleBinding](t, list, "RoleBinding") {
		g.Expect(names).To(gomega.HaveKey(b.RoleRef.Kind + " " + b.RoleRef.Name))
		g.Expect(names).To(gomega.HaveKey("ServiceAccount " + b.Subjects[0].Name))
	}
}

func TestChartRefusesWrongValues(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ value, names, why string }{
		{`replicas="many"`, "/replicas", "not a number"},
		{`replica=1`, "replica", "a typing error must not be ignored"},
		{`manager.logLevel="verbose"`, "/manager/logLevel", "not a word of the manager's"},
		{`manager.logLevl="info"`, "logLevl", "a typing error"},
		{`manager.allowInsecure="false"`, "/manager/allowInsecure", "a string would count as true"},
		{`manager.resync="0s"`, "/manager/resync", "the manager would refuse to start"},
		{`manager.resync="500ms"`, "/manager/resync", "below a second"},
		{`manager.resync=300`, "/manager/resync", "no unit"},
		{`manager.audit.cloudEventsURL="http://siem.example.com"`, "/manager/audit/cloudEventsURL", "who signed in would cross the network for all to read"},
		{`manager.audit.cloudEventsTokenSecret="siem"`, "/manager/audit/cloudEventsURL", "a token for nobody"},
		{`monitoring.podMonitor.enabled=true`, "manager.metrics.enabled", "nothing would be scraped"},
		{`monitoring.podMonitor.interval="often"`, "/monitoring/podMonitor/interval", "no pause"},
		{`monitoring.serviceMonitor.enabled=true`, "serviceMonitor", "there is no such choice: no Service leads to metrics"},
		{`manager.metrics.port=8081`, "/manager/metrics/port", "taken by the probes"},
		{`tracing.endpoint="collector:4317"`, "/tracing/endpoint", "no URL: with TLS or without?"},
		{`tracing.endpoint="http://collector:4318/v1/traces"`, "/tracing/endpoint", "gRPC has no path: that is OTLP over HTTP"},
		{`tracing.endpoint="http://user:secret@collector:4317"`, "/tracing/endpoint", "a password among the arguments"},
		{`tracing.sampling=5`, "/tracing/sampling", "a part, not a percentage"},
		{`tracing.samplig=1`, "samplig", "a typing error"},
		{`webhook.failurePolicy="Warn"`, "/webhook/failurePolicy", "not a word of Kubernetes'"},
		{`webhook={"enabled":false,"doorbell":{"enabled":true}}`, "/webhook/doorbell/enabled", "nobody would hear it"},
		{`webhook.metrics.port=9080`, "/webhook/metrics/port", "taken by doorbells"},
		{`localUsers.namespaces=["*"]`, "/localUsers/namespaces/0", "the right to every Secret of the cluster is not given here"},
		{`localUsers.namespaces=["default"]`, "localUsers.namespaces", "the release's own: the webhook could read the credentials for Zitadel"},
		{`localUsers.namespace=["shop"]`, "namespace", "a typing error"},
		{`localUsers.issuer="http://mfa.example.com"`, "/localUsers/issuer", "the webhook would refuse to start"},
		{`localUsers.page.publicURL="http://mfa.example.com"`, "/localUsers/page/publicURL", "links would be read on the way"},
		{`localUsers.page.proxies=["10.0.0.1"]`, "/localUsers/page/proxies/0", "the webhook would refuse to start"},
		{`localUsers.webauthn={"origins":["https://example.com"]}`, "/localUsers/webauthn/origins", "origins of no relying party"},
		{`localUsers.webauthn={"rpID":"example.com","origins":["https://example.com/login"]}`, "/localUsers/webauthn/origins/0", "no origin has a path"},
		{`localUsers.webauthn.metadata.file="blob.jwt"`, "/localUsers/webauthn/metadata/volume", "a file that is nowhere"},
		{`localUsers.email={"host":"smtp.example.com"}`, "/localUsers/email/from", "codes need a sender"},
		{`localUsers.email.tls="None"`, "/localUsers/email/tls", "codes in clear"},
		{`localUsers.sms={"url":"https://sms.example.com"}`, "/localUsers/sms", "anybody could make the gateway call anywhere"},
		{`localUsers.sms.url="http://sms.example.com"`, "/localUsers/sms/url", "codes in clear"},
		{`{"webhook":{"enabled":false},"localUsers":{"namespaces":["shop"]}}`, "/localUsers/namespaces", "nobody would verify"},
		{`{"webhook":{"enabled":false},"neosc":{"namespace":"default"}}`, "/neosc/namespace", "nobody would answer"},
		{`neosc.namespace="*"`, "/neosc/namespace", "one namespace, and no other"},
		{`webhook.replicas=0`, "/webhook/replicas", "nobody would answer, and every change be refused"},
		{`webhook.metrics.port=9443`, "/webhook/metrics/port", "taken by the webhook"},
		{`webhook.serviceAccount.create=false`, "/webhook/serviceAccount", "would give the rights to the namespace's default account"},
		{`image.digest="latest"`, "/image/digest", "not a digest"},
		{`image.repository=""`, "/image/repository", "no image"},
		{`serviceAccount.create=false`, "/serviceAccount", "would give the rights to the namespace's default account"},
		{`defaultPolicy.mode="Off"`, "/defaultPolicy/mode", "not a mode"},
		{`defaultPolicy.connection=""`, "/defaultPolicy/connection", "no connection"},
		{`crds.keep=false`, "keep", "there is no such choice"},
		{`podLabels={"a":1}`, "/podLabels", "labels are strings"},
		{`webhook.autoscaling={"enabled":true,"minReplicas":5,"maxReplicas":2}`, "webhook.autoscaling.maxReplicas", "less than the least"},
		{`webhook.autoscaling.averageCPU="80%"`, "/webhook/autoscaling/averageCPU", "no quantity"},
		{`webhook.certificates.certManager.enabled=true`, "/webhook/certificates/certManager/issuerRef", "nobody would make the certificate"},
		{`webhook.certificates.certManager.issuerRef={"nam":"x"}`, "/webhook/certificates/certManager/issuerRef", "a typing error"},
		{`networkPolicy.metricsFrom=[{}]`, "/networkPolicy/metricsFrom/0", "an empty peer"},
		{`networkPolicy.enable=true`, "enable", "a typing error that would leave everything open"},
		{`extraManifests={"kind":"ConfigMap"}`, "/extraManifests", "not a list"},
	} {
		t.Run(c.value, func(t *testing.T) {
			t.Parallel()
			g := gomega.NewWithT(t)
			args := append([]string{"template", release, chart}, set(c.value)...)
			_, stderr, err := run(t, nil, "", tool(t, "helm"), args...)
			g.Expect(err).To(gomega.HaveOccurred(), c.why)
			g.Expect(stderr).To(gomega.ContainSubstring(c.names), c.why)
		})
	}
}

// values.yaml, its schema and the README name the same values.
func TestChartValuesAreDocumented(t *testing.T) {
	t.Parallel()
	g := gomega.NewWithT(t)
	var values map[string]any
	g.Expect(yaml.Unmarshal([]byte(read(t, chart+"/values.yaml")), &values)).To(gomega.Succeed())
	type schema struct {
		Properties map[string]*schema `json:"properties"`
	}
	var described schema
	g.Expect(json.Unmarshal([]byte(read(t, chart+"/values.schema.json")), &described)).To(gomega.Succeed())

	var fromValues, fromSchema, fromReadme []string
	var walkValues func(string, map[string]any)
	walkValues = func(prefix string, in map[string]any) {
		for name, value := range in {
			if below, ok := value.(map[string]any); ok && len(below) > 0 && name != "resources" {
				walkValues(prefix+name+".", below)
				continue
			}
			fromValues = append(fromValues, prefix+name)
		}
	}
	walkValues("", values)
	var walkSchema func(string, *schema)
	walkSchema = func(prefix string, in *schema) {
		for name, value := range in.Properties {
			switch {
			case len(value.Properties) > 0 && name != "resources":
				walkSchema(prefix+name+".", value)
			case name != "global": // Helm's own
				fromSchema = append(fromSchema, prefix+name)
			}
		}
	}
	walkSchema("", &described)
	for line := range strings.Lines(read(t, chart+"/README.md")) {
		if cells := strings.Split(line, "|"); len(cells) > 3 && strings.HasPrefix(cells[1], " `") {
			name := strings.Trim(cells[1], " `")
			fromReadme = append(fromReadme, name)
			if shown := strings.TrimSpace(cells[2]); strings.HasPrefix(shown, "`") {
				g.Expect(shown).To(gomega.Equal("`"+defaultOf(t, values, name)+"`"), "README.md, default of %s", name)
			}
		}
	}
	for _, list := range [][]string{fromValues, fromSchema, fromReadme} {
		slices.Sort(list)
	}
	g.Expect(fromSchema).To(gomega.Equal(fromValues), "values.schema.json")
	g.Expect(fromReadme).To(gomega.Equal(fromValues), "README.md")
}

func defaultOf(t *testing.T, values map[string]any, name string) string {
	t.Helper()
	parent, last := values, name
	for {
		first, rest, nested := strings.Cut(last, ".")
		if !nested {
			break
		}
		below, ok := parent[first].(map[string]any)
		if !ok {
			t.Fatalf("README.md: there is no value %s", name)
		}
		parent, last = below, rest
	}
	switch value := parent[last].(type) {
	case string:
		if value == "" {
			return `""`
		}
		return value
	case map[string]any:
		return "{}"
	default:
		return fmt.Sprint(value)
	}
}
