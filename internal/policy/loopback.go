package policy

import (
	"net"

	"github.com/neosc/mfa-operator/api/v1alpha1"
)

// Loopback tells whether the host that a connection leads to is this machine,
// so that plain HTTP crosses no network. A name below localhost is not: a
// cluster's DNS takes zitadel.localhost for the Service zitadel in a namespace of
// that name.
func Loopback(spec *v1alpha1.ZitadelConnectionSpec) bool {
	host := spec.Domain
	if spec.Address != "" {
		if h, _, err := net.SplitHostPort(spec.Address); err == nil {
			host = h
		}
	}
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}
