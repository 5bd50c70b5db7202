package compliance

import (
	"strings"
	"sync"

	"k8s.io/apimachinery/pkg/types"

	"github.com/neosc/mfa-operator/api/v1alpha1"
)

// tally counts users by policy and compliance. It moves one user at a time from
// where they stood to where they stand, so that counting costs as much as changed.
type tally struct {
	mu     sync.Mutex
	counts map[types.NamespacedName]v1alpha1.UserCounts
}

// move counts a user where they stand, and no longer where they stood; nil is
// nowhere. It returns the policies whose counts changed.
func (t *tally) move(from, to *v1alpha1.MFAUser) []types.NamespacedName {
	changes := map[types.NamespacedName]v1alpha1.UserCounts{}
	add(changes, from, -1)
	add(changes, to, 1)
	t.mu.Lock()
	defer t.mu.Unlock()
	var changed []types.NamespacedName
	for p, change := range changes {
		if change == (v1alpha1.UserCounts{}) {
			continue
		}
		changed = append(changed, p)
		if t.counts == nil {
			t.counts = map[types.NamespacedName]v1alpha1.UserCounts{}
		}
		if sum := sumOf(t.counts[p], change); sum != (v1alpha1.UserCounts{}) {
			t.counts[p] = sum
		} else {
			delete(t.counts, p)
		}
	}
	return changed
}

// of returns the counts of a policy, nil if it is in force for nobody.
func (t *tally) of(p types.NamespacedName) *v1alpha1.UserCounts {
	t.mu.Lock()
	defer t.mu.Unlock()
	if counts, known := t.counts[p]; known {
		return &counts
	}
	return nil
}

func add(counts map[types.NamespacedName]v1alpha1.UserCounts, u *v1alpha1.MFAUser, n int32) {
	if u == nil {
		return
	}
	var one v1alpha1.UserCounts
	switch u.Status.Compliance {
	case v1alpha1.Compliant:
		one.Compliant = n
	case v1alpha1.NonCompliant:
		one.NonCompliant = n
	case v1alpha1.InGrace:
		one.InGrace = n
	case v1alpha1.Exempt:
		one.Exempt = n
	default:
		one.Unknown = n
	}
	for _, p := range policiesOf(u) {
		counts[p] = sumOf(counts[p], one)
	}
}

func sumOf(a, b v1alpha1.UserCounts) v1alpha1.UserCounts {
	return v1alpha1.UserCounts{
		Compliant: a.Compliant + b.Compliant, NonCompliant: a.NonCompliant + b.NonCompliant,
		InGrace: a.InGrace + b.InGrace, Exempt: a.Exempt + b.Exempt, Unknown: a.Unknown + b.Unknown,
	}
}

// policiesOf are the policies in force for a user, as their status names them.
// The built-in baseline is none.
func policiesOf(u *v1alpha1.MFAUser) []types.NamespacedName {
	if u.Status.EffectivePolicy == nil {
		return nil
	}
	var named []types.NamespacedName
	for one := range strings.SplitSeq(u.Status.EffectivePolicy.Names, ",") {
		if namespace, name, ok := strings.Cut(one, "/"); ok {
			named = append(named, types.NamespacedName{Namespace: namespace, Name: name})
		}
	}
	return named
}
