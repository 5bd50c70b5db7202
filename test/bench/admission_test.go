package bench

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/go-logr/logr"
	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/controlplane"
	"github.com/neosc/mfa-operator/internal/idp"
	"github.com/neosc/mfa-operator/internal/policy"
	"github.com/neosc/mfa-operator/test/harness"
	"github.com/neosc/mfa-operator/webhook"
	"github.com/neosc/mfa-operator/webhook/admission"
)

// The cluster of BenchmarkAdmission: 330 organizations with three overlapping
// policies each, ten policies at the instance above them, 100,000 users.
const (
	admissionOrganizations = 330
	admissionPerInstance   = 10
	admissionUsers         = 100_000
	admissionRequests      = 2000
)

// BenchmarkAdmission asks the running webhook about policies over HTTPS, as the
// API server does, with 1,000 policies in its cache. Of each kind of request:
//
//	p50-µs, p99-µs  from the first byte sent to the last received
//	of-hello        p50 as a multiple of what a handler costs on the same TLS
//	                stack that reads the request and answers hello
//
// The promise is p99 below 10 ms.
func BenchmarkAdmission(b *testing.B) {
	running, certificate := admissionCluster(b)
	hello := startHello(b, certificate)
	for _, one := range []struct {
		name   string
		target v1alpha1.ZitadelTarget
		dryRun bool
	}{
		{"organization", organizationTarget(7), false},
		{"organization dry run", organizationTarget(7), true},
		{"instance", v1alpha1.ZitadelTarget{Connection: "default", Scope: v1alpha1.ScopeInstance}, false},
		{"instance dry run", v1alpha1.ZitadelTarget{Connection: "default", Scope: v1alpha1.ScopeInstance}, true},
	} {
		b.Run(one.name, func(b *testing.B) {
			body := reviewOf(b, one.target, one.dryRun)
			for b.Loop() {
				floor := latencies(b, hello, body, func(answer []byte) bool { return string(answer) == "hello" })
				took := latencies(b, running.URL+admission.PathSecurityPolicies, body, answered)
				b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
				b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
				b.ReportMetric(float64(took[len(took)/2])/float64(floor[len(floor)/2]), "of-hello")
			}
		})
	}
}

func answered(answer []byte) bool {
	var review admissionv1.AdmissionReview
	return json.Unmarshal(answer, &review) == nil && review.Response.Allowed && len(review.Response.Warnings) > 0
}

// latencies sends the body again and again, and returns how long each took,
// sorted.
func latencies(b *testing.B, url string, body []byte, good func([]byte) bool) []time.Duration {
	b.Helper()
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true}
	defer transport.CloseIdleConnections()
	caller := &http.Client{Transport: transport}
	took := make([]time.Duration, 0, admissionRequests)
	for i := range admissionRequests + 100 {
		start := time.Now()
		resp, err := caller.Post(url, "application/json", bytes.NewReader(body))
		ok(b, err)
		answer, err := io.ReadAll(resp.Body)
		ok(b, err)
		ok(b, resp.Body.Close())
		if i >= 100 { // the connection is warm
			took = append(took, time.Since(start))
		}
		if !good(answer) {
			b.Fatalf("answered %s", answer)
		}
	}
	slices.Sort(took)
	return took
}

// startHello serves on the same stack, reads what it is sent and says hello.
func startHello(b *testing.B, certificate *tls.Certificate) string {
	b.Helper()
	address, err := controlplane.FreeAddress()
	ok(b, err)
	server := &webhook.Server{
		Address: address, Log: logr.Discard(),
		Certificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return certificate, nil },
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if _, err := io.Copy(io.Discard, r.Body); err == nil {
				_, _ = io.WriteString(w, "hello")
			}
		}),
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- server.Start(ctx) }()
	b.Cleanup(func() {
		cancel()
		ok(b, <-ended)
	})
	ok(b, wait.PollUntilContextTimeout(ctx, time.Millisecond, 10*time.Second, true, func(context.Context) (bool, error) {
		return server.Check(nil) == nil, nil
	}))
	return "https://" + address
}

func admissionCluster(b *testing.B) (*harness.Webhook, *tls.Certificate) {
	b.Helper()
	env, err := controlplane.Start()
	ok(b, err)
	b.Cleanup(func() { ok(b, env.Stop()) })
	config := rest.CopyConfig(env.Config)
	config.QPS = -1
	kube, err := client.New(config, client.Options{Scheme: harness.Scheme})
	ok(b, err)
	ctx := b.Context()
	for _, name := range []string{harness.OperatorNamespace, "security"} {
		ok(b, kube.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}))
	}
	ok(b, kube.Create(ctx, &v1alpha1.ZitadelConnection{
		ObjectMeta: metav1.ObjectMeta{Name: "default"},
		Spec: v1alpha1.ZitadelConnectionSpec{
			Domain:      "auth.example.com",
			Credentials: v1alpha1.Credentials{Type: v1alpha1.CredentialPAT, SecretRef: v1alpha1.SecretKeyRef{Namespace: harness.OperatorNamespace, Name: "none", Key: "token"}},
			Access: []v1alpha1.AccessRule{{
				NamespaceSelector: &metav1.LabelSelector{}, Scopes: []v1alpha1.TargetScope{v1alpha1.ScopeInstance, v1alpha1.ScopeOrganization},
			}},
		},
	}))
	for i := range admissionPerInstance {
		ok(b, kube.Create(ctx, benchPolicy("floor-"+strconv.Itoa(i), v1alpha1.ZitadelTarget{Connection: "default", Scope: v1alpha1.ScopeInstance})))
	}
	census := policy.Census{Complete: true, Through: time.Now(), Organizations: map[string]policy.Tenant{}}
	for i := range admissionOrganizations {
		for j := range 3 {
			ok(b, kube.Create(ctx, benchPolicy(fmt.Sprintf("org-%d-%d", i, j), organizationTarget(i))))
		}
		org := idp.Organization{ID: strconv.Itoa(i), Name: "org-" + strconv.Itoa(i), PrimaryDomain: fmt.Sprintf("org-%d.example.com", i)}
		census.Organizations[org.ID] = policy.Tenant{Own: []idp.Group{idp.Login}, Users: policy.Histogram{
			policy.HasPassword: admissionUsers / admissionOrganizations / 2, policy.HasPassword | policy.HasTOTP: admissionUsers / admissionOrganizations / 2,
		}}
		claim := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{
			Namespace: harness.OperatorNamespace, Name: "before-default-" + org.ID,
			Labels:      map[string]string{policy.LabelConnection: "default"},
			Annotations: map[string]string{policy.AnnotationOrganizationID: org.ID, policy.AnnotationOrganizationName: org.Name, policy.AnnotationPrimaryDomain: org.PrimaryDomain},
		}}
		for key, value := range policy.ClaimLabels {
			claim.Labels[key] = value
		}
		ok(b, kube.Create(ctx, claim))
	}
	data, err := census.Encode(900 << 10)
	ok(b, err)
	ok(b, kube.Create(ctx, &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: harness.OperatorNamespace, Name: policy.CensusName("default"), Labels: policy.CensusLabels},
		Data:       map[string]string{policy.CensusKey: string(data)},
	}))

	ok(b, harness.InstallWebhook(ctx, kube))
	kubeconfig := filepath.Join(b.TempDir(), "kubeconfig")
	ok(b, os.WriteFile(kubeconfig, env.KubeConfig, 0o600))
	running, err := harness.StartWebhook(kubeconfig, io.Discard)
	ok(b, err)
	b.Cleanup(func() { ok(b, running.Stop()) })
	ok(b, running.AwaitReady(ctx))
	secret := &corev1.Secret{}
	ok(b, kube.Get(ctx, client.ObjectKey{Namespace: harness.OperatorNamespace, Name: harness.WebhookName + "-tls"}, secret))
	pair, err := tls.X509KeyPair(secret.Data["tls.crt"], secret.Data["tls.key"])
	ok(b, err)
	return running, &pair
}

func organizationTarget(i int) v1alpha1.ZitadelTarget {
	return v1alpha1.ZitadelTarget{
		Connection: "default", Scope: v1alpha1.ScopeOrganization,
		Organization: &v1alpha1.OrganizationSelector{Name: "org-" + strconv.Itoa(i)},
	}
}

// benchPolicy says something in every part of a policy.
func benchPolicy(name string, target v1alpha1.ZitadelTarget) *v1alpha1.SecurityPolicy {
	return &v1alpha1.SecurityPolicy{
		TypeMeta:   metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: "SecurityPolicy"},
		ObjectMeta: metav1.ObjectMeta{Namespace: "security", Name: name},
		Spec: v1alpha1.SecurityPolicySpec{
			Targets: v1alpha1.Targets{Zitadel: []v1alpha1.ZitadelTarget{target}},
			MFA: &v1alpha1.MFASettings{
				Enforcement: v1alpha1.EnforcementRequiredOnFirstLogin,
				Methods:     []v1alpha1.Method{v1alpha1.MethodWebAuthn, v1alpha1.MethodTOTP, v1alpha1.MethodRecoveryCodes},
			},
			Session:  &v1alpha1.SessionSettings{SecondFactorMinutes: new(int32(60)), PasswordMinutes: new(int32(600))},
			Login:    &v1alpha1.LoginSettings{Registration: v1alpha1.Forbidden, UnknownUsernames: v1alpha1.Allowed},
			Password: &v1alpha1.PasswordSettings{MinLength: new(int32(12)), RequireNumber: v1alpha1.Required},
			Lockout:  &v1alpha1.LockoutSettings{MaxPasswordAttempts: new(int32(5))},
		},
	}
}

func reviewOf(b *testing.B, target v1alpha1.ZitadelTarget, dryRun bool) []byte {
	b.Helper()
	p := benchPolicy("new", target)
	p.Spec.Mode = v1alpha1.ModeEnforce
	raw, err := json.Marshal(p)
	ok(b, err)
	review := admissionv1.AdmissionReview{Request: &admissionv1.AdmissionRequest{
		UID: "1", Operation: admissionv1.Create, Namespace: p.Namespace, Name: p.Name, DryRun: &dryRun,
		Resource: metav1.GroupVersionResource{Group: v1alpha1.GroupVersion.Group, Version: v1alpha1.GroupVersion.Version, Resource: "securitypolicies"},
		Object:   runtime.RawExtension{Raw: raw},
	}}
	review.SetGroupVersionKind(admissionv1.SchemeGroupVersion.WithKind("AdmissionReview"))
	body, err := json.Marshal(review)
	ok(b, err)
	return body
}
