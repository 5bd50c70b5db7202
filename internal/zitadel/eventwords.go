package zitadel

import (
	"strings"
	"unicode"

	"github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/event"

	"github.com/neosc/mfa-operator/internal/idp"
)

// eventOf says an event in our words. Of the payload it takes what has a field
// there, by name; the rest, hashes and ciphertext among it, ends here.
func eventOf(pb *event.Event) idp.Event {
	name := pb.GetType().GetType()
	known := namings[name]
	e := idp.Event{
		Aggregate: idp.Aggregate{Type: pb.GetAggregate().GetType().GetType(), ID: pb.GetAggregate().GetId()},
		Sequence:  pb.GetSequence(),
		At:        pb.GetCreationDate().AsTime(),
		Kind:      idp.OtherEvent,
		Name:      name,
		Editor:    idp.Editor{UserID: pb.GetEditor().GetUserId(), Name: presentable(pb.GetEditor().GetDisplayName())},
		Group:     known.group,
		Change:    known.change,
		Factor:    known.factor,
	}
	if known.kind != "" {
		e.Kind = known.kind
	}
	switch e.Aggregate.Type {
	case orgAggregate:
		e.OrganizationID = e.Aggregate.ID
		e.Scope = idp.InOrganization(e.Aggregate.ID)
	case userAggregate:
		e.UserID = e.Aggregate.ID
		e.OrganizationID = pb.GetAggregate().GetResourceOwner()
	}
	take(&e, payload(pb.GetPayload().GetFields()))
	return e
}

// take adds what the payload of such an event tells.
func take(e *idp.Event, p payload) {
	switch e.Kind {
	case idp.OrganizationAdded:
		e.OrganizationName = p.text("name")
	case idp.OrganizationChanged:
		e.OrganizationName, e.PrimaryDomain = p.text("name"), p.text("domain")
	case idp.UserAdded:
		e.HasPassword = p.has("encodedHash") || p.has("secret")
	case idp.FactorAdded, idp.FactorRemoved:
		e.Credential = p.text("webAuthNTokenId")
	case idp.IDPLinked, idp.IDPUnlinked:
		e.IDPID, e.ExternalUserID = p.text("idpConfigId"), p.text("userId")
	case idp.IDPRemoved:
		// Providers of the first version have another name for their id.
		e.IDPID = p.text("id") + p.text("idpConfigId")
	case idp.SessionUserChecked:
		e.UserID, e.OrganizationID = p.text("userID"), p.text("userResourceOwner")
	default: // nothing we have a field for
	}
}

// maxName bounds the names of editors, in characters.
const maxName = 200

// presentable makes a name that somebody else chose fit for one line of a
// status.
func presentable(name string) string {
	name = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, name)
	if runes := []rune(name); len(runes) > maxName {
		return string(runes[:maxName])
	}
	return name
}
