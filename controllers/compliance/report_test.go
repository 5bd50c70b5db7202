package compliance

import (
	"fmt"
	"testing"
	"time"

	openreports "github.com/openreports/reports-api/apis/openreports.io/v1alpha1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/neosc/mfa-operator/api/v1alpha1"
)

func named(name string, u *v1alpha1.MFAUser) v1alpha1.MFAUser {
	u.Namespace, u.Name, u.UID = "shop", name, types.UID("uid-"+name)
	u.Status.ComplianceReason = "because of " + name
	return *u
}

// What needs a look comes first, and an entry keeps its time while it says the
// same.
func TestWrite(t *testing.T) {
	report := &openreports.Report{}
	report.Namespace = "shop"
	first := time.Unix(1000, 0)
	write(report, []v1alpha1.MFAUser{
		named("dave", user("security/a", v1alpha1.Exempt)),
		named("bob", user("security/a", v1alpha1.NonCompliant)),
		named("carol", user("built-in", "")),
		named("ann", user("security/a", v1alpha1.Compliant)),
		named("erin", user("", v1alpha1.InGrace)),
	}, first)
	if want := (openreports.ReportSummary{Pass: 1, Fail: 1, Warn: 1, Error: 1, Skip: 1}); report.Summary != want {
		t.Errorf("the summary is %+v, want %+v", report.Summary, want)
	}
	lines := func() (all []string) {
		for _, r := range report.Results {
			all = append(all, fmt.Sprint(r.Subjects[0].Name, " ", r.Result, " ", r.Policy, " ", r.Timestamp.Seconds))
		}
		return all
	}
	want := []string{"bob fail security/a 1000", "carol error built-in 1000", "erin warn none 1000", "dave skip security/a 1000"}
	if got := lines(); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %q, want %q", got, want)
	}

	write(report, []v1alpha1.MFAUser{
		named("bob", user("security/a", v1alpha1.NonCompliant)),
		named("carol", user("built-in", v1alpha1.NonCompliant)),
	}, first.Add(time.Minute))
	want = []string{"bob fail security/a 1000", "carol fail built-in 1060"}
	if got := lines(); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("a minute later: got %q, want %q", got, want)
	}
}

// A report fits into an object, however many lack a factor; the summary has all.
func TestAReportIsBounded(t *testing.T) {
	var users []v1alpha1.MFAUser
	for i := range 3 * mostResults {
		users = append(users, named(fmt.Sprintf("user-%05d", i), user("security/a", v1alpha1.NonCompliant)))
	}
	report := &openreports.Report{}
	write(report, users, time.Now())
	if len(report.Results) != mostResults || report.Summary.Fail != 3*mostResults {
		t.Errorf("%d entries, %d counted", len(report.Results), report.Summary.Fail)
	}
}
