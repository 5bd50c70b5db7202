package admission

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	admissionv1 "k8s.io/api/admission/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/tracing"
)

// Paths of the webhooks; config/webhook has them, too.
const (
	PathSecurityPolicies   = "/admission/v1/securitypolicies"
	PathZitadelConnections = "/admission/v1/zitadelconnections"
	PathMFAResets          = "/admission/v1/mfaresets"
	PathMFAExemptions      = "/admission/v1/mfaexemptions"
	PathMFAUsers           = "/admission/v1/mfausers"
)

// Routes lists the webhooks by their paths. watch sees what is asked about policies,
// users and exemptions, and the answers.
func Routes(scheme *runtime.Scheme, c *Cluster, watch func(admission.Handler) admission.Handler) (map[string]http.Handler, error) {
	routes := map[string]http.Handler{}
	policies := about(scheme, "securitypolicies", "SecurityPolicy", &SecurityPolicies{Cluster: c})
	policies.Handler = watch(policies.Handler)
	exemptions := about(scheme, "mfaexemptions", "MFAExemption", &MFAExemptions{Cluster: c})
	exemptions.Handler = watch(exemptions.Handler)
	// Users are let through; they are asked about only so that their changes are seen.
	users := &admission.Webhook{Handler: only("mfausers", "MFAUser", watch(admission.HandlerFunc(
		func(context.Context, admission.Request) admission.Response { return admission.Allowed("") })))}
	for path, hook := range map[string]*admission.Webhook{
		PathSecurityPolicies:   policies,
		PathMFAUsers:           users,
		PathZitadelConnections: about(scheme, "zitadelconnections", "ZitadelConnection", &ZitadelConnections{Cluster: c}),
		PathMFAResets:          about(scheme, "mfaresets", "MFAReset", &MFAResets{Cluster: c}),
		PathMFAExemptions:      exemptions,
	} {
		if tracing.On() {
			hook.Handler = traced(hook.Handler)
		}
		handler, err := admission.StandaloneWebhook(hook, admission.StandaloneOptions{MetricsPath: path})
		if err != nil {
			return nil, fmt.Errorf("making the webhook %s: %w", path, err)
		}
		routes[path] = reviews(handler)
	}
	return routes, nil
}

// about makes the webhook that decides about one kind.
func about[T runtime.Object](scheme *runtime.Scheme, resource, kind string, validator admission.Validator[T]) *admission.Webhook {
	hook := admission.WithValidator(scheme, validator)
	hook.Handler = only(resource, kind, hook.Handler)
	return hook
}

// only answers requests about objects of one kind, and refuses all others:
// whoever configured them means something else. The decoder behind it would take
// an object without a kind for an empty one of the right kind.
func only(resource, kind string, next admission.Handler) admission.Handler {
	of := v1alpha1.GroupVersion
	want := metav1.GroupVersionResource{Group: of.Group, Version: of.Version, Resource: resource}
	return admission.HandlerFunc(func(ctx context.Context, req admission.Request) admission.Response {
		if req.Resource != want || req.SubResource != "" {
			return admission.Errored(http.StatusBadRequest, fmt.Errorf("this webhook decides about %s.%s %s and was asked about %q %q",
				want.Resource, want.Group, want.Version, req.Resource.String(), req.SubResource))
		}
		for _, raw := range [][]byte{req.Object.Raw, req.OldObject.Raw} {
			if len(raw) == 0 {
				continue // where one is needed, the decoder says so
			}
			var is metav1.TypeMeta
			if err := json.Unmarshal(raw, &is); err != nil || is.APIVersion != of.String() || is.Kind != kind {
				return admission.Errored(http.StatusBadRequest, fmt.Errorf("this webhook decides about %s of %s and was given something else", kind, of))
			}
		}
		return next.Handle(ctx, req)
	})
}

// maxReview is the size of the largest review; the API server's own limit of a
// request, for the object and the one it replaces, and some more.
const maxReview = 7 << 20

// reviews lets through what is a review in the one version we answer in.
func reviews(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxReview))
		if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
			refuse(w, http.StatusRequestEntityTooLarge, fmt.Errorf("the review is too large: more than %d bytes", maxReview))
			return
		}
		if err != nil {
			refuse(w, http.StatusBadRequest, errors.New("the review ended early"))
			return
		}
		var is metav1.TypeMeta
		if err := json.Unmarshal(body, &is); err != nil || is.APIVersion != admissionv1.SchemeGroupVersion.String() || is.Kind != "AdmissionReview" {
			refuse(w, http.StatusBadRequest, fmt.Errorf("this is no AdmissionReview of %s", admissionv1.SchemeGroupVersion))
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		next.ServeHTTP(w, r)
	})
}

// refuse answers what was no review.
func refuse(w http.ResponseWriter, code int32, why error) {
	answer := admission.Errored(code, why).AdmissionResponse
	review := admissionv1.AdmissionReview{Response: &answer}
	review.SetGroupVersionKind(admissionv1.SchemeGroupVersion.WithKind("AdmissionReview"))
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(int(code))
	_ = json.NewEncoder(w).Encode(review) // whoever does not wait for it does not need it
}
