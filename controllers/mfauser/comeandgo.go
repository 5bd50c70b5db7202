package mfauser

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/kube"
	"github.com/neosc/mfa-operator/internal/mfa"
)

// welcome records that a local user came under our care, once, and sees to it that
// their going is recorded, too, and what they do is heard of.
func (r *Reconciler) welcome(ctx context.Context, u *v1alpha1.MFAUser) error {
	r.listener.listen(u.Namespace)
	if controllerutil.ContainsFinalizer(u, v1alpha1.Finalizer) && u.Status.Phase != "" {
		return nil
	}
	if _, err := kube.EnsureFinalizer(ctx, r.Client, u, v1alpha1.Finalizer); err != nil {
		return err
	}
	// Until the status has been written, this is told again; the ledger takes it once.
	if err := r.Ledgers.Record(ctx, u.Namespace, mfa.Registered(string(u.UID), u.Name)); err != nil {
		return fmt.Errorf("recording a new user: %w", err)
	}
	return nil
}

// endWhatSuspensionEnds records that a local user was suspended, by which their
// sessions and links end for good. That none is accepted meanwhile is the webhook's
// business. Until the status has been written, this is told again; the ledger takes
// it once.
func (r *Reconciler) endWhatSuspensionEnds(ctx context.Context, u *v1alpha1.MFAUser) error {
	if u.Spec.Suspended == nil || !*u.Spec.Suspended || u.Status.Phase == v1alpha1.UserSuspended {
		return nil
	}
	if err := r.Ledgers.Record(ctx, u.Namespace, mfa.Suspension(string(u.UID), u.Generation)); err != nil {
		return fmt.Errorf("recording a suspension: %w", err)
	}
	return nil
}

// removalPatience is how long a user who goes waits for the ledger to take it.
const removalPatience = 10 * time.Minute

// leave records that a local user left, by which the fold forgets them. Nobody is
// kept by a ledger that is going itself, or does not take it for long: without the
// MFAUser nothing is accepted of them anyway.
func (r *Reconciler) leave(ctx context.Context, u *v1alpha1.MFAUser) error {
	if u.Spec.Source != v1alpha1.SourceLocal || !controllerutil.ContainsFinalizer(u, v1alpha1.Finalizer) {
		return nil
	}
	going, err := r.ledgerGoes(ctx, u.Namespace)
	if err != nil {
		return err
	}
	if !going {
		err := r.Ledgers.Record(ctx, u.Namespace, mfa.Gone(string(u.UID), u.Name))
		if err != nil && r.now().Sub(u.DeletionTimestamp.Time) < removalPatience {
			return fmt.Errorf("recording that a user has gone: %w", err)
		}
		if err != nil {
			r.Events.Eventf(u, nil, corev1.EventTypeWarning, eventRemovalNotRecorded, "Leave", "the ledger does not take it: %s", clip(err.Error()))
		}
	}
	return kube.RemoveFinalizer(ctx, r.Client, u, v1alpha1.Finalizer)
}

// ledgerGoes tells whether a namespace or its ledger is being deleted.
func (r *Reconciler) ledgerGoes(ctx context.Context, namespace string) (bool, error) {
	for _, obj := range []client.Object{&corev1.Namespace{}, &v1alpha1.MFALedger{}} {
		key := types.NamespacedName{Name: namespace}
		if _, ok := obj.(*v1alpha1.MFALedger); ok {
			key = types.NamespacedName{Namespace: namespace, Name: v1alpha1.LedgerName}
		}
		err := r.Client.Get(ctx, key, obj)
		if err != nil && !apierrors.IsNotFound(err) {
			return false, fmt.Errorf("looking whether the ledger of %s goes: %w", namespace, err)
		}
		if err == nil && !obj.GetDeletionTimestamp().IsZero() {
			return true, nil
		}
	}
	return false, nil
}
