package zitadelconnection

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/neosc/mfa-operator/api/v1alpha1"
)

// writeStatus writes the part of a status that update changes, if it changes
// anything, and returns the object as it was before.
//
// Two reconcilers keep a part each of a connection's status, and conditions are
// patched as one list. So every patch carries the resource version it was made
// from; where the other one was faster, update is asked again.
func writeStatus(ctx context.Context, c client.Client, live client.Reader, conn *v1alpha1.ZitadelConnection,
	update func(*v1alpha1.ZitadelConnection) error,
) (before *v1alpha1.ZitadelConnection, err error) {
	err = retry.RetryOnConflict(retry.DefaultRetry, func() error {
		before = conn.DeepCopy()
		if err := update(conn); err != nil || equality.Semantic.DeepEqual(before, conn) {
			return err
		}
		err := c.Status().Patch(ctx, conn, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}))
		if !apierrors.IsConflict(err) {
			return err
		}
		now := &v1alpha1.ZitadelConnection{}
		if err := live.Get(ctx, client.ObjectKeyFromObject(conn), now); err != nil {
			return err
		}
		*conn = *now
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("writing the status: %w", err)
	}
	return before, nil
}
