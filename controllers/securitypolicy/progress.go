package securitypolicy

import (
	"context"
	"fmt"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/kube"
)

// progressEvery is the pause between two reports of a long pass. Shorter passes
// write their status once, at the end.
const progressEvery = 5 * time.Second

// progress reports how far a long pass is. It works on a copy of the policy, as
// the targets are being worked on at the same time.
type progress struct {
	reconciler *Reconciler
	total      int

	mu       sync.Mutex
	policy   *v1alpha1.SecurityPolicy
	done     int
	inForce  int
	reported time.Time
}

func (r *Reconciler) progress(p *v1alpha1.SecurityPolicy, total int) *progress {
	return &progress{reconciler: r, total: total, policy: p.DeepCopy(), reported: r.now()}
}

// step counts one finished target, and reports if the last report is old.
func (g *progress) step(ctx context.Context, one *result) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.done++
	if one.spec != nil && one.err == nil {
		g.inForce++
	}
	now := g.reconciler.now()
	if g.done == g.total || now.Sub(g.reported) < progressEvery {
		return nil
	}
	g.reported = now
	before := g.policy.DeepCopy()
	if one.spec != nil {
		g.policy.Status.InForce = fmt.Sprintf("%d/%d", g.inForce, g.total)
	}
	meta.SetStatusCondition(&g.policy.Status.Conditions, metav1.Condition{
		Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonProgressing,
		Message:            fmt.Sprintf("%d of %d targets done", g.done, g.total),
		ObservedGeneration: g.policy.Generation,
	})
	_, err := kube.WriteStatus(ctx, g.reconciler.Client, before, g.policy)
	return err
}

// shown is the status as it was last written, which the final report is compared
// with.
func (g *progress) shown() v1alpha1.SecurityPolicyStatus {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.policy.Status
}
