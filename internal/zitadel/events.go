package zitadel

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/admin"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/neosc/mfa-operator/internal/idp"
)

const (
	// maxPage is the largest page, and maxNames the longest list of exact event
	// types, that AdminService.ListEvents takes.
	maxPage  = 1000
	maxNames = 30
	// maxPages bounds one call of Events.
	maxPages = 20
	// maxReceived is the largest page in bytes. Payloads can be large, metadata
	// of users above all.
	maxReceived = 16 << 20
	// overlap is how long before the newest event a log is read again. Zitadel
	// holds back what is younger than an open write; this is for clocks that are
	// set, and for servers that do not.
	overlap = 5 * time.Second
	// settled is the age from which nothing becomes visible late any more.
	settled = 10 * time.Minute
	// skew is how far the order of the log may be off that of its times, where
	// writes run side by side.
	skew = time.Second
	// instant is the resolution of the log's times.
	instant = time.Microsecond
)

// Events returns what happened to the instance, its organizations, its users
// and its sessions since the cursor. It costs one call of
// AdminService.ListEvents where less than half a page is new, and stops after
// maxPages: Batch.More then says that there is more. It needs the permission
// events.read, which IAM_OWNER and IAM_OWNER_VIEWER have; without, the error is
// idp.ErrDenied.
//
// No event is left out, even if many share one time, with one exception: of a
// single instant with more events than a page holds, events that mean nothing
// to us may be missing.
func (c *Client) Events(ctx context.Context, since idp.Cursor) (idp.Batch, error) {
	return c.readLog(ctx, followed(), since, maxPages)
}

// EventsFromNow returns the cursor at the end of the log.
func (c *Client) EventsFromNow(ctx context.Context) (idp.Cursor, error) {
	newest := followed()
	newest.Limit = 1
	found, err := c.listEvents(ctx, newest)
	if err != nil {
		return idp.Cursor{}, failure(ctx, readingLog, err)
	}
	since := idp.Cursor{}
	if len(found) > 0 {
		since.From = found[0].At.Add(-overlap)
	}
	batch, err := c.Events(ctx, since)
	return batch.Next, err
}

// History returns the next page of the events of a topic, from the beginning of
// the log for the zero cursor. Batch.More says whether there are further pages.
// Errors are those of Events.
func (c *Client) History(ctx context.Context, topic idp.Topic, since idp.Cursor) (idp.Batch, error) {
	names := topics[topic]
	if len(names) == 0 {
		return idp.Batch{}, &idp.Error{Cause: idp.InvalidValue, Doing: readingLog, Detail: "there is no topic " + string(topic)}
	}
	named := followed()
	named.EventTypes = names
	return c.readLog(ctx, named, since, 1)
}

// LastEdit returns who changed a policy of the scope last, with one call. The
// error is idp.NoSuchObject if nobody ever did; the others are those of Events.
func (c *Client) LastEdit(ctx context.Context, scope idp.Scope, g idp.Group) (idp.Edit, error) {
	trying := doing("finding who changed", g, scope)
	if err := checkGroups(scope, []idp.Group{g}); err != nil {
		return idp.Edit{}, err
	}
	level := instanceAggregate
	if !scope.IsInstance() {
		level = orgAggregate
	}
	found, err := c.listEvents(ctx, &admin.ListEventsRequest{
		AggregateTypes: []string{level}, AggregateId: scope.OrganizationID, EventTypes: editNames(level, g), Limit: 1,
	})
	switch {
	case err != nil:
		return idp.Edit{}, failure(ctx, trying, err)
	case len(found) == 0:
		return idp.Edit{}, &idp.Error{Cause: idp.NoSuchObject, Doing: trying, Detail: "the log has no change of it"}
	}
	return idp.Edit{Editor: found[0].Editor, At: found[0].At}, nil
}

const readingLog = "reading the event log"

func followed() *admin.ListEventsRequest {
	return &admin.ListEventsRequest{AggregateTypes: []string{instanceAggregate, orgAggregate, userAggregate, sessionAggregate}}
}

// payload is what an event carries.
type payload map[string]*structpb.Value

func (p payload) has(field string) bool    { return p[field].GetKind() != nil }
func (p payload) text(field string) string { return p[field].GetStringValue() }

// readLog reads what the filter lets through from the cursor on, until the end
// of the log or for so many pages.
//
// Times do not tell events apart, they are not quite in the order of the log,
// and the server starts after a time. So every page but the first begins with
// the end of the one before. Where that would not lead on, the page has to grow.
func (c *Client) readLog(ctx context.Context, filter *admin.ListEventsRequest, since idp.Cursor, pages int) (idp.Batch, error) {
	p := newPass(since)
	from, limit, ceiling := since.From, c.pageSize, maxPage
	for {
		page, err := c.listEvents(ctx, after(filter, from, limit))
		switch {
		case isTooLarge(err) && limit > 1:
			ceiling = limit - 1
			limit = max(limit/2, 1)
			continue
		case err != nil:
			return idp.Batch{}, failure(ctx, readingLog, err)
		}
		p.add(page)
		if len(page) < limit {
			return p.end(), nil
		}
		last := page[len(page)-1].At
		switch next := pageAfter(page); {
		case next.After(from):
			from = next
		case limit < ceiling:
			limit = min(2*limit, ceiling)
			continue
		default:
			crowd, err := c.listInstant(ctx, filter, last)
			if err != nil {
				return idp.Batch{}, failure(ctx, readingLog, err)
			}
			p.addCrowd(crowd, last)
			from = last
		}
		limit, ceiling = c.pageSize, maxPage
		if pages--; pages == 0 {
			if last.Before(c.now().Add(-settled)) {
				return p.stop(from, 0), nil
			}
			return p.stop(from, overlap), nil
		}
	}
}

// pageAfter is the time after which the next page begins: before the end of this
// one by the skew, but so that at most half of it is read again, or before the
// last instant if that is not possible.
func pageAfter(page []idp.Event) time.Time {
	last := page[len(page)-1].At
	next := page[len(page)/2].At.Add(-instant)
	if margin := last.Add(-skew); margin.After(next) {
		next = margin
	}
	if next.Before(page[0].At) {
		return last.Add(-instant)
	}
	return next
}

// after asks for the events later than a time.
func after(filter *admin.ListEventsRequest, from time.Time, limit int) *admin.ListEventsRequest {
	r := &admin.ListEventsRequest{
		AggregateTypes: filter.GetAggregateTypes(), EventTypes: filter.GetEventTypes(), Asc: true, Limit: uint32(limit),
	}
	if !from.IsZero() {
		r.CreationDateFilter = &admin.ListEventsRequest_From{From: timestamppb.New(from)}
	}
	return r
}

// listInstant reads an instant that is too crowded for one page. The crowd is
// the work of one command, such as metadata set in bulk; what means something to
// us is asked for by name.
func (c *Client) listInstant(ctx context.Context, filter *admin.ListEventsRequest, at time.Time) ([]idp.Event, error) {
	names := filter.GetEventTypes()
	if len(names) == 0 {
		names = namesOf(func(string, naming) bool { return true })
	}
	var crowd []idp.Event
	for chunk := range slices.Chunk(names, maxNames) {
		found, err := c.listEvents(ctx, &admin.ListEventsRequest{
			AggregateTypes: filter.GetAggregateTypes(), EventTypes: chunk, Asc: true, Limit: maxPage,
			CreationDateFilter: &admin.ListEventsRequest_Range{Range: &admin.ListEventsRequestCreationDateRange{
				Since: timestamppb.New(at.Add(-instant)), Until: timestamppb.New(at.Add(instant)),
			}},
		})
		if err != nil {
			return nil, err
		}
		crowd = append(crowd, found...)
	}
	return crowd, nil
}

func (c *Client) listEvents(ctx context.Context, r *admin.ListEventsRequest) ([]idp.Event, error) {
	response, err := c.api.AdminService().ListEvents(ctx, r, grpc.MaxCallRecvMsgSize(maxReceived))
	if err != nil {
		return nil, err
	}
	found := make([]idp.Event, len(response.GetEvents()))
	for i, pb := range response.GetEvents() {
		found[i] = eventOf(pb)
	}
	return found, nil
}

// isTooLarge tells whether an answer was refused by our own limit on its size.
// The code is that of a rate limit, too; only the text tells them apart.
func isTooLarge(err error) bool {
	return status.Code(err) == codes.ResourceExhausted && strings.Contains(status.Convert(err).Message(), "received message larger than max")
}
