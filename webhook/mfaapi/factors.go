package mfaapi

import (
	"context"
	"time"

	"github.com/neosc/mfa-operator/internal/mfa"
)

type factor struct {
	ID         string     `json:"id"`
	Method     mfa.Method `json:"method"`
	Name       string     `json:"name,omitempty"`
	AddedAt    time.Time  `json:"addedAt"`
	LastUsedAt *time.Time `json:"lastUsedAt,omitempty" doc:"To the minute."`
	AAGUID     string     `json:"aaguid,omitempty" doc:"Of an authenticator, as it says itself."`
	CodesLeft  *int       `json:"codesLeft,omitempty" doc:"Of recovery codes."`
}

func factorOf(f mfa.Factor) factor {
	out := factor{ID: f.ID, Method: f.Method, Name: f.Name, AddedAt: f.AddedAt.UTC(), LastUsedAt: instant(f.LastUsedAt), AAGUID: f.AAGUID}
	if f.Method == mfa.RecoveryCodes {
		out.CodesLeft = &f.CodesLeft
	}
	return out
}

type factorsRequest struct{ UserPath }

type factorsResponse struct {
	Body struct {
		Factors []factor `json:"factors" nullable:"false"`
	}
}

func (a *API) factors(ctx context.Context, s subject, _ *factorsRequest) (*factorsResponse, error) {
	list, err := a.Verifier.Factors(ctx, s.person)
	if err != nil {
		return nil, err
	}
	out := &factorsResponse{}
	out.Body.Factors = []factor{}
	for _, f := range list {
		out.Body.Factors = append(out.Body.Factors, factorOf(f))
	}
	return out, nil
}

type renameRequest struct {
	UserPath
	Factor string `path:"factor" maxLength:"63"`
	Body   struct {
		Name string `json:"name" maxLength:"64"`
	}
}

type nothing struct{}

func (a *API) renameFactor(ctx context.Context, s subject, in *renameRequest) (*nothing, error) {
	err := a.Verifier.Rename(ctx, s.person, s.rules, mfa.RenameRequest{ID: in.Factor, Name: in.Body.Name, From: s.from})
	return nil, err
}

type removeRequest struct {
	UserPath
	Factor  string `path:"factor" maxLength:"63"`
	Session string `header:"MFA-Session" required:"true" maxLength:"8192" doc:"Token of a verification at most five minutes old."`
}

func (a *API) removeFactor(ctx context.Context, s subject, in *removeRequest) (*nothing, error) {
	err := a.Verifier.Remove(ctx, s.person, s.rules, mfa.RemoveRequest{ID: in.Factor, Session: in.Session, From: s.from})
	return nil, err
}

type recoveryCodesRequest struct {
	UserPath
	Body struct {
		Session string `json:"session" maxLength:"8192" doc:"Token of a verification at most five minutes old, not by recovery code."`
	}
}

type recoveryCodesResponse struct {
	Status int
	Body   struct {
		Codes []string `json:"codes" nullable:"false" doc:"Shown this once. Earlier ones are void. Secret."`
	}
}

func (a *API) issueRecoveryCodes(ctx context.Context, s subject, in *recoveryCodesRequest) (*recoveryCodesResponse, error) {
	codes, err := a.Verifier.IssueRecoveryCodes(ctx, s.person, s.rules, mfa.RecoveryCodesRequest{Session: in.Body.Session, From: s.from})
	if err != nil {
		return nil, err
	}
	out := &recoveryCodesResponse{Status: created}
	out.Body.Codes = codes
	return out, nil
}

type linkRequest struct {
	UserPath
	Body struct {
		LifetimeMinutes int `json:"lifetimeMinutes,omitempty" minimum:"1" maximum:"1440" doc:"Unset: 60."`
	}
}

type linkResponse struct {
	Status int
	Body   struct {
		Token     string    `json:"token" doc:"Lets its bearer enrol one factor. Secret."`
		ExpiresAt time.Time `json:"expiresAt"`
		URL       string    `json:"url,omitempty" doc:"The page where the user spends it, to be sent to them and nobody else. Unset: there is no page. Secret."`
	}
}

func (a *API) startLink(ctx context.Context, s subject, in *linkRequest) (*linkResponse, error) {
	link, err := a.Verifier.StartLink(ctx, s.person, s.rules, mfa.LinkRequest{
		Lifetime: time.Duration(in.Body.LifetimeMinutes) * time.Minute, From: s.from,
	})
	if err != nil {
		return nil, err
	}
	out := &linkResponse{Status: created}
	out.Body.Token, out.Body.ExpiresAt = link.Token, link.ExpiresAt.UTC()
	if a.LinkURL != nil {
		out.Body.URL = a.LinkURL(s.person.Namespace, link.Token)
	}
	return out, nil
}
