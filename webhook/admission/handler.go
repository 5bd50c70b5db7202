package admission

import (
	"context"
	"fmt"
	"net/http"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/neosc/mfa-operator/api/v1alpha1"
)

// Paths of the webhooks; config/webhook has them, too.
const (
	PathSecurityPolicies   = "/admission/v1/securitypolicies"
	PathZitadelConnections = "/admission/v1/zitadelconnections"
)

// Routes lists the webhooks by their paths.
func Routes(scheme *runtime.Scheme, c *Cluster) (map[string]http.Handler, error) {
	policies := admission.WithValidator(scheme, &SecurityPolicies{Cluster: c})
	policies.Handler = only("securitypolicies", policies.Handler)
	connections := admission.WithValidator(scheme, &ZitadelConnections{Cluster: c})
	connections.Handler = only("zitadelconnections", connections.Handler)

	routes := map[string]http.Handler{}
	for path, hook := range map[string]*admission.Webhook{PathSecurityPolicies: policies, PathZitadelConnections: connections} {
		handler, err := admission.StandaloneWebhook(hook, admission.StandaloneOptions{MetricsPath: path})
		if err != nil {
			return nil, fmt.Errorf("making the webhook %s: %w", path, err)
		}
		routes[path] = handler
	}
	return routes, nil
}

// only answers requests about one resource, and refuses all others: whoever
// configured them means something else.
func only(resource string, next admission.Handler) admission.Handler {
	want := metav1.GroupVersionResource{Group: v1alpha1.GroupVersion.Group, Version: v1alpha1.GroupVersion.Version, Resource: resource}
	return admission.HandlerFunc(func(ctx context.Context, req admission.Request) admission.Response {
		if req.Resource != want || req.SubResource != "" {
			return admission.Errored(http.StatusBadRequest, fmt.Errorf("this webhook decides about %s.%s %s and was asked about %q %q",
				want.Resource, want.Group, want.Version, req.Resource.String(), req.SubResource))
		}
		return next.Handle(ctx, req)
	})
}
