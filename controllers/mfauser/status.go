package mfauser

import (
	"cmp"
	"errors"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/idp"
	"github.com/neosc/mfa-operator/internal/kube"
	"github.com/neosc/mfa-operator/internal/policy"
)

// The states of a factor.
const (
	factorReady   = "Ready"
	factorPending = "Pending"
)

// mostFactors bounds what a status lists, and longestName its texts: a person
// may register keys at will.
const (
	mostFactors = 50
	longestName = 100
)

// setReady sums up the user; failure is what kept us from knowing.
func setReady(u *v1alpha1.MFAUser, failure error) {
	u.Status.ObservedGeneration = u.Generation
	ready := metav1.Condition{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, ObservedGeneration: u.Generation}
	switch {
	case failure != nil:
		ready.Status = metav1.ConditionFalse
		ready.Reason, ready.Message, _ = kube.Explain(failure)
		if idp.CauseOf(failure) == idp.MissingPermission {
			ready.Message = "the account may not read this user; grant it IAM_OWNER_VIEWER, or ORG_OWNER_VIEWER on the organization (" + failure.Error() + ")"
		}
	case u.Spec.Source == v1alpha1.SourceLocal:
		ready.Reason, ready.Message = v1alpha1.ReasonResolved, "the effective policy is known"
	default:
		ready.Reason, ready.Message = v1alpha1.ReasonObserved, "user "+u.Status.Zitadel.UserID+" of Zitadel"
	}
	meta.SetStatusCondition(&u.Status.Conditions, ready)
	kube.SetPresentWhileTrue(&u.Status.Conditions, failure != nil && !errors.Is(failure, idp.ErrUnreachable),
		metav1.Condition{Type: v1alpha1.ConditionStalled, Reason: ready.Reason, Message: ready.Message, ObservedGeneration: u.Generation})
}

// unknow drops what is not known any more after a failure. What could merely not
// be read again stays, and Ready says so.
func unknow(u *v1alpha1.MFAUser, failure error) {
	var refusal *kube.Refusal
	if !errors.Is(failure, idp.ErrNotFound) && !errors.Is(failure, idp.ErrRejected) && !errors.As(failure, &refusal) {
		return
	}
	u.Status = v1alpha1.MFAUserStatus{Conditions: u.Status.Conditions, User: reference(u)}
	for _, kind := range []string{v1alpha1.ConditionFactorsKnown, v1alpha1.ConditionSessionsKnown} {
		meta.RemoveStatusCondition(&u.Status.Conditions, kind)
	}
}

// reference names the person as the spec does.
func reference(u *v1alpha1.MFAUser) string {
	if ref := u.Spec.Zitadel; ref != nil {
		return ref.UserID + ref.LoginName + ref.Email // exactly one is set
	}
	return u.Spec.Username
}

// setFactors shows what a person has.
func setFactors(u *v1alpha1.MFAUser, state idp.PersonState, has idp.Credentials) {
	known := metav1.Condition{
		Type: v1alpha1.ConditionFactorsKnown, Status: metav1.ConditionTrue, ObservedGeneration: u.Generation,
		Reason: v1alpha1.ReasonReadable, Message: "all factors could be read",
	}
	u.Status.Zitadel.ExternalLogin = v1alpha1.ExternalLoginNotLinked
	switch {
	case !has.MethodsKnown:
		u.Status.Zitadel.ExternalLogin = ""
		known.Status, known.Reason = metav1.ConditionFalse, v1alpha1.ReasonFactorsPermissionMissing
		known.Message = "recovery codes and links to external identity providers are not known: the account may not list methods; " +
			"grant it IAM_OWNER_VIEWER, or ORG_OWNER_VIEWER on its own organization"
	case has.Linked:
		u.Status.Zitadel.ExternalLogin = v1alpha1.ExternalLoginLinked
	}
	meta.SetStatusCondition(&u.Status.Conditions, known)

	factors, types := []v1alpha1.UserFactor{}, []string{}
	for _, c := range has.List {
		f := v1alpha1.UserFactor{Type: string(c.Factor), ID: clip(c.ID), Name: clip(c.Name), State: factorPending}
		if c.Ready {
			f.State = factorReady
			types = append(types, f.Type)
		}
		factors = append(factors, f)
	}
	slices.SortFunc(factors, func(a, b v1alpha1.UserFactor) int {
		return cmp.Or(cmp.Compare(a.Type, b.Type), cmp.Compare(a.ID, b.ID))
	})
	slices.Sort(types)
	u.Status.Factors = factors[:min(len(factors), mostFactors)]
	u.Status.FactorTypes = strings.Join(slices.Compact(types), ",")
	u.Status.Phase = phaseOf(state, len(types) > 0)
}

func phaseOf(state idp.PersonState, enrolled bool) v1alpha1.UserPhase {
	switch {
	case state == idp.PersonLocked:
		return v1alpha1.UserLocked
	case state == idp.PersonInactive:
		return v1alpha1.UserSuspended
	case enrolled:
		return v1alpha1.UserEnrolled
	default:
		return v1alpha1.UserPendingEnrolment
	}
}

// traits reads back from the status what judging needs, and what is not known.
func traits(u *v1alpha1.MFAUser) (has, unsure policy.Traits) {
	var c idp.Credentials
	for _, f := range u.Status.Factors {
		c.List = append(c.List, idp.Credential{Factor: idp.Factor(f.Type), Ready: f.State == factorReady})
	}
	// A status without room for all of them has room for each type.
	for _, kind := range strings.Split(u.Status.FactorTypes, ",") {
		c.List = append(c.List, idp.Credential{Factor: idp.Factor(kind), Ready: true})
	}
	if z := u.Status.Zitadel; z != nil {
		c.MethodsKnown = z.ExternalLogin != ""
		c.Linked = z.ExternalLogin == v1alpha1.ExternalLoginLinked
	}
	return policy.TraitsOf("", c), policy.UnsureOf(c)
}

// setSessions counts sessions; refusal is why that may not be done.
func setSessions(u *v1alpha1.MFAUser, sessions []idp.Session, now time.Time, refusal error) {
	known := metav1.Condition{
		Type: v1alpha1.ConditionSessionsKnown, Status: metav1.ConditionTrue, ObservedGeneration: u.Generation,
		Reason: v1alpha1.ReasonReadable, Message: "sessions could be read",
	}
	u.Status.Sessions = nil
	if refusal != nil {
		known.Status, known.Reason = metav1.ConditionFalse, v1alpha1.ReasonSessionsPermissionMissing
		known.Message = "the account may not list sessions; grant it IAM_OWNER_VIEWER, or ORG_USER_MANAGER on the organization (" + refusal.Error() + ")"
	} else {
		count := v1alpha1.SessionsStatus{}
		var ends time.Time
		for _, s := range sessions {
			if s.Ended(now) {
				continue
			}
			count.Active++
			if s.MFAVerified {
				count.MFAVerified++
			}
			ends = earliest(ends, s.Expires)
		}
		if !ends.IsZero() {
			// To the second, and not before it.
			at := metav1.NewTime(ends.UTC().Add(time.Second).Truncate(time.Second))
			count.NextEndTime = &at
		}
		u.Status.Sessions = &count
	}
	meta.SetStatusCondition(&u.Status.Conditions, known)
}

// sessionsEnd is when a session ends that is counted; zero if none does.
func sessionsEnd(u *v1alpha1.MFAUser) time.Time {
	if s := u.Status.Sessions; s != nil && s.NextEndTime != nil {
		return s.NextEndTime.Time
	}
	return time.Time{}
}

// setEffective shows what policies make together.
func setEffective(u *v1alpha1.MFAUser, e policy.Effective) {
	shown := &v1alpha1.EffectivePolicy{
		Enforcement: e.Rules.MFA.Enforcement,
		Methods:     slices.Sorted(slices.Values(e.Rules.MFA.Methods)),
	}
	var names []string
	for _, f := range e.Fields {
		if strings.HasPrefix(f.Field, "mfa.enforcement.") {
			continue // no field of a spec
		}
		p := v1alpha1.FieldProvenance{Field: f.Field, Value: clip(f.Value)}
		for _, by := range f.By {
			p.By = append(p.By, policyName(by))
		}
		names = append(names, p.By...)
		shown.Provenance = append(shown.Provenance, p)
	}
	slices.Sort(names)
	shown.Names = strings.Join(slices.Compact(names), ",")
	u.Status.EffectivePolicy = shown
}

func setVerdict(u *v1alpha1.MFAUser, v policy.Verdict) {
	u.Status.Compliance, u.Status.ComplianceReason, u.Status.ExemptUntil = v.Compliance, v.Reason, nil
	if !v.ExemptUntil.IsZero() {
		until := metav1.NewTime(v.ExemptUntil.UTC())
		u.Status.ExemptUntil = &until
	}
}

func clip(text string) string {
	if runes := []rune(text); len(runes) > longestName {
		return string(runes[:longestName-1]) + "…"
	}
	return text
}
