package mfa

import (
	"context"
)

// RecoveryCodesRequest makes recovery codes; earlier ones are void.
type RecoveryCodesRequest struct {
	// Session is the token of a verification at most five minutes old, which was
	// not by recovery code.
	Session string
	From    From
}

// IssueRecoveryCodes returns ten codes of 25 characters in groups of five. They
// are shown this once; what is kept is a keyed hash of each.
func (s *Service) IssueRecoveryCodes(ctx context.Context, p Person, r Rules, ask RecoveryCodesRequest) ([]string, error) {
	panic("not written yet")
}
