package kube

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// WriteStatus writes the status of obj if it differs from that of before, the
// object as it was read, and tells whether it did.
func WriteStatus(ctx context.Context, c client.Client, before, obj client.Object) (bool, error) {
	if equality.Semantic.DeepEqual(before, obj) {
		return false, nil
	}
	if err := c.Status().Patch(ctx, obj, client.MergeFrom(before)); err != nil {
		return false, fmt.Errorf("writing the status: %w", err)
	}
	return true, nil
}

// SetPresentWhileTrue keeps a condition that exists only while it is true.
func SetPresentWhileTrue(conditions *[]metav1.Condition, present bool, c metav1.Condition) {
	if !present {
		meta.RemoveStatusCondition(conditions, c.Type)
		return
	}
	c.Status = metav1.ConditionTrue
	meta.SetStatusCondition(conditions, c)
}
