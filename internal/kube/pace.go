package kube

import (
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// The pace of a reconciler that talks to an outside system.
const (
	firstRetry = time.Second
	lastRetry  = 2 * time.Minute
	// SlowRetry is the pause before looking again at what only somebody else
	// can put right, such as a missing role.
	SlowRetry = 5 * time.Minute
	// jitter spreads what would otherwise come at once, as a share of the pause.
	jitter = 0.2
)

// Jitter lengthens a pause by up to a fifth, so that objects made together do
// not stay together.
func Jitter(pause time.Duration) time.Duration { return wait.Jitter(pause, jitter) }

// RetryLimiter paces retries: one second at first, doubling up to two minutes,
// with jitter.
func RetryLimiter() workqueue.TypedRateLimiter[reconcile.Request] {
	return jittered{workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](firstRetry, lastRetry)}
}

type jittered struct {
	workqueue.TypedRateLimiter[reconcile.Request]
}

func (j jittered) When(item reconcile.Request) time.Duration {
	return Jitter(j.TypedRateLimiter.When(item))
}
