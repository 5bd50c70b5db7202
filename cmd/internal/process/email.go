package process

import (
	"github.com/neosc/mfa-operator/internal/courier"
	"github.com/neosc/mfa-operator/internal/options"
)

// Email is how a process sends e-mails; nil: it does not.
func Email(o options.Email) *courier.Email {
	if o.Host == "" {
		return nil
	}
	return &courier.Email{
		Host: o.Host, Port: o.Port, TLS: courier.TLS(o.TLS), CAFile: o.CAFile,
		UsernameFile: o.UsernameFile, PasswordFile: o.PasswordFile, From: o.From, Subject: o.Subject,
	}
}
