package securitypolicy

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/idp"
	"github.com/neosc/mfa-operator/internal/policy"
)

// TestTheLargestStatusFits into an object of etcd: every target there can be,
// every setting different, every text as long as Zitadel lets it be.
func TestTheLargestStatusFits(t *testing.T) {
	var changes []policy.Change
	long := idp.Text("https://" + strings.Repeat("x", 100_000))
	for _, s := range idp.AllSettings() {
		changes = append(changes, policy.Change{Setting: s, Found: long, Wanted: long})
	}
	var targets []v1alpha1.TargetStatus
	for range 256 {
		targets = append(targets, v1alpha1.TargetStatus{
			Connection: strings.Repeat("c", 63), Scope: v1alpha1.ScopeOrganization, OrganizationID: strings.Repeat("i", 200),
			Organization: strings.Repeat("n", 200), State: v1alpha1.TargetPending, Pending: changesStatus(changes),
			Drift: &v1alpha1.Drift{Settings: changesStatus(changes[:3])},
		})
	}
	bound(targets)
	text, err := json.Marshal(targets)
	if err != nil {
		t.Fatal(err)
	}
	if len(text) > 1<<20 {
		t.Errorf("the status takes %d bytes", len(text))
	}
	if len(targets[0].Pending) != len(changes) || targets[255].Pending != nil || targets[255].Message == "" {
		t.Error("the first targets list their differences, and those without room say so")
	}
}
