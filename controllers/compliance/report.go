package compliance

import (
	"cmp"
	"slices"
	"time"

	openreports "github.com/openreports/reports-api/apis/openreports.io/v1alpha1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/neosc/mfa-operator/api/v1alpha1"
)

// The words of a Report.
const (
	// ReportName is the name of the Report in each namespace.
	ReportName = "mfa-compliance"

	category = "Multi-factor authentication"
	rule     = "mfa"

	labelManagedBy = "app.kubernetes.io/managed-by"
	managedBy      = "mfa-operator"
)

// mostResults bounds a Report; the summary counts everybody.
const mostResults = 500

// listed are the results that a Report has entries for; those who comply are only
// counted.
var listed = []openreports.StatusFilter{"fail", "error", "warn", "skip"}

// write fills a Report with what the users of its namespace are to. An entry that
// says the same as before keeps its time.
func write(report *openreports.Report, users []v1alpha1.MFAUser, now time.Time) {
	found := map[types.UID]openreports.ReportResult{}
	for _, r := range report.Results {
		for _, s := range r.Subjects {
			found[s.UID] = r
		}
	}
	report.Source = managedBy
	report.Scope = &corev1.ObjectReference{APIVersion: "v1", Kind: "Namespace", Name: report.Namespace}
	report.Configuration = &openreports.ReportConfiguration{Limits: openreports.Limits{MaxResults: mostResults, StatusFilter: listed}}
	report.Summary, report.Results = openreports.ReportSummary{}, nil
	for i := range users {
		r := resultOf(&users[i])
		count(&report.Summary, r.Result)
		if r.Result == "pass" {
			continue
		}
		r.Timestamp = metav1.Timestamp{Seconds: now.Unix()}
		if before, known := found[users[i].UID]; known && sameResult(before, r) {
			r.Timestamp = before.Timestamp
		}
		report.Results = append(report.Results, r)
	}
	slices.SortFunc(report.Results, func(a, b openreports.ReportResult) int {
		rank := func(r openreports.ReportResult) int { return slices.Index(listed, openreports.StatusFilter(r.Result)) }
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a.Subjects[0].Name, b.Subjects[0].Name))
	})
	report.Results = report.Results[:min(len(report.Results), mostResults)]
}

func resultOf(u *v1alpha1.MFAUser) openreports.ReportResult {
	r := openreports.ReportResult{
		Policy: "none", Rule: rule, Category: category, Scored: true,
		Description: u.Status.ComplianceReason,
		Subjects: []corev1.ObjectReference{{
			APIVersion: v1alpha1.GroupVersion.String(), Kind: "MFAUser", Namespace: u.Namespace, Name: u.Name, UID: u.UID,
		}},
	}
	if e := u.Status.EffectivePolicy; e != nil && e.Names != "" {
		r.Policy = e.Names
	}
	switch u.Status.Compliance {
	case v1alpha1.Compliant:
		r.Result = "pass"
	case v1alpha1.NonCompliant:
		r.Result, r.Severity = "fail", "high"
	case v1alpha1.InGrace:
		r.Result, r.Severity = "warn", "medium"
	case v1alpha1.Exempt:
		r.Result, r.Severity = "skip", "info"
	default:
		r.Result, r.Severity = "error", "medium"
		r.Description = cmp.Or(r.Description, "not known; the conditions of the MFAUser say why")
	}
	return r
}

func sameResult(a, b openreports.ReportResult) bool {
	return a.Result == b.Result && a.Policy == b.Policy && a.Description == b.Description
}

func count(sum *openreports.ReportSummary, result openreports.Result) {
	switch result {
	case "pass":
		sum.Pass++
	case "fail":
		sum.Fail++
	case "warn":
		sum.Warn++
	case "skip":
		sum.Skip++
	default:
		sum.Error++
	}
}
