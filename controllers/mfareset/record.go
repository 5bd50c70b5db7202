package mfareset

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/audit"
)

// What internal/ledger needs to append on our behalf.
// +kubebuilder:rbac:groups=security.neosc.io,resources=mfaauditrecords,verbs=get;list;watch;create;delete
// +kubebuilder:rbac:groups=security.neosc.io,resources=mfaledgers,verbs=get;create
// +kubebuilder:rbac:groups=security.neosc.io,resources=mfaledgersnapshots,verbs=get

// Recorder appends records to the audit ledger of a namespace, all or none of
// them. A record whose Origin is in the ledger already is left out.
type Recorder interface {
	Record(ctx context.Context, namespace string, records ...audit.Record) error
	// RecordNew does the same, and returns those that were not left out, as they are in
	// the ledger.
	RecordNew(ctx context.Context, namespace string, records ...audit.Record) ([]audit.Record, error)
}

// record says in the ledger how a reset ends, before its status does: until it is
// recorded, it goes on being tried. The reset of a local user is in the ledger
// before the first factor is removed; see recordLocally.
func (r *Reconciler) record(ctx context.Context, reset *v1alpha1.MFAReset, phase v1alpha1.ResetPhase, reason string) error {
	record := audit.Record{
		Action: audit.MFAReset, Outcome: audit.Succeeded, Actor: audit.Printable(reset.Spec.RequestedBy, audit.MaxActor),
		Subject: audit.Printable(reset.Status.UserID, audit.MaxSubject),
		Origin:  &audit.Origin{Aggregate: "mfareset/" + string(reset.UID), Sequence: 1},
	}
	if record.Subject == "" { // it never began
		record.Subject = audit.Printable(reset.Spec.UserRef.Name, audit.MaxSubject)
	}
	if phase == v1alpha1.ResetFailed {
		record.Outcome, record.Reason = audit.Failed, reason
	}
	describe(&record, reset)
	if err := r.Recorder.Record(ctx, reset.Namespace, record); err != nil {
		return fmt.Errorf("recording how a reset ends: %w", err)
	}
	return nil
}

// describe adds what people want to know of a reset.
func describe(record *audit.Record, reset *v1alpha1.MFAReset) {
	detail := func(name, value string) {
		if value != "" && record.Detail(name) == "" {
			record.Details = append(record.Details, audit.Detail{Name: name, Value: audit.Printable(value, audit.MaxDetailValue)})
		}
	}
	detail("reset", reset.Name)
	detail("user", reset.Spec.UserRef.Name)
	detail("reason", reset.Spec.Reason)
	detail("revokeSessions", string(reset.Spec.RevokeSessions))
	detail("sessionsEnded", strconv.Itoa(int(reset.Status.SessionsEnded)))
	var factors []string
	for _, f := range reset.Status.Factors {
		factors = append(factors, strings.TrimSpace(f.Type+" "+f.ID)+": "+f.State)
	}
	detail("factors", strings.Join(factors, ", "))
}
