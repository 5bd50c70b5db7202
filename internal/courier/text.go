package courier

import (
	"fmt"
	"strings"
	"unicode"

	"github.com/neosc/mfa-operator/internal/mfa"
)

const (
	maxCode        = 64
	maxApplication = 64
)

// ends is when a code ends, as users read it.
const ends = "15:04 MST"

// shortText is what an SMS says.
func shortText(m mfa.Message) string {
	return fmt.Sprintf("%s is your code%s. It ends at %s. Give it to nobody.", m.Code, forApplication(m), m.ExpiresAt.UTC().Format(ends))
}

// longText is what an e-mail says.
func longText(m mfa.Message) string {
	return fmt.Sprintf(`Your code%s is

    %s

It ends at %s, and works once. Give it to nobody: nobody who helps you needs it.

If you are not signing in just now, somebody else knows your password. Change it.
`, forApplication(m), m.Code, m.ExpiresAt.UTC().Format(ends))
}

func forApplication(m mfa.Message) string {
	if m.Application == "" {
		return ""
	}
	return " for " + m.Application
}

// tidy makes the application's name one short line, and refuses a code that is
// none.
func tidy(m mfa.Message) (mfa.Message, error) {
	if m.Code == "" || len(m.Code) > maxCode || strings.ContainsFunc(m.Code, func(r rune) bool { return r > unicode.MaxASCII || !unicode.IsPrint(r) }) {
		return m, fmt.Errorf("the code is not 1 to %d printable characters", maxCode)
	}
	name := []rune(strings.Join(strings.FieldsFunc(strings.ToValidUTF8(m.Application, ""), func(r rune) bool {
		return unicode.IsSpace(r) || !unicode.IsPrint(r)
	}), " "))
	m.Application = string(name[:min(len(name), maxApplication)])
	return m, nil
}
