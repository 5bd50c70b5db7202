package zitadeltest

import (
	"unicode"

	policypb "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/policy"
)

type complexityPolicy struct {
	MinLength    uint64 `json:"minLength"`
	HasLowercase bool   `json:"hasLowercase"`
	HasUppercase bool   `json:"hasUppercase"`
	HasNumber    bool   `json:"hasNumber"`
	HasSymbol    bool   `json:"hasSymbol"`
}

var complexityKind = &policyKind[complexityPolicy]{
	name: "password.complexity",
	rows: func(st *state) map[string]policyRow[complexityPolicy] { return st.complexity },
	instance: policyRefusals{
		unchanged: precondition("INSTANCE-9jlsf", "Errors.IAM.PasswordComplexityPolicy.NotChanged"),
		missing:   notFound("INSTANCE-0oPew", "Errors.IAM.PasswordComplexityPolicy.NotFound"),
	},
	org: policyRefusals{
		unchanged:    precondition("Org-DAs21", "Errors.Org.PasswordComplexityPolicy.NotChanged"),
		missing:      notFound("ORG-Dgs3g", "Errors.Org.PasswordComplexityPolicy.NotFound"),
		present:      exists("Org-LdhbS", "Errors.ORG.PasswordComplexityPolicy.AlreadyExists"),
		resetMissing: notFound("ORG-ADgs2", "Errors.Org.PasswordComplexityPolicy.NotFound"),
	},
	checkAdd:    checkMinLength,
	checkChange: checkMinLength,
}

// checkMinLength keeps the minimum between one and what bcrypt can hash.
func checkMinLength(_ aggregate, p complexityPolicy) error {
	if p.MinLength < 1 || p.MinLength > 72 {
		return invalid("MODEL-Lsp0e", "Errors.User.PasswordComplexityPolicy.MinLengthNotAllowed").err()
	}
	return nil
}

// complexityRequest is what the complexity requests of both levels have in common.
type complexityRequest interface {
	GetHasLowercase() bool
	GetHasUppercase() bool
	GetHasNumber() bool
	GetHasSymbol() bool
}

func complexityFrom(minLength uint64, r complexityRequest) complexityPolicy {
	return complexityPolicy{
		MinLength:    minLength,
		HasLowercase: r.GetHasLowercase(),
		HasUppercase: r.GetHasUppercase(),
		HasNumber:    r.GetHasNumber(),
		HasSymbol:    r.GetHasSymbol(),
	}
}

func complexityPB(st *state, orgID string) *policypb.PasswordComplexityPolicy {
	row, inherited := effectivePolicy(st, complexityKind, orgID)
	return &policypb.PasswordComplexityPolicy{
		Details:      row.v1(),
		MinLength:    row.value.MinLength,
		HasLowercase: row.value.HasLowercase,
		HasUppercase: row.value.HasUppercase,
		HasNumber:    row.value.HasNumber,
		HasSymbol:    row.value.HasSymbol,
		IsDefault:    inherited,
	}
}

// checkPassword applies the policy to a new password.
func (p complexityPolicy) checkPassword(password string) error {
	var lower, upper, number, symbol bool
	for _, r := range password {
		switch {
		case unicode.IsLower(r):
			lower = true
		case unicode.IsUpper(r):
			upper = true
		case unicode.IsNumber(r):
			number = true
		default:
			symbol = true
		}
	}
	switch {
	case uint64(len(password)) < p.MinLength:
		return invalid("COMMA-HuJf6", "Errors.User.PasswordComplexityPolicy.MinLength").err()
	case p.HasLowercase && !lower:
		return invalid("COMMA-co3Xw", "Errors.User.PasswordComplexityPolicy.HasLower").err()
	case p.HasUppercase && !upper:
		return invalid("COMMA-VoaRj", "Errors.User.PasswordComplexityPolicy.HasUpper").err()
	case p.HasNumber && !number:
		return invalid("COMMA-ZBv4H", "Errors.User.PasswordComplexityPolicy.HasNumber").err()
	case p.HasSymbol && !symbol:
		return invalid("COMMA-ZDLwA", "Errors.User.PasswordComplexityPolicy.HasSymbol").err()
	}
	return nil
}
