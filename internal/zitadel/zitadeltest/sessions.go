package zitadeltest

import (
	"context"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	sessionpb "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/session/v2"
)

// sessionService is the v2 API for sessions. What a request may check stands in sessions_checks.go,
// sessions_otp.go and sessions_webauthn.go.
type sessionService struct {
	sessionpb.UnimplementedSessionServiceServer
	*Server
}

// sessionRow is a session. It belongs to the instance, whatever user it is for.
type sessionRow struct {
	rowDetails
	id, creator string
	tokenID     string // of the only token that counts
	userID      string // "" before the user check
	userOrg     string
	stamps      sessionStamps
	challenges  sessionChallenges
	metadata    map[string][]byte // never edited in place
	userAgent   *sessionpb.UserAgent
	expires     time.Time // zero for never

	added      bool // false for a session that is only written to
	terminated bool
	dropped    bool // its user was shut out: reads leave it out for good, writes do not mind
}

// sessionStamps is when each factor was last checked; zero for never.
type sessionStamps struct {
	user, password, webAuthN, totp, otpSMS, otpEmail, recoveryCode time.Time
	userVerified                                                   bool // what the authenticator said
}

// readable tells what reads show.
func (row sessionRow) readable() bool { return row.added && !row.terminated && !row.dropped }

// invalidated is what a write to a session that is over answers, nil while it is not.
func (row sessionRow) invalidated(now time.Time) error {
	switch {
	case row.terminated:
		return precondition("COMMAND-Hewfq", "Errors.Session.Terminated").err()
	case !row.expires.IsZero() && row.expires.Before(now):
		return precondition("COMMAND-Hkl3d", "Errors.Session.Expired").err()
	}
	return nil
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

func (s sessionService) CreateSession(ctx context.Context, r *sessionpb.CreateSessionRequest) (*sessionpb.CreateSessionResponse, error) {
	checked, err := s.findChecked(r.GetChecks().GetUser())
	if err != nil {
		return nil, err
	}
	if err := s.mayObject(ctx, "session.write", s.instanceID); err != nil {
		return nil, err
	}
	id := s.ids.next()
	update := s.newSessionUpdate(ctx, sessionRow{id: id})
	update.add(sessionAdded{creator: editor(ctx), userAgent: r.GetUserAgent()})
	done, err := update.run(r, checked)
	if err != nil {
		return nil, err
	}
	return &sessionpb.CreateSessionResponse{
		Details: writtenDetails(done.event), SessionId: id, SessionToken: done.token, Challenges: update.answer,
	}, nil
}

// SetSession takes any id: a session that never was can be written to, but no read ever shows it.
func (s sessionService) SetSession(ctx context.Context, r *sessionpb.SetSessionRequest) (*sessionpb.SetSessionResponse, error) {
	checked, err := s.findChecked(r.GetChecks().GetUser())
	if err != nil {
		return nil, err
	}
	row := s.write.sessions[r.GetSessionId()]
	row.id = r.GetSessionId()
	if err := s.mayObject(ctx, "session.write", s.write.sessionOwner(row)); err != nil {
		return nil, err
	}
	if err := row.invalidated(s.clock()); err != nil {
		return nil, err
	}
	update := s.newSessionUpdate(ctx, row)
	done, err := update.run(r, checked)
	if err != nil {
		return nil, err
	}
	response := &sessionpb.SetSessionResponse{SessionToken: done.token, Challenges: update.answer}
	if done.event == nil {
		response.Details = rowDetails{owner: s.instanceID, sequence: row.sequence, changed: row.changed}.v2()
	} else {
		response.Details = writtenDetails(done.event)
	}
	return response, nil
}

// sessionRequest is what creating and setting a session have in common.
type sessionRequest interface {
	GetChecks() *sessionpb.Checks
	GetChallenges() *sessionpb.RequestChallenges
	GetMetadata() map[string][]byte
	GetLifetime() *durationpb.Duration
}

// sessionUpdate collects what one request does to a session: checks and challenges append events and
// see what those before them did.
type sessionUpdate struct {
	*Server
	ctx    context.Context
	row    sessionRow
	drafts []draft
	answer *sessionpb.Challenges // nil without a challenge
}

type sessionDone struct {
	event *event // nil if there was nothing to do
	token string
}

func (s *Server) newSessionUpdate(ctx context.Context, row sessionRow) *sessionUpdate {
	return &sessionUpdate{Server: s, ctx: ctx, row: row}
}

func (u *sessionUpdate) add(changes ...change) {
	u.drafts = append(u.drafts, draftsFor(u.sessionAggregate(u.row.id), changes...)...)
}

// run performs the request in the order of the real server and writes everything at once. Every
// write gives the session a new token, which makes the old one useless. checked is the user to check,
// nil for none.
func (u *sessionUpdate) run(r sessionRequest, checked *userRow) (sessionDone, error) {
	if err := u.check(r.GetChecks(), checked); err != nil {
		return sessionDone{}, err
	}
	if err := u.challenge(r.GetChallenges()); err != nil {
		return sessionDone{}, err
	}
	if metadata, changed := changedMetadata(u.row.metadata, r.GetMetadata()); changed {
		u.add(sessionMetadataSet{metadata})
	}
	if lifetime := r.GetLifetime().AsDuration(); lifetime > 0 {
		u.add(sessionLifetimeSet{lifetime})
	}
	if len(u.drafts) == 0 {
		return sessionDone{}, nil
	}
	token := newToken()
	set := sessionTokenSet{u.ids.next()}
	u.tokens[token] = sessionToken(u.row.id, set.id)
	u.add(set)
	u.pushAll(editor(u.ctx), u.drafts...)
	return sessionDone{event: u.log.last(u.sessionAggregate(u.row.id)), token: token}, nil
}

// DeleteSession is idempotent and does not mind a session that never was, as long as the caller may
// delete sessions at all.
func (s sessionService) DeleteSession(ctx context.Context, r *sessionpb.DeleteSessionRequest) (*sessionpb.DeleteSessionResponse, error) {
	row := s.write.sessions[r.GetSessionId()]
	if r.GetSessionToken() != "" {
		if !s.isSessionToken(row, r.GetSessionToken()) {
			return nil, wrongSessionToken.err()
		}
	} else if row.userID == "" || row.userID != callOf(ctx).userID {
		if err := s.mayObject(ctx, "session.delete", s.write.sessionOwner(row)); err != nil {
			return nil, err
		}
	}
	if !row.added || row.terminated { // one that has expired can still be ended
		details := rowDetails{owner: s.instanceID, sequence: row.sequence, changed: row.changed}
		if row.sequence == 0 {
			details.sequence, details.changed = 1, s.clock()
		}
		return &sessionpb.DeleteSessionResponse{Details: details.v2()}, nil
	}
	e := s.push(editor(ctx), s.sessionAggregate(row.id), sessionTerminated{})
	return &sessionpb.DeleteSessionResponse{Details: writtenDetails(e)}, nil
}
