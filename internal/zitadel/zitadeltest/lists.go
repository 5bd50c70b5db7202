package zitadeltest

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	filterpb "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/filter/v2"
	objectpb "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/object"
)

// page cuts a list. Beyond the end even the total is gone: the real server counts in the same query.
func page[T any](items []T, offset uint64, limit uint64) (cut []T, total int) {
	total = len(items)
	if offset > 0 && offset >= uint64(total) {
		return nil, 0
	}
	items = items[offset:]
	if limit > 0 && limit < uint64(len(items)) {
		items = items[:limit]
	}
	return items, total
}

// Users, organizations and sessions have no page limit. The newer services have one.
const (
	defaultLimit = 100
	maxLimit     = 1000
)

// pageFilter is page for the newer services.
func pageFilter[T any](items []T, asked *filterpb.PaginationRequest) (cut []T, pagination *filterpb.PaginationResponse, err error) {
	limit := uint64(orDefault(asked.GetLimit(), defaultLimit))
	if limit > maxLimit {
		return nil, nil, invalid("QUERY-4M0fs", "Errors.Query.LimitExceeded").err()
	}
	cut, total := page(items, asked.GetOffset(), limit)
	return cut, &filterpb.PaginationResponse{TotalResult: uint64(total), AppliedLimit: limit}, nil
}

// rowsOf returns the rows of a map that are kept, ordered by key: ids rise with time.
func rowsOf[T any](rows map[string]T, keep func(T) bool) []T {
	var ids []string
	for id, row := range rows {
		if keep(row) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	list := make([]T, len(ids))
	for i, id := range ids {
		list[i] = rows[id]
	}
	return list
}

// sortBy orders a list by a key, upwards or downwards, ties by age. Rows are large, so it moves each
// only once.
func sortBy[T any, K cmp.Ordered](list []T, key func(T) K, ascending bool) {
	type place struct {
		key K
		at  int
	}
	places := make([]place, len(list))
	for i, row := range list {
		places[i] = place{key(row), i}
	}
	slices.SortStableFunc(places, func(a, b place) int {
		if ascending {
			return cmp.Compare(a.key, b.key)
		}
		return cmp.Compare(b.key, a.key)
	})
	sorted := make([]T, len(list))
	for i, p := range places {
		sorted[i] = list[p.at]
	}
	copy(list, sorted)
}

// matchText compares the way a text query asks for. The API declares the same methods with the same
// numbers in several packages.
func matchText[M ~int32](method M, have, want string) bool {
	if method%2 == 1 { // every odd one is the case-insensitive form of the one before
		have, want = strings.ToLower(have), strings.ToLower(want)
	}
	switch method / 2 {
	case 0:
		return have == want
	case 1:
		return strings.HasPrefix(have, want)
	case 2:
		return strings.Contains(have, want)
	case 3:
		return strings.HasSuffix(have, want)
	}
	return false
}

// isEquals tells the two methods that compare whole texts.
func isEquals[M ~int32](method M) bool { return method/2 == 0 }

// matchTime compares the way a date filter asks for.
func matchTime(filter *filterpb.TimestampFilter, have time.Time) bool {
	order := have.Compare(filter.GetTimestamp().AsTime())
	switch filter.GetMethod() {
	case filterpb.TimestampFilterMethod_TIMESTAMP_FILTER_METHOD_AFTER:
		return order > 0
	case filterpb.TimestampFilterMethod_TIMESTAMP_FILTER_METHOD_AFTER_OR_EQUALS:
		return order >= 0
	case filterpb.TimestampFilterMethod_TIMESTAMP_FILTER_METHOD_BEFORE:
		return order < 0
	case filterpb.TimestampFilterMethod_TIMESTAMP_FILTER_METHOD_BEFORE_OR_EQUALS:
		return order <= 0
	}
	return order == 0
}

// matchV1Time is matchTime for the queries that still use the v1 methods.
func matchV1Time(method objectpb.TimestampQueryMethod, have time.Time, want *timestamppb.Timestamp) bool {
	order := have.Compare(want.AsTime())
	switch method {
	case objectpb.TimestampQueryMethod_TIMESTAMP_QUERY_METHOD_GREATER:
		return order > 0
	case objectpb.TimestampQueryMethod_TIMESTAMP_QUERY_METHOD_GREATER_OR_EQUALS:
		return order >= 0
	case objectpb.TimestampQueryMethod_TIMESTAMP_QUERY_METHOD_LESS:
		return order < 0
	case objectpb.TimestampQueryMethod_TIMESTAMP_QUERY_METHOD_LESS_OR_EQUALS:
		return order <= 0
	}
	return order == 0
}
