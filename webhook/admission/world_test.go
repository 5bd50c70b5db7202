package admission_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	webhooks "sigs.k8s.io/controller-runtime/pkg/webhook/admission"
	"sigs.k8s.io/yaml"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/idp"
	"github.com/neosc/mfa-operator/internal/policy"
	"github.com/neosc/mfa-operator/webhook/admission"
)

var scheme = func() *runtime.Scheme {
	s := runtime.NewScheme()
	utilruntime.Must(clientgoscheme.AddToScheme(s))
	utilruntime.Must(v1alpha1.AddToScheme(s))
	return s
}()

// world is what a cluster holds before the request.
type world struct {
	objects []client.Object
	configs []*corev1.ConfigMap
}

// cluster has the namespace security, which may target everything of the
// connection default, and the namespace acme, which may target its organization.
func cluster(more ...client.Object) world {
	w := world{objects: []client.Object{
		namespace("security"), namespace("acme"), namespace("stranger"), connection("default"),
	}}
	for _, obj := range more {
		if cm, ok := obj.(*corev1.ConfigMap); ok {
			w.configs = append(w.configs, cm)
			continue
		}
		w.objects = append(w.objects, obj)
	}
	return w
}

func namespace(name string) *corev1.Namespace {
	return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"team": name}}}
}

func connection(name string) *v1alpha1.ZitadelConnection {
	return &v1alpha1.ZitadelConnection{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: v1alpha1.ZitadelConnectionSpec{Domain: "auth.example.com", Access: []v1alpha1.AccessRule{
			{NamespaceSelector: team("security"), Scopes: []v1alpha1.TargetScope{v1alpha1.ScopeInstance, v1alpha1.ScopeOrganization}},
			{NamespaceSelector: team("acme"), Scopes: []v1alpha1.TargetScope{v1alpha1.ScopeOrganization}, Organizations: []v1alpha1.OrganizationSelector{{Name: "acme"}}},
		}},
	}
}

func team(name string) *metav1.LabelSelector {
	return &metav1.LabelSelector{MatchLabels: map[string]string{"team": name}}
}

// secpol is a policy in namespace/name with a spec in YAML. Targets are words:
// "instance" or an organization's name.
func secpol(t *testing.T, name, spec string, targets ...string) *v1alpha1.SecurityPolicy {
	t.Helper()
	p := &v1alpha1.SecurityPolicy{}
	namespace, name, _ := strings.Cut(name, "/")
	p.Namespace, p.Name = namespace, name
	p.Spec.Mode, p.Spec.Enabled, p.Spec.DeletionPolicy = v1alpha1.ModeEnforce, ptr.To(true), v1alpha1.DeletionRetain // as the API server defaults
	if err := yaml.UnmarshalStrict([]byte(spec), &p.Spec); err != nil {
		t.Fatal(err)
	}
	for _, target := range targets {
		one := v1alpha1.ZitadelTarget{Connection: "default", Scope: v1alpha1.ScopeOrganization}
		switch by, value, found := strings.Cut(target, ":"); {
		case target == "instance":
			one.Scope = v1alpha1.ScopeInstance
		case found && by == "id":
			one.Organization = &v1alpha1.OrganizationSelector{ID: value}
		case found && by == "of":
			one.Connection, one.Scope = value, v1alpha1.ScopeInstance
		default:
			one.Organization = &v1alpha1.OrganizationSelector{Name: target}
		}
		p.Spec.Targets.Zitadel = append(p.Spec.Targets.Zitadel, one)
	}
	return p
}

// claim says that policies hold something of an organization.
func claim(org idp.Organization, policies ...string) *corev1.ConfigMap {
	name := "before-default-instance"
	if org.ID != "" {
		name = "before-default-" + org.ID
	}
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{
		Name: name, Labels: map[string]string{
			"app.kubernetes.io/managed-by": "mfa-operator", "app.kubernetes.io/component": "claim", policy.LabelConnection: "default",
		},
		Annotations: map[string]string{
			policy.AnnotationOrganizationID: org.ID, policy.AnnotationOrganizationName: org.Name,
			policy.AnnotationPrimaryDomain: org.PrimaryDomain, policy.AnnotationPolicies: strings.Join(policies, " "),
		},
	}}
}

var acme = idp.Organization{ID: "1", Name: "acme", PrimaryDomain: "acme.example.com"}

// counts is a complete census of the connection default.
func counts(organizations map[string]policy.Tenant) *corev1.ConfigMap {
	return published(policy.Census{Complete: true, Through: time.Unix(1, 0), Organizations: organizations})
}

func published(c policy.Census) *corev1.ConfigMap {
	data, err := json.Marshal(c)
	if err != nil {
		panic(err)
	}
	return &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Name: policy.CensusName("default"), Labels: policy.CensusLabels, ResourceVersion: "1"},
		Data:       map[string]string{policy.CensusKey: string(data)},
	}
}

// knowing builds what the validators see of a world.
func (w world) knowing() *admission.Cluster {
	builder := fake.NewClientBuilder().WithScheme(scheme).WithObjects(w.objects...)
	if err := admission.Indexes(context.Background(), indexer{builder}); err != nil {
		panic(err)
	}
	seen := &admission.Published{}
	for _, cm := range w.configs {
		seen.OnAdd(cm, true)
	}
	named := &admission.Named{}
	for _, obj := range w.objects {
		if p, ok := obj.(*v1alpha1.SecurityPolicy); ok {
			named.OnAdd(p, true)
		}
	}
	c := builder.Build()
	return &admission.Cluster{Cache: c, Live: c, Published: seen, Named: named}
}

type indexer struct{ *fake.ClientBuilder }

func (i indexer) IndexField(_ context.Context, obj client.Object, field string, of client.IndexerFunc) error {
	i.WithIndex(obj, field, of)
	return nil
}

// request is the context of a request.
func request(t *testing.T, dryRun bool) context.Context {
	t.Helper()
	return webhooks.NewContextWithRequest(t.Context(), webhooks.Request{AdmissionRequest: admissionv1.AdmissionRequest{DryRun: &dryRun}})
}

// message is the error as kubectl prints it, "" if there is none.
func message(err error) string {
	if err == nil {
		return ""
	}
	return fmt.Sprint(err)
}
