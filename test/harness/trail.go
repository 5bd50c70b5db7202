package harness

import (
	"context"
	"slices"

	"k8s.io/client-go/rest"

	"github.com/neosc/mfa-operator/internal/audit"
	"github.com/neosc/mfa-operator/internal/ledger"
)

// Trail reads the ledger of a namespace through the API server, checks its chain,
// and returns the records of these actions; of none named, all.
func Trail(ctx context.Context, config *rest.Config, namespace string, actions ...audit.Action) ([]audit.Record, error) {
	store, err := ledger.NewStore(config, nil)
	if err != nil {
		return nil, err
	}
	start, err := ledger.Oldest(ctx, store, namespace)
	if err != nil {
		return nil, err
	}
	var records []audit.Record
	_, err = ledger.ReadAll(ctx, store, namespace, start, func(b audit.Batch) error {
		for _, r := range b.Records {
			if len(actions) == 0 || slices.Contains(actions, r.Action) {
				records = append(records, r)
			}
		}
		return nil
	})
	return records, err
}
