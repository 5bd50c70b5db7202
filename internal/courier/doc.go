// Package courier hands one-time codes over for delivery: by e-mail to an SMTP
// server, by SMS to a gateway that is asked over HTTP. Both are spoken to over
// TLS or not at all.
//
// It knows no user and keeps nothing: who may be sent a code, and how often, is
// internal/mfa's business. Where to look:
//
//	config.go   what may be configured, and what is refused
//	courier.go  mfa.Courier
//	mail.go     an e-mail
//	notices.go  mfa.Notifier, by e-mail, behind a queue
//	sms.go      a signed request to the gateway
//	text.go     what users read
package courier
