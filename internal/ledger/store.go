package ledger

import (
	"context"
	"errors"
	"fmt"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/audit"
)

// Errors of a Store. Any other error means: nobody can say what happened.
var (
	errAbsent  = errors.New("there is no such object")
	errExists  = errors.New("there is such an object already")
	errExpired = errors.New("the watch cannot go on from there")
)

// refusal is the error of a Store that will not do what it was asked, and has
// not.
type refusal struct{ cause error }

func (e *refusal) Error() string { return e.cause.Error() }
func (e *refusal) Unwrap() error { return e.cause }

// Store is what is asked of the API server. Reads see every write that was
// answered before they were sent.
type Store interface {
	// Create creates a batch under its name.
	Create(ctx context.Context, namespace string, b audit.Batch) error
	// Batch reads a batch.
	Batch(ctx context.Context, namespace string, sequence int64) (audit.Batch, error)
	// Remove removes a batch; one that is not there is no error.
	Remove(ctx context.Context, namespace string, sequence int64) error
	// Any tells whether there is any batch.
	Any(ctx context.Context, namespace string) (bool, error)

	// Ledger reads the MFALedger.
	Ledger(ctx context.Context, namespace string) (*v1alpha1.MFALedger, error)
	// CreateLedger creates it; one that is there already is no error.
	CreateLedger(ctx context.Context, namespace string) error
	// UpdateLedgerStatus writes its status, unless somebody else has since obj
	// was read.
	UpdateLedgerStatus(ctx context.Context, obj *v1alpha1.MFALedger) error

	// Snapshot reads the data of one MFALedgerSnapshot.
	Snapshot(ctx context.Context, namespace, name string) ([]byte, error)
	// CreateSnapshot creates one; one that is there already is no error.
	CreateSnapshot(ctx context.Context, namespace, name string, spec v1alpha1.MFALedgerSnapshotSpec) error
	// Snapshots lists the names of all.
	Snapshots(ctx context.Context, namespace string) ([]string, error)
	// RemoveSnapshot removes one; one that is not there is no error.
	RemoveSnapshot(ctx context.Context, namespace, name string) error

	// Ask has the API server answer, whatever that is: each answer tells its time to
	// who watches the transport.
	Ask(ctx context.Context) error
	// Now returns a point from which Watch can go on.
	Now(ctx context.Context, namespace string) (point string, err error)
	// Watch calls heard for every batch created or removed after a point, in
	// order, until ctx ends, heard returns an error, or the watch ends.
	Watch(ctx context.Context, namespace, point string, heard func(News) error) error
}

// News is what a watch tells.
type News struct {
	Sequence int64
	Removed  bool
	// Batch decodes the batch. Most news is of what one knows already, such as
	// one's own batches, and need not be decoded.
	Batch func() (audit.Batch, error)
}

// snapshotName is the name of one part of a snapshot: names sort by sequence,
// and two different snapshots as of one batch do not meet.
func snapshotName(sequence int64, digest string, part int) string {
	return fmt.Sprintf("ledger-%012d-%.8s-%04d", sequence, digest, part)
}
