package mfareset

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/idp"
	"github.com/neosc/mfa-operator/internal/kube"
	"github.com/neosc/mfa-operator/internal/policy"
)

// annotationResets, on an MFAUser, has the resets that have begun, as
// name=hash:uid with spaces between, the newest last. It is what keeps a manifest
// from running twice, also after its object was deleted.
const annotationResets = "security.neosc.io/resets"

// mostResets bounds the annotation.
const mostResets = 100

// claim notes at the user that the reset runs. done tells that this manifest has
// run before.
func (r *Reconciler) claim(ctx context.Context, reset *v1alpha1.MFAReset, u *v1alpha1.MFAUser) (done bool, err error) {
	key, err := policy.ResetKey(reset)
	if err != nil {
		return false, err
	}
	known := strings.Fields(u.Annotations[annotationResets])
	mine := key + ":" + string(reset.UID)
	switch i := slices.IndexFunc(known, func(entry string) bool { return strings.HasPrefix(entry, key+":") }); {
	case i >= 0 && known[i] != mine:
		return true, r.finish(ctx, reset, v1alpha1.ResetCompleted, v1alpha1.ReasonAlreadyDone,
			"a reset with this name and spec has run for this user before; nothing was done. To do it again, give it another name")
	case i < 0:
		before := u.DeepCopy()
		known = append(known, mine)
		if u.Annotations == nil {
			u.Annotations = map[string]string{}
		}
		u.Annotations[annotationResets] = strings.Join(known[max(0, len(known)-mostResets):], " ")
		if err := r.Client.Patch(ctx, u, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})); err != nil {
			return false, fmt.Errorf("noting a reset: %w", err)
		}
	}
	return false, nil
}

// begin notes that the reset runs, and what it will remove, before it removes
// anything. done tells that this manifest has run before.
func (r *Reconciler) begin(ctx context.Context, reset *v1alpha1.MFAReset, u *v1alpha1.MFAUser, provider Provider) (done bool, err error) {
	if done, err := r.claim(ctx, reset, u); done || err != nil {
		return done, err
	}
	has, err := provider.Credentials(ctx, u.Status.Zitadel.UserID)
	if err != nil {
		return false, err
	}
	var plan []v1alpha1.ResetFactorStatus
	for _, c := range policy.ToRemove(reset.Spec.Factors, has.List) {
		plan = append(plan, v1alpha1.ResetFactorStatus{Type: string(c.Factor), ID: c.ID, Name: c.Name, State: v1alpha1.ResetFactorPending})
	}
	if !has.MethodsKnown && slices.ContainsFunc(reset.Spec.Factors, func(f v1alpha1.ResetFactor) bool {
		return f == v1alpha1.ResetAll || f == v1alpha1.ResetFactor(v1alpha1.MethodRecoveryCodes)
	}) {
		// Whether there are any could not be read; to remove none is no mistake.
		plan = append(plan, v1alpha1.ResetFactorStatus{Type: string(idp.RecoveryCodes), State: v1alpha1.ResetFactorPending})
	}
	return false, r.start(ctx, reset, u, plan, 0)
}

// start notes what will be removed, and how many sessions are known to end with it.
func (r *Reconciler) start(ctx context.Context, reset *v1alpha1.MFAReset, u *v1alpha1.MFAUser, plan []v1alpha1.ResetFactorStatus, sessions int32) error {
	err := r.write(ctx, reset, func(reset *v1alpha1.MFAReset) {
		now := metav1.NewTime(r.now().UTC().Truncate(time.Second))
		reset.Status.Phase, reset.Status.UserID, reset.Status.Factors, reset.Status.StartTime = v1alpha1.ResetRunning, idOf(u), plan, &now
		reset.Status.SessionsEnded = sessions
		setReady(reset, metav1.ConditionFalse, v1alpha1.ReasonProgressing, fmt.Sprintf("removing %d factors", len(plan)))
	})
	if err == nil {
		r.tellStarted(reset)
	}
	return err
}

// removeFactors removes what the plan has, one by one, and notes each.
func (r *Reconciler) removeFactors(ctx context.Context, reset *v1alpha1.MFAReset, provider Provider) error {
	for i := range reset.Status.Factors {
		f := reset.Status.Factors[i]
		if f.State != v1alpha1.ResetFactorPending {
			continue
		}
		err := provider.RemoveCredential(ctx, reset.Status.UserID, idp.Credential{Factor: idp.Factor(f.Type), ID: f.ID})
		f.State = v1alpha1.ResetFactorRemoved
		if err != nil {
			if _, message, explained := kube.Explain(err); explained && !errors.Is(err, idp.ErrUnreachable) {
				f.State, f.Message = v1alpha1.ResetFactorFailed, message
			} else {
				return err
			}
		}
		if err := r.write(ctx, reset, func(reset *v1alpha1.MFAReset) { reset.Status.Factors[i] = f }); err != nil {
			return err
		}
	}
	return nil
}

// endSessions ends every session until none is found, twice: one that began
// before may show only after the first list. again says when to go on.
func (r *Reconciler) endSessions(ctx context.Context, reset *v1alpha1.MFAReset, u *v1alpha1.MFAUser, provider Provider) (again time.Duration, err error) {
	if reset.Spec.RevokeSessions == v1alpha1.RevokeNone {
		return 0, nil
	}
	if gone := reset.Status.SessionsGoneTime; gone != nil {
		if wait := gone.Add(settle).Sub(r.now()); wait > 0 {
			return wait, nil
		}
	}
	sessions, err := provider.Sessions(ctx, reset.Status.UserID, u.Status.Zitadel.OrganizationID)
	if err != nil {
		return 0, err
	}
	for _, s := range sessions {
		if err := provider.EndSession(ctx, s.ID); err != nil {
			return 0, err
		}
	}
	if len(sessions) == 0 && reset.Status.SessionsGoneTime != nil {
		return 0, nil
	}
	err = r.write(ctx, reset, func(reset *v1alpha1.MFAReset) {
		reset.Status.SessionsEnded += int32(len(sessions))
		reset.Status.SessionsGoneTime = nil
		if len(sessions) == 0 {
			now := metav1.NewTime(r.now().UTC())
			reset.Status.SessionsGoneTime = &now
		}
	})
	return 100 * time.Millisecond, err
}

// conclude finishes a reset of which everything was tried; left says what is left
// besides factors.
func (r *Reconciler) conclude(ctx context.Context, reset *v1alpha1.MFAReset, left ...string) (ctrl.Result, error) {
	remains := ""
	for _, f := range reset.Status.Factors {
		switch {
		case f.State == v1alpha1.ResetFactorFailed:
			left = append(left, f.Type+" is left: "+f.Message)
		case f.Message != "":
			remains = "; " + f.Message
		}
	}
	phase, reason := v1alpha1.ResetCompleted, v1alpha1.ReasonCompleted
	message := fmt.Sprintf("%d factors removed, %d sessions ended", len(reset.Status.Factors), reset.Status.SessionsEnded) + remains
	if len(left) > 0 {
		phase, reason = v1alpha1.ResetFailed, v1alpha1.ReasonResetFailed
		message = strings.Join(left, "; ")
	}
	if err := r.finish(ctx, reset, phase, reason, message); err != nil {
		return ctrl.Result{}, err
	}
	return r.expire(ctx, reset)
}
