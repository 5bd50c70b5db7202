package app

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/go-logr/logr"
	"k8s.io/client-go/rest"

	"github.com/neosc/mfa-operator/internal/ledger"
	"github.com/neosc/mfa-operator/internal/ledger/sink"
	"github.com/neosc/mfa-operator/internal/mfa"
	"github.com/neosc/mfa-operator/internal/options"
)

// newLedgers makes the audit ledgers, with the sinks that the flags name.
func newLedgers(config *rest.Config, o options.Manager, log logr.Logger, stdout io.Writer) (*ledger.Ledgers[mfa.Entry, mfa.Attempt], error) {
	var sinks []ledger.Sink
	if o.AuditStdout {
		sinks = append(sinks, sink.NewJSONLines(stdout))
	}
	if o.AuditCloudEventsURL != "" {
		events, err := sink.NewCloudEvents(o.AuditCloudEventsURL, nil, tokenIn(o.AuditCloudEventsTokenFile))
		if err != nil {
			return nil, fmt.Errorf("--audit-cloudevents-url: %w", err)
		}
		sinks = append(sinks, events)
	}
	// The webhook server appends to these ledgers too: checkpoints hold the state of
	// this very fold.
	return ledger.New(ledger.Config{REST: config, Writer: o.PodName, Log: log.WithName("ledger"), Sinks: sinks}, mfa.Fold{})
}

// tokenIn reads a bearer token anew each time, as a mounted Secret changes. Nil: there
// is none. What is in the file is part of no error.
func tokenIn(file string) func() (string, error) {
	if file == "" {
		return nil
	}
	return func() (string, error) {
		text, err := os.ReadFile(file) //nolint:gosec // whoever starts the process names the file
		if err != nil {
			return "", err
		}
		token := string(bytes.TrimSpace(text))
		if token == "" || strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) {
			return "", errors.New("it is empty, or has characters that no token has")
		}
		return token, nil
	}
}
