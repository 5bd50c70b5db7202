package mfauser

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/audit"
	"github.com/neosc/mfa-operator/internal/kube"
	"github.com/neosc/mfa-operator/internal/localpolicy"
	"github.com/neosc/mfa-operator/internal/mfa"
	"github.com/neosc/mfa-operator/internal/policy"
)

// Ledgers is the part of the audit ledgers that this reconciler needs.
type Ledgers interface {
	Recorder
	// Read shows the state with everything in it that was answered before.
	Read(ctx context.Context, namespace string, look func(audit.State[mfa.Entry])) error
	// Head shows where the ledger of a namespace ends.
	Head(ctx context.Context, namespace string, look func(audit.Head)) error
	// Follow calls heard for every batch after a head, in order, until ctx ends or
	// heard returns an error.
	Follow(ctx context.Context, namespace string, after audit.Head, heard func(audit.Batch) error) error
}

// Recorder appends records to the audit ledger of a namespace, all or none of
// them. A record whose Origin is in the ledger already is left out.
type Recorder interface {
	Record(ctx context.Context, namespace string, records ...audit.Record) error
}

// Credentials lists what is kept of local users, without secrets. Which factors
// count the ledger says; this has their names.
type Credentials interface {
	List(ctx context.Context, owner mfa.Owner) (mfa.Kept, error)
}

// lookLocally brings the status of a local user up to date, and says when it will
// change without anybody telling.
func (r *Reconciler) lookLocally(ctx context.Context, u *v1alpha1.MFAUser) (time.Time, error) {
	now, key := r.now(), client.ObjectKeyFromObject(u)
	readNames := r.rooms.looking(key, now)
	var standing mfa.User
	err := r.Ledgers.Read(ctx, u.Namespace, func(state audit.State[mfa.Entry]) { standing = mfa.UserAt(state, string(u.UID), now) })
	if errors.Is(err, audit.ErrBroken) {
		r.rooms.namesChanged(key)
		return time.Time{}, kube.Refuse(v1alpha1.ReasonLedgerBroken, "what local users have cannot be told: %s", err)
	}
	if err != nil {
		r.rooms.namesChanged(key)
		return time.Time{}, fmt.Errorf("reading the ledger of %s: %w", u.Namespace, err)
	}
	if err := r.endWhatSuspensionEnds(ctx, u); err != nil {
		r.rooms.namesChanged(key)
		return time.Time{}, err
	}
	names := namesShown(u)
	if readNames {
		if names, err = r.names(ctx, u, &standing, names); err != nil {
			r.rooms.namesChanged(key)
			return time.Time{}, err
		}
	}
	all, err := r.localPolicies(ctx, u)
	if err != nil {
		return time.Time{}, err
	}
	effective := policy.Merge(all)
	rules := localpolicy.Rules(effective)
	exempt, err := r.exemptions(ctx, u, policy.Demanding(all))
	if err != nil {
		return time.Time{}, err
	}
	before := u.Status.DeepCopy()
	setEffective(u, effective)
	until := setLocal(u, &standing, rules, names, now)
	verdict := judgeLocally(&standing, rules, policy.Demanding(all), exempt, now)
	if isForgotten(u, &standing) && verdict.Compliance != v1alpha1.Exempt {
		u.Status.GraceEndsAt = nil
		verdict = policy.Verdict{Compliance: v1alpha1.NonCompliant, Reason: "what they have enrolled is not known any more: the ledger was lost"}
	}
	setVerdict(u, verdict)
	if g := u.Status.GraceEndsAt; g != nil {
		until = earliest(until, g.Time)
	}
	if x := u.Status.ExemptUntil; x != nil {
		until = earliest(until, x.Time)
	}
	if onlyActivity(before, &u.Status) {
		if at, may := r.rooms.mayTell(key, now); !may {
			keepActivity(before, &u.Status)
			until = earliest(until, at)
		}
	}
	return until, nil
}

// localPolicies are what the policies say that reach a local user.
func (r *Reconciler) localPolicies(ctx context.Context, u *v1alpha1.MFAUser) ([]policy.Contribution, error) {
	list := &v1alpha1.SecurityPolicyList{}
	// The cache's own objects: they are only read here.
	if err := r.Client.List(ctx, list, client.MatchingFields{indexLocal: indexedLocal}, client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("listing the policies of local users: %w", err)
	}
	return policy.ForLocalUser(list.Items, u, r.Namespace), nil
}

// name is what people know a factor by.
type name struct{ name, aaguid string }

// namesShown are the names that the status has, by the id of the factor.
func namesShown(u *v1alpha1.MFAUser) map[string]name {
	names := map[string]name{}
	for _, f := range u.Status.Factors {
		names[f.ID] = name{f.Name, f.AAGUID}
	}
	return names
}

// names reads the names of a local user's factors. Not to be allowed to is no
// failure: the rest is known without.
func (r *Reconciler) names(ctx context.Context, u *v1alpha1.MFAUser, standing *mfa.User, known map[string]name) (map[string]name, error) {
	kept, err := r.Credentials.List(ctx, localpolicy.Owner(u))
	if apierrors.IsForbidden(err) {
		setNamesKnown(u, err)
		return known, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the names of factors: %w", err)
	}
	setNamesKnown(u, nil)
	if !standing.Known() && len(kept.Credentials) > 0 {
		var ledger string
		if err := r.Ledgers.Head(ctx, u.Namespace, func(h audit.Head) { ledger = h.Ledger }); err != nil {
			return nil, fmt.Errorf("reading the ledger of %s: %w", u.Namespace, err)
		}
		if mfa.Forgotten(standing, kept.Credentials, ledger) {
			setLedgerLost(u)
		}
	}
	names := map[string]name{}
	for _, c := range kept.Credentials {
		names[c.ID] = name{c.Name, c.AAGUID}
	}
	return names, nil
}

// judgeLocally tells whether a local user has what is demanded of them: by the
// same rules as they are asked for it.
func judgeLocally(standing *mfa.User, rules mfa.Rules, demanding []types.NamespacedName,
	exempt func(types.NamespacedName) (time.Time, bool), now time.Time,
) policy.Verdict {
	allowed, other := methodsOf(standing, rules)
	v := policy.Verdict{Compliance: v1alpha1.NonCompliant}
	switch {
	case !rules.Enforcement.Demands():
		return policy.Verdict{Compliance: v1alpha1.Compliant, Reason: "no second factor is demanded of them"}
	case allowed != "":
		return policy.Verdict{Compliance: v1alpha1.Compliant, Reason: "has " + allowed}
	case other != "":
		v.Reason = "has " + other + ", none of which is allowed"
	default:
		v.Reason = "a second factor is demanded and they have none"
	}
	if until, ok := policy.ExemptFromAll(demanding, exempt); ok {
		return policy.Verdict{
			Compliance: v1alpha1.Exempt, Reason: v.Reason + "; exempt until " + until.UTC().Format(time.RFC3339), ExemptUntil: until,
		}
	}
	if ends, ok := standing.Grace(rules, now); ok {
		v.Compliance = v1alpha1.InGrace
		v.Reason += "; there is time until " + ends.UTC().Format(time.RFC3339)
		if ends.IsZero() {
			v.Reason = "a second factor is demanded and they have none; the time to enrol begins with the first login"
		}
	}
	return v
}
