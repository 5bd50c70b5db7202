package app

import (
	"context"
	"fmt"
	"time"

	"github.com/go-logr/logr"

	"github.com/neosc/mfa-operator/cmd/internal/process"
	"github.com/neosc/mfa-operator/internal/courier"
	"github.com/neosc/mfa-operator/internal/mfa"
	"github.com/neosc/mfa-operator/internal/options"
)

// startNotices starts what tells local users of resets; the notifier is nil if no SMTP
// server is configured. It outlives ctx: the controller-runtime manager would end it
// before the reconcilers, and what they tell last would wait for nobody. end has what
// waits sent yet, for a while.
func startNotices(ctx context.Context, o options.Email, log logr.Logger) (notifier mfa.Notifier, end func(), err error) {
	notices, err := courier.NewNotices(courier.Config{Email: process.Email(o)}, time.Now, log)
	if err != nil {
		return nil, nil, fmt.Errorf("configuring how users are told: %w", err)
	}
	if notices == nil {
		return nil, func() {}, nil
	}
	life, cancel := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := notices.Start(life); err != nil {
			log.Error(err, "Sending notices has ended")
		}
	}()
	return notices, func() { cancel(); <-ended }, nil
}
