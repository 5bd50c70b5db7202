package zitadeltest

import (
	"slices"

	idppb "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/idp"
)

// IDP is an identity provider of the instance. The fake knows them only as entries of login
// policies.
type IDP struct{ ID, Name string }

func (l loginLists) idpLinks() []*idppb.IDPLoginPolicyLink {
	links := make([]*idppb.IDPLoginPolicyLink, len(l.idps))
	for i, idp := range l.idps {
		links[i] = &idppb.IDPLoginPolicyLink{
			IdpId: idp.ID, IdpName: idp.Name, IdpType: idppb.IDPType_IDP_TYPE_OIDC,
		}
	}
	return links
}

// listedIDPs turns the providers of an AddCustomLoginPolicy into events.
func (s *Server) listedIDPs(ids []string) ([]change, error) {
	var changes []change
	for _, id := range ids {
		i := slices.IndexFunc(s.idps, func(idp IDP) bool { return idp.ID == id })
		if i < 0 {
			return nil, precondition("Org-FEd32", "Errors.IDPConfig.NotExisting").err()
		}
		changes = append(changes, idpLinked{s.idps[i]})
	}
	return changes, nil
}

type idpLinked struct{ idp IDP }

func (idpLinked) eventType(level string) string { return level + ".policy.login.idpprovider.added" }
func (c idpLinked) payload() any                { return map[string]any{"idpConfigId": c.idp.ID} }
func (c idpLinked) apply(st *state, e *event) {
	editLoginLists(st, e, func(l loginLists) loginLists {
		l.idps = append(slices.Clone(l.idps), c.idp)
		return l
	})
}

type idpUnlinked struct{ id string }

func (idpUnlinked) eventType(level string) string { return level + ".policy.login.idpprovider.removed" }
func (c idpUnlinked) payload() any                { return map[string]any{"idpConfigId": c.id} }
func (c idpUnlinked) apply(st *state, e *event) {
	editLoginLists(st, e, func(l loginLists) loginLists {
		l.idps = slices.DeleteFunc(slices.Clone(l.idps), func(idp IDP) bool { return idp.ID == c.id })
		return l
	})
}
