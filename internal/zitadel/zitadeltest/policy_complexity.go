package zitadeltest

import policypb "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/policy"

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

// What the ids of a refused password begin with: the real server checks the password of a new user and
// the new password of an existing one in two places.
const (
	ofNewUser  = "COMMA-"
	ofExisting = "DOMAIN-"
)

// checkPassword applies the policy to a new password. Letters and digits are those of ASCII; every
// other character is a symbol.
func (p complexityPolicy) checkPassword(password, prefix string) error {
	var lower, upper, number, symbol bool
	for _, r := range password {
		switch {
		case r >= 'a' && r <= 'z':
			lower = true
		case r >= 'A' && r <= 'Z':
			upper = true
		case r >= '0' && r <= '9':
			number = true
		default:
			symbol = true
		}
	}
	switch {
	case uint64(len(password)) < p.MinLength:
		return invalid(prefix+"HuJf6", "Errors.User.PasswordComplexityPolicy.MinLength").err()
	case p.HasLowercase && !lower:
		return invalid(prefix+"co3Xw", "Errors.User.PasswordComplexityPolicy.HasLower").err()
	case p.HasUppercase && !upper:
		return invalid(prefix+"VoaRj", "Errors.User.PasswordComplexityPolicy.HasUpper").err()
	case p.HasNumber && !number:
		return invalid(prefix+"ZBv4H", "Errors.User.PasswordComplexityPolicy.HasNumber").err()
	case p.HasSymbol && !symbol:
		return invalid(prefix+"ZDLwA", "Errors.User.PasswordComplexityPolicy.HasSymbol").err()
	}
	return nil
}
