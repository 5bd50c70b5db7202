package pages

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"golang.org/x/time/rate"
	"k8s.io/utils/lru"
)

// mostHops of proxies are looked through.
const mostHops = 16

// clientOf is the address of the browser: whoever connects, or, as long as that
// is a proxy of ours, whoever it says connected to it. What a browser itself says
// stands further left, and is not looked at.
func clientOf(r *http.Request, proxies []netip.Prefix) netip.Addr {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	client := plain(peer.Addr())
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	slices.Reverse(hops)
	for _, hop := range hops[:min(len(hops), mostHops)] {
		if !slices.ContainsFunc(proxies, func(p netip.Prefix) bool { return p.Contains(client) }) {
			return client
		}
		before, err := netip.ParseAddr(strings.TrimSpace(hop))
		if err != nil {
			return client
		}
		client = plain(before)
	}
	return client
}

func plain(a netip.Addr) netip.Addr { return a.Unmap().WithZone("") }

// How much one address may ask; an IPv6 network of 64 bits is one address. It
// spares the ledger: guesses at codes are counted there.
const (
	perSecond = 1
	burst     = 30
	// mostClients are remembered, those who asked last.
	mostClients = 1 << 16
)

// limits holds back who asks too much.
type limits struct {
	proxies []netip.Prefix
	clients *lru.Cache
	now     func() time.Time
}

func newLimits(proxies []netip.Prefix) *limits {
	return &limits{proxies: proxies, clients: lru.New(mostClients), now: time.Now}
}

func (l *limits) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !l.allow(clientOf(r, l.proxies)) {
			write(w, problem{status: http.StatusTooManyRequests, Problem: problemWait, RetryAfter: 5})
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (l *limits) allow(client netip.Addr) bool {
	if client.Is6() {
		network, _ := client.Prefix(64)
		client = network.Addr()
	}
	limiter, known := l.clients.Get(client)
	if !known {
		limiter = rate.NewLimiter(perSecond, burst)
		l.clients.Add(client, limiter)
	}
	return limiter.(*rate.Limiter).AllowN(l.now(), 1)
}
