package zitadeltest

import (
	"context"
	"slices"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	sessionpb "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/session/v2"
)

var noSession = notFound("QUERY-SFeaa", "Errors.Session.NotExisting")

func (s sessionService) GetSession(ctx context.Context, r *sessionpb.GetSessionRequest) (*sessionpb.GetSessionResponse, error) {
	row := s.read().sessions[r.GetSessionId()]
	if !row.readable() {
		return nil, noSession.err()
	}
	if r.GetSessionToken() != "" {
		if !s.isSessionToken(row, r.GetSessionToken()) {
			return nil, wrongReadToken.err()
		}
	} else if !s.ownsSession(ctx, row) {
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

// ListSessions leaves out what the caller may not see instead of refusing.
func (s sessionService) ListSessions(ctx context.Context, r *sessionpb.ListSessionsRequest) (*sessionpb.ListSessionsResponse, error) {
	for _, query := range r.GetQueries() {
		if agent, asked := query.GetQuery().(*sessionpb.SearchQuery_UserAgentQuery); asked && agent.UserAgentQuery.GetFingerprintId() == "" {
			// The empty fingerprint stands for that of the caller's token, and tokens here have none.
			return nil, status.Error(codes.FailedPrecondition, "Errors.Session.UserAgentMissing")
		}
	}
	st := s.read()
	visible := s.mayIn(ctx, "session.read")
	keep := func(row sessionRow) bool {
		return row.readable() && matchSession(ctx, r.GetQueries(), row) &&
			(s.ownsSession(ctx, row) || visible(st.sessionOwner(row)))
	}
	sessions := rowsOf(s.candidates(st, r.GetQueries()), keep)
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

// candidates narrows the sessions down before any is looked at: a query for one user must not cost
// as much as all users have sessions.
func (s *Server) candidates(st *state, queries []*sessionpb.SearchQuery) map[string]sessionRow {
	for _, query := range queries {
		q, byUser := query.GetQuery().(*sessionpb.SearchQuery_UserIdQuery)
		if !byUser {
			continue
		}
		rows := map[string]sessionRow{}
		for id := range st.userSessions[q.UserIdQuery.GetId()] {
			rows[id] = st.sessions[id]
		}
		return rows
	}
	return st.sessions
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
		case *sessionpb.SearchQuery_UserAgentQuery:
			match = row.userAgent.GetFingerprintId() == q.UserAgentQuery.GetFingerprintId()
		case *sessionpb.SearchQuery_CreationDateQuery:
			match = matchV1Time(q.CreationDateQuery.GetMethod(), row.created, q.CreationDateQuery.GetCreationDate())
		case *sessionpb.SearchQuery_ExpirationDateQuery:
			match = !row.expires.IsZero() &&
				matchV1Time(q.ExpirationDateQuery.GetMethod(), row.expires, q.ExpirationDateQuery.GetExpirationDate())
		}
		if !match {
			return false
		}
	}
	return true
}

func (s *Server) sessionPB(row sessionRow) *sessionpb.Session {
	return &sessionpb.Session{
		Id: row.id, CreationDate: timestamppb.New(row.created), ChangeDate: timestamppb.New(row.changed),
		Sequence: row.sequence, ExpirationDate: optionalTime(row.expires),
		Factors: s.factorsPB(row), Metadata: row.metadata, UserAgent: row.userAgent,
	}
}

func (s *Server) factorsPB(row sessionRow) *sessionpb.Factors {
	user, known := s.projection.users[row.userID]
	if !known {
		return nil
	}
	stamps := row.stamps
	pb := &sessionpb.Factors{User: &sessionpb.UserFactor{
		VerifiedAt: timestamppb.New(stamps.user), Id: user.id, LoginName: user.username,
		DisplayName: user.human.displayName, OrganizationId: user.owner, // machine users show none
	}}
	if !stamps.password.IsZero() {
		pb.Password = &sessionpb.PasswordFactor{VerifiedAt: timestamppb.New(stamps.password)}
	}
	if !stamps.webAuthN.IsZero() {
		pb.WebAuthN = &sessionpb.WebAuthNFactor{
			VerifiedAt: timestamppb.New(stamps.webAuthN), UserVerified: stamps.userVerified,
		}
	}
	if !stamps.totp.IsZero() {
		pb.Totp = &sessionpb.TOTPFactor{VerifiedAt: timestamppb.New(stamps.totp)}
	}
	if !stamps.otpSMS.IsZero() {
		pb.OtpSms = &sessionpb.OTPFactor{VerifiedAt: timestamppb.New(stamps.otpSMS)}
	}
	if !stamps.otpEmail.IsZero() {
		pb.OtpEmail = &sessionpb.OTPFactor{VerifiedAt: timestamppb.New(stamps.otpEmail)}
	}
	if !stamps.recoveryCode.IsZero() {
		pb.RecoveryCode = &sessionpb.RecoveryCodeFactor{VerifiedAt: timestamppb.New(stamps.recoveryCode)}
	}
	return pb
}
