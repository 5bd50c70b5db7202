package mfauser

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/audit"
	"github.com/neosc/mfa-operator/internal/mfa"
)

var noon = time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)

func localUser() *v1alpha1.MFAUser {
	u := &v1alpha1.MFAUser{Spec: v1alpha1.MFAUserSpec{Source: v1alpha1.SourceLocal, Username: "ann@example.com"}}
	u.Namespace, u.Name, u.UID = "n", "ann", "1"
	return u
}

func has(methods ...mfa.Method) mfa.User {
	var u mfa.User
	for _, m := range methods {
		u.Factors = append(u.Factors, mfa.FactorState{ID: string(m), Method: m, AddedAt: noon})
	}
	return u
}

func TestLocalUsersAreJudgedAsTheyAreAsked(t *testing.T) {
	required := mfa.Rules{Enforcement: mfa.RequiredOnFirstLogin, Methods: []mfa.Method{mfa.WebAuthn, mfa.RecoveryCodes}}
	graceful := required
	graceful.GracePeriod = time.Hour
	begun := mfa.User{FirstLogin: noon.Add(-59 * time.Minute)}
	over := mfa.User{FirstLogin: noon.Add(-time.Hour)}
	withCodes := has(mfa.RecoveryCodes)
	withCodes.FirstLogin = begun.FirstLogin
	p := types.NamespacedName{Namespace: "n", Name: "p"}
	for _, test := range []struct {
		standing mfa.User
		rules    mfa.Rules
		exempt   bool
		want     v1alpha1.Compliance
		reason   string
	}{
		{mfa.User{}, mfa.Rules{}, false, v1alpha1.Compliant, "nothing is demanded"},
		{mfa.User{}, mfa.Rules{Enforcement: mfa.Optional}, false, v1alpha1.Compliant, "nor by Optional"},
		{has(mfa.WebAuthn), required, false, v1alpha1.Compliant, "has what is allowed"},
		{has(mfa.TOTP, mfa.WebAuthn), required, false, v1alpha1.Compliant, "and something else"},
		{has(mfa.TOTP), required, false, v1alpha1.NonCompliant, "TOTP only, under WebAuthn only"},
		{has(mfa.TOTP), graceful, false, v1alpha1.NonCompliant, "whoever has a factor is given no time"},
		{has(mfa.RecoveryCodes), required, false, v1alpha1.NonCompliant, "codes are no factor, though allowed"},
		{mfa.User{}, required, false, v1alpha1.NonCompliant, "nothing, and no time to enrol"},
		{mfa.User{}, graceful, false, v1alpha1.InGrace, "has not come yet"},
		{begun, graceful, false, v1alpha1.InGrace, "there is a minute left"},
		{withCodes, graceful, false, v1alpha1.InGrace, "codes end no grace"},
		{over, graceful, false, v1alpha1.NonCompliant, "it has ended at this instant"},
		{over, graceful, true, v1alpha1.Exempt, "exempt"},
		{begun, graceful, true, v1alpha1.Exempt, "an exemption says more than grace"},
		{has(mfa.WebAuthn), required, true, v1alpha1.Compliant, "exempt, and in no need of it"},
	} {
		exempt := func(types.NamespacedName) (time.Time, bool) { return noon.Add(time.Hour), test.exempt }
		v := judgeLocally(&test.standing, test.rules, []types.NamespacedName{p}, exempt, noon)
		if v.Compliance != test.want || v.Reason == "" || v.ExemptUntil.IsZero() == (test.want == v1alpha1.Exempt) {
			t.Errorf("%s: %+v, want %s", test.reason, v, test.want)
		}
	}
}

func TestStatusOfALocalUser(t *testing.T) {
	rules := mfa.Rules{Enforcement: mfa.RequiredOnFirstLogin, Methods: []mfa.Method{mfa.TOTP}, SecondFactor: 2 * time.Hour}
	standing := has(mfa.TOTP, mfa.RecoveryCodes)
	standing.Factors[0].UsedAt = noon.Add(-30 * time.Second)
	standing.Factors[1].Codes, standing.Factors[1].Used = 10, 0b101
	standing.VerifiedAt = noon.Add(-30 * time.Second)
	standing.Failures = []mfa.Failures{{Source: "a", Count: 5, Forgiven: 3}, {Source: "b", Count: 1}}
	standing.Lock = &mfa.Lock{Until: noon.Add(90 * time.Minute), Since: noon}
	session := mfa.SessionState{Method: mfa.TOTP, Verified: true, IssuedAt: noon.Add(-time.Hour), ExpiresAt: noon.Add(8 * time.Hour)}
	old, gone, enrolling := session, session, session
	old.IssuedAt = noon.Add(-2 * time.Hour)
	gone.Method = mfa.Email
	enrolling.Verified, enrolling.ExpiresAt = false, noon.Add(2*time.Hour)
	standing.Sessions = []mfa.SessionState{session, old, gone, enrolling}

	u := localUser()
	until := setLocal(u, &standing, rules, map[string]name{"TOTP": {"phone", ""}}, noon)
	s := &u.Status
	if s.Phase != v1alpha1.UserLocked || !s.LockedUntil.Time.Equal(noon.Add(90*time.Minute)) || s.FailedAttempts != 3 {
		t.Errorf("%s until %v after %d failures", s.Phase, s.LockedUntil, s.FailedAttempts)
	}
	if *s.RecoveryCodesLeft != 8 || s.FactorTypes != "RecoveryCodes,TOTP" || s.Factors[1].Name != "phone" {
		t.Errorf("%d codes are left of %s: %+v", *s.RecoveryCodesLeft, s.FactorTypes, s.Factors)
	}
	if at := s.Factors[1].LastUsedAt; !at.Time.Equal(noon.Add(-time.Minute)) || !s.LastVerifiedTime.Time.Equal(at.Time) {
		t.Errorf("last used %v, verified %v, want both to the minute", at, s.LastVerifiedTime)
	}
	// Not the one that the policy's lifetime has ended, nor that of a method it forbids.
	if s.Sessions.Active != 2 || s.Sessions.MFAVerified != 1 {
		t.Errorf("%+v, want the verified one and the one to enrol with", s.Sessions)
	}
	if !until.Equal(noon.Add(time.Hour)) {
		t.Errorf("looks again at %v, want when the policy ends the first session", until)
	}

	if until := setLocal(u, &standing, rules, nil, noon.Add(100*time.Minute)); s.Phase != v1alpha1.UserEnrolled || s.LockedUntil != nil || !until.Equal(noon.Add(2*time.Hour)) {
		t.Errorf("after the lock: %s until %v, next %v", s.Phase, s.LockedUntil, until)
	}
	standing.Lock = &mfa.Lock{Since: noon}
	if until := setLocal(u, &standing, rules, nil, noon.Add(9*time.Hour)); s.Phase != v1alpha1.UserLocked || s.LockedUntil != nil || !until.IsZero() {
		t.Errorf("locked for good: %s until %v, next %v", s.Phase, s.LockedUntil, until)
	}
	u.Spec.Suspended = new(true)
	if setLocal(u, &standing, rules, nil, noon); s.Phase != v1alpha1.UserSuspended || s.Sessions.Active != 0 {
		t.Errorf("suspended: %s with %+v", s.Phase, s.Sessions)
	}
	u.Spec.Suspended = nil
	none := mfa.User{}
	if setLocal(u, &none, rules, nil, noon); s.Phase != v1alpha1.UserPendingEnrolment || s.Factors == nil || len(s.Factors) > 0 || s.RecoveryCodesLeft != nil {
		t.Errorf("of nobody new: %+v", s)
	}
	codes := has(mfa.RecoveryCodes)
	if setLocal(u, &codes, rules, nil, noon); s.Phase != v1alpha1.UserPendingEnrolment {
		t.Errorf("codes alone make them %s", s.Phase)
	}
}

// A login must not cost a write; what matters must not wait for a minute.
func TestActivityIsWrittenOnceAMinute(t *testing.T) {
	rules := mfa.Rules{Enforcement: mfa.RequiredOnFirstLogin, Methods: []mfa.Method{mfa.TOTP}}
	standing := has(mfa.TOTP)
	u := localUser()
	setLocal(u, &standing, rules, nil, noon)
	was := u.Status.DeepCopy()

	if onlyActivity(was, &u.Status) {
		t.Error("nothing differs")
	}
	standing.Factors[0].UsedAt, standing.VerifiedAt = noon.Add(time.Hour), noon.Add(time.Hour)
	standing.Sessions = []mfa.SessionState{{Method: mfa.TOTP, Verified: true, IssuedAt: noon, ExpiresAt: noon.Add(time.Hour)}}
	standing.Failures = []mfa.Failures{{Count: 1}}
	setLocal(u, &standing, rules, nil, noon)
	if !onlyActivity(was, &u.Status) {
		t.Error("a verification, a session and a failure are activity")
	}
	keepActivity(was, &u.Status)
	if onlyActivity(was, &u.Status) {
		t.Error("what was put back still differs")
	}
	standing.Lock = &mfa.Lock{Since: noon}
	setLocal(u, &standing, rules, nil, noon)
	if onlyActivity(was, &u.Status) {
		t.Error("a lock is told at once")
	}

	var r rooms
	key := types.NamespacedName{Name: "ann"}
	if _, may := r.mayTell(key, noon); !may {
		t.Error("the first is told")
	}
	if at, may := r.mayTell(key, noon.Add(59*time.Second)); may || !at.Equal(noon.Add(time.Minute)) {
		t.Errorf("told %v, next %v: want a pause of a minute", may, at)
	}
	if _, may := r.mayTell(key, noon.Add(time.Minute)); !may {
		t.Error("after a minute, again")
	}
}

func TestWhenALedgerWakes(t *testing.T) {
	var r rooms
	key := types.NamespacedName{Name: "ann"}
	if !r.looking(key, noon) || r.looking(key, noon) {
		t.Error("names are read the first time, and not again")
	}
	if at := r.nextLook(key, false, noon.Add(time.Second)); !at.Equal(noon.Add(time.Minute)) {
		t.Errorf("a login is looked at at %v, want a minute after the last look", at)
	}
	if r.looking(key, noon) {
		t.Error("a login changes no names")
	}
	if at := r.nextLook(key, true, noon.Add(time.Second)); !at.Equal(noon.Add(time.Second)) {
		t.Errorf("what is urgent is looked at at %v", at)
	}
	if !r.looking(key, noon) {
		t.Error("names may have changed")
	}
	if names := namesShown(&v1alpha1.MFAUser{Status: v1alpha1.MFAUserStatus{Factors: []v1alpha1.UserFactor{{ID: "1", Name: "phone"}}}}); names["1"].name != "phone" {
		t.Errorf("%v, want what the status has", names)
	}
	if slices.ContainsFunc([]bool{isRoutine("UserLocked"), isRoutine("MFAReset"), isRoutine("FactorEnrolled"), isRoutine("SessionRevoked")}, func(b bool) bool { return b }) {
		t.Error("what an administrator waits for is not routine")
	}
}

// listed answers as a store of credentials.
type listed struct {
	kept mfa.Kept
	err  error
}

func (l listed) List(context.Context, mfa.Owner) (mfa.Kept, error) { return l.kept, l.err }

// called is a ledger of that id.
type called string

func (called) Record(context.Context, string, ...audit.Record) error { return nil }

func (called) Read(context.Context, string, func(audit.State[mfa.Entry])) error { return nil }

func (c called) Head(_ context.Context, _ string, look func(audit.Head)) error {
	look(audit.Start(string(c)))
	return nil
}

func (called) Follow(context.Context, string, audit.Head, func(audit.Batch) error) error { return nil }

// Whoever had factors by a ledger that is gone is shown as that until they have
// enrolled, or were reset.
func TestFactorsOfALostLedger(t *testing.T) {
	u := localUser()
	r := &Reconciler{Ledgers: called("new"), Credentials: listed{kept: mfa.Kept{Credentials: []mfa.Credential{{ID: "1", Ledger: "old"}}}}}
	if _, err := r.names(t.Context(), u, &mfa.User{}, nil); err != nil {
		t.Fatal(err)
	}
	c := meta.FindStatusCondition(u.Status.Conditions, v1alpha1.ConditionFactorsKnown)
	if c.Status != metav1.ConditionFalse || c.Reason != v1alpha1.ReasonLedgerLost || !isForgotten(u, &mfa.User{}) {
		t.Errorf("%+v", c)
	}
	for reason, standing := range map[string]*mfa.User{"enrolled since": {Enrolled: true}, "reset since": {Settled: true}} {
		if isForgotten(u, standing) {
			t.Errorf("%s: still forgotten", reason)
		}
		if _, err := r.names(t.Context(), u, standing, nil); err != nil || !meta.IsStatusConditionTrue(u.Status.Conditions, v1alpha1.ConditionFactorsKnown) {
			t.Errorf("%s: %v, %+v", reason, err, u.Status.Conditions)
		}
	}
}

// Which factors count the ledger says: without a right to the Secret only names
// are missing, and the status says what to do.
func TestNamesNeedARightToTheSecret(t *testing.T) {
	u := localUser()
	before := map[string]name{"1": {"phone", ""}}
	r := &Reconciler{Ledgers: called("new"), Credentials: listed{kept: mfa.Kept{Credentials: []mfa.Credential{
		{ID: "1", Name: "new phone", Ledger: "new"}, {ID: "2", AAGUID: "a", Ledger: "new"},
	}}}}
	names, err := r.names(t.Context(), u, &mfa.User{}, before)
	if err != nil || names["1"].name != "new phone" || names["2"].aaguid != "a" {
		t.Fatalf("%v, %v", names, err)
	}
	if !meta.IsStatusConditionTrue(u.Status.Conditions, v1alpha1.ConditionFactorsKnown) {
		t.Errorf("%+v", u.Status.Conditions)
	}

	forbidden := apierrors.NewForbidden(corev1.Resource("secrets"), "mfa-credentials-ann", errors.New("no rule"))
	r.Credentials = listed{err: fmt.Errorf("reading: %w: %w", mfa.ErrUnavailable, forbidden)}
	names, err = r.names(t.Context(), u, &mfa.User{}, before)
	if err != nil || names["1"].name != "phone" {
		t.Errorf("%v, %v, want what was known before", names, err)
	}
	c := meta.FindStatusCondition(u.Status.Conditions, v1alpha1.ConditionFactorsKnown)
	if c.Status != metav1.ConditionFalse || c.Reason != v1alpha1.ReasonCredentialsForbidden || !strings.Contains(c.Message, "mfa-operator-manager-credentials") {
		t.Errorf("%+v, want what to do", c)
	}

	r.Credentials = listed{err: fmt.Errorf("reading: %w: timed out", mfa.ErrUnavailable)}
	if _, err := r.names(t.Context(), u, &mfa.User{}, before); err == nil {
		t.Error("what can get better by itself is tried again")
	}
}
