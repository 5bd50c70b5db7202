package options

import "github.com/spf13/pflag"

// Email says how e-mails are sent; without Host none are. See courier.Email for the
// rest.
type Email struct {
	Host                       string
	Port                       int
	TLS                        string
	CAFile                     string
	UsernameFile, PasswordFile string
	From                       string
	// Subject is that of codes; the webhook alone sends them.
	Subject string
}

// add adds the flags that both processes have. use is what the server is for.
func (o *Email) add(flags *pflag.FlagSet, use string) {
	flags.StringVar(&o.Host, "smtp-host", "", "SMTP server for "+use)
	flags.IntVar(&o.Port, "smtp-port", 0, "its port (default: 587 for StartTLS, 465 for Implicit)")
	flags.StringVar(&o.TLS, "smtp-tls", "StartTLS", "StartTLS or Implicit")
	flags.StringVar(&o.CAFile, "smtp-ca-file", "", "certificates, PEM, of those who may have issued the server's (default: the system's)")
	flags.StringVar(&o.UsernameFile, "smtp-username-file", "", "file with the user name for the server")
	flags.StringVar(&o.PasswordFile, "smtp-password-file", "", "file with the password for the server")
	flags.StringVar(&o.From, "email-from", "", `sender of e-mails, such as "ACME sign-in <no-reply@acme.example>"`)
}
