package mfauser

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/localpolicy"
	"github.com/neosc/mfa-operator/internal/mfa"
)

// setLocal shows what a local user has and did, and returns when a lock or a
// session ends.
func setLocal(u *v1alpha1.MFAUser, standing *mfa.User, rules mfa.Rules, names map[string]name, now time.Time) time.Time {
	s := &u.Status
	s.User = u.Spec.Username
	s.Factors, s.FactorTypes = []v1alpha1.UserFactor{}, ""
	var types []string
	enrolled := false
	for _, f := range standing.Factors {
		shown := v1alpha1.UserFactor{
			Type: string(f.Method), ID: f.ID, Name: clip(names[f.ID].name), AAGUID: names[f.ID].aaguid, State: factorReady,
			AddedAt: seconds(f.AddedAt), LastUsedAt: minute(f.UsedAt),
		}
		s.Factors, types = append(s.Factors, shown), append(types, shown.Type)
		enrolled = enrolled || f.Method != mfa.RecoveryCodes
	}
	slices.SortFunc(s.Factors, func(a, b v1alpha1.UserFactor) int {
		return cmp.Or(cmp.Compare(a.Type, b.Type), cmp.Compare(a.ID, b.ID))
	})
	slices.Sort(types)
	s.FactorTypes = strings.Join(slices.Compact(types), ",")
	s.RecoveryCodesLeft = nil
	if left, issued := standing.CodesLeft(); issued {
		s.RecoveryCodesLeft = new(int32(left))
	}
	s.LastVerifiedTime, s.FailedAttempts = minute(standing.VerifiedAt), int32(standing.FailedAttempts())

	lockedUntil, locked := standing.LockedUntil(now)
	s.LockedUntil = seconds(lockedUntil)
	suspended := u.Spec.Suspended != nil && *u.Spec.Suspended
	switch {
	case suspended:
		s.Phase = v1alpha1.UserSuspended
	case locked:
		s.Phase = v1alpha1.UserLocked
	case enrolled:
		s.Phase = v1alpha1.UserEnrolled
	default:
		s.Phase = v1alpha1.UserPendingEnrolment
	}
	s.GraceEndsAt = nil
	if ends, running := standing.Grace(rules, now); running {
		s.GraceEndsAt = seconds(ends)
	}
	active, verified, ends := standing.ActiveSessions(mfa.Person{Owner: localpolicy.Owner(u), Suspended: suspended}, rules, now)
	s.Sessions = &v1alpha1.SessionsStatus{Active: int32(active), MFAVerified: int32(verified), NextEndTime: seconds(ends)}
	return earliest(lockedUntil, sessionsEnd(u))
}

// methodsOf lists what a local user can prove themselves with, by whether the
// rules allow it. Recovery codes are a way to another factor, and none themselves.
func methodsOf(standing *mfa.User, rules mfa.Rules) (allowed, other string) {
	var yes, no []string
	for _, f := range standing.Factors {
		switch {
		case f.Method == mfa.RecoveryCodes:
		case slices.Contains(rules.Methods, f.Method):
			yes = append(yes, string(f.Method))
		default:
			no = append(no, string(f.Method))
		}
	}
	list := func(methods []string) string {
		slices.Sort(methods)
		return strings.Join(slices.Compact(methods), ", ")
	}
	return list(yes), list(no)
}

// setNamesKnown tells whether the names of factors could be read; refusal is why
// that may not be done.
func setNamesKnown(u *v1alpha1.MFAUser, refusal error) {
	known := metav1.Condition{
		Type: v1alpha1.ConditionFactorsKnown, Status: metav1.ConditionTrue, ObservedGeneration: u.Generation,
		Reason: v1alpha1.ReasonReadable, Message: "all factors could be read",
	}
	if refusal != nil {
		known.Status, known.Reason = metav1.ConditionFalse, v1alpha1.ReasonCredentialsForbidden
		known.Message = "which factors count is known, but not their names and makes: the manager may not read the Secret with them; " +
			"bind the ClusterRole mfa-operator-manager-credentials to its service account in this namespace"
	}
	meta.SetStatusCondition(&u.Status.Conditions, known)
}

// setLedgerLost tells that the ledger that knew the factors was lost.
func setLedgerLost(u *v1alpha1.MFAUser) {
	meta.SetStatusCondition(&u.Status.Conditions, metav1.Condition{
		Type: v1alpha1.ConditionFactorsKnown, Status: metav1.ConditionFalse, ObservedGeneration: u.Generation,
		Reason: v1alpha1.ReasonLedgerLost, Message: "they had factors by a ledger that is gone, and the one there is now takes none of them; " +
			"the password alone does not let them enrol: make an enrolment link, or an MFAReset",
	})
}

// isForgotten tells whether setLedgerLost has been told of somebody, and still
// holds.
func isForgotten(u *v1alpha1.MFAUser, standing *mfa.User) bool {
	known := meta.FindStatusCondition(u.Status.Conditions, v1alpha1.ConditionFactorsKnown)
	return known != nil && known.Reason == v1alpha1.ReasonLedgerLost && !standing.Known()
}

// onlyActivity tells whether nothing differs but what changes with every
// verification.
func onlyActivity(was, is *v1alpha1.MFAUserStatus) bool {
	if equality.Semantic.DeepEqual(was, is) {
		return false
	}
	rest := is.DeepCopy()
	keepActivity(was, rest)
	return equality.Semantic.DeepEqual(was, rest)
}

// keepActivity puts back what changes with every verification.
func keepActivity(was, is *v1alpha1.MFAUserStatus) {
	is.Sessions, is.LastVerifiedTime, is.FailedAttempts = was.Sessions, was.LastVerifiedTime, was.FailedAttempts
	for i := range is.Factors {
		for _, f := range was.Factors {
			if f.ID == is.Factors[i].ID {
				is.Factors[i].LastUsedAt = f.LastUsedAt
			}
		}
	}
}

// seconds is an instant as a status holds it: in whole seconds, and not before it.
func seconds(t time.Time) *metav1.Time {
	if t.IsZero() {
		return nil
	}
	up := t.UTC().Add(time.Second - 1).Truncate(time.Second)
	return &metav1.Time{Time: up}
}

// minute is an instant to the minute; nil if there is none.
func minute(t time.Time) *metav1.Time {
	if t.IsZero() {
		return nil
	}
	return &metav1.Time{Time: t.UTC().Truncate(time.Minute)}
}
