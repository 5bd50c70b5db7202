package callers

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
	"github.com/neosc/mfa-operator/internal/tracing"
)

// What the API server is asked on our behalf.
//
// +kubebuilder:rbac:groups=authentication.k8s.io,resources=tokenreviews,verbs=create
// +kubebuilder:rbac:groups=authorization.k8s.io,resources=subjectaccessreviews,verbs=create

// Audience is the one a caller's token must be for.
const Audience = "mfa.security.neosc.io"

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

// New makes what stands before an API, without a log.
func New(client kubernetes.Interface) (Guard, error) {
	who, err := newCallers(client)
	if err != nil {
		return Guard{}, fmt.Errorf("setting up authentication: %w", err)
	}
	may, err := newRights(client)
	if err != nil {
		return Guard{}, fmt.Errorf("setting up authorization: %w", err)
	}
	return Guard{Callers: who, Rights: may}, nil
}

// newCallers tells who asks by TokenReview: tokens for Audience only, so that one
// that was given to somebody else is worth nothing here.
func newCallers(client kubernetes.Interface) (authenticator.Request, error) {
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

// newRights tells what callers may by SubjectAccessReview.
func newRights(client kubernetes.Interface) (authorizer.Authorizer, error) {
	return authorizerfactory.DelegatingAuthorizerConfig{
		SubjectAccessReviewClient: client.AuthorizationV1(),
		AllowCacheTTL:             allowedTTL,
		DenyCacheTTL:              deniedTTL,
		WebhookRetryBackoff:       &askBackoff,
	}.New()
}

type callerKey struct{}

// authenticate finds out who asks, in as much time as there is.
func (g Guard) authenticate(r *http.Request, patience time.Duration) (user.Info, error) {
	ctx, cancel := context.WithTimeout(r.Context(), patience)
	defer cancel()
	ctx = authenticator.WithAudiences(ctx, authenticator.Audiences{Audience})
	// The question itself is not in the trace: one answer may serve several callers.
	ctx, span := tracing.Start(ctx, "authenticate")
	answer, known, err := g.Callers.AuthenticateRequest(r.WithContext(ctx))
	span.End()
	switch {
	case known && err == nil:
		return answer.User, nil
	case outage(err):
		return nil, fmt.Errorf("asking who calls: %w", err)
	default:
		return nil, NewProblem(http.StatusUnauthorized, Unauthenticated,
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

// Of returns whose request ctx is of; nil: nobody's that was let through.
func Of(ctx context.Context) user.Info {
	who, _ := ctx.Value(callerKey{}).(user.Info)
	return who
}

// Right is what a caller must be allowed to do with our kinds.
type Right struct {
	// Verb is one of Kubernetes, such as get.
	Verb string
	// Resource is one of security.neosc.io, Subresource one of its own; empty: itself.
	Resource, Subresource string
}

// Authorize asks whether the caller may, with all objects of the namespace or with
// the one of that name; without a name, with all. Most callers may with all, and that
// answer is remembered for all. Of whether there is such an object it does not depend.
func (g Guard) Authorize(ctx context.Context, may Right, namespace, name string) error {
	caller := Of(ctx)
	if caller == nil {
		return NewProblem(http.StatusUnauthorized, Unauthenticated, "nobody asks")
	}
	ctx, span := tracing.Start(ctx, "authorize")
	defer span.End()
	for _, one := range slices.Compact([]string{"", name}) {
		decision, _, err := g.Rights.Authorize(ctx, authorizer.AttributesRecord{
			User: caller, Verb: may.Verb, Namespace: namespace, Name: one,
			APIGroup: v1alpha1.GroupVersion.Group, APIVersion: v1alpha1.GroupVersion.Version,
			Resource: may.Resource, Subresource: may.Subresource, ResourceRequest: true,
		})
		switch {
		case decision == authorizer.DecisionAllow:
			return nil
		case err != nil:
			return fmt.Errorf("asking what %s may: %w", caller.GetName(), err)
		}
	}
	resource := may.Resource
	if may.Subresource != "" {
		resource += "/" + may.Subresource
	}
	return NewProblem(http.StatusForbidden, Forbidden, fmt.Sprintf(
		"%s needs the right to %s %s in namespace %s, by a Role and a RoleBinding", caller.GetName(), may.Verb, resource, namespace))
}
