package mfa

import (
	"context"
	"slices"

	"github.com/neosc/mfa-operator/internal/audit"
)

// Offer is what the bearer of a link may enrol.
type Offer struct {
	// Methods that may be enrolled, the preferred one first. Empty: none.
	Methods []Method
	// Preferred of the policy, if it is among Methods.
	Preferred Method
}

// LinkOffer says what a link is good for. ErrNotAllowed if it is good for
// nothing any more.
func (s *Service) LinkOffer(ctx context.Context, p Person, r Rules, link string) (Offer, error) {
	w, err := s.who(p)
	if err != nil {
		return Offer{}, err
	}
	if _, _, err := s.grant(ctx, p, w, r, EnrolmentRequest{Link: link}); err != nil {
		return Offer{}, err
	}
	o := Offer{Methods: preferred(s.enrollable(p, r), r.Preferred)}
	if slices.Contains(o.Methods, r.Preferred) {
		o.Preferred = r.Preferred
	}
	return o, nil
}

// Linked is a factor that was enrolled with a link.
type Linked struct {
	Factor Factor
	// Codes are recovery codes that were made along with it, as IssueRecoveryCodes
	// makes them. Nil: the policy has none, or the user has some left.
	Codes []string
}

// ConfirmLinked ends an enrolment that began with this link, and spends the
// link. There is no session: who signs in does so at an application, with the
// password first. Recovery codes are claimed by the same write as the factor, so
// that nobody is left with one and without the other.
func (s *Service) ConfirmLinked(ctx context.Context, p Person, r Rules, link string, c Confirmation) (Linked, error) {
	w, err := s.who(p)
	if err != nil {
		return Linked{}, err
	}
	id, err := s.linkID(w, link)
	if err != nil {
		return Linked{}, err
	}
	var codes []string
	factor, records, err := s.confirm(ctx, p, w, r, c, func(a *enrolmentAttempt) error {
		if a.token.Grant.Link != id {
			a.right, a.reason = false, ReasonBadToken
		}
		if !a.right || !r.allows(RecoveryCodes) {
			return nil
		}
		made, credential, err := s.newRecoveryCodes(w)
		codes, a.codes = made, &credential
		return err
	})
	if err != nil {
		return Linked{}, err
	}
	if find(records, audit.RecoveryCodesIssued).Action == "" {
		codes = nil
	}
	return Linked{Factor: factor, Codes: codes}, nil
}
