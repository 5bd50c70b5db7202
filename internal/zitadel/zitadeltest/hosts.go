package zitadeltest

import (
	"context"
	"net"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// headerInstanceHost overrides the host name a call is addressed to.
const headerInstanceHost = "x-zitadel-instance-host"

// authority returns the host a call is for, and whether a header chose it.
func authority(ctx context.Context) (host string, byHeader bool) {
	if host, ok := header(ctx, headerInstanceHost); ok && host != "" {
		return host, true
	}
	host, _ = header(ctx, ":authority")
	return host, false
}

// checkHost finds the instance by host name. There is one instance; without the header it also
// answers on loopback names, so that tests reach it wherever it listens.
func (s *Server) checkHost(host string, byHeader bool) error {
	name := hostName(host)
	if strings.EqualFold(name, s.domain) || (!byHeader && isLoopback(name)) {
		return nil
	}
	return status.Errorf(codes.NotFound,
		"unable to set instance using origin %s: ID=QUERY-1kIjX Message=Errors.IAM.NotFound", host)
}

func hostName(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		return name
	}
	return strings.Trim(host, "[]")
}

func isLoopback(name string) bool {
	if strings.EqualFold(name, "localhost") {
		return true
	}
	ip := net.ParseIP(name)
	return ip != nil && ip.IsLoopback()
}
