package harness

import (
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
)

// Proxy stands between a process and a server, by TCP. While it hangs, it accepts
// connections and what comes over them, and passes nothing on in either direction.
type Proxy struct {
	// Address is the host:port it listens on.
	Address string

	to       string
	listener net.Listener
	pumps    sync.WaitGroup

	mu     sync.Mutex
	open   chan struct{} // closed: bytes pass
	conns  map[net.Conn]struct{}
	closed bool
}

// StartProxy starts one in front of a host:port, on loopback; it passes everything on.
func StartProxy(to string) (*Proxy, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("starting a proxy: %w", err)
	}
	p := &Proxy{Address: listener.Addr().String(), to: to, listener: listener, open: make(chan struct{}), conns: map[net.Conn]struct{}{}}
	close(p.open)
	p.pumps.Go(p.accept)
	return p, nil
}

// Hang begins to pass nothing on.
func (p *Proxy) Hang() {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.open:
		p.open = make(chan struct{})
	default:
	}
}

// Resume passes on what has come meanwhile, and all that follows.
func (p *Proxy) Resume() {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.open:
	default:
		close(p.open)
	}
}

// Close ends every connection.
func (p *Proxy) Close() error {
	p.mu.Lock()
	p.closed = true
	errs := []error{p.listener.Close()}
	for conn := range p.conns {
		errs = append(errs, conn.Close())
	}
	p.mu.Unlock()
	p.Resume()
	p.pumps.Wait()
	return errors.Join(errs...)
}

func (p *Proxy) accept() {
	for {
		from, err := p.listener.Accept()
		if err != nil {
			return // closed
		}
		p.pumps.Go(func() { p.connect(from) })
	}
}

// connect passes on until one side ends.
func (p *Proxy) connect(from net.Conn) {
	if !p.keep(from) {
		return
	}
	defer p.drop(from)
	to, err := net.Dial("tcp", p.to)
	if err != nil || !p.keep(to) {
		return // as if the server refused
	}
	var both sync.WaitGroup
	for _, way := range [][2]net.Conn{{from, to}, {to, from}} {
		both.Go(func() {
			_, _ = io.Copy(gated{way[0], p}, way[1]) // whoever is connected notices the end
			p.drop(way[0])
			p.drop(way[1])
		})
	}
	both.Wait()
}

// keep remembers a connection, unless all are being closed.
func (p *Proxy) keep(conn net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		_ = conn.Close() // nothing was sent
		return false
	}
	p.conns[conn] = struct{}{}
	return true
}

func (p *Proxy) drop(conn net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, kept := p.conns[conn]; kept {
		delete(p.conns, conn)
		_ = conn.Close() // its end is what is wanted
	}
}

// gated writes while the proxy does not hang.
type gated struct {
	net.Conn
	proxy *Proxy
}

func (g gated) Write(b []byte) (int, error) {
	g.proxy.mu.Lock()
	open := g.proxy.open
	g.proxy.mu.Unlock()
	<-open
	return g.Conn.Write(b)
}
