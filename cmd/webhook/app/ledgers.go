package app

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/go-logr/logr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/audit"
	"github.com/neosc/mfa-operator/internal/ledger"
	"github.com/neosc/mfa-operator/internal/mfa"
)

type ledgers = ledger.Ledgers[mfa.Entry, mfa.Attempt]

// opening reads the ledgers of all namespaces with local users once, at the start: the
// first who logs in at a new replica should not wait for it.
type opening struct {
	ledgers *ledgers
	cache   client.Reader
	served  func(namespace string) bool
	log     logr.Logger

	done atomic.Bool
}

// openAtOnce bounds what the API server is asked at a time.
const openAtOnce = 8

// NeedLeaderElection implements manager.LeaderElectionRunnable: every replica answers.
func (*opening) NeedLeaderElection() bool { return false }

// Start implements manager.Runnable. A ledger that cannot be opened keeps no other from
// being used; whoever asks for it is told.
func (o *opening) Start(ctx context.Context) error {
	select {
	case <-o.ledgers.Started():
	case <-ctx.Done():
		return nil
	}
	users := &v1alpha1.MFAUserList{}
	if err := o.cache.List(ctx, users, client.UnsafeDisableDeepCopy); err != nil {
		return fmt.Errorf("listing users: %w", err)
	}
	namespaces := map[string]bool{}
	for i := range users.Items {
		if u := &users.Items[i]; u.Spec.Source == v1alpha1.SourceLocal && o.served(u.Namespace) {
			namespaces[u.Namespace] = true
		}
	}
	var all sync.WaitGroup
	limit := make(chan struct{}, openAtOnce)
	for namespace := range namespaces {
		all.Go(func() {
			limit <- struct{}{}
			defer func() { <-limit }()
			if err := o.ledgers.Head(ctx, namespace, func(audit.Head) {}); err != nil && ctx.Err() == nil {
				o.log.Error(err, "Cannot open a ledger before anybody needs it", "namespace", namespace)
			}
		})
	}
	all.Wait()
	o.done.Store(true)
	return nil
}

// Check tells whether that is done.
func (o *opening) Check() error {
	if !o.done.Load() {
		return errors.New("the ledgers of local users are being read")
	}
	return nil
}
