package zitadeltest

import (
	"context"
	"slices"

	userpb "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/user/v2"
)

// maxRecoveryCodes is how many a user may have in total.
const maxRecoveryCodes = 10

type recoveryCodes struct {
	codes  []string   // never edited in place
	usedUp bool       // there were some, and the last was used
	last   rowDetails // of the last event about them
}

func (s userService) GenerateRecoveryCodes(ctx context.Context, r *userpb.GenerateRecoveryCodesRequest) (*userpb.GenerateRecoveryCodesResponse, error) {
	user := s.write.users[r.GetUserId()]
	if !user.exists() { // machine users get codes like everybody
		return nil, precondition("COMMAND-uXHNj", "Errors.User.NotFound").err()
	}
	if err := s.mayCredential(ctx, user.id); err != nil {
		return nil, err
	}
	if len(s.write.factors[user.id].recovery.codes)+int(r.GetCount()) > maxRecoveryCodes {
		return nil, precondition("COMMAND-8f2k9", "Errors.User.MFA.RecoveryCodes.MaxCountExceeded").err()
	}
	codes := make([]string, r.GetCount())
	for i := range codes {
		codes[i] = randomText(9)
	}
	e := s.push(editor(ctx), user.aggregate(), recoveryCodesAdded{codes})
	return &userpb.GenerateRecoveryCodesResponse{Details: writtenDetails(e), RecoveryCodes: codes}, nil
}

// RemoveRecoveryCodes is idempotent, and it needs more than the right to remove other factors. What
// it reports is where the codes stood before.
func (s userService) RemoveRecoveryCodes(ctx context.Context, r *userpb.RemoveRecoveryCodesRequest) (*userpb.RemoveRecoveryCodesResponse, error) {
	if err := s.mayCredential(ctx, r.GetUserId()); err != nil {
		return nil, err
	}
	recovery := s.write.factors[r.GetUserId()].recovery
	if len(recovery.codes) > 0 {
		s.push(editor(ctx), s.write.users[r.GetUserId()].aggregate(), recoveryCodesRemoved{})
	}
	details := recovery.last.v2()
	details.CreationDate = nil // a command reports no more than the change
	return &userpb.RemoveRecoveryCodesResponse{Details: details}, nil
}

type recoveryCodesAdded struct{ codes []string }

func (recoveryCodesAdded) eventType(string) string { return "user.human.mfa.recoverycode.added" }

// payload carries the hashes of the codes, as on the real server; here of none in particular.
func (c recoveryCodesAdded) payload() any {
	return map[string]any{"codes": slices.Repeat([]string{noHash}, len(c.codes))}
}
func (c recoveryCodesAdded) apply(st *state, e *event) {
	editFactors(st, e, func(f *userFactors) {
		f.recovery = recoveryCodes{codes: append(slices.Clone(f.recovery.codes), c.codes...), last: detailsOf(e)}
	})
}

type recoveryCodesRemoved struct{}

func (recoveryCodesRemoved) eventType(string) string { return "user.human.mfa.recoverycode.removed" }
func (recoveryCodesRemoved) payload() any            { return nil }
func (recoveryCodesRemoved) apply(st *state, e *event) {
	editFactors(st, e, func(f *userFactors) { f.recovery = recoveryCodes{last: detailsOf(e)} })
}
