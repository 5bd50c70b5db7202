package zitadel

import (
	"context"
	"math"

	"github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/object"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/neosc/mfa-operator/internal/idp"
)

// policies reads and writes the policies of one scope. The two that implement
// it, for the instance and for an organization, know which call does what and
// nothing more; when to call which is written once, in apply.go. Errors are
// those of gRPC, for meaningOf.
type policies interface {
	read(ctx context.Context, g idp.Group) (reading, error)
	// write replaces the policy, without its factor lists. Where the reading
	// is inherited it creates a policy of its own, with them.
	write(ctx context.Context, wanted reading) (sequence uint64, err error)
	addFactor(ctx context.Context, f factor) (sequence uint64, err error)
	removeFactor(ctx context.Context, f factor) (sequence uint64, err error)
}

func (c *Client) policies(s idp.Scope) policies {
	if s.IsInstance() {
		return instancePolicies{c.api.AdminService()}
	}
	return organizationPolicies{c.api.ManagementService(), s.OrganizationID}
}

// reading is a policy as it was read.
type reading struct {
	group  idp.Group
	policy policyMessage
	// inherited: the organization has none of its own, and this is the
	// instance's. Never true at the instance.
	inherited bool
}

func (r reading) sequence() uint64       { return r.policy.GetDetails().GetSequence() }
func (r reading) settings() idp.Settings { return settingsOf(r.group, r.policy) }

// sequenceOf unpacks the answer to a write.
func sequenceOf[R interface{ GetDetails() *object.ObjectDetails }](answer R, err error) (uint64, error) {
	return answer.GetDetails().GetSequence(), err
}

// policyOf unpacks the answer to a read.
func policyOf[P policyMessage, R interface{ GetPolicy() P }](answer R, err error) (policyMessage, error) {
	p := answer.GetPolicy()
	if err == nil && !p.ProtoReflect().IsValid() {
		err = &localError{codes.Internal, "the answer holds no policy"}
	}
	return p, err
}

// copied fills a request with the fields of the same name of the policy. An
// update replaces the whole policy, so a field left out would be zeroed; by
// name, none can be forgotten, also none that a newer client library brings.
func copied[R proto.Message](from policyMessage, to R) R {
	source, target := from.ProtoReflect(), to.ProtoReflect()
	wanted := target.Descriptor().Fields()
	for i := range wanted.Len() {
		field := wanted.Get(i)
		twin := source.Descriptor().Fields().ByName(field.Name())
		if twin == nil || !source.Has(twin) || field.Message() != twin.Message() {
			continue
		}
		value := source.Get(twin)
		if field.Kind() == protoreflect.Uint32Kind {
			value = protoreflect.ValueOfUint32(uint32(min(value.Uint(), math.MaxUint32)))
		}
		target.Set(field, value)
	}
	return to
}
