package zitadelconnection

import (
	"context"
	"errors"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/idp"
	"github.com/neosc/mfa-operator/internal/kube"
)

// report writes what users read: the status, once and only if it changed, and
// an Event when readiness changes or the credential comes nearer to its end.
func (r *Reconciler) report(ctx context.Context, conn *v1alpha1.ZitadelConnection, account idp.Account, failure error) error {
	before, err := writeStatus(ctx, r.Client, r.Live, conn, func(conn *v1alpha1.ZitadelConnection) error {
		conn.Status = statusOf(conn, account, failure, r.Connector.Connected(conn.Name), r.now())
		return nil
	})
	if err != nil {
		return err
	}
	for _, kind := range []string{v1alpha1.ConditionReady, v1alpha1.ConditionCredentialExpiring} {
		r.tell(conn, before, kind)
	}
	return nil
}

// tell raises an Event when the reason of a condition changed.
func (r *Reconciler) tell(conn, before *v1alpha1.ZitadelConnection, kind string) {
	is := meta.FindStatusCondition(conn.Status.Conditions, kind)
	was := meta.FindStatusCondition(before.Status.Conditions, kind)
	if is == nil || was != nil && was.Reason == is.Reason || is.Reason == v1alpha1.ReasonNotExpiring {
		return
	}
	level := corev1.EventTypeWarning
	if is.Reason == v1alpha1.ReasonConnected {
		level = corev1.EventTypeNormal
	}
	r.Events.Eventf(conn, nil, level, is.Reason, "Connect", "%s", is.Message)
}

// statusOf is the status after an attempt to connect. A failed attempt says
// nothing about the account, so what was known of it stays.
func statusOf(conn *v1alpha1.ZitadelConnection, account idp.Account, failure error, connected bool, now time.Time) v1alpha1.ZitadelConnectionStatus {
	status := *conn.Status.DeepCopy()
	status.ObservedGeneration = conn.Generation
	ready := metav1.Condition{Type: v1alpha1.ConditionReady, ObservedGeneration: conn.Generation}
	if failure == nil {
		status.ServerVersion = account.ServerVersion
		status.Credential = credentialStatus(account)
		ready.Status, ready.Reason = metav1.ConditionTrue, v1alpha1.ReasonConnected
		ready.Message = "connected to " + conn.Spec.Domain + " as " + account.UserName
		if len(account.Roles) == 0 {
			ready.Status, ready.Reason = metav1.ConditionFalse, v1alpha1.ReasonPermissionMissing
			ready.Message += ", an account without any role; grant it ORG_SETTINGS_MANAGER on an organization, or IAM_OWNER on the instance"
		}
	} else {
		ready.Status = metav1.ConditionFalse
		ready.Reason, ready.Message, _ = kube.Explain(failure)
		if connected {
			ready.Message += "; the credential that worked before stays in use"
		}
	}
	meta.SetStatusCondition(&status.Conditions, ready)
	kube.SetPresentWhileTrue(&status.Conditions,
		ready.Status == metav1.ConditionFalse && !errors.Is(failure, idp.ErrUnreachable),
		metav1.Condition{Type: v1alpha1.ConditionStalled, Reason: ready.Reason, Message: ready.Message, ObservedGeneration: conn.Generation})
	setExpiry(&status, conn.Generation, now)
	return status
}

func credentialStatus(account idp.Account) *v1alpha1.CredentialStatus {
	c := &v1alpha1.CredentialStatus{UserID: account.UserID, UserName: account.UserName}
	for _, role := range account.Roles {
		name := role.Name
		if role.OrganizationID != "" {
			name += "@" + role.OrganizationID
		}
		c.Roles = append(c.Roles, name)
	}
	slices.Sort(c.Roles)
	c.Roles = slices.Compact(c.Roles)
	if !account.CredentialExpires.IsZero() {
		c.ExpiresAt = &metav1.Time{Time: account.CredentialExpires.UTC().Truncate(time.Second)}
	}
	return c
}

const day = 24 * time.Hour

// warnings are the steps at which the end of a credential is announced.
var warnings = []struct {
	within time.Duration
	reason string
}{
	{0, v1alpha1.ReasonExpired},
	{3 * day, v1alpha1.ReasonExpiresWithin3Days},
	{14 * day, v1alpha1.ReasonExpiresWithin14Days},
	{30 * day, v1alpha1.ReasonExpiresWithin30Days},
}

// setExpiry warns of the end of the credential, if that is known.
func setExpiry(status *v1alpha1.ZitadelConnectionStatus, generation int64, now time.Time) {
	if status.Credential == nil || status.Credential.ExpiresAt == nil {
		meta.RemoveStatusCondition(&status.Conditions, v1alpha1.ConditionCredentialExpiring)
		return
	}
	end := status.Credential.ExpiresAt
	c := metav1.Condition{
		Type: v1alpha1.ConditionCredentialExpiring, Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonNotExpiring,
		Message:            "the credential ends at " + end.Format(time.RFC3339),
		ObservedGeneration: generation,
	}
	for _, w := range warnings {
		if end.Sub(now) <= w.within {
			c.Status, c.Reason = metav1.ConditionTrue, w.reason
			c.Message += "; put a new one into the Secret, it is picked up without a restart"
			break
		}
	}
	meta.SetStatusCondition(&status.Conditions, c)
}
