package mfaapi

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/authenticatorfactory"
	"k8s.io/apiserver/pkg/authentication/request/bearertoken"
	tokencache "k8s.io/apiserver/pkg/authentication/token/cache"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/authorization/authorizerfactory"
	webhooktoken "k8s.io/apiserver/plugin/pkg/authenticator/token/webhook"
	"k8s.io/client-go/kubernetes"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/mfa"
)

// What the API server is asked on our behalf.
//
// +kubebuilder:rbac:groups=authentication.k8s.io,resources=tokenreviews,verbs=create
// +kubebuilder:rbac:groups=authorization.k8s.io,resources=subjectaccessreviews,verbs=create

// How long answers of the API server are believed. A token or a right that is
// taken away works for so long at most.
const (
	tokenTTL   = 10 * time.Second
	allowedTTL = 10 * time.Second
	deniedTTL  = 2 * time.Second
	askTimeout = 5 * time.Second
)

// askBackoff paces the questions to an API server that does not answer.
var askBackoff = wait.Backoff{Duration: 100 * time.Millisecond, Factor: 2, Jitter: 0.2, Steps: 3}

// NewCallers tells who asks by TokenReview: tokens for Audience only, so that one
// that was given to somebody else is worth nothing here.
func NewCallers(client kubernetes.Interface) (authenticator.Request, error) {
	// No implicit audience: a token that says for nobody whom it is for is refused.
	var none authenticator.Audiences
	review, err := webhooktoken.NewFromInterface(client.AuthenticationV1(), none, askBackoff, askTimeout, webhooktoken.AuthenticatorMetrics{
		RecordRequestTotal:   authenticatorfactory.RecordRequestTotal,
		RecordRequestLatency: authenticatorfactory.RecordRequestLatency,
	})
	if err != nil {
		return nil, err
	}
	const remembersOutages = false
	cached := tokencache.New(review, remembersOutages, tokenTTL, deniedTTL)
	return bearertoken.New(cached), nil
}

// NewRights tells what callers may by SubjectAccessReview.
func NewRights(client kubernetes.Interface) (authorizer.Authorizer, error) {
	return authorizerfactory.DelegatingAuthorizerConfig{
		SubjectAccessReviewClient: client.AuthorizationV1(),
		AllowCacheTTL:             allowedTTL,
		DenyCacheTTL:              deniedTTL,
		WebhookRetryBackoff:       &askBackoff,
	}.New()
}

type callerKey struct{}

// authenticate finds out who asks.
func (a *API) authenticate(r *http.Request) (user.Info, error) {
	ctx := authenticator.WithAudiences(r.Context(), authenticator.Audiences{Audience})
	answer, known, err := a.Callers.AuthenticateRequest(r.WithContext(ctx))
	switch {
	case known && err == nil:
		return answer.User, nil
	case outage(err):
		return nil, fmt.Errorf("%w: asking who calls: %w", mfa.ErrUnavailable, err)
	default:
		return nil, newProblem(http.StatusUnauthorized, problemUnauthenticated,
			"a Kubernetes token for the audience "+Audience+" is needed, as a bearer token")
	}
}

// outage tells an API server that did not answer from one that said no, which
// comes as a mere text.
func outage(err error) bool {
	var status apierrors.APIStatus
	var network net.Error
	return errors.As(err, &status) || errors.As(err, &network) ||
		errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
}

func callerOf(ctx context.Context) user.Info {
	who, _ := ctx.Value(callerKey{}).(user.Info)
	return who
}

// right is what a caller must be allowed to do with a user: a verb on a
// subresource of mfausers.
type right struct{ verb, subresource string }

// authorize asks whether the caller may, with every user of the namespace or with
// this one. Most callers may with all, and that answer is remembered for all. Of
// whether there is such a user it does not depend.
func (a *API) authorize(ctx context.Context, may right, namespace, name string) error {
	caller := callerOf(ctx)
	if caller == nil {
		return newProblem(http.StatusUnauthorized, problemUnauthenticated, "nobody asks")
	}
	for _, one := range slices.Compact([]string{"", name}) {
		decision, _, err := a.Rights.Authorize(ctx, authorizer.AttributesRecord{
			User: caller, Verb: may.verb, Namespace: namespace, Name: one,
			APIGroup: v1alpha1.GroupVersion.Group, APIVersion: v1alpha1.GroupVersion.Version,
			Resource: "mfausers", Subresource: may.subresource, ResourceRequest: true,
		})
		switch {
		case decision == authorizer.DecisionAllow:
			return nil
		case err != nil:
			return fmt.Errorf("%w: asking what %s may: %w", mfa.ErrUnavailable, caller.GetName(), err)
		}
	}
	resource := "mfausers"
	if may.subresource != "" {
		resource += "/" + may.subresource
	}
	return newProblem(http.StatusForbidden, problemForbidden, fmt.Sprintf(
		"%s needs the right to %s %s in namespace %s, by a Role and a RoleBinding", caller.GetName(), may.verb, resource, namespace))
}
