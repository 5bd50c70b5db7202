package mfaapi

import (
	"context"
	"encoding/json"
	"time"

	"github.com/neosc/mfa-operator/internal/mfa"
)

type enrolmentRequest struct {
	UserPath
	Body enrolmentBody
}

type enrolmentBody struct {
	Method    mfa.Method `json:"method" enum:"TOTP,WebAuthn,Email,SMS" doc:"What to enrol."`
	Name      string     `json:"name,omitempty" maxLength:"64" doc:"Name of the factor, for people."`
	Session   string     `json:"session,omitempty" maxLength:"8192" doc:"Token of a verification at most five minutes old. Needed for a further factor."`
	Algorithm string     `json:"algorithm,omitempty" enum:"SHA1,SHA256,SHA512" doc:"Of TOTP. Unset: SHA1, which is all that many apps know."`
	Digits    int        `json:"digits,omitempty" enum:"6,8" doc:"Of TOTP. Unset: 6."`
}

type enrolmentResponse struct {
	Status int
	Body   enrolmentAnswer
}

type enrolmentAnswer struct {
	Token     string          `json:"token" doc:"Goes back with the confirmation. Nothing was stored."`
	ExpiresAt time.Time       `json:"expiresAt" doc:"When the token ends."`
	URI       string          `json:"uri,omitempty" doc:"Of TOTP: otpauth://…, for a QR code. Secret."`
	Secret    string          `json:"secret,omitempty" doc:"Of TOTP: the seed as base32, to type. Secret."`
	Options   json.RawMessage `json:"options,omitempty" doc:"Of WebAuthn: what navigator.credentials.create takes."`
	SentTo    string          `json:"sentTo,omitempty" doc:"Of Email and SMS: the address, mostly hidden."`
}

func (a *API) startEnrolment(ctx context.Context, s subject, in *enrolmentRequest) (*enrolmentResponse, error) {
	return a.enrol(ctx, s, in.Body, "")
}

func (a *API) enrol(ctx context.Context, s subject, b enrolmentBody, link string) (*enrolmentResponse, error) {
	e, err := a.Verifier.StartEnrolment(ctx, s.person, s.rules, mfa.EnrolmentRequest{
		Method: b.Method, Name: b.Name, Session: b.Session, Link: link, Algorithm: b.Algorithm, Digits: b.Digits, From: s.from,
	})
	if err != nil {
		return nil, err
	}
	return &enrolmentResponse{Status: created, Body: enrolmentAnswer{
		Token: e.Token, ExpiresAt: e.ExpiresAt.UTC(), URI: e.URI, Secret: e.Secret, Options: e.Options, SentTo: e.SentTo,
	}}, nil
}

type confirmationRequest struct {
	UserPath
	Body confirmationBody
}

type confirmationBody struct {
	Token    string          `json:"token" maxLength:"16384" doc:"Token of the enrolment."`
	Code     string          `json:"code,omitempty" maxLength:"16" doc:"Of TOTP, Email and SMS. It is used up."`
	Response json.RawMessage `json:"response,omitempty" doc:"Of WebAuthn: the PublicKeyCredential, as its toJSON gives it."`
	Audience string          `json:"audience,omitempty" maxLength:"200" doc:"The application the session is for."`
}

type confirmationResponse struct {
	Status int
	Body   struct {
		Factor  factor  `json:"factor"`
		Session session `json:"session" doc:"Whoever enrols proves the factor."`
	}
}

func (a *API) confirmEnrolment(ctx context.Context, s subject, in *confirmationRequest) (*confirmationResponse, error) {
	c, err := a.Verifier.ConfirmEnrolment(ctx, s.person, s.rules, mfa.Confirmation{
		Token: in.Body.Token, Code: in.Body.Code, Response: in.Body.Response, Audience: in.Body.Audience, From: s.from,
	})
	if err != nil {
		return nil, err
	}
	out := &confirmationResponse{Status: created}
	out.Body.Factor, out.Body.Session = factorOf(c.Factor), sessionOf(c.Session)
	return out, nil
}
