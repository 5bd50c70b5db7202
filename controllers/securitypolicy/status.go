package securitypolicy

import (
	"context"
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/kube"
	"github.com/neosc/mfa-operator/internal/policy"
)

// report writes what users read: the status, once and only if it changed, and
// an Event for each thing that happened.
func (r *Reconciler) report(ctx context.Context, p *v1alpha1.SecurityPolicy, seen pass) error {
	before := p.DeepCopy()
	p.Status = statusOf(p, seen)
	p.Status.Impact = r.impactOf(p, seen)
	if p.Status.Impact != nil {
		exempt, err := r.exemptFrom(ctx, p, seen)
		if err != nil {
			return err
		}
		p.Status.Impact.Exempt = exempt
	}
	r.tellChanges(p, seen)
	r.tellReadiness(p, before)
	_, err := kube.WriteStatus(ctx, r.Client, before, p)
	return err
}

// statusOf is the status after a pass.
func statusOf(p *v1alpha1.SecurityPolicy, seen pass) v1alpha1.SecurityPolicyStatus {
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
		t := targetStatus(p, one)
		if one.spec != nil {
			total++
		}
		if t.State == v1alpha1.TargetInForce {
			inForce++
		}
		status.Targets = append(status.Targets, t)
	}
	status.InForce = fmt.Sprintf("%d/%d", inForce, total)
	bound(status.Targets)
	setConditions(p, &status, seen)
	return status
}

// What a status lists is bounded, as an object in etcd is: the values by their
// length, the differences by their number in all targets together.
const (
	longestValue    = 200
	mostDifferences = 1000
)

// bound leaves out the differences for which there is no room.
func bound(targets []v1alpha1.TargetStatus) {
	listed := 0
	for i := range targets {
		t := &targets[i]
		listed += len(t.Pending) + len(t.Overridden)
		if t.Drift != nil {
			listed += len(t.Drift.Settings)
		}
		if listed <= mostDifferences {
			continue
		}
		if len(t.Pending)+len(t.Overridden) > 0 {
			t.Message = fmt.Sprintf("%d settings differ and %d fields are overridden; there is no room here to list them", len(t.Pending), len(t.Overridden))
		}
		t.Pending, t.Overridden = nil, nil
		if t.Drift != nil {
			t.Drift = &v1alpha1.Drift{DetectedTime: t.Drift.DetectedTime, Editor: t.Drift.Editor, EditedTime: t.Drift.EditedTime}
		}
	}
}

func targetStatus(p *v1alpha1.SecurityPolicy, one *result) v1alpha1.TargetStatus {
	t := v1alpha1.TargetStatus{
		Connection:     one.target.key.connection,
		Scope:          v1alpha1.ScopeInstance,
		OrganizationID: one.target.key.scope.OrganizationID,
		Organization:   one.target.org.Name,
		Organizations:  one.below.status(),
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
		t.LastChangeTime, t.Drift = old.LastChangeTime, old.Drift
	}
	for _, each := range one.withBelow() {
		if d := driftStatus(p, each); d != nil && (t.Drift == nil || !d.DetectedTime.Before(&t.Drift.DetectedTime)) {
			t.Drift = d
		}
		if at := metav1.NewTime(each.settled.at).Rfc3339Copy(); each.err == nil && (t.LastChangeTime == nil || t.LastChangeTime.Before(&at)) && !at.IsZero() {
			t.LastChangeTime = &at
		}
	}
	if one.err != nil {
		t.State = v1alpha1.TargetFailed
		t.Reason, t.Message, _ = kube.Explain(one.err)
		return t
	}
	pending, effective := one.settled.pending(one.applicable.ifEnforced(p))
	t.Pending, t.Overridden = changesStatus(pending), overriddenStatus(p, effective)
	t.State, t.Reason = settledState(&p.Spec, len(pending) > 0)
	if failed := one.below.failure(); failed != nil {
		reason, message, _ := kube.Explain(failed.err)
		t.State, t.Reason, t.Message = v1alpha1.TargetFailed, reason, failed.target.String()+" below it: "+message
	} else if t.Scope == v1alpha1.ScopeInstance && !one.below.known && !policy.Suspended(&p.Spec) {
		t.Message = "organizations with settings of their own are not looked at: it is not known, or not yet, which those are"
	}
	return t
}

func changesStatus(changes []policy.Change) []v1alpha1.SettingChange {
	var shown []v1alpha1.SettingChange
	for _, c := range changes {
		shown = append(shown, v1alpha1.SettingChange{Setting: string(c.Setting), Found: clip(c.Found.String(), longestValue), Wanted: clip(c.Wanted.String(), longestValue)})
	}
	return shown
}

// overriddenStatus lists the fields in which p lost.
func overriddenStatus(p *v1alpha1.SecurityPolicy, e policy.Effective) []v1alpha1.OverriddenField {
	var lost []v1alpha1.OverriddenField
	name := client.ObjectKeyFromObject(p)
	for _, f := range e.LostBy(name) {
		o := v1alpha1.OverriddenField{Field: f.Field, Effective: clip(f.Value, longestValue), Stricter: f.Stricter}
		for _, l := range f.Over {
			if l.Policy == name {
				o.Value = clip(l.Value, longestValue)
			}
		}
		for _, by := range f.By {
			if by != name {
				o.By = append(o.By, by.String())
			}
		}
		lost = append(lost, o)
	}
	return lost
}

// driftStatus is the last change by somebody else at a target, nil if it
// concerns nothing that p asked for.
func driftStatus(p *v1alpha1.SecurityPolicy, one *result) *v1alpha1.Drift {
	d := one.settled.drift
	name := client.ObjectKeyFromObject(p)
	if d == nil || !slices.ContainsFunc(d.Settings, func(c driftedChange) bool {
		return slices.Contains(one.settled.held.Entries[c.Setting].By, name)
	}) {
		return nil
	}
	shown := &v1alpha1.Drift{DetectedTime: metav1.NewTime(d.Detected).Rfc3339Copy()}
	if one.spec == nil && !one.target.key.scope.IsInstance() {
		shown.Organization = one.target.org.Name
	}
	for _, c := range d.Settings {
		shown.Settings = append(shown.Settings, v1alpha1.SettingChange{Setting: string(c.Setting), Found: clip(c.Found, longestValue), Wanted: clip(c.Wanted, longestValue)})
	}
	if d.Editor.UserID != "" {
		shown.Editor = &v1alpha1.Editor{UserID: d.Editor.UserID, Name: d.Editor.Name}
		edited := metav1.NewTime(d.Edited).Rfc3339Copy()
		shown.EditedTime = &edited
	}
	return shown
}

func settledState(spec *v1alpha1.SecurityPolicySpec, pending bool) (v1alpha1.TargetState, string) {
	switch {
	case !policy.Enabled(spec):
		return v1alpha1.TargetOutOfForce, v1alpha1.ReasonDisabled
	case spec.Mode == v1alpha1.ModeAudit && pending:
		return v1alpha1.TargetPending, v1alpha1.ReasonAuditOnly
	default:
		return v1alpha1.TargetInForce, v1alpha1.ReasonInForce
	}
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
