package ledger

import (
	"context"
	"errors"
	"fmt"
	"time"

	k8swait "k8s.io/apimachinery/pkg/util/wait"
)

// follow folds what other writers append, until ctx ends. That saves the reads
// after lost races; without it everything would still be right.
func (l *ledger[V]) follow(ctx context.Context) {
	for pause := time.Duration(0); ; pause = min(max(2*pause, 100*time.Millisecond), 10*time.Second) {
		began := time.Now()
		err := l.followOnce(ctx)
		if ctx.Err() != nil {
			return
		}
		if time.Since(began) > time.Minute { // a watch ends every few minutes
			pause = 0
		}
		if err != nil && !errors.Is(err, errExpired) {
			l.log.V(1).Info("Following the ledger was interrupted", "error", err.Error())
		}
		wait(ctx, k8swait.Jitter(pause+50*time.Millisecond, 1))
	}
}

var errGap = errors.New("a batch was left out")

func (l *ledger[V]) followOnce(ctx context.Context) error {
	if err := l.awaitOpen(ctx); err != nil {
		return err
	}
	point, err := l.store.Now(ctx, l.namespace)
	if err != nil {
		return err
	}
	// Everything up to the point, by name. What comes after it, by watch.
	if err := l.catchUp(ctx); err != nil {
		return err
	}
	return l.store.Watch(ctx, l.namespace, point, func(news News) error {
		head, open := l.head()
		switch {
		case !open:
			return fmt.Errorf("%w: it was closed", errGap)
		case news.Removed && news.Sequence == head.Sequence:
			// By retention, if nothing has happened for long. Or the namespace is
			// going, or somebody tampers: opening it again will tell.
			l.forget()
			return fmt.Errorf("%w: the last one was removed", errGap)
		case news.Removed, news.Sequence <= head.Sequence:
			return nil
		case news.Sequence > head.Sequence+1:
			return errGap
		}
		b, err := news.Batch()
		if err != nil {
			return err
		}
		return l.hear(b)
	})
}

// awaitOpen waits until the first request has opened the ledger. It asks for nothing
// itself: a look is answered with the next batch that is won, and who does not follow
// wins none from those who do.
func (l *ledger[V]) awaitOpen(ctx context.Context) error {
	for {
		grown := l.growing()
		if _, open := l.head(); open {
			return nil
		}
		select {
		case <-grown:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// catchUp folds the batches there are.
func (l *ledger[V]) catchUp(ctx context.Context) error {
	for {
		head, open := l.head()
		if !open {
			return fmt.Errorf("%w: it was closed", errGap)
		}
		b, err := l.store.Batch(ctx, l.namespace, head.Sequence+1)
		switch {
		case errors.Is(err, errAbsent):
			return nil
		case err != nil:
			return err
		}
		if err := l.hear(b); err != nil {
			return err
		}
	}
}
