package zitadeltest

import (
	"slices"
	"strings"
)

// rolePermissions is what each built-in role may do, limited to the permissions this server asks
// for. ORG_ roles count on the organization they are granted on, IAM_ roles everywhere.
var rolePermissions = map[string]map[string]bool{
	"IAM_OWNER": permissions(
		"iam.read iam.write iam.policy.read iam.policy.write iam.policy.delete",
		"iam.member.read iam.member.write iam.member.delete",
		"org.read org.global.read org.create org.write org.delete org.member.read org.member.write org.member.delete",
		"user.read user.global.read user.write user.delete user.membership.read user.credential.write user.passkey.write",
		"policy.read policy.write policy.delete",
		"session.read session.write session.delete events.read",
		"action.target.read action.target.write action.target.delete action.execution.read action.execution.write",
	),
	"IAM_OWNER_VIEWER": permissions(
		"iam.read iam.policy.read iam.member.read",
		"org.read org.member.read",
		"user.read user.global.read user.membership.read",
		"policy.read session.read events.read action.target.read action.execution.read",
	),
	"IAM_ORG_MANAGER": permissions(
		"org.read org.global.read org.create org.write org.delete org.member.read org.member.write org.member.delete",
		"user.read user.global.read user.write user.delete user.membership.read user.credential.write user.passkey.write",
		"policy.read policy.write policy.delete",
		"session.read session.delete",
	),
	"IAM_USER_MANAGER": permissions(
		"org.read org.global.read org.member.read org.member.delete",
		"user.read user.global.read user.write user.delete user.membership.read user.passkey.write",
		"session.read session.delete",
	),
	"IAM_LOGIN_CLIENT": permissions(
		"iam.read iam.policy.read iam.member.read iam.member.write",
		"org.read org.member.read org.member.write",
		"user.read user.write user.membership.read user.credential.write user.passkey.write",
		"policy.read session.read session.write session.delete",
	),
	"IAM_ADMIN_IMPERSONATOR":    nil,
	"IAM_END_USER_IMPERSONATOR": nil,
	"ORG_OWNER": permissions(
		"org.read org.global.read org.write org.delete org.member.read org.member.write org.member.delete",
		"user.read user.global.read user.write user.delete user.membership.read user.credential.write user.passkey.write",
		"policy.read policy.write policy.delete",
		"session.read session.delete",
	),
	"ORG_USER_MANAGER": permissions(
		"org.read user.read user.global.read user.write user.delete user.membership.read",
		"policy.read session.read session.delete",
	),
	"ORG_SETTINGS_MANAGER": permissions(
		"org.read org.write org.member.read policy.read policy.write policy.delete",
	),
	"ORG_OWNER_VIEWER": permissions(
		"org.read org.member.read user.read user.global.read user.membership.read policy.read",
	),
	"ORG_USER_PERMISSION_EDITOR": permissions(
		"org.read org.member.read user.read user.global.read policy.read",
	),
	"ORG_PROJECT_PERMISSION_EDITOR": permissions(
		"org.read org.member.read user.read user.global.read policy.read",
	),
	"ORG_PROJECT_CREATOR":       permissions("user.global.read policy.read"),
	"ORG_USER_SELF_MANAGER":     permissions("policy.read user.self.delete"),
	"ORG_ADMIN_IMPERSONATOR":    nil,
	"ORG_END_USER_IMPERSONATOR": nil,
}

func permissions(lines ...string) map[string]bool {
	set := map[string]bool{}
	for _, line := range lines {
		for p := range strings.FieldsSeq(line) {
			set[p] = true
		}
	}
	return set
}

// areRoles reports whether all names are roles of the level with the given prefix.
func areRoles(names []string, prefix string) bool {
	return !slices.ContainsFunc(names, func(name string) bool {
		_, known := rolePermissions[name]
		return !known || !strings.HasPrefix(name, prefix)
	})
}
