package zitadeltest

import (
	"context"
	"maps"
	"strings"
	"unicode"

	orgpb "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/org/v2"
	userpb "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/user/v2"
)

// organizationService is the v2 API for organizations.
type organizationService struct {
	orgpb.UnimplementedOrganizationServiceServer
	*Server
}

type orgRow struct {
	rowDetails
	id, name, domain string
	state            orgpb.OrganizationState
}

// orgAggregate is the aggregate of an organization; it owns itself.
func orgAggregate(id string) aggregate { return aggregate{kind: kindOrg, id: id, owner: id} }

// newOrganization is what creating an organization writes: it gets a domain of its own, derived from
// its name.
func (s *Server) newOrganization(name string) []change {
	domain := s.domainOf(name)
	return []change{
		orgAdded{name},
		orgDomainStep{"added", domain},
		orgDomainStep{"verified", domain},
		orgDomainStep{"primary.set", domain},
	}
}

func (s *Server) domainOf(orgName string) string { return domainFrom(orgName) + "." + s.domain }

// maxLabel is how long a part of a domain may be.
const maxLabel = 63

// domainFrom returns the label an organization's domain begins with, "" if nothing in the name can be
// part of one.
func domainFrom(name string) string {
	label := strings.Map(func(r rune) rune {
		switch {
		case unicode.IsLetter(r), unicode.IsMark(r), r >= '0' && r <= '9', r == '-':
			return r
		case r == ' ':
			return '-'
		}
		return -1
	}, name)
	label = label[:min(len(label), maxLabel)]
	return strings.ToLower(strings.TrimSuffix(strings.TrimPrefix(label, "-"), "-"))
}

// taken is what a unique constraint answers, whatever it is on.
var taken = exists("V3-DKcYh", "Errors.AlreadyExists")

// orgNameTaken looks at the domain too: names that differ can come down to the same one.
func (s *Server) orgNameTaken(name string) bool {
	_, taken := s.write.orgNames[strings.ToLower(name)]
	_, domainTaken := s.write.orgDomains[s.domainOf(name)]
	return taken || domainTaken
}

func (s organizationService) AddOrganization(ctx context.Context, r *orgpb.AddOrganizationRequest) (*orgpb.AddOrganizationResponse, error) {
	id := orDefault(orDefault(r.GetOrganizationId(), r.GetOrgId()), s.ids.next())
	// The new organization has no members yet, so only roles on the instance count.
	if err := s.mayObject(ctx, "org.create", id); err != nil {
		return nil, err
	}
	if _, present := s.write.orgs[id]; present {
		return nil, exists("ORG-laho2n", "Errors.Org.AlreadyExisting").err()
	}
	name := strings.TrimSpace(r.GetName())
	switch {
	case name == "":
		return nil, invalid("ORG-mruNY", "Errors.Invalid.Argument").err()
	case domainFrom(name) == "":
		return nil, invalid("ORG-RrfXY", "Errors.Org.Domain.EmptyString").err()
	case s.orgNameTaken(name):
		return nil, taken.err()
	}
	changes := s.newOrganization(name)
	for _, admin := range r.GetAdmins() {
		member, err := s.newAdmin(admin)
		if err != nil {
			return nil, err
		}
		changes = append(changes, member)
	}
	e := s.push(editor(ctx), orgAggregate(id), changes...)
	return &orgpb.AddOrganizationResponse{Details: writtenDetails(e), OrganizationId: id}, nil
}

// newAdmin makes an existing user a member of an organization that is being created.
func (s *Server) newAdmin(admin *orgpb.AddOrganizationRequest_Admin) (change, error) {
	if admin.GetHuman() != nil {
		return nil, unimplemented("creating the administrator along with the organization")
	}
	roles := admin.GetRoles()
	if len(roles) == 0 {
		roles = []string{"ORG_OWNER"}
	}
	if err := s.checkNewMember(orgMembers, admin.GetUserId(), roles); err != nil {
		return nil, err
	}
	return memberAdded{userID: admin.GetUserId(), roles: roles}, nil
}

func (s organizationService) ListOrganizations(ctx context.Context, r *orgpb.ListOrganizationsRequest) (*orgpb.ListOrganizationsResponse, error) {
	orgs := rowsOf(s.read().orgs, func(org orgRow) bool {
		if !s.may(ctx, "org.read", org.id) {
			return false
		}
		for _, q := range r.GetQueries() {
			if !s.matchOrg(q, org) {
				return false
			}
		}
		return true
	})
	switch r.GetSortingColumn() {
	case orgpb.OrganizationFieldName_ORGANIZATION_FIELD_NAME_NAME:
		sortBy(orgs, func(o orgRow) string { return strings.ToLower(o.name) }, r.GetQuery().GetAsc())
	case orgpb.OrganizationFieldName_ORGANIZATION_FIELD_NAME_CREATION_DATE:
		sortBy(orgs, func(o orgRow) int64 { return o.created.UnixMicro() }, r.GetQuery().GetAsc())
	}
	orgs, total := page(orgs, r.GetQuery().GetOffset(), uint64(r.GetQuery().GetLimit()))
	response := &orgpb.ListOrganizationsResponse{Details: s.listDetails(total), SortingColumn: r.GetSortingColumn()}
	for _, org := range orgs {
		response.Result = append(response.Result, &orgpb.Organization{
			Id: org.id, Details: org.v2(), State: org.state, Name: org.name, PrimaryDomain: org.domain,
		})
	}
	return response, nil
}

func (s *Server) matchOrg(query *orgpb.SearchQuery, org orgRow) bool {
	switch q := query.GetQuery().(type) {
	case *orgpb.SearchQuery_NameQuery:
		return matchText(q.NameQuery.GetMethod(), org.name, q.NameQuery.GetName())
	case *orgpb.SearchQuery_DomainQuery:
		return matchText(q.DomainQuery.GetMethod(), org.domain, q.DomainQuery.GetDomain())
	case *orgpb.SearchQuery_StateQuery:
		return org.state == q.StateQuery.GetState()
	case *orgpb.SearchQuery_IdQuery:
		return org.id == q.IdQuery.GetId()
	case *orgpb.SearchQuery_DefaultQuery:
		return org.id == s.defaultOrgID
	}
	return false
}

type orgAdded struct{ name string }

func (orgAdded) eventType(string) string { return "org.added" }
func (c orgAdded) payload() any          { return map[string]any{"name": c.name} }
func (c orgAdded) apply(st *state, e *event) {
	st.orgs[e.id] = orgRow{
		rowDetails: detailsOf(e), id: e.id, name: c.name,
		state: orgpb.OrganizationState_ORGANIZATION_STATE_ACTIVE,
	}
	st.orgNames[strings.ToLower(c.name)] = e.id
}

// orgDomainStep is one of the events that give an organization a domain; the last makes it primary.
type orgDomainStep struct{ step, domain string }

func (c orgDomainStep) eventType(string) string { return "org.domain." + c.step }
func (c orgDomainStep) payload() any            { return map[string]any{"domain": c.domain} }
func (c orgDomainStep) apply(st *state, e *event) {
	row := st.orgs[e.id]
	row.domain = c.domain
	st.orgDomains[c.domain] = e.id
	row.touch(e)
	st.orgs[e.id] = row
}

type orgRemoved struct{}

func (orgRemoved) eventType(string) string { return "org.removed" }
func (orgRemoved) payload() any            { return nil }
func (orgRemoved) apply(st *state, e *event) {
	delete(st.orgNames, strings.ToLower(st.orgs[e.id].name))
	delete(st.orgDomains, st.orgs[e.id].domain)
	delete(st.orgs, e.id)
	for id := range st.usersByOrg[e.id] {
		user := st.users[id]
		user.state = userpb.UserState_USER_STATE_DELETED
		st.users[id] = user
		st.dropUser(id)
		dropSessions(st, id)
	}
	maps.DeleteFunc(st.members, func(key memberKey, _ memberRow) bool {
		return key.scope == e.id || st.users[key.userID].owner == e.id
	})
	delete(st.login, e.id)
	forgetLoginLists(st, e.id)
	delete(st.lockout, e.id)
	delete(st.complexity, e.id)
	delete(st.age, e.id)
	delete(st.notification, e.id)
}
