package securitypolicy

import (
	"context"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/kube"
	"github.com/neosc/mfa-operator/internal/policy"
)

// report writes what users read: the status, once and only if it changed, and
// an Event for each thing that happened.
func (r *Reconciler) report(ctx context.Context, p *v1alpha1.SecurityPolicy, seen pass) error {
	before := p.DeepCopy()
	p.Status = statusOf(p, seen, metav1.NewTime(r.now()))
	r.tellChanges(p, before, seen)
	r.tellReadiness(p, before)
	_, err := kube.WriteStatus(ctx, r.Client, before, p)
	return err
}

// statusOf is the status after a pass. now is only used where something
// happened.
func statusOf(p *v1alpha1.SecurityPolicy, seen pass, now metav1.Time) v1alpha1.SecurityPolicyStatus {
	status := v1alpha1.SecurityPolicyStatus{
		ObservedGeneration: p.Generation,
		Conditions:         slices.Clone(p.Status.Conditions),
	}
	inForce, total := 0, 0
	for i := range seen.results {
		one := &seen.results[i]
		if one.spec == nil && one.err == nil {
			continue // let go of, and done with
		}
		target := targetStatus(p, one, now)
		if one.spec != nil {
			total++
		}
		if target.State == v1alpha1.TargetInForce {
			inForce++
		}
		status.Targets = append(status.Targets, target)
	}
	status.InForce = fmt.Sprintf("%d/%d", inForce, total)
	setConditions(p, &status, seen)
	return status
}

func targetStatus(p *v1alpha1.SecurityPolicy, one *result, now metav1.Time) v1alpha1.TargetStatus {
	t := v1alpha1.TargetStatus{
		Connection:     one.target.key.connection,
		Scope:          v1alpha1.ScopeInstance,
		OrganizationID: one.target.key.scope.OrganizationID,
		Organization:   one.target.name,
	}
	if t.OrganizationID != "" {
		t.Scope = v1alpha1.ScopeOrganization
	}
	if one.spec != nil {
		t.Connection, t.Scope = one.spec.Connection, one.spec.Scope
		if t.Organization == "" && one.spec.Organization != nil {
			t.Organization = selectorText(one.spec.Organization)
		}
	}
	if old := previous(p, t); old != nil {
		t.LastChangeTime = old.LastChangeTime
	}
	if one.err != nil {
		t.State = v1alpha1.TargetFailed
		t.Reason, t.Message, _ = kube.Explain(one.err)
		return t
	}
	if one.settled.changed() {
		t.LastChangeTime = &now
	}
	t.State, t.Reason = settledState(&p.Spec, one.settled)
	for _, c := range one.settled.pending {
		t.Pending = append(t.Pending, v1alpha1.SettingChange{
			Setting: string(c.Setting), Found: c.Found.String(), Wanted: c.Wanted.String(),
		})
	}
	return t
}

func settledState(spec *v1alpha1.SecurityPolicySpec, s settled) (v1alpha1.TargetState, string) {
	switch {
	case !policy.Enabled(spec):
		return v1alpha1.TargetOutOfForce, v1alpha1.ReasonDisabled
	case spec.Mode == v1alpha1.ModeAudit && len(s.pending) > 0:
		return v1alpha1.TargetPending, v1alpha1.ReasonAuditOnly
	default:
		return v1alpha1.TargetInForce, v1alpha1.ReasonInForce
	}
}

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
		v1alpha1.ReasonTargetConflict, v1alpha1.ReasonClaimInvalid, v1alpha1.ReasonNoMethodLeft, v1alpha1.ReasonSettingsRejected:
		return true
	}
	return false
}

// describe names a target and says what is wrong with it.
func describe(t v1alpha1.TargetStatus) string {
	what := "instance"
	if t.Scope == v1alpha1.ScopeOrganization {
		what = "organization " + t.Organization
	}
	return fmt.Sprintf("%s of %s: %s", what, t.Connection, t.Message)
}

func selectorText(s *v1alpha1.OrganizationSelector) string {
	switch {
	case s.Name != "":
		return s.Name
	case s.ID != "":
		return s.ID
	default:
		return s.PrimaryDomain
	}
}

// previous finds what was last written about the same target.
func previous(p *v1alpha1.SecurityPolicy, t v1alpha1.TargetStatus) *v1alpha1.TargetStatus {
	i := slices.IndexFunc(p.Status.Targets, func(old v1alpha1.TargetStatus) bool {
		return old.Connection == t.Connection && old.Scope == t.Scope &&
			(t.OrganizationID != "" && old.OrganizationID == t.OrganizationID || old.Organization == t.Organization)
	})
	if i < 0 {
		return nil
	}
	return &p.Status.Targets[i]
}
