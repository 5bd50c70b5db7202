package policy

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/neosc/mfa-operator/api/v1alpha1"
)

var noon = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

func exemption(change func(*v1alpha1.MFAExemption)) v1alpha1.MFAExemption {
	e := v1alpha1.MFAExemption{
		ObjectMeta: metav1.ObjectMeta{Namespace: "security", Name: "e", CreationTimestamp: metav1.NewTime(noon)},
		Spec: v1alpha1.MFAExemptionSpec{
			UserRef: &v1alpha1.UserRef{Name: "ann"}, PolicyRef: v1alpha1.LocalRef{Name: "p"}, ExpiresAt: metav1.NewTime(noon.Add(time.Hour)),
		},
	}
	if change != nil {
		change(&e)
	}
	return e
}

func TestExempt(t *testing.T) {
	ann := &v1alpha1.MFAUser{ObjectMeta: metav1.ObjectMeta{Namespace: "security", Name: "ann", Labels: map[string]string{"team": "blue"}}}
	elsewhere := &v1alpha1.MFAUser{ObjectMeta: metav1.ObjectMeta{Namespace: "apps", Name: "ann", Labels: map[string]string{"team": "blue"}}}
	p := types.NamespacedName{Namespace: "security", Name: "p"}
	blue := func(e *v1alpha1.MFAExemption) {
		e.Spec.UserRef, e.Spec.Selector = nil, &metav1.LabelSelector{MatchLabels: map[string]string{"team": "blue"}}
	}
	deleted := metav1.NewTime(noon)
	tests := []struct {
		change func(*v1alpha1.MFAExemption)
		at     time.Time
		user   *v1alpha1.MFAUser
		policy types.NamespacedName
		want   bool
		reason string
	}{
		{nil, noon, ann, p, true, "names the user and the policy"},
		{nil, noon.Add(time.Hour - time.Nanosecond), ann, p, true, "to the last instant"},
		{nil, noon.Add(time.Hour), ann, p, false, "the instant of expiry is after it"},
		{nil, noon, ann, types.NamespacedName{Namespace: "security", Name: "q"}, false, "another policy"},
		{nil, noon, ann, types.NamespacedName{Namespace: "platform", Name: "p"}, false, "a policy of that name in another namespace: whoever may not write there makes no hole in it"},
		{nil, noon, elsewhere, p, false, "a user of that name in another namespace"},
		{func(e *v1alpha1.MFAExemption) { e.Spec.UserRef.Namespace = "apps" }, noon, elsewhere, p, true, "a user of another namespace, by name"},
		{blue, noon, ann, p, true, "by label"},
		{blue, noon, elsewhere, p, false, "labels select in the exemption's namespace only"},
		{func(e *v1alpha1.MFAExemption) { e.Spec.UserRef, e.Spec.Selector = nil, &metav1.LabelSelector{} }, noon, ann, p, true, "an empty selector is everybody"},
		{func(e *v1alpha1.MFAExemption) { e.Spec.UserRef = nil }, noon, ann, p, false, "nobody named is nobody"},
		{func(e *v1alpha1.MFAExemption) {
			e.Spec.UserRef, e.Spec.Selector = nil, &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "team", Operator: "Near"}}}
		}, noon, ann, p, false, "a selector that cannot be read"},
		{func(e *v1alpha1.MFAExemption) { e.Spec.ExpiresAt = metav1.NewTime(noon.AddDate(0, 0, 90)) }, noon, ann, p, true, "90 days"},
		{func(e *v1alpha1.MFAExemption) {
			e.Spec.ExpiresAt = metav1.NewTime(noon.AddDate(0, 0, 90).Add(time.Second))
		}, noon, ann, p, false, "longer than 90 days: not even for those"},
		{func(e *v1alpha1.MFAExemption) { e.DeletionTimestamp = &deleted }, noon, ann, p, false, "being deleted"},
	}
	for _, test := range tests {
		if _, got := Exempt(test.at, []v1alpha1.MFAExemption{exemption(test.change)}, test.user, test.policy); got != test.want {
			t.Errorf("%s: exempt is %v", test.reason, got)
		}
	}

	longer := exemption(func(e *v1alpha1.MFAExemption) { e.Spec.ExpiresAt = metav1.NewTime(noon.Add(2 * time.Hour)) })
	until, _ := Exempt(noon, []v1alpha1.MFAExemption{longer, exemption(nil)}, ann, p)
	if !until.Equal(longer.Spec.ExpiresAt.Time) {
		t.Errorf("of two, until %v, want until the last ends", until)
	}
}
