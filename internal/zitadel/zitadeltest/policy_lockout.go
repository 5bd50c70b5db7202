package zitadeltest

import policypb "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/policy"

// lockoutPolicy holds a field the API neither shows nor accepts: ShowFailures. A fresh instance has
// it set and every update clears it, so the first update is a change whatever it says.
type lockoutPolicy struct {
	MaxPasswordAttempts uint64 `json:"maxPasswordAttempts"`
	MaxOTPAttempts      uint64 `json:"maxOTPAttempts"`
	ShowFailures        bool   `json:"showLockOutFailures"`
}

var lockoutKind = &policyKind[lockoutPolicy]{
	name: "lockout",
	rows: func(st *state) map[string]policyRow[lockoutPolicy] { return st.lockout },
	instance: policyRefusals{
		unchanged: precondition("INSTANCE-0psjF", "Errors.IAM.LockoutPolicy.NotChanged"),
		missing:   notFound("INSTANCE-0oPew", "Errors.IAM.LockoutPolicy.NotFound"),
	},
	org: policyRefusals{
		unchanged:    precondition("ORG-0JFSr", "Errors.Org.LockoutPolicy.NotChanged"),
		missing:      notFound("ORG-ADfs1", "Errors.Org.LockoutPolicy.NotFound"),
		present:      exists("ORG-0olDf", "Errors.ORG.LockoutPolicy.AlreadyExists"),
		resetMissing: notFound("ORG-D4zuz", "Errors.Org.LockoutPolicy.NotFound"),
	},
}

// lockoutRequest is what the lockout requests of both levels have in common.
type lockoutRequest interface {
	GetMaxPasswordAttempts() uint32
	GetMaxOtpAttempts() uint32
}

func lockoutFrom(r lockoutRequest) lockoutPolicy {
	return lockoutPolicy{
		MaxPasswordAttempts: uint64(r.GetMaxPasswordAttempts()),
		MaxOTPAttempts:      uint64(r.GetMaxOtpAttempts()),
	}
}

func lockoutPB(st *state, orgID string) *policypb.LockoutPolicy {
	row, inherited := effectivePolicy(st, lockoutKind, orgID)
	return &policypb.LockoutPolicy{
		Details:             row.v1(),
		MaxPasswordAttempts: row.value.MaxPasswordAttempts,
		MaxOtpAttempts:      row.value.MaxOTPAttempts,
		IsDefault:           inherited,
	}
}
