package options

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/util/validation"
)

// MFA is what the operator of the webhook process chooses for local
// verification.
type MFA struct {
	// Namespaces are those whose local users are verified here; one that is empty
	// stands for all. None: no application is answered.
	Namespaces []string
	// PodName names this process in what it appends to audit ledgers, 1 to 253
	// characters.
	PodName string
	// Issuer is the iss of session tokens, a URL.
	Issuer string
	// RelyingPartyID is the domain WebAuthn credentials are made for; empty:
	// WebAuthn is not offered. Origins are the exact origins that may ask.
	RelyingPartyID, RelyingPartyName string
	Origins                          []string
	// FIDOMetadataFile has the BLOB that attestations are led to; empty: no make of
	// authenticator can be proven.
	FIDOMetadataFile string
	// PublicURL is the origin under which browsers reach the enrolment page; empty:
	// there is no page. PageProxies are the networks of those in front of it whose
	// X-Forwarded-For is believed.
	PublicURL   string
	PageProxies []netip.Prefix
	Email       Email
	SMS         SMS
}

// SMS says how codes are sent by SMS; without URL they are not. See courier.SMS
// for the rest.
type SMS struct {
	URL                               string
	SigningKeyFile, TokenFile, CAFile string
	Prefixes                          []string
}

func (o *MFA) add(flags *pflag.FlagSet) {
	flags.StringSliceVar(&o.Namespaces, "mfa-namespace", nil, "namespace whose local users are verified here, * for all; can be given more than once (default: none, and applications are not answered)")
	flags.StringVar(&o.PodName, "pod-name", ownName(), "the name of this process in audit ledgers (default: $POD_NAME, else the host's name)")
	flags.StringVar(&o.Issuer, "mfa-issuer", "", "issuer (iss) of session tokens, a URL (default: https:// and the first --dns-name)")
	flags.StringVar(&o.RelyingPartyID, "webauthn-rp-id", "", "domain WebAuthn credentials are made for, such as example.com; without, WebAuthn is not offered to local users")
	flags.StringVar(&o.RelyingPartyName, "webauthn-rp-name", "", "name of the relying party, for people (default: the domain)")
	flags.StringSliceVar(&o.Origins, "webauthn-origin", nil, "exact origin that may ask for WebAuthn, such as https://login.example.com; can be given more than once (default: https:// and the domain)")
	flags.StringVar(&o.FIDOMetadataFile, "fido-metadata-file", "", "file with the BLOB of the FIDO Metadata Service, by which makes of authenticators are proven; without, none can be, and a policy that demands it lets nobody enrol one")
	flags.StringVar(&o.PublicURL, "mfa-public-url", "", "scheme, host and port under which browsers reach the page of enrolment links, such as https://mfa.example.com; at or below --webauthn-rp-id; without, there is no page")
	flags.Var(prefixes{&o.PageProxies}, "mfa-page-proxy", "network of a proxy in front of the page whose X-Forwarded-For is believed, such as 10.0.0.0/8; can be given more than once (default: none, and whoever connects is the client)")
	o.Email.add(flags, "codes by e-mail, and notices of changes; without, there are none for local users")
	flags.StringVar(&o.Email.Subject, "email-subject", "", "subject of codes by e-mail (default: Your sign-in code)")
	flags.StringVar(&o.SMS.URL, "sms-gateway-url", "", "gateway for codes by SMS, HTTPS; without, they are not offered to local users")
	flags.StringVar(&o.SMS.SigningKeyFile, "sms-signing-key-file", "", "file with the key that requests to the gateway are signed with: whsec_ and base64")
	flags.StringVar(&o.SMS.TokenFile, "sms-token-file", "", "file with a bearer token for the gateway")
	flags.StringVar(&o.SMS.CAFile, "sms-ca-file", "", "certificates, PEM, of those who may have issued the gateway's (default: the system's)")
	flags.StringSliceVar(&o.SMS.Prefixes, "sms-prefix", nil, "what a number must begin with, such as +49; can be given more than once, at least one is needed")
}

func (o *MFA) complete(dnsName string) {
	if slices.Contains(o.Namespaces, "*") {
		o.Namespaces = []string{""}
	}
	if o.Issuer == "" {
		o.Issuer = "https://" + dnsName
	}
	if o.RelyingPartyID != "" && len(o.Origins) == 0 {
		o.Origins = []string{"https://" + o.RelyingPartyID}
	}
	if o.RelyingPartyID != "" && o.PublicURL != "" && !slices.Contains(o.Origins, o.PublicURL) {
		o.Origins = append(o.Origins, o.PublicURL)
	}
	if o.RelyingPartyName == "" {
		o.RelyingPartyName = o.RelyingPartyID
	}
}

func (o *MFA) validate() []error {
	var errs []error
	if n := len(o.PodName); n < 1 || n > 253 {
		errs = append(errs, fmt.Errorf("--pod-name must have 1 to 253 characters, got %d", n))
	}
	for _, namespace := range o.Namespaces {
		if wrong := validation.IsDNS1123Label(namespace); namespace != "" && len(wrong) > 0 {
			errs = append(errs, fmt.Errorf("--mfa-namespace %q: %s", namespace, strings.Join(wrong, "; ")))
		}
	}
	if u, err := url.Parse(o.Issuer); err != nil || u.Scheme != "https" || u.Host == "" {
		errs = append(errs, fmt.Errorf("--mfa-issuer must be an https URL, got %q", o.Issuer))
	}
	if strings.ContainsAny(o.RelyingPartyID, ":/@ ") {
		errs = append(errs, fmt.Errorf("--webauthn-rp-id must be a domain, without scheme or port, got %q", o.RelyingPartyID))
	}
	if o.RelyingPartyID == "" && len(o.Origins) > 0 {
		errs = append(errs, errors.New("--webauthn-origin needs --webauthn-rp-id"))
	}
	if o.PublicURL != "" {
		if err := o.checkPublicURL(); err != nil {
			errs = append(errs, fmt.Errorf("--mfa-public-url %q: %w", o.PublicURL, err))
		}
	}
	for _, origin := range o.Origins {
		if origin == o.PublicURL {
			continue
		}
		if err := checkOrigin(origin, o.RelyingPartyID); err != nil {
			errs = append(errs, fmt.Errorf("--webauthn-origin %q: %w", origin, err))
		}
	}
	return errs
}

// checkPublicURL holds the page's origin to that of the relying party: elsewhere
// no browser would make a key for it.
func (o *MFA) checkPublicURL() error {
	domain := o.RelyingPartyID
	if u, err := url.Parse(o.PublicURL); domain == "" && err == nil {
		domain = u.Hostname()
	}
	if len(o.Namespaces) == 0 {
		return errors.New("needs --mfa-namespace: there is nobody to enrol")
	}
	if o.PublicURL != strings.ToLower(o.PublicURL) || strings.HasSuffix(o.PublicURL, ":443") {
		return errors.New("must be as browsers write it: in lower case, and without the usual port")
	}
	return checkOrigin(o.PublicURL, domain)
}

// checkOrigin holds an origin to what browsers accept for a relying party: HTTPS,
// or plain HTTP on localhost, at the domain or below it (WebAuthn Level 3, 5.1.3).
func checkOrigin(origin, domain string) error {
	u, err := url.Parse(origin)
	switch {
	case err != nil || u.Host == "" || u.Path != "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil:
		return errors.New("must be scheme, host and port, and nothing else")
	case u.Scheme != "https" && (u.Scheme != "http" || u.Hostname() != "localhost"):
		return errors.New("must be https, or http for localhost")
	case u.Hostname() != domain && !strings.HasSuffix(u.Hostname(), "."+domain):
		return fmt.Errorf("must be %s or a domain below it", domain)
	}
	return nil
}

// prefixes is a flag that can be given more than once.
type prefixes struct{ list *[]netip.Prefix }

func (p prefixes) String() string { return "" }

func (p prefixes) Type() string { return "network" }

func (p prefixes) Set(text string) error {
	prefix, err := netip.ParsePrefix(text)
	if err != nil || prefix != prefix.Masked() {
		return fmt.Errorf("%q is no network such as 10.0.0.0/8", text)
	}
	*p.list = append(*p.list, prefix)
	return nil
}
