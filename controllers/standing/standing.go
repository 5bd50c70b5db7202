// Package standing tells, when metrics are asked for, how things stand by what the
// caches of the leader hold. It asks the API server for nothing.
package standing

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/metrics"
)

// Reporter answers metrics.Now while it runs.
type Reporter struct {
	Cache cache.Informers
	To    *metrics.Standings
}

// store is where an informer keeps its objects, to be read and not changed.
type store interface{ GetStore() toolscache.Store }

// NeedLeaderElection tells controller-runtime that one replica reports: others would
// have to fill caches that they do not need.
func (r *Reporter) NeedLeaderElection() bool { return true }

// Start reports until ctx ends. It implements manager.Runnable.
func (r *Reporter) Start(ctx context.Context) error {
	var stores []toolscache.Store
	for _, obj := range []client.Object{
		&v1alpha1.MFAUser{}, &v1alpha1.SecurityPolicy{}, &v1alpha1.ZitadelConnection{}, &v1alpha1.MFALedger{},
		&v1alpha1.MFAExemption{}, &v1alpha1.MFAReset{},
	} {
		informer, err := r.Cache.GetInformer(ctx, obj)
		if err != nil {
			return fmt.Errorf("watching %T: %w", obj, err)
		}
		kept, ok := informer.(store)
		if !ok {
			return fmt.Errorf("watching %T: a %T does not show what it keeps", obj, informer)
		}
		stores = append(stores, kept.GetStore())
	}
	r.To.Ask(func() metrics.Standing { return standing(stores) })
	<-ctx.Done()
	r.To.Ask(nil)
	return nil
}

func standing(stores []toolscache.Store) metrics.Standing {
	s := metrics.Standing{Users: map[metrics.UserClass]int{}, Objects: map[metrics.ObjectClass]int{}}
	for _, kept := range stores {
		for _, obj := range kept.List() {
			add(&s, obj)
		}
	}
	return s
}

func add(s *metrics.Standing, obj any) {
	switch o := obj.(type) {
	case *v1alpha1.MFAUser:
		class := metrics.UserClass{Source: string(o.Spec.Source), Compliance: string(o.Status.Compliance)}
		if class.Compliance == "" {
			class.Compliance = unknown
		}
		s.Users[class]++
		count(s, "MFAUser", o.Status.Conditions)
	case *v1alpha1.SecurityPolicy:
		count(s, "SecurityPolicy", o.Status.Conditions)
	case *v1alpha1.ZitadelConnection:
		count(s, "ZitadelConnection", o.Status.Conditions)
		s.Connections = append(s.Connections, connection(o))
	case *v1alpha1.MFALedger:
		count(s, "MFALedger", o.Status.Conditions)
		s.Ledgers = append(s.Ledgers, ledger(o))
	case *v1alpha1.MFAExemption:
		count(s, "MFAExemption", o.Status.Conditions)
	case *v1alpha1.MFAReset:
		count(s, "MFAReset", o.Status.Conditions)
	}
}

const unknown = "Unknown"

func count(s *metrics.Standing, kind string, conditions []metav1.Condition) {
	class := metrics.ObjectClass{Kind: kind, Ready: unknown}
	if ready := meta.FindStatusCondition(conditions, v1alpha1.ConditionReady); ready != nil {
		class.Ready, class.Reason = string(ready.Status), ready.Reason
	}
	s.Objects[class]++
}

func connection(o *v1alpha1.ZitadelConnection) metrics.Connection {
	c := metrics.Connection{Name: o.Name}
	if credential := o.Status.Credential; credential != nil && credential.ExpiresAt != nil {
		c.CredentialExpires = credential.ExpiresAt.Time
	}
	if events := o.Status.Events; events != nil && events.LastPollTime != nil {
		c.Polled = events.LastPollTime.Time
	}
	if d := o.Status.Discovery; d != nil {
		c.Discovery = &metrics.Discovery{Wanted: d.Users, Made: d.Made, Shown: d.Shown}
	}
	return c
}

func ledger(o *v1alpha1.MFALedger) metrics.Ledger {
	l := metrics.Ledger{Namespace: o.Namespace, Bytes: o.Status.Bytes, Limit: int64(o.Spec.Retention.MaxMebibytes) << 20}
	if taken := o.Status.Exported; taken != nil {
		l.Exports, l.Unexported = true, o.Status.Head.Sequence-taken.Sequence
	}
	return l
}
