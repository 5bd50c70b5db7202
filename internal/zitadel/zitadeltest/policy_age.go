package zitadeltest

import policypb "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/policy"

type agePolicy struct {
	ExpireWarnDays uint64 `json:"expireWarnDays"`
	MaxAgeDays     uint64 `json:"maxAgeDays"`
}

var ageKind = &policyKind[agePolicy]{
	name: "password.age",
	rows: func(st *state) map[string]policyRow[agePolicy] { return st.age },
	instance: policyRefusals{
		unchanged: precondition("INSTANCE-180sf", "Errors.IAM.LabelPolicy.NotChanged"),
		missing:   notFound("INSTANCE-0oPew", "Errors.IAM.PasswordAgePolicy.NotFound"),
	},
	org: policyRefusals{
		unchanged:    precondition("Org-dsgjR", "Errors.ORg.LabelPolicy.NotChanged"),
		missing:      notFound("ORG-0oPew", "Errors.Org.PasswordAgePolicy.NotFound"),
		present:      exists("ORG-Lk0dS", "Errors.Org.PasswordAgePolicy.AlreadyExists"),
		resetMissing: notFound("ORG-Dgs1g", "Errors.Org.PasswordAgePolicy.NotFound"),
	},
}

// ageRequest is what the password-age requests of both levels have in common.
type ageRequest interface {
	GetMaxAgeDays() uint32
	GetExpireWarnDays() uint32
}

func ageFrom(r ageRequest) agePolicy {
	return agePolicy{ExpireWarnDays: uint64(r.GetExpireWarnDays()), MaxAgeDays: uint64(r.GetMaxAgeDays())}
}

func agePB(st *state, orgID string) *policypb.PasswordAgePolicy {
	row, inherited := effectivePolicy(st, ageKind, orgID)
	return &policypb.PasswordAgePolicy{
		Details:        row.v1(),
		MaxAgeDays:     row.value.MaxAgeDays,
		ExpireWarnDays: row.value.ExpireWarnDays,
		IsDefault:      inherited,
	}
}
