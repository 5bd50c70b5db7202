package neoscapi

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/webhook/callers"
)

// Tagged is what an answer with one policy says of its version. It is exported for the
// library.
type Tagged struct {
	ETag string `header:"ETag" doc:"Version of the policy, for If-Match. What the operator reports of it does not change it." example:"\"8d0bd407-df9c-4e83-b6ff-1edab0724686.3\""`
}

// tagOf names the version of a policy as it is shown. That follows from the spec, so it
// is the generation, of this very object; the resource version would change with every
// report of the controllers' too.
func tagOf(p *v1alpha1.SecurityPolicy) string {
	return fmt.Sprintf("%q", fmt.Sprintf("%s.%d", p.UID, p.Generation))
}

// matches tells whether an If-Match (RFC 9110, 13.1.1) lets a change of the version tag
// pass; empty lets everything. A weak tag matches nothing.
func matches(ifMatch, tag string) bool {
	if ifMatch == "" {
		return true
	}
	for one := range strings.SplitSeq(ifMatch, ",") {
		if one = strings.TrimSpace(one); one == "*" || one == tag {
			return true
		}
	}
	return false
}

func changedSince(id string) error {
	p := callers.NewProblem(http.StatusPreconditionFailed, callers.NotAllowed, fmt.Sprintf("policy %q has been changed since it was read; read it again", id))
	p.Reason = "Changed"
	return p
}
