package mfaexemption

import (
	"context"
	"fmt"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/audit"
	"github.com/neosc/mfa-operator/internal/policy"
)

// What internal/ledger needs to append on our behalf.
// +kubebuilder:rbac:groups=security.neosc.io,resources=mfaauditrecords,verbs=get;list;watch;create;delete
// +kubebuilder:rbac:groups=security.neosc.io,resources=mfaledgers,verbs=get;create
// +kubebuilder:rbac:groups=security.neosc.io,resources=mfaledgersnapshots,verbs=get

// Recorder appends records to the audit ledger of a namespace, all or none of
// them. A record whose Origin is in the ledger already is left out.
type Recorder interface {
	Record(ctx context.Context, namespace string, records ...audit.Record) error
}

// record says in the ledger that an exemption counts from now on, or has ended,
// before its status does.
func (r *Reconciler) record(ctx context.Context, e, before *v1alpha1.MFAExemption) error {
	if e.Status.Phase == before.Status.Phase {
		return nil
	}
	record := policy.ExemptionRecord(e)
	record.Outcome, record.Actor = audit.Succeeded, audit.Printable(e.Spec.ApprovedBy, audit.MaxActor)
	record.Origin = &audit.Origin{Aggregate: "mfaexemption/" + string(e.UID), Sequence: 1}
	switch {
	case e.Status.Phase == v1alpha1.ExemptionActive:
		record.Action = audit.ExemptionGranted
	case e.Status.Phase == v1alpha1.ExemptionExpired && before.Status.Phase == v1alpha1.ExemptionActive:
		record.Action, record.Origin.Sequence = audit.ExemptionExpired, 2
	default:
		return nil // it never counted
	}
	if err := r.Recorder.Record(ctx, e.Namespace, record); err != nil {
		return fmt.Errorf("recording an exemption: %w", err)
	}
	return nil
}
