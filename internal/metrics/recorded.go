package metrics

import (
	"regexp"
	"strings"
	"sync"

	"github.com/neosc/mfa-operator/internal/audit"
)

// Where a second factor was tried.
const (
	local   = "local"
	zitadel = "zitadel"
)

// Recorded counts what records tell that this process has appended. It is the one
// door: whatever happens is a record before it is an answer, and a record is
// appended once.
func Recorded(records []audit.Record) {
	for i := range records {
		r := &records[i]
		LedgerRecords.WithLabelValues(string(r.Action), string(r.Outcome)).Inc()
		if r.Outcome == audit.Throttled {
			throttles.WithLabelValues(reasons.bounded(r.Reason)).Inc()
		}
		switch r.Action {
		case audit.Verification, audit.RecoveryCodeUsed:
			verifications.WithLabelValues(local, methods.bounded(r.Method), string(r.Outcome), reasons.bounded(r.Reason)).Inc()
		case audit.SSOFactorCheck:
			verifications.WithLabelValues(zitadel, methods.bounded(r.Method), string(r.Outcome), reasons.bounded(r.Reason)).Inc()
		case audit.UserLocked:
			locks.WithLabelValues(sourceOf(r)).Inc()
		case audit.PolicyDrifted:
			driftFound.Inc()
		case audit.PolicyApplied:
			if r.Reason == driftRepairedReason {
				driftRepaired.Inc()
			}
		default:
		}
	}
}

// driftRepairedReason is the reason of the record that drift was put right.
const driftRepairedReason = "DriftRepaired"

// sourceOf tells whether a user was locked here or at Zitadel: only what happened
// there has an event, of an aggregate of a user there.
func sourceOf(r *audit.Record) string {
	if r.Origin != nil && !strings.HasPrefix(r.Origin.Aggregate, "mfauser/") {
		return zitadel
	}
	return local
}

// words lets through the first most CamelCase words that it sees. The code has
// fewer; were one ever to come from outside, it would be counted under Other.
type words struct {
	most int

	mu   sync.Mutex
	seen map[string]bool
}

const other = "Other"

var (
	methods = &words{most: 16}
	reasons = &words{most: 48}

	camelCase = regexp.MustCompile(`^[A-Z][A-Za-z0-9]{0,39}$`)
)

func (w *words) bounded(word string) string {
	if word == "" {
		return ""
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.seen[word]:
		return word
	case len(w.seen) >= w.most || !camelCase.MatchString(word):
		return other
	}
	if w.seen == nil {
		w.seen = map[string]bool{}
	}
	w.seen[word] = true
	return word
}
