package zitadeltest

import (
	"fmt"
	"slices"

	policypb "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/policy"
)

// The methods here change policies behind the operator's back. orgID "" means the instance. An
// organization without a policy of its own gets a copy of what it inherits, changed. No difference
// writes nothing.

// ChangeLoginPolicy edits the login policy in effect: the scalars and the two factor lists.
func (a Actor) ChangeLoginPolicy(orgID string, edit func(*policypb.LoginPolicy)) {
	a.s.mu.Lock()
	defer a.s.mu.Unlock()
	policy := loginPB(a.s.write, orgID)
	inherited := effectiveLists(a.s.write, orgID)
	edit(policy)
	second, multi := numbersFrom(policy.GetSecondFactors()), numbersFrom(policy.GetMultiFactors())
	agg := a.scope(orgID)
	before, own := a.s.write.login[agg.id]
	var changes []change
	if !own {
		changes = append(changes, policyAdded[loginPolicy]{loginKind, loginFrom(policy)})
		inherited = loginLists{}
	} else if after := loginFrom(policy); after != before.value {
		changes = append(changes, policyChanged[loginPolicy]{loginKind, before.value, after})
	}
	changes = append(changes, factorDifference(secondFactor, inherited.second, second)...)
	changes = append(changes, factorDifference(multiFactor, inherited.multi, multi)...)
	if len(changes) > 0 {
		a.do(agg, changes...)
	}
}

func factorDifference(class factorClass, before, after []int32) []change {
	var changes []change
	for _, factor := range after {
		if !slices.Contains(before, factor) {
			changes = append(changes, factorAdded{class, factor})
		}
	}
	for _, factor := range before {
		if !slices.Contains(after, factor) {
			changes = append(changes, factorRemoved{class, factor})
		}
	}
	return changes
}

func numbersFrom[E ~int32](enums []E) []int32 {
	numbers := make([]int32, len(enums))
	for i, e := range enums {
		numbers[i] = int32(e)
	}
	return numbers
}

// ChangeLockoutPolicy edits the lockout policy in effect.
func (a Actor) ChangeLockoutPolicy(orgID string, edit func(*policypb.LockoutPolicy)) {
	a.s.mu.Lock()
	defer a.s.mu.Unlock()
	policy := lockoutPB(a.s.write, orgID)
	edit(policy)
	replacePolicy(a, lockoutKind, orgID, lockoutPolicy{
		MaxPasswordAttempts: policy.GetMaxPasswordAttempts(), MaxOTPAttempts: policy.GetMaxOtpAttempts(),
	})
}

// ChangePasswordComplexityPolicy edits the password complexity policy in effect.
func (a Actor) ChangePasswordComplexityPolicy(orgID string, edit func(*policypb.PasswordComplexityPolicy)) {
	a.s.mu.Lock()
	defer a.s.mu.Unlock()
	policy := complexityPB(a.s.write, orgID)
	edit(policy)
	replacePolicy(a, complexityKind, orgID, complexityFrom(policy.GetMinLength(), policy))
}

// ChangePasswordAgePolicy edits the password age policy in effect.
func (a Actor) ChangePasswordAgePolicy(orgID string, edit func(*policypb.PasswordAgePolicy)) {
	a.s.mu.Lock()
	defer a.s.mu.Unlock()
	policy := agePB(a.s.write, orgID)
	edit(policy)
	replacePolicy(a, ageKind, orgID, agePolicy{ExpireWarnDays: policy.GetExpireWarnDays(), MaxAgeDays: policy.GetMaxAgeDays()})
}

// ChangeNotificationPolicy edits the notification policy in effect.
func (a Actor) ChangeNotificationPolicy(orgID string, edit func(*policypb.NotificationPolicy)) {
	a.s.mu.Lock()
	defer a.s.mu.Unlock()
	policy := notificationPB(a.s.write, orgID)
	edit(policy)
	replacePolicy(a, notificationKind, orgID, notificationPolicy{policy.GetPasswordChange()})
}

// ResetLoginPolicy makes an organization inherit again, ResetLockoutPolicy and the others likewise.
func (a Actor) ResetLoginPolicy(orgID string) { removePolicy(a, loginKind, orgID) }

// ResetLockoutPolicy is described at ResetLoginPolicy.
func (a Actor) ResetLockoutPolicy(orgID string) { removePolicy(a, lockoutKind, orgID) }

// ResetPasswordComplexityPolicy is described at ResetLoginPolicy.
func (a Actor) ResetPasswordComplexityPolicy(orgID string) { removePolicy(a, complexityKind, orgID) }

// ResetPasswordAgePolicy is described at ResetLoginPolicy.
func (a Actor) ResetPasswordAgePolicy(orgID string) { removePolicy(a, ageKind, orgID) }

// ResetNotificationPolicy is described at ResetLoginPolicy.
func (a Actor) ResetNotificationPolicy(orgID string) { removePolicy(a, notificationKind, orgID) }

func (a Actor) scope(orgID string) aggregate {
	if orgID == "" {
		return a.s.instance()
	}
	if _, known := a.s.write.orgs[orgID]; !known {
		panic(fmt.Sprintf("zitadeltest: there is no organization %q", orgID))
	}
	return orgAggregate(orgID)
}

func replacePolicy[V comparable](a Actor, kind *policyKind[V], orgID string, value V) {
	agg := a.scope(orgID)
	row, own := kind.rows(a.s.write)[agg.id]
	switch {
	case !own:
		a.do(agg, policyAdded[V]{kind, value})
	case row.value != value:
		a.do(agg, policyChanged[V]{kind, row.value, value})
	}
}

func removePolicy[V comparable](a Actor, kind *policyKind[V], orgID string) {
	a.s.mu.Lock()
	defer a.s.mu.Unlock()
	agg := a.scope(orgID)
	if _, own := kind.rows(a.s.write)[agg.id]; !own || orgID == "" {
		panic(fmt.Sprintf("zitadeltest: %q has no %s policy of its own", orgID, kind.name))
	}
	a.do(agg, policyRemoved[V]{kind})
}
