package securitypolicy

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/neosc/mfa-operator/api/v1alpha1"
)

// Reasons of Events on a SecurityPolicy.
const (
	eventApplied       = "PolicyApplied"
	eventDriftRepaired = "DriftRepaired"
	eventPutBack       = "SettingsPutBack"
	eventSyncFailed    = "SyncFailed"
	eventRecovered     = "Recovered"
)

// noteLimit is what the API server accepts as the note of an Event.
const noteLimit = 1024

// tellChanges raises an Event for each target that was written to now. All of it
// is in the ledger by now: a target with an error is left out.
func (r *Reconciler) tellChanges(p *v1alpha1.SecurityPolicy, seen pass) {
	for i := range seen.results {
		for _, one := range seen.results[i].withBelow() {
			if one.err != nil || !one.anew || !one.settled.changed() {
				continue
			}
			reason, kind := eventApplied, corev1.EventTypeNormal
			switch {
			case one.settled.drifted:
				reason, kind = eventDriftRepaired, corev1.EventTypeWarning
			case putsBack(p, one.target):
				reason = eventPutBack
			}
			r.Events.Eventf(p, nil, kind, reason, "Sync", "%s", note(one))
		}
	}
}

// tellReadiness raises an Event for a failure that is new, and for a recovery.
func (r *Reconciler) tellReadiness(p, before *v1alpha1.SecurityPolicy) {
	was := meta.FindStatusCondition(before.Status.Conditions, v1alpha1.ConditionReady)
	is := meta.FindStatusCondition(p.Status.Conditions, v1alpha1.ConditionReady)
	switch {
	case is.Status == metav1.ConditionFalse && (was == nil || was.Reason != is.Reason):
		r.Events.Eventf(p, nil, corev1.EventTypeWarning, eventSyncFailed, "Sync", "%s: %s", is.Reason, clip(is.Message, noteLimit-len(is.Reason)-2))
	case is.Status == metav1.ConditionTrue && was != nil && was.Status == metav1.ConditionFalse && was.Reason != v1alpha1.ReasonProgressing:
		r.Events.Eventf(p, nil, corev1.EventTypeNormal, eventRecovered, "Sync", "%s", is.Message)
	}
}

// note says what was written where: setting, value found, value written.
func note(one *result) string {
	var parts []string
	for _, c := range one.settled.written {
		parts = append(parts, fmt.Sprintf("%s %s → %s", c.Setting, shown(c.Found.String()), shown(c.Wanted.String())))
	}
	for _, g := range one.settled.reset {
		parts = append(parts, string(g)+" follows the instance again")
	}
	text := fmt.Sprintf("%s of %s: %s", one.target, one.target.key.connection, strings.Join(parts, ", "))
	if one.settled.drifted {
		text += "; changed by " + one.settled.drift.editor()
	}
	return clip(text, noteLimit)
}

func shown(value string) string {
	if value == "" {
		return `""`
	}
	return value
}

func clip(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	return strings.ToValidUTF8(text[:limit-len("…")], "") + "…"
}
