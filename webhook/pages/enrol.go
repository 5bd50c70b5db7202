package pages

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"image/png"
	"slices"
	"time"

	"github.com/pquerna/otp"

	"github.com/neosc/mfa-operator/internal/mfa"
)

// bearer is whoever shows a link.
type bearer struct {
	person mfa.Person
	rules  mfa.Rules
	from   mfa.From
	link   string
}

type offerAnswer struct {
	User      string       `json:"user"`
	Methods   []mfa.Method `json:"methods"`
	Preferred mfa.Method   `json:"preferred,omitempty"`
}

// offer says what the link is good for.
func (p *Pages) offer(ctx context.Context, b bearer, _ *struct{}) (any, error) {
	o, err := p.Verifier.LinkOffer(ctx, b.person, b.rules, b.link)
	if err != nil {
		return nil, err
	}
	methods := slices.DeleteFunc(append([]mfa.Method{}, o.Methods...), func(m mfa.Method) bool { return !p.possible(b.rules, m) })
	if !slices.Contains(methods, o.Preferred) {
		o.Preferred = ""
	}
	return offerAnswer{User: b.person.Username, Methods: methods, Preferred: o.Preferred}, nil
}

// possible tells whether this page can enrol a method: browsers make keys for the
// relying party of the page's own origin only.
func (p *Pages) possible(r mfa.Rules, m mfa.Method) bool {
	return m != mfa.WebAuthn || slices.Contains(r.WebAuthn.Origins, p.Origin)
}

type startRequest struct {
	Method mfa.Method `json:"method"`
	Name   string     `json:"name"`
}

type startAnswer struct {
	Token     string          `json:"token"`
	ExpiresAt time.Time       `json:"expiresAt"`
	Secret    string          `json:"secret,omitempty"`
	Picture   string          `json:"picture,omitempty"` // data: URL of the QR code
	Options   json.RawMessage `json:"options,omitempty"`
	SentTo    string          `json:"sentTo,omitempty"`
}

func (p *Pages) start(ctx context.Context, b bearer, in *startRequest) (any, error) {
	if !p.possible(b.rules, in.Method) {
		return nil, &mfa.NotAllowedError{Reason: mfa.ReasonNotOffered}
	}
	e, err := p.Verifier.StartEnrolment(ctx, b.person, b.rules, mfa.EnrolmentRequest{Method: in.Method, Name: in.Name, Link: b.link, From: b.from})
	if err != nil {
		return nil, err
	}
	out := startAnswer{Token: e.Token, ExpiresAt: e.ExpiresAt.UTC(), Secret: e.Secret, Options: e.Options, SentTo: e.SentTo}
	if e.URI != "" {
		if out.Picture, err = picture(e.URI); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// pictureSize is in pixels, as the page shows it. The page gives it the white border
// that a reader needs.
const pictureSize = 240

// picture is a QR code as a data: URL. Its errors do not have the URI, which is a
// secret.
func picture(uri string) (string, error) {
	key, err := otp.NewKeyFromURL(uri)
	if err != nil {
		return "", fmt.Errorf("drawing a QR code: the address of the key cannot be read")
	}
	drawn, err := key.Image(pictureSize, pictureSize)
	if err != nil {
		return "", fmt.Errorf("drawing a QR code: %T", err)
	}
	var text bytes.Buffer
	if err := png.Encode(&text, drawn); err != nil {
		return "", fmt.Errorf("writing a QR code: %w", err)
	}
	return "data:image/png;base64," + base64.StdEncoding.EncodeToString(text.Bytes()), nil
}

type confirmRequest struct {
	Token    string          `json:"token"`
	Code     string          `json:"code"`
	Response json.RawMessage `json:"response"`
}

type confirmAnswer struct {
	Method mfa.Method `json:"method"`
	Codes  []string   `json:"codes"`
}

func (p *Pages) confirm(ctx context.Context, b bearer, in *confirmRequest) (any, error) {
	l, err := p.Verifier.ConfirmLinked(ctx, b.person, b.rules, b.link, mfa.Confirmation{
		Token: in.Token, Code: in.Code, Response: in.Response, From: b.from,
	})
	if err != nil {
		return nil, err
	}
	return confirmAnswer{Method: l.Factor.Method, Codes: append([]string{}, l.Codes...)}, nil
}
