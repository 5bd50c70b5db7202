package courier

import (
	"fmt"
	"strings"
	"unicode"

	"github.com/neosc/mfa-operator/internal/audit"
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

// noticeSubject is that of every notice.
const noticeSubject = "Your second factor: please check"

// noticeText is what an e-mail says of a change.
func noticeText(n mfa.Notice) string {
	expected, unexpected := "If it was you, there is nothing to do.", "If it was not, somebody else may be signing in in your name"
	if n.Event == audit.MFAReset { // it never was
		expected = "If you asked for it, there is nothing to do but to set up a new one when you are asked to."
		unexpected = "If you did not, somebody else may have asked in your name, to sign in as you"
	}
	return fmt.Sprintf(`%s, on %s.

%s

%s: change your password, and tell whoever looks after
your sign-in at once. Nobody will ask you for a code because of this message, and there is no link in it to follow.
`, happened(n), n.At.UTC().Format("2 January 2006 at 15:04 MST"), expected, unexpected)
}

// happened says what somebody did, as users read it.
func happened(n mfa.Notice) string {
	switch n.Event {
	case audit.EnrolmentLinkIssued:
		return "A link was made with which a second factor can be set up for you"
	case audit.FactorEnrolled:
		return "A second factor was set up for you: " + called(n.Method)
	case audit.FactorRemoved:
		return "A second factor of yours was removed: " + called(n.Method)
	case audit.MFAReset:
		return "Your second factor was reset by an administrator"
	case audit.RecoveryCodesIssued:
		return "New recovery codes were made for you; earlier ones are void"
	case audit.RecoveryCodeUsed:
		return "One of your recovery codes was used to sign in; it is void now"
	default:
		return "Your second factor was changed"
	}
}

// called is a method, in words of users.
func called(m mfa.Method) string {
	switch m {
	case mfa.WebAuthn:
		return "a security key or passkey"
	case mfa.TOTP:
		return "an authenticator app"
	case mfa.Email:
		return "codes by e-mail"
	case mfa.SMS:
		return "codes by SMS"
	case mfa.RecoveryCodes:
		return "recovery codes"
	default:
		return "one of a kind that is not known here"
	}
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
