package policy

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/audit"
)

// ExemptionRecord begins the record of what became of an exemption: who was let off
// which policy, why, and until when. What became of it is for the caller to say.
func ExemptionRecord(e *v1alpha1.MFAExemption) audit.Record {
	record := audit.Record{
		Subject: audit.Printable(whom(e), audit.MaxSubject), Policy: e.Namespace + "/" + e.Spec.PolicyRef.Name,
	}
	for _, d := range []audit.Detail{
		{Name: "exemption", Value: e.Name},
		{Name: "reason", Value: e.Spec.Reason},
		{Name: "ticket", Value: e.Spec.Ticket},
		{Name: "expiresAt", Value: e.Spec.ExpiresAt.UTC().Format(time.RFC3339)},
	} {
		if d.Value = audit.Printable(d.Value, audit.MaxDetailValue); d.Value != "" {
			record.Details = append(record.Details, d)
		}
	}
	return record
}

// whom names who is let off.
func whom(e *v1alpha1.MFAExemption) string {
	if ref := e.Spec.UserRef; ref != nil {
		return ref.Name
	}
	if selector := metav1.FormatLabelSelector(e.Spec.Selector); selector != "" {
		return "selector " + selector
	}
	return "everybody"
}
