package verify

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
)

// wires are connections of callers who wait for each answer. http.Transport has two
// goroutines at work for each of its connections: on a machine with few processors
// they would be a good part of what is measured.
type wires struct {
	config *tls.Config
	idle   chan *wire
}

type wire struct {
	conn *tls.Conn
	in   *bufio.Reader
}

func newWires(config *tls.Config, most int) *wires {
	return &wires{config: config, idle: make(chan *wire, most)}
}

// RoundTrip implements http.RoundTripper.
func (ws *wires) RoundTrip(req *http.Request) (*http.Response, error) {
	w, err := ws.take(req)
	if err != nil {
		return nil, err
	}
	resp, err := w.ask(req)
	if err != nil {
		return nil, errors.Join(err, w.conn.Close())
	}
	ws.idle <- w
	return resp, nil
}

func (ws *wires) take(req *http.Request) (*wire, error) {
	select {
	case w := <-ws.idle:
		return w, nil
	default:
	}
	conn, err := tls.Dial("tcp", req.URL.Host, ws.config)
	if err != nil {
		return nil, fmt.Errorf("connecting: %w", err)
	}
	return &wire{conn: conn, in: bufio.NewReader(conn)}, nil
}

// ask sends a request and reads the whole answer.
func (w *wire) ask(req *http.Request) (*http.Response, error) {
	if err := req.Write(w.conn); err != nil {
		return nil, fmt.Errorf("sending a request: %w", err)
	}
	resp, err := http.ReadResponse(w.in, req)
	if err != nil {
		return nil, fmt.Errorf("reading an answer: %w", err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, fmt.Errorf("reading an answer: %w", err)
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return resp, nil
}

// close ends the connections; nobody may be asking.
func (ws *wires) close() (err error) {
	close(ws.idle)
	for w := range ws.idle {
		err = errors.Join(err, w.conn.Close())
	}
	return err
}
