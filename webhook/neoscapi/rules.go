package neoscapi

import (
	"fmt"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/policy"
)

// rulesOf says what a spec asks for, and where, in NeoSC's words where it has any: how
// far the policy goes, a line for each field that is set, and one for each target.
func rulesOf(spec *v1alpha1.SecurityPolicySpec) []string {
	var lines []string
	switch spec.Mode {
	case v1alpha1.ModeEnforce:
	case v1alpha1.ModeAudit:
		lines = append(lines, "Audit only: nothing of this is put in force")
	case v1alpha1.ModeWarn:
		lines = append(lines, "Warn only: MFA is not forced, all else is in force")
	}
	for _, f := range policy.FieldValues(spec) {
		switch f.Path {
		case "mfa.enforcement":
			lines = append(lines, enforcement(spec.MFA))
		case "mfa.methods":
			lines = append(lines, methods(spec.MFA)...)
		case "mfa.preferredMethod":
			if len(spec.MFA.Methods) == 0 {
				lines = append(lines, named(spec.MFA.PreferredMethod)+" preferred")
			}
		case "mfa.passkeyLogin":
			lines = append(lines, passkeys[spec.MFA.PasskeyLogin])
		default:
			lines = append(lines, f.Path+": "+f.Value)
		}
	}
	return append(lines, targets(&spec.Targets)...)
}

func enforcement(m *v1alpha1.MFASettings) string {
	line, whose := string(m.Enforcement), ""
	switch m.Enforcement {
	case v1alpha1.EnforcementAlwaysRequired:
		line = "Require MFA for login"
	case v1alpha1.EnforcementRequiredOnFirstLogin:
		line = "Require MFA set-up at first login"
	case v1alpha1.EnforcementOptional:
		return "MFA is optional"
	}
	if m.AppliesTo == v1alpha1.LocalUsersOnly {
		whose = ", except through external identity providers"
	}
	return line + whose
}

// methods says in which order they are meant; without a preferred one they are in none.
func methods(m *v1alpha1.MFASettings) []string {
	if len(m.Methods) == 0 {
		return []string{"No second factor allowed"}
	}
	var lines []string
	others := " allowed"
	if m.PreferredMethod != "" {
		lines, others = append(lines, named(m.PreferredMethod)+" preferred"), " as fallback"
	}
	for _, method := range m.Methods {
		if method != m.PreferredMethod {
			lines = append(lines, named(method)+others)
		}
	}
	return lines
}

func named(m v1alpha1.Method) string {
	switch m {
	case v1alpha1.MethodRecoveryCodes:
		return "Recovery codes"
	case v1alpha1.MethodEmail:
		return "E-mail codes"
	case v1alpha1.MethodSMS:
		return "SMS codes"
	default:
		return string(m)
	}
}

var passkeys = map[v1alpha1.Permission]string{
	v1alpha1.Allowed:   "A passkey may replace the password",
	v1alpha1.Forbidden: "A passkey may not replace the password",
}

func targets(t *v1alpha1.Targets) []string {
	var lines []string
	for _, z := range t.Zitadel {
		switch o := z.Organization; {
		case o == nil:
			lines = append(lines, "Applies to the whole Zitadel instance "+z.Connection)
		case o.Name != "":
			lines = append(lines, fmt.Sprintf("Applies to organization %s of Zitadel instance %s", o.Name, z.Connection))
		case o.PrimaryDomain != "":
			lines = append(lines, fmt.Sprintf("Applies to the organization of %s of Zitadel instance %s", o.PrimaryDomain, z.Connection))
		default:
			lines = append(lines, fmt.Sprintf("Applies to organization %s of Zitadel instance %s", o.ID, z.Connection))
		}
	}
	if t.LocalUsers != nil {
		lines = append(lines, "Applies to local users")
	}
	return lines
}
