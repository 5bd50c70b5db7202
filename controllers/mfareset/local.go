package mfareset

import (
	"context"
	"fmt"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/audit"
	"github.com/neosc/mfa-operator/internal/localpolicy"
	"github.com/neosc/mfa-operator/internal/mfa"
)

// Standings know what local users have, by the ledger.
type Standings interface {
	// Read shows the state with everything in it that was answered before.
	Read(ctx context.Context, namespace string, look func(audit.State[mfa.Entry])) error
}

// Credentials keep what belongs to the factors of local users, sealed.
type Credentials interface {
	// RemoveFactors removes those of these ids, without opening anything. One that
	// is not there is no error.
	RemoveFactors(ctx context.Context, owner mfa.Owner, ids ...string) ([]mfa.Credential, error)
}

// resetLocally resets a local user. First it is recorded: that record ends
// sessions, lifts a lock, and makes the factors worth nothing. What is kept of them
// is removed afterwards, and may be left without harm.
func (r *Reconciler) resetLocally(ctx context.Context, reset *v1alpha1.MFAReset, u *v1alpha1.MFAUser) (ctrl.Result, error) {
	if reset.Status.Phase == "" {
		if done, err := r.beginLocally(ctx, reset, u); done || err != nil {
			return r.wait(ctx, reset, err)
		}
	}
	if reset.Status.RecordedTime == nil {
		if err := r.recordLocally(ctx, reset, u); err != nil {
			return ctrl.Result{}, err
		}
	}
	if err := r.removeLocally(ctx, reset, u); err != nil {
		return ctrl.Result{}, err
	}
	return r.conclude(ctx, reset)
}

// beginLocally notes that the reset runs, and what it will remove. done tells that
// this manifest has run before.
func (r *Reconciler) beginLocally(ctx context.Context, reset *v1alpha1.MFAReset, u *v1alpha1.MFAUser) (done bool, err error) {
	if done, err := r.claim(ctx, reset, u); done || err != nil {
		return done, err
	}
	var standing mfa.User
	err = r.Standings.Read(ctx, u.Namespace, func(state audit.State[mfa.Entry]) { standing = mfa.UserAt(state, string(u.UID), r.now()) })
	if err != nil {
		return false, fmt.Errorf("reading what a user has: %w", err)
	}
	methods := methodsOf(reset)
	var plan []v1alpha1.ResetFactorStatus
	for _, f := range standing.Factors {
		if methods == nil || slices.Contains(methods, f.Method) {
			plan = append(plan, v1alpha1.ResetFactorStatus{Type: string(f.Method), ID: f.ID, State: v1alpha1.ResetFactorPending})
		}
	}
	sessions := int32(len(standing.Sessions))
	if reset.Spec.RevokeSessions == v1alpha1.RevokeNone {
		sessions = 0
	}
	return false, r.start(ctx, reset, u, plan, sessions)
}

// methodsOf are those whose factors a reset removes; nil: all.
func methodsOf(reset *v1alpha1.MFAReset) []mfa.Method {
	if slices.Contains(reset.Spec.Factors, v1alpha1.ResetAll) {
		return nil
	}
	var methods []mfa.Method
	for _, f := range reset.Spec.Factors {
		methods = append(methods, mfa.Method(f))
	}
	return methods
}

// resetReason is the reason in the record of a local reset.
const resetReason = "Reset"

// recordLocally puts the reset into the ledger, once however often it is tried, and
// tells the user then. Factors of these methods that were enrolled since it began die
// with the others.
func (r *Reconciler) recordLocally(ctx context.Context, reset *v1alpha1.MFAReset, u *v1alpha1.MFAUser) error {
	record := mfa.Reset(reset.Status.UserID, reset.Spec.RequestedBy, resetReason, methodsOf(reset), nil,
		reset.Spec.RevokeSessions == v1alpha1.RevokeNone)
	record.Origin = mfa.Once(reset.Status.UserID, "reset/"+string(reset.UID))
	describe(&record, reset)
	recorded, err := r.Recorder.RecordNew(ctx, reset.Namespace, record)
	if err != nil {
		return fmt.Errorf("recording a reset: %w", err)
	}
	for _, one := range recorded {
		r.tell(u, one)
	}
	return r.write(ctx, reset, func(reset *v1alpha1.MFAReset) {
		now := metav1.NewTime(r.now().UTC().Truncate(time.Second))
		reset.Status.RecordedTime = &now
	})
}

// tell tells the user of what this process has just recorded. What is recorded already
// another one has told, and what became of the object since changes nothing: whoever
// deletes it at that moment keeps nobody from being told.
func (r *Reconciler) tell(u *v1alpha1.MFAUser, recorded audit.Record) {
	if to := u.Spec.Contact; r.Notifier != nil && to != nil && to.Email != "" {
		r.Notifier.Notify(mfa.Notice{Owner: localpolicy.Owner(u), To: to.Email, Event: recorded.Action, At: recorded.Time})
	}
}

// removeLocally removes what is kept of the factors in the plan: those, and no
// others, so that what is enrolled afterwards stays.
func (r *Reconciler) removeLocally(ctx context.Context, reset *v1alpha1.MFAReset, u *v1alpha1.MFAUser) error {
	var ids []string
	for _, f := range reset.Status.Factors {
		if f.State == v1alpha1.ResetFactorPending {
			ids = append(ids, f.ID)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	_, err := r.Credentials.RemoveFactors(ctx, localpolicy.Owner(u), ids...)
	message := ""
	switch {
	case apierrors.IsForbidden(err):
		message = "what was kept of it is left, sealed and worth nothing: the manager may not change the Secret; " +
			"bind the ClusterRole mfa-operator-manager-credentials to its service account in this namespace"
	case err != nil:
		return fmt.Errorf("removing what is kept of factors: %w", err)
	}
	return r.write(ctx, reset, func(reset *v1alpha1.MFAReset) {
		for i := range reset.Status.Factors {
			if f := &reset.Status.Factors[i]; f.State == v1alpha1.ResetFactorPending {
				f.State, f.Message = v1alpha1.ResetFactorRemoved, message
			}
		}
	})
}
