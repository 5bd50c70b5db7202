package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/neosc/mfa-operator/internal/idp"
)

// screen is what the person in front of it reads.
type screen struct{ out io.Writer }

func (s screen) say(format string, args ...any) { fmt.Fprintf(s.out, "\n"+format+"\n", args...) }

// step announces one step, runs it, and says how long it took.
func (s screen) step(what string, do func() error) error {
	fmt.Fprintf(s.out, "\n== %s\n", what)
	start := time.Now()
	if err := do(); err != nil {
		fmt.Fprintf(s.out, "   FAILED: %v\n", err)
		return fmt.Errorf("%s: %w", what, err)
	}
	fmt.Fprintf(s.out, "   (%s)\n", time.Since(start).Round(time.Millisecond))
	return nil
}

// quote shows the output of a command, indented.
func (s screen) quote(text string) {
	for line := range strings.Lines(strings.TrimRight(text, "\n")) {
		fmt.Fprintf(s.out, "   %s\n", strings.TrimRight(line, "\n"))
	}
}

// settings shows what a scope holds, and marks what differs from before.
func (s screen) settings(now, before idp.Settings) {
	for _, setting := range shownSettings {
		mark := ""
		if was, known := before[setting]; known && was != now[setting] {
			mark = "   <- was " + was.String()
		}
		fmt.Fprintf(s.out, "   %-42s %-8s%s\n", setting, now[setting], mark)
	}
}

// shownSettings are those the walk-through is about.
var shownSettings = []idp.Setting{
	idp.ForceMFA, idp.SecondFactorU2F, idp.SecondFactorTOTP, idp.SecondFactorRecoveryCodes, idp.AllowPasskeys,
	idp.SecondFactorCheckLifetime, idp.MultiFactorCheckLifetime,
}
