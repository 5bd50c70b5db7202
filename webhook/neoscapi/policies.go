package neoscapi

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/client-go/util/retry"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/webhook/callers"
)

// Policy is a SecurityPolicy as NeoSC has it. It is exported for the library.
type Policy struct {
	ID          string    `json:"id" doc:"Name of the SecurityPolicy." example:"pol-mfa-required"`
	Name        string    `json:"name" doc:"Its displayName; without one, its name." example:"MFA Required"`
	Description string    `json:"description" example:"Enforce multi-factor authentication for all users"`
	Type        string    `json:"type" enum:"access"`
	Rules       []string  `json:"rules" nullable:"false" doc:"What the policy asks for and where, for people." example:"[\"Require MFA for login\",\"WebAuthn preferred\",\"TOTP as fallback\"]"`
	Enabled     bool      `json:"enabled" doc:"Whether it is enabled. What its mode makes of it is among the rules."`
	CreatedAt   time.Time `json:"created_at"`
}

func policyOf(p *v1alpha1.SecurityPolicy) Policy {
	out := Policy{
		ID: p.Name, Name: p.Spec.DisplayName, Description: p.Spec.Description, Type: "access",
		Rules: rulesOf(&p.Spec), Enabled: enabled(p), CreatedAt: p.CreationTimestamp.UTC(),
	}
	if out.Name == "" {
		out.Name = p.Name
	}
	return out
}

func enabled(p *v1alpha1.SecurityPolicy) bool { return ptr.Deref(p.Spec.Enabled, true) }

type listRequest struct{ everything }

type listResponse struct{ Body Policies }

// Policies is a list of them, never null. It is exported for the library.
type Policies []Policy

// TransformSchema implements huma.SchemaTransformer.
func (Policies) TransformSchema(_ huma.Registry, s *huma.Schema) *huma.Schema {
	s.Nullable = false
	return s
}

func (a *API) list(ctx context.Context, _ *listRequest) (*listResponse, error) {
	found := &v1alpha1.SecurityPolicyList{}
	if err := a.Policies.List(ctx, found, client.InNamespace(a.Namespace)); err != nil {
		return nil, fmt.Errorf("listing policies: %w", err)
	}
	out := &listResponse{Body: Policies{}}
	for i := range found.Items {
		out.Body = append(out.Body, policyOf(&found.Items[i]))
	}
	return out, nil
}

type getRequest struct{ PolicyPath }

type getResponse struct {
	Tagged
	Body Policy
}

func (a *API) get(ctx context.Context, in *getRequest) (*getResponse, error) {
	p, err := a.read(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	return &getResponse{Tagged{tagOf(p)}, policyOf(p)}, nil
}

func (a *API) read(ctx context.Context, id string) (*v1alpha1.SecurityPolicy, error) {
	if len(validation.IsDNS1123Subdomain(id)) > 0 {
		return nil, unknown(id)
	}
	p := &v1alpha1.SecurityPolicy{}
	switch err := a.Policies.Get(ctx, client.ObjectKey{Namespace: a.Namespace, Name: id}, p); {
	case apierrors.IsNotFound(err):
		return nil, unknown(id)
	case err != nil:
		return nil, fmt.Errorf("reading a policy: %w", err)
	}
	return p, nil
}

func unknown(id string) error {
	return callers.NewProblem(http.StatusNotFound, callers.NotFound, fmt.Sprintf("there is no policy %q", id))
}

// change is what a PATCH asks for. It is a map, so that what else is in it can be
// named.
type change map[string]any

// enabledField is the only one that can be changed.
const enabledField = "enabled"

// Schema implements huma.SchemaProvider.
func (change) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{
		Type:        huma.TypeObject,
		Description: "What the policy shall be. Any other member is refused.",
		Properties:  map[string]*huma.Schema{enabledField: {Type: huma.TypeBoolean, Description: "Whether the policy is enabled. Required."}},
		// What is refused shall be named, which the library does not: check does.
		AdditionalProperties: true,
	}
}

// check names what is wrong with it.
func (c change) check() error {
	p := callers.NewProblem(http.StatusUnprocessableEntity, callers.Invalid, "only enabled can be changed here; everything else is the SecurityPolicy's")
	for _, name := range slices.Sorted(maps.Keys(c)) {
		if name != enabledField {
			p.Errors = append(p.Errors, &huma.ErrorDetail{Message: "cannot be changed here", Location: "body." + name})
		}
	}
	if _, told := c[enabledField].(bool); !told { // the library lets null pass
		p.Errors = append(p.Errors, &huma.ErrorDetail{Message: "has to be true or false", Location: "body." + enabledField})
	}
	if len(p.Errors) > 0 {
		return p
	}
	return nil
}

type toggleRequest struct {
	PolicyPath
	IfMatch string `header:"If-Match" maxLength:"1024" doc:"ETag of the policy as it was read: it is only changed if it still is as it was." example:"\"8d0bd407-df9c-4e83-b6ff-1edab0724686.3\""`
	Body    *change
}

type toggleResponse struct {
	Tagged
	Body toggled
}

// toggled is the policy as it is then; NeoSC answers with message and enabled alone.
type toggled struct {
	Policy
	Message  string   `json:"message" example:"Policy disabled"`
	Warnings []string `json:"warnings,omitempty" nullable:"false" doc:"What the API server has to say of the change, for people." example:"[\"of 10 users in scope 8 will be asked to set up a factor at their next sign-in and 0 will be blocked\"]"`
}

// toggle sets or reverses enabled. What is reversed is what stands there: whoever else
// changes it meanwhile comes before or after, never in between. Who says what they have
// read comes before, or not at all.
func (a *API) toggle(ctx context.Context, in *toggleRequest) (*toggleResponse, error) {
	if in.Body != nil {
		if err := in.Body.check(); err != nil {
			return nil, err
		}
	}
	var p *v1alpha1.SecurityPolicy
	heard := &callers.Warnings{}
	err := retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		var err error
		if p, err = a.read(ctx, in.ID); err != nil {
			return err
		}
		if !matches(in.IfMatch, tagOf(p)) {
			return changedSince(in.ID)
		}
		want := !enabled(p)
		if in.Body != nil {
			want = (*in.Body)[enabledField].(bool) // as check has made sure
		}
		if want == enabled(p) {
			return nil
		}
		before := p.DeepCopy()
		p.Spec.Enabled = &want
		heard = &callers.Warnings{} // what is said of an attempt that fails is not true
		return a.Changes.Patch(heard.Heard(ctx), p, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}), client.FieldOwner("neosc-api"))
	})
	if err != nil {
		return nil, refused(in.ID, err)
	}
	out := &toggleResponse{Tagged{tagOf(p)}, toggled{Policy: policyOf(p), Message: "Policy disabled", Warnings: heard.Said()}}
	if enabled(p) {
		out.Body.Message = "Policy enabled"
	}
	return out, nil
}

// refused tells why the API server, or who guards it, does not take a change, in their
// words.
func refused(id string, err error) error {
	var p *callers.Problem
	switch {
	case errors.As(err, &p):
		return p
	case apierrors.IsNotFound(err):
		return unknown(id)
	case apierrors.IsForbidden(err):
		return callers.NewProblem(http.StatusForbidden, callers.Forbidden, err.Error())
	case apierrors.IsConflict(err):
		return callers.NewProblem(http.StatusConflict, callers.NotAllowed, "the policy is being changed by others; try again")
	case apierrors.IsInvalid(err):
		p = callers.NewProblem(http.StatusConflict, callers.NotAllowed, err.Error())
	default:
		return fmt.Errorf("changing a policy: %w", err)
	}
	p.Reason = "Refused"
	var status apierrors.APIStatus
	if errors.As(err, &status) && status.Status().Details != nil {
		for _, cause := range status.Status().Details.Causes {
			p.Errors = append(p.Errors, &huma.ErrorDetail{Message: cause.Message, Location: cause.Field})
		}
	}
	return p
}
