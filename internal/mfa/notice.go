package mfa

import (
	"time"

	"github.com/neosc/mfa-operator/internal/audit"
)

// Notice tells a user of a change that somebody else may have made in their name
// (ASVS 5.0, 6.3.7; SP 800-63B-4, 4.6).
type Notice struct {
	// Owner is whom it is about, for the log.
	Owner Owner
	// To is their e-mail address. Never logged.
	To string
	// Event is EnrolmentLinkIssued, FactorEnrolled, FactorRemoved, MFAReset,
	// RecoveryCodesIssued or RecoveryCodeUsed.
	Event audit.Action
	// Method of the factor. Empty for a link and for a reset.
	Method Method
	// At is when it was recorded.
	At time.Time
}

// Notifier tells users. It does not wait, and what becomes of a notice changes
// nothing of what was answered.
type Notifier interface {
	Notify(notice Notice)
}

// notify tells a user of what was recorded, if there is somebody to tell it and an
// address.
func (s *Service) notify(p Person, records []audit.Record) {
	if s.Notifier == nil || p.Contact.Email == "" {
		return
	}
	for _, r := range records {
		if r.Outcome != audit.Succeeded {
			continue
		}
		switch r.Action {
		case audit.EnrolmentLinkIssued, audit.FactorEnrolled, audit.FactorRemoved, audit.RecoveryCodesIssued, audit.RecoveryCodeUsed:
			s.Notifier.Notify(Notice{Owner: p.Owner, To: p.Contact.Email, Event: r.Action, Method: Method(r.Method), At: r.Time})
			return // one act, one notice: codes that come along with a factor are part of it
		default:
		}
	}
}
