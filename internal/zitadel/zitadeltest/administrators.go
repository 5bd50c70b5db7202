package zitadeltest

import (
	"cmp"
	"context"
	"slices"

	"google.golang.org/protobuf/types/known/timestamppb"

	permissionpb "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/internal_permission/v2"
)

// permissionService is the v2 API for administrators: which user holds which roles where.
type permissionService struct {
	permissionpb.UnimplementedInternalPermissionServiceServer
	*Server
}

// memberKey is a user's membership of the instance or an organization.
type memberKey struct{ scope, userID string }

type memberRow struct {
	rowDetails
	memberKey
	roles []string // never edited in place
}

// memberLevel is what differs between administrators of the instance and of an organization.
type memberLevel struct {
	prefix                                               string // of the role names
	readRight, writeRight, deleteRight                   string
	noUser, badRoles, noRoles, badUpdate, twice, missing refusal
}

var instanceMembers = memberLevel{
	prefix:    "IAM_",
	readRight: "iam.member.read", writeRight: "iam.member.write", deleteRight: "iam.member.delete",
	noUser:    precondition("INSTA-GSXOn", "Errors.User.NotFound"),
	badRoles:  invalid("INSTANCE-4m0fS", "Errors.Instance.MemberInvalid"),
	noRoles:   invalid("INSTANCE-LiaZi", "Errors.Instance.MemberInvalid"),
	badUpdate: invalid("INSTANCE-3m9fs", "Errors.Instance.MemberInvalid"),
	twice:     exists("INSTA-pFDwe", "Errors.Instance.Member.AlreadyExists"),
	missing:   notFound("INSTANCE-D8JxR", "Errors.NotFound"),
}

var orgMembers = memberLevel{
	prefix:    "ORG_",
	readRight: "org.member.read", writeRight: "org.member.write", deleteRight: "org.member.delete",
	noUser:    precondition("ORG-GoXOn", "Errors.User.NotFound"),
	badRoles:  invalid("Org-4N8es", "Errors.Org.MemberInvalid"),
	noRoles:   invalid("Org-LiaZi", "Errors.Org.MemberInvalid"),
	badUpdate: invalid("IAM-m9fG8", "Errors.Org.MemberInvalid"),
	twice:     exists("ORG-poWwe", "Errors.Org.Member.AlreadyExists"),
	missing:   notFound("Org-D8JxR", "Errors.NotFound"),
}

// memberScope finds out what a request is about. Projects are not imitated.
func (s *Server) memberScope(resource *permissionpb.ResourceType) (aggregate, memberLevel, error) {
	switch r := resource.GetResource().(type) {
	case *permissionpb.ResourceType_Instance:
		return s.instance(), instanceMembers, nil
	case *permissionpb.ResourceType_OrganizationId:
		return orgAggregate(r.OrganizationId), orgMembers, nil
	case nil:
		return aggregate{}, memberLevel{}, invalid("INPER-dCAuN", "Errors.Invalid.Argument").err()
	}
	return aggregate{}, memberLevel{}, unimplemented("administrators of projects")
}

func (s *Server) checkNewMember(level memberLevel, userID string, roles []string) error {
	if !areRoles(roles, level.prefix) {
		return level.badRoles.err()
	}
	if !s.write.users[userID].exists() {
		return level.noUser.err()
	}
	return nil
}

func (s permissionService) CreateAdministrator(ctx context.Context, r *permissionpb.CreateAdministratorRequest) (*permissionpb.CreateAdministratorResponse, error) {
	scope, level, err := s.memberScope(r.GetResource())
	if err != nil {
		return nil, err
	}
	if err := s.mayObject(ctx, level.writeRight, scope.id); err != nil {
		return nil, err
	}
	if len(r.GetRoles()) == 0 && scope.kind == kindOrg {
		return nil, invalid("V2-PfYhb", "Errors.Invalid.Argument").err()
	}
	if err := s.checkNewMember(level, r.GetUserId(), r.GetRoles()); err != nil {
		return nil, err
	}
	if _, known := s.write.orgs[scope.id]; scope.kind == kindOrg && !known {
		return nil, precondition("COMMAND-QXPGs", "Errors.Org.NotFound").err()
	}
	if _, member := s.write.members[memberKey{scope.id, r.GetUserId()}]; member {
		return nil, level.twice.err()
	}
	e := s.push(editor(ctx), scope, memberAdded{userID: r.GetUserId(), roles: r.GetRoles()})
	return &permissionpb.CreateAdministratorResponse{CreationDate: timestamppb.New(e.created)}, nil
}

// UpdateAdministrator replaces the roles. Unlike with policies, no change is no error.
func (s permissionService) UpdateAdministrator(ctx context.Context, r *permissionpb.UpdateAdministratorRequest) (*permissionpb.UpdateAdministratorResponse, error) {
	scope, level, err := s.memberScope(r.GetResource())
	if err != nil {
		return nil, err
	}
	if len(r.GetRoles()) == 0 {
		return nil, level.noRoles.err()
	}
	if !areRoles(r.GetRoles(), level.prefix) {
		return nil, level.badUpdate.err()
	}
	row, member := s.write.members[memberKey{scope.id, r.GetUserId()}]
	if !member {
		return nil, level.missing.err()
	}
	if err := s.mayObject(ctx, level.writeRight, scope.id); err != nil {
		return nil, err
	}
	if slices.Equal(row.roles, r.GetRoles()) {
		return &permissionpb.UpdateAdministratorResponse{ChangeDate: timestamppb.New(row.changed)}, nil
	}
	e := s.push(editor(ctx), scope, memberChanged{userID: r.GetUserId(), roles: r.GetRoles()})
	return &permissionpb.UpdateAdministratorResponse{ChangeDate: timestamppb.New(e.created)}, nil
}

// DeleteAdministrator is idempotent; without a membership there is no date to report.
func (s permissionService) DeleteAdministrator(ctx context.Context, r *permissionpb.DeleteAdministratorRequest) (*permissionpb.DeleteAdministratorResponse, error) {
	scope, level, err := s.memberScope(&permissionpb.ResourceType{Resource: r.GetResource().GetResource()})
	if err != nil {
		return nil, err
	}
	if err := s.mayObject(ctx, level.deleteRight, scope.id); err != nil {
		return nil, err
	}
	if _, member := s.write.members[memberKey{scope.id, r.GetUserId()}]; !member {
		return &permissionpb.DeleteAdministratorResponse{}, nil
	}
	e := s.push(editor(ctx), scope, memberRemoved{userID: r.GetUserId()})
	return &permissionpb.DeleteAdministratorResponse{DeletionDate: timestamppb.New(e.created)}, nil
}

func (s permissionService) ListAdministrators(ctx context.Context, r *permissionpb.ListAdministratorsRequest) (*permissionpb.ListAdministratorsResponse, error) {
	st := s.read()
	var found []memberRow
	for _, m := range st.members {
		level := orgMembers
		if m.scope == s.instanceID {
			level = instanceMembers
		}
		if s.may(ctx, level.readRight, m.scope) && s.matchAllMembers(r.GetFilters(), m) {
			found = append(found, m)
		}
	}
	slices.SortFunc(found, func(a, b memberRow) int {
		return cmp.Or(cmp.Compare(a.userID, b.userID), cmp.Compare(a.scope, b.scope))
	})
	sortMembers(found, r.GetSortingColumn(), r.GetPagination().GetAsc())
	found, pagination, err := pageFilter(found, r.GetPagination())
	if err != nil {
		return nil, err
	}
	response := &permissionpb.ListAdministratorsResponse{Pagination: pagination}
	for _, m := range found {
		response.Administrators = append(response.Administrators, administratorPB(st, m))
	}
	return response, nil
}

func administratorPB(st *state, m memberRow) *permissionpb.Administrator {
	user := st.users[m.userID]
	pb := &permissionpb.Administrator{
		CreationDate: timestamppb.New(m.created),
		ChangeDate:   timestamppb.New(m.changed),
		User: &permissionpb.User{
			Id: user.id, PreferredLoginName: user.username, DisplayName: user.displayName(), OrganizationId: user.owner,
		},
		Roles: m.roles,
	}
	if m.scope == st.instanceID {
		pb.Resource = &permissionpb.Administrator_Instance{Instance: true}
	} else {
		pb.Resource = &permissionpb.Administrator_Organization{
			Organization: &permissionpb.Organization{Id: m.scope, Name: st.orgs[m.scope].name},
		}
	}
	return pb
}

func sortMembers(members []memberRow, column permissionpb.AdministratorFieldName, ascending bool) {
	switch column {
	case permissionpb.AdministratorFieldName_ADMINISTRATOR_FIELD_NAME_USER_ID:
		sortBy(members, func(m memberRow) string { return m.userID }, ascending)
	case permissionpb.AdministratorFieldName_ADMINISTRATOR_FIELD_NAME_CHANGE_DATE:
		sortBy(members, func(m memberRow) int64 { return m.changed.UnixMicro() }, ascending)
	default:
		sortBy(members, func(m memberRow) int64 { return m.created.UnixMicro() }, ascending)
	}
}

func (s *Server) matchAllMembers(filters []*permissionpb.AdministratorSearchFilter, m memberRow) bool {
	return !slices.ContainsFunc(filters, func(f *permissionpb.AdministratorSearchFilter) bool { return !s.matchMember(f, m) })
}

func (s *Server) matchMember(filter *permissionpb.AdministratorSearchFilter, m memberRow) bool {
	user := s.projection.users[m.userID]
	switch f := filter.GetFilter().(type) {
	case *permissionpb.AdministratorSearchFilter_CreationDate:
		return matchTime(f.CreationDate, m.created)
	case *permissionpb.AdministratorSearchFilter_ChangeDate:
		return matchTime(f.ChangeDate, m.changed)
	case *permissionpb.AdministratorSearchFilter_InUserIdsFilter:
		return slices.Contains(f.InUserIdsFilter.GetIds(), m.userID)
	case *permissionpb.AdministratorSearchFilter_UserOrganizationId:
		return user.owner == f.UserOrganizationId.GetId()
	case *permissionpb.AdministratorSearchFilter_UserPreferredLoginName:
		return matchText(f.UserPreferredLoginName.GetMethod(), user.username, f.UserPreferredLoginName.GetPreferredLoginName())
	case *permissionpb.AdministratorSearchFilter_UserDisplayName:
		return matchText(f.UserDisplayName.GetMethod(), user.displayName(), f.UserDisplayName.GetDisplayName())
	case *permissionpb.AdministratorSearchFilter_Resource:
		if f.Resource.GetInstance() {
			return m.scope == s.instanceID
		}
		return m.scope == f.Resource.GetOrganizationId()
	case *permissionpb.AdministratorSearchFilter_Role:
		return slices.Contains(m.roles, f.Role.GetRoleKey())
	case *permissionpb.AdministratorSearchFilter_And:
		return s.matchAllMembers(f.And.GetQueries(), m)
	case *permissionpb.AdministratorSearchFilter_Or:
		return slices.ContainsFunc(f.Or.GetQueries(), func(q *permissionpb.AdministratorSearchFilter) bool { return s.matchMember(q, m) })
	case *permissionpb.AdministratorSearchFilter_Not:
		return !s.matchMember(f.Not.GetQuery(), m)
	}
	return false
}

// membershipsOf returns what a user is a member of, oldest first.
func (s *Server) membershipsOf(st *state, userID string) []memberRow {
	var list []memberRow
	for key, row := range st.members {
		if key.userID == userID {
			list = append(list, row)
		}
	}
	slices.SortFunc(list, func(a, b memberRow) int { return a.created.Compare(b.created) })
	return list
}

// scopeAggregate is what the membership is of.
func (m memberRow) scopeAggregate(instanceID string) aggregate {
	if m.scope == instanceID {
		return aggregate{kind: kindInstance, id: instanceID, owner: instanceID}
	}
	return orgAggregate(m.scope)
}

type memberAdded struct {
	userID string
	roles  []string
}

func (memberAdded) eventType(kind string) string { return kind + ".member.added" }
func (c memberAdded) payload() any               { return map[string]any{"userId": c.userID, "roles": c.roles} }
func (c memberAdded) apply(st *state, e *event) {
	key := memberKey{e.id, c.userID}
	st.members[key] = memberRow{rowDetails: detailsOf(e), memberKey: key, roles: c.roles}
}

type memberChanged struct {
	userID string
	roles  []string
}

func (memberChanged) eventType(kind string) string { return kind + ".member.changed" }
func (c memberChanged) payload() any               { return map[string]any{"userId": c.userID, "roles": c.roles} }
func (c memberChanged) apply(st *state, e *event) {
	key := memberKey{e.id, c.userID}
	row := st.members[key]
	row.roles = c.roles
	row.touch(e)
	st.members[key] = row
}

type memberRemoved struct {
	userID  string
	cascade bool // because the user was removed
}

func (c memberRemoved) eventType(kind string) string {
	if c.cascade {
		return kind + ".member.cascade.removed"
	}
	return kind + ".member.removed"
}
func (c memberRemoved) payload() any              { return map[string]any{"userId": c.userID} }
func (c memberRemoved) apply(st *state, e *event) { delete(st.members, memberKey{e.id, c.userID}) }
