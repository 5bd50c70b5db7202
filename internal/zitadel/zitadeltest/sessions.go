package zitadeltest

import (
	"context"
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	sessionpb "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/session/v2"
	userpb "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/user/v2"
)

// sessionService is the v2 API for sessions, as far as a user check goes.
type sessionService struct {
	sessionpb.UnimplementedSessionServiceServer
	*Server
}

// sessionRow is a session. It belongs to the instance, whatever user it is for.
type sessionRow struct {
	rowDetails
	id, creator string
	userID      string // "" before the user check
	userChecked time.Time
	expires     time.Time // zero for never
	gone        bool      // terminated, or its user was shut out; reads leave it out
}

func (s *Server) sessionAggregate(id string) aggregate {
	return aggregate{kind: kindSession, id: id, owner: s.instanceID}
}

// sessionOwner is the organization whose administrators a session answers to: that of its user.
func (st *state) sessionOwner(row sessionRow) string {
	if user, known := st.users[row.userID]; known {
		return user.owner
	}
	return st.instanceID
}

// CreateSession looks the user up in the read view. So a user just created is unknown, and one just
// locked still gets a session.
func (s sessionService) CreateSession(ctx context.Context, r *sessionpb.CreateSessionRequest) (*sessionpb.CreateSessionResponse, error) {
	checks := r.GetChecks()
	if checks.GetPassword() != nil || checks.GetWebAuthN() != nil || checks.GetIdpIntent() != nil || checks.GetTotp() != nil ||
		checks.GetOtpSms() != nil || checks.GetOtpEmail() != nil || checks.GetRecoveryCode() != nil || r.GetChallenges() != nil {
		return nil, unimplemented("session checks other than the user check")
	}
	if err := s.mayObject(ctx, "session.write", s.instanceID); err != nil {
		return nil, err
	}
	id := s.ids.next()
	changes := []change{sessionAdded{creator: editor(ctx)}}
	if checks.GetUser() != nil {
		user, err := s.sessionUser(checks.GetUser())
		if err != nil {
			return nil, err
		}
		changes = append(changes, sessionUserChecked{userID: user.id, orgID: user.owner})
	}
	changes = append(changes, sessionTokenSet{})
	if lifetime := r.GetLifetime(); lifetime != nil {
		changes = append(changes, sessionLifetimeSet{lifetime.AsDuration()})
	}
	e := s.push(editor(ctx), s.sessionAggregate(id), changes...)
	return &sessionpb.CreateSessionResponse{Details: writtenDetails(e), SessionId: id, SessionToken: randomText(40)}, nil
}

func (s *Server) sessionUser(check *sessionpb.CheckUser) (userRow, error) {
	users := rowsOf(s.read().users, func(u userRow) bool {
		return u.exists() && (u.id == check.GetUserId() || u.username == check.GetLoginName())
	})
	if len(users) == 0 {
		return userRow{}, unknownUser.err()
	}
	if users[0].state != userpb.UserState_USER_STATE_ACTIVE {
		return userRow{}, precondition("SESSION-Gj4ko", "Errors.User.NotActive").err()
	}
	return users[0], nil
}

func (s sessionService) GetSession(ctx context.Context, r *sessionpb.GetSessionRequest) (*sessionpb.GetSessionResponse, error) {
	row, known := s.read().sessions[r.GetSessionId()]
	if !known || row.gone {
		return nil, notFound("QUERY-SFeaa", "Errors.Session.NotExisting").err()
	}
	if !s.ownsSession(ctx, row) {
		if err := s.mayObject(ctx, "session.read", s.projection.sessionOwner(row)); err != nil {
			return nil, err
		}
	}
	return &sessionpb.GetSessionResponse{Session: s.sessionPB(row)}, nil
}

func (s *Server) ownsSession(ctx context.Context, row sessionRow) bool {
	caller := callOf(ctx).userID
	return row.creator == caller || row.userID == caller
}

func (s sessionService) ListSessions(ctx context.Context, r *sessionpb.ListSessionsRequest) (*sessionpb.ListSessionsResponse, error) {
	st := s.read()
	sessions := rowsOf(st.sessions, func(row sessionRow) bool {
		return !row.gone && matchSession(ctx, r.GetQueries(), row) &&
			(s.ownsSession(ctx, row) || s.may(ctx, "session.read", st.sessionOwner(row)))
	})
	if r.GetSortingColumn() == sessionpb.SessionFieldName_SESSION_FIELD_NAME_CREATION_DATE {
		sortBy(sessions, func(row sessionRow) int64 { return row.created.UnixMicro() }, r.GetQuery().GetAsc())
	}
	sessions, total := page(sessions, r.GetQuery().GetOffset(), uint64(r.GetQuery().GetLimit()))
	response := &sessionpb.ListSessionsResponse{Details: s.listDetails(total)}
	for _, row := range sessions {
		response.Sessions = append(response.Sessions, s.sessionPB(row))
	}
	return response, nil
}

func matchSession(ctx context.Context, queries []*sessionpb.SearchQuery, row sessionRow) bool {
	for _, query := range queries {
		var match bool
		switch q := query.GetQuery().(type) {
		case *sessionpb.SearchQuery_IdsQuery:
			match = slices.Contains(q.IdsQuery.GetIds(), row.id)
		case *sessionpb.SearchQuery_UserIdQuery:
			match = row.userID == q.UserIdQuery.GetId()
		case *sessionpb.SearchQuery_CreatorQuery:
			match = row.creator == orDefault(q.CreatorQuery.GetId(), callOf(ctx).userID)
		case *sessionpb.SearchQuery_CreationDateQuery:
			match = matchV1Time(q.CreationDateQuery.GetMethod(), row.created, q.CreationDateQuery.GetCreationDate())
		case *sessionpb.SearchQuery_ExpirationDateQuery:
			match = matchV1Time(q.ExpirationDateQuery.GetMethod(), row.expires, q.ExpirationDateQuery.GetExpirationDate())
		}
		if !match {
			return false
		}
	}
	return true
}

func (s *Server) sessionPB(row sessionRow) *sessionpb.Session {
	pb := &sessionpb.Session{
		Id: row.id, CreationDate: timestamppb.New(row.created), ChangeDate: timestamppb.New(row.changed),
		Sequence: row.sequence, ExpirationDate: optionalTime(row.expires),
	}
	if user, known := s.projection.users[row.userID]; known {
		pb.Factors = &sessionpb.Factors{User: &sessionpb.UserFactor{
			VerifiedAt: timestamppb.New(row.userChecked), Id: user.id, LoginName: user.username,
			DisplayName: user.displayName(), OrganizationId: user.owner,
		}}
	}
	return pb
}

// DeleteSession is idempotent and does not mind a session that never was, as long as the caller may
// delete sessions at all.
func (s sessionService) DeleteSession(ctx context.Context, r *sessionpb.DeleteSessionRequest) (*sessionpb.DeleteSessionResponse, error) {
	row, known := s.write.sessions[r.GetSessionId()]
	if !known || !s.ownsSession(ctx, row) {
		if err := s.mayObject(ctx, "session.delete", s.write.sessionOwner(row)); err != nil {
			return nil, err
		}
	}
	if !known || row.gone {
		details := rowDetails{owner: s.instanceID, sequence: row.sequence, changed: row.changed}
		if !known {
			details.sequence, details.changed = 1, s.clock()
		}
		return &sessionpb.DeleteSessionResponse{Details: details.v2()}, nil
	}
	e := s.push(editor(ctx), s.sessionAggregate(row.id), sessionTerminated{})
	return &sessionpb.DeleteSessionResponse{Details: writtenDetails(e)}, nil
}

type sessionAdded struct{ creator string }

func (sessionAdded) eventType(string) string { return "session.added" }
func (sessionAdded) payload() any            { return nil }
func (c sessionAdded) apply(st *state, e *event) {
	st.sessions[e.id] = sessionRow{rowDetails: detailsOf(e), id: e.id, creator: c.creator}
}

type sessionUserChecked struct{ userID, orgID string }

func (sessionUserChecked) eventType(string) string { return "session.user.checked" }
func (c sessionUserChecked) payload() any {
	return map[string]any{"userID": c.userID, "userResourceOwner": c.orgID}
}
func (c sessionUserChecked) apply(st *state, e *event) {
	editSession(st, e, func(row *sessionRow) { row.userID, row.userChecked = c.userID, e.created })
}

type sessionTokenSet struct{}

func (sessionTokenSet) eventType(string) string   { return "session.token.set" }
func (sessionTokenSet) payload() any              { return nil }
func (sessionTokenSet) apply(st *state, e *event) { editSession(st, e, func(*sessionRow) {}) }

type sessionLifetimeSet struct{ lifetime time.Duration }

func (sessionLifetimeSet) eventType(string) string { return "session.lifetime.set" }
func (c sessionLifetimeSet) payload() any          { return map[string]any{"lifetime": c.lifetime} }
func (c sessionLifetimeSet) apply(st *state, e *event) {
	editSession(st, e, func(row *sessionRow) { row.expires = e.created.Add(c.lifetime) })
}

type sessionTerminated struct{}

func (sessionTerminated) eventType(string) string { return "session.terminated" }
func (sessionTerminated) payload() any            { return nil }
func (sessionTerminated) apply(st *state, e *event) {
	editSession(st, e, func(row *sessionRow) { row.gone = true })
}

func editSession(st *state, e *event, edit func(*sessionRow)) {
	row, known := st.sessions[e.id]
	if !known {
		return
	}
	edit(&row)
	row.touch(e)
	st.sessions[e.id] = row
}

// dropSessions takes a user's sessions out of every read, for good.
func dropSessions(st *state, userID string) {
	for id, row := range st.sessions {
		if row.userID == userID {
			row.gone = true
			st.sessions[id] = row
		}
	}
}
