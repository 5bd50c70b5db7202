package zitadeltest

import (
	"context"
	"strings"

	userpb "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/user/v2"
)

// The two ways to reach a human, as they stand in the event types.
const (
	emailContact = "email"
	phoneContact = "phone"
)

func (h *human) contact(kind string) *contact {
	if kind == emailContact {
		return &h.email
	}
	return &h.phone
}

var (
	noContact        = notFound("COMMAND-ieJ2e", "Errors.User.NotFound")
	contactUnchanged = precondition("COMMAND-Uch5e", "Errors.User.Email.NotChanged")
	wrongContactCode = invalid("COMMAND-eis9R", "Errors.User.Code.Invalid")
)

var invalidPhone = invalid("PHONE-so0wa", "Errors.User.Phone.Invalid")

// homeCountry is where numbers without a country code are taken to be from.
const homeCountry = "+41"

// normalPhone returns a number in its international form, without anything between the digits. The
// real server knows the numbering plans of all countries; this knows how long numbers can be.
func normalPhone(number string) (string, error) {
	digits := strings.NewReplacer(" ", "", "-", "", ".", "", "/", "", "(", "", ")", "").Replace(number)
	digits, international := strings.CutPrefix(digits, "+")
	if !international {
		digits, international = strings.CutPrefix(digits, "00")
	}
	notDigit := func(r rune) bool { return r < '0' || r > '9' }
	switch {
	case strings.ContainsFunc(digits, notDigit), len(digits) < 3, len(digits) > 20,
		international && digits[0] == '0':
		return "", invalidPhone.err()
	case international:
		return "+" + digits, nil
	}
	return homeCountry + strings.TrimPrefix(digits, "0"), nil
}

// contactRequest is what setting an address and setting a number have in common.
type contactRequest interface {
	GetUserId() string
	GetIsVerified() bool
}

// setContact gives a human another address. It is verified if the caller vouches for it; otherwise it
// gets a code, and what needs a verified one has to wait.
func (s *Server) setContact(ctx context.Context, r contactRequest, kind, address string, returnCode bool) (*event, *string, error) {
	user := s.write.users[r.GetUserId()]
	if !user.exists() || !user.isHuman {
		return nil, nil, noContact.err()
	}
	if err := s.mayUser(ctx, "user.write", user.id, !r.GetIsVerified()); err != nil {
		return nil, nil, err
	}
	if kind == phoneContact {
		var err error
		if address, err = normalPhone(address); err != nil {
			return nil, nil, err
		}
	}
	if user.human.contact(kind).address == address {
		return nil, nil, contactUnchanged.err()
	}
	changes := []change{contactChanged{kind, address}}
	if r.GetIsVerified() {
		return s.push(editor(ctx), user.aggregate(), append(changes, contactVerified{kind})...), nil, nil
	}
	code := newCode()
	e := s.push(editor(ctx), user.aggregate(), append(changes, contactCodeAdded{kind, *code})...)
	if !returnCode {
		code = nil
	}
	return e, code, nil
}

// verifyContact is open to everybody who has the code.
func (s *Server) verifyContact(ctx context.Context, userID, kind, code string) (*event, error) {
	user := s.write.users[userID]
	if !user.exists() || !user.isHuman {
		return nil, noContact.err()
	}
	if want := user.human.contact(kind).code; want == "" || want != code {
		s.push(editor(ctx), user.aggregate(), contactVerificationFailed{kind})
		return nil, wrongContactCode.err()
	}
	return s.push(editor(ctx), user.aggregate(), contactVerified{kind}), nil
}

func (s userService) SetEmail(ctx context.Context, r *userpb.SetEmailRequest) (*userpb.SetEmailResponse, error) {
	e, code, err := s.setContact(ctx, r, emailContact, r.GetEmail(), r.GetReturnCode() != nil)
	if err != nil {
		return nil, err
	}
	return &userpb.SetEmailResponse{Details: writtenDetails(e), VerificationCode: code}, nil
}

func (s userService) VerifyEmail(ctx context.Context, r *userpb.VerifyEmailRequest) (*userpb.VerifyEmailResponse, error) {
	e, err := s.verifyContact(ctx, r.GetUserId(), emailContact, r.GetVerificationCode())
	if err != nil {
		return nil, err
	}
	return &userpb.VerifyEmailResponse{Details: writtenDetails(e)}, nil
}

func (s userService) SetPhone(ctx context.Context, r *userpb.SetPhoneRequest) (*userpb.SetPhoneResponse, error) {
	e, code, err := s.setContact(ctx, r, phoneContact, r.GetPhone(), r.GetReturnCode() != nil)
	if err != nil {
		return nil, err
	}
	return &userpb.SetPhoneResponse{Details: writtenDetails(e), VerificationCode: code}, nil
}

func (s userService) VerifyPhone(ctx context.Context, r *userpb.VerifyPhoneRequest) (*userpb.VerifyPhoneResponse, error) {
	e, err := s.verifyContact(ctx, r.GetUserId(), phoneContact, r.GetVerificationCode())
	if err != nil {
		return nil, err
	}
	return &userpb.VerifyPhoneResponse{Details: writtenDetails(e)}, nil
}

type contactChanged struct{ kind, address string }

func (c contactChanged) eventType(string) string { return "user.human." + c.kind + ".changed" }
func (c contactChanged) payload() any            { return map[string]any{c.kind: c.address} }
func (c contactChanged) apply(st *state, e *event) {
	if c.kind == emailContact {
		st.usersByEmail.remove(strings.ToLower(st.users[e.id].human.email.address), e.id)
		st.usersByEmail.add(strings.ToLower(c.address), e.id)
	}
	editUser(st, e, func(u *userRow) { *u.human.contact(c.kind) = contact{address: c.address} })
}

// contactVerified ends the wait for a code.
type contactVerified struct{ kind string }

func (c contactVerified) eventType(string) string { return "user.human." + c.kind + ".verified" }
func (contactVerified) payload() any              { return nil }
func (c contactVerified) apply(st *state, e *event) {
	editUser(st, e, func(u *userRow) {
		u.human.contact(c.kind).verified, u.human.contact(c.kind).code = true, ""
	})
}

// contactCodeAdded keeps the code out of the log, which shows something that looks encrypted.
type contactCodeAdded struct{ kind, code string }

func (c contactCodeAdded) eventType(string) string { return "user.human." + c.kind + ".code.added" }
func (c contactCodeAdded) payload() any            { return map[string]any{"code": encrypted(c.code)} }
func (c contactCodeAdded) apply(st *state, e *event) {
	editUserQuietly(st, e, func(u *userRow) { u.human.contact(c.kind).code = c.code })
}

type contactVerificationFailed struct{ kind string }

func (c contactVerificationFailed) eventType(string) string {
	return "user.human." + c.kind + ".verification.failed"
}
func (contactVerificationFailed) payload() any         { return nil }
func (contactVerificationFailed) apply(*state, *event) {}
