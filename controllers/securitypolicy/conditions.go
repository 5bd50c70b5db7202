package securitypolicy

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/kube"
	"github.com/neosc/mfa-operator/internal/policy"
)

// setConditions sums up the targets.
func setConditions(p *v1alpha1.SecurityPolicy, status *v1alpha1.SecurityPolicyStatus, seen pass) {
	set := func(kind string, ok bool, reason, message string) {
		c := metav1.Condition{Type: kind, Status: metav1.ConditionFalse, Reason: reason, Message: message, ObservedGeneration: p.Generation}
		if ok {
			c.Status = metav1.ConditionTrue
		}
		meta.SetStatusCondition(&status.Conditions, c)
	}

	failed := failedTargets(status.Targets)
	ready, reason, message := summary(p, status, failed)
	set(v1alpha1.ConditionReady, ready, reason, message)

	if i := slices.IndexFunc(failed, refusesSpec); i >= 0 {
		set(v1alpha1.ConditionAccepted, false, failed[i].Reason, describe(failed[i]))
	} else {
		set(v1alpha1.ConditionAccepted, true, v1alpha1.ReasonAccepted, "every target may be acted on")
	}

	lost, lostReason, lostMessage := overridden(status.Targets)
	kube.SetPresentWhileTrue(&status.Conditions, lost, metav1.Condition{
		Type: v1alpha1.ConditionOverridden, Reason: lostReason, Message: lostMessage, ObservedGeneration: p.Generation,
	})
	if drifted := lastDrift(status.Targets); drifted != nil {
		repaired, reason := driftReason(drifted)
		set(v1alpha1.ConditionDriftDetected, !repaired, reason, describeDrift(drifted))
	}
	stalled := len(failed) > 0 && seen.retryable() == nil
	kube.SetPresentWhileTrue(&status.Conditions, stalled, metav1.Condition{
		Type: v1alpha1.ConditionStalled, Reason: reason, Message: message, ObservedGeneration: p.Generation,
	})
	kube.SetPresentWhileTrue(&status.Conditions, limited(&p.Spec), metav1.Condition{
		Type: v1alpha1.ConditionEnforcementLimited, Reason: v1alpha1.ReasonNotEveryLogin, ObservedGeneration: p.Generation,
		Message: "Zitadel has no setting for a second factor at every login: checks stay fresh for up to 15 minutes, and " +
			"login version 2 reuses a live session. For a hard guarantee the relying party must send max_age=0 or prompt=login " +
			"and check auth_time and amr",
	})
}

// limited tells whether the policy asks for more than Zitadel can enforce.
func limited(spec *v1alpha1.SecurityPolicySpec) bool {
	return policy.Enabled(spec) && spec.Mode != v1alpha1.ModeAudit &&
		spec.MFA != nil && spec.MFA.Enforcement == v1alpha1.EnforcementAlwaysRequired
}

func summary(p *v1alpha1.SecurityPolicy, status *v1alpha1.SecurityPolicyStatus, failed []v1alpha1.TargetStatus) (ready bool, reason, message string) {
	if len(failed) > 0 {
		reason = failed[0].Reason
		if len(failed) < len(status.Targets) && slices.ContainsFunc(failed, func(t v1alpha1.TargetStatus) bool { return t.Reason != reason }) {
			reason = v1alpha1.ReasonPartlyInForce
		}
		message = describe(failed[0])
		if more := len(failed) - 1; more > 0 {
			message += fmt.Sprintf("; and %d more, see status.targets", more)
		}
		return false, reason, message
	}
	switch {
	case !p.DeletionTimestamp.IsZero():
		return false, v1alpha1.ReasonProgressing, "being deleted"
	case !policy.Enabled(&p.Spec):
		return true, v1alpha1.ReasonDisabled, "the policy is disabled; what stood before is in force"
	case p.Spec.Mode == v1alpha1.ModeAudit:
		return true, v1alpha1.ReasonAuditOnly, fmt.Sprintf("nothing is written; %d of %d targets differ, see status.targets[].pending", pendingTargets(status), len(status.Targets))
	default:
		return true, v1alpha1.ReasonInForce, "in force at every target"
	}
}

func pendingTargets(status *v1alpha1.SecurityPolicyStatus) int {
	n := 0
	for _, t := range status.Targets {
		if t.State == v1alpha1.TargetPending {
			n++
		}
	}
	return n
}

func failedTargets(targets []v1alpha1.TargetStatus) []v1alpha1.TargetStatus {
	return slices.DeleteFunc(slices.Clone(targets), func(t v1alpha1.TargetStatus) bool {
		return t.State != v1alpha1.TargetFailed
	})
}

// refusesSpec tells a failure that lies in what the spec asks for from one of
// the provider.
func refusesSpec(t v1alpha1.TargetStatus) bool {
	switch t.Reason {
	case v1alpha1.ReasonNamespaceNotAllowed, v1alpha1.ReasonConnectionNotFound, v1alpha1.ReasonOrganizationNotFound,
		v1alpha1.ReasonClaimInvalid, v1alpha1.ReasonNoMethodLeft, v1alpha1.ReasonSettingsRejected:
		return true
	}
	return false
}

// describe names a target and says what is wrong with it.
func describe(t v1alpha1.TargetStatus) string {
	return fmt.Sprintf("%s: %s", where(&t), t.Message)
}

// where names a target.
func where(t *v1alpha1.TargetStatus) string {
	if t.Scope == v1alpha1.ScopeOrganization {
		return "organization " + t.Organization + " of " + t.Connection
	}
	return "instance of " + t.Connection
}

// overridden sums up the fields in which other policies won.
func overridden(targets []v1alpha1.TargetStatus) (lost bool, reason, message string) {
	reason, more := v1alpha1.ReasonHigherPrecedence, -1
	for i := range targets {
		for _, f := range targets[i].Overridden {
			if f.Stricter {
				reason = v1alpha1.ReasonStricterPolicy
			}
			if message == "" {
				message = fmt.Sprintf("%s at %s: %s of %s holds instead of %s",
					f.Field, where(&targets[i]), f.Effective, strings.Join(f.By, ", "), f.Value)
			}
			more++
		}
	}
	if more > 0 {
		message += fmt.Sprintf("; and %d more, see status.targets[].overridden", more)
	}
	return more >= 0, reason, message
}

// lastDrift returns the target that somebody else changed last, nil if there is
// none.
func lastDrift(targets []v1alpha1.TargetStatus) *v1alpha1.TargetStatus {
	var last *v1alpha1.TargetStatus
	for i := range targets {
		t := &targets[i]
		if t.Drift != nil && (last == nil || last.Drift.DetectedTime.Before(&t.Drift.DetectedTime)) {
			last = t
		}
	}
	return last
}

func driftReason(t *v1alpha1.TargetStatus) (repaired bool, reason string) {
	switch {
	case t.State != v1alpha1.TargetFailed:
		return true, v1alpha1.ReasonDriftRepaired
	case t.Reason == v1alpha1.ReasonContestedBy:
		return false, v1alpha1.ReasonContestedBy
	default:
		return false, v1alpha1.ReasonDriftNotRepaired
	}
}

// describeDrift says who changed what where.
func describeDrift(t *v1alpha1.TargetStatus) string {
	d := t.Drift
	editor, when := who("", ""), d.DetectedTime
	if d.Editor != nil {
		editor = who(d.Editor.UserID, d.Editor.Name)
	}
	if d.EditedTime != nil {
		when = *d.EditedTime
	}
	at := where(t)
	if d.Organization != "" {
		at = "organization " + d.Organization + " below the " + at
	}
	changes := make([]string, len(d.Settings))
	for i, c := range d.Settings {
		changes[i] = fmt.Sprintf("%s to %s, wanted %s", c.Setting, shown(c.Found), shown(c.Wanted))
	}
	return fmt.Sprintf("%s changed at %s, at %s: %s", editor, at, when.UTC().Format(time.RFC3339), strings.Join(changes, ", "))
}
