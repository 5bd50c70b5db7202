package zitadeltest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"
)

// DefaultDenyList is what a Zitadel refuses to call unless its operator says otherwise: itself and
// private networks.
var DefaultDenyList = []string{
	"localhost", "127.0.0.0/8", "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "169.254.0.0/16", "172.16.0.0/12",
	"192.168.0.0/16", "198.18.0.0/15", "::1/128", "::/128", "fc00::/7", "fe80::/10",
}

// denyList holds names, addresses and networks that must not be called.
type denyList struct {
	names    []string
	networks []netip.Prefix
}

// CheckDenyList says what is wrong with the entries of Options.DenyList: each must be a host name, an
// address or a network.
func CheckDenyList(entries []string) error {
	_, err := newDenyList(entries)
	return err
}

func newDenyList(entries []string) (denyList, error) {
	var list denyList
	for _, entry := range entries {
		if prefix, err := netip.ParsePrefix(entry); err == nil {
			list.networks = append(list.networks, prefix.Masked())
		} else if ip, err := netip.ParseAddr(entry); err == nil {
			list.networks = append(list.networks, netip.PrefixFrom(ip, ip.BitLen()))
		} else if strings.ContainsAny(entry, "/: ") || entry == "" {
			return denyList{}, fmt.Errorf("%q is no host name, address or network", entry)
		} else {
			list.names = append(list.names, strings.ToLower(entry))
		}
	}
	return list, nil
}

// resolveTime is how long looking up the host of an endpoint may take.
const resolveTime = 2 * time.Second

var errDenied = errors.New("the address is on the deny list")

// checkURL refuses endpoints that are malformed, do not resolve, or resolve to what is denied.
func (d denyList) checkURL(ctx context.Context, endpoint string) error {
	u, err := url.Parse(endpoint)
	if err != nil {
		return fmt.Errorf("reading the endpoint: %w", err)
	}
	host := u.Hostname()
	if host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return fmt.Errorf("the endpoint %q is no HTTP address", endpoint)
	}
	if slices.Contains(d.names, strings.ToLower(host)) {
		return errDenied
	}
	ctx, cancel := context.WithTimeout(ctx, resolveTime)
	defer cancel()
	addresses, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return fmt.Errorf("resolving the endpoint: %w", err)
	}
	for _, ip := range addresses {
		if d.denies(ip) {
			return errDenied
		}
	}
	return nil
}

func (d denyList) denies(ip netip.Addr) bool {
	ip = ip.Unmap().WithZone("")
	return slices.ContainsFunc(d.networks, func(network netip.Prefix) bool { return network.Contains(ip) })
}

// checkDial is for a dialer: a name may resolve to something else by the time it is called.
func (d denyList) checkDial(address string) error {
	target, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("reading the address to call: %w", err)
	}
	if d.denies(target.Addr()) {
		return errDenied
	}
	return nil
}
