package mfa

// Method is a kind of second factor, in the words of a SecurityPolicy.
type Method string

// The methods.
const (
	TOTP          Method = "TOTP"
	WebAuthn      Method = "WebAuthn"
	RecoveryCodes Method = "RecoveryCodes"
	Email         Method = "Email"
	SMS           Method = "SMS"
)
