package zitadeltest

import policypb "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/policy"

type notificationPolicy struct {
	PasswordChange bool `json:"passwordChange"`
}

var notificationKind = &policyKind[notificationPolicy]{
	name: "notification",
	rows: func(st *state) map[string]policyRow[notificationPolicy] { return st.notification },
	instance: policyRefusals{
		unchanged: precondition("INSTANCE-29x02n", "Errors.IAM.NotificationPolicy.NotChanged"),
		missing:   notFound("INSTANCE-x891na", "Errors.IAM.NotificationPolicy.NotFound"),
		present:   exists("INSTANCE-xpo1bj", "Errors.Instance.NotificationPolicy.AlreadyExists"),
	},
	org: policyRefusals{
		unchanged:    precondition("Org-ioqnxz", "Errors.Org.NotificationPolicy.NotChanged"),
		missing:      notFound("ORG-x029n3", "Errors.Org.NotificationPolicy.NotFound"),
		present:      exists("Org-xa08n2", "Errors.Org.NotificationPolicy.AlreadyExists"),
		resetMissing: notFound("ORG-x029n1s", "Errors.Org.NotificationPolicy.NotFound"),
	},
}

func notificationPB(st *state, orgID string) *policypb.NotificationPolicy {
	row, inherited := effectivePolicy(st, notificationKind, orgID)
	return &policypb.NotificationPolicy{
		Details: row.v1(), PasswordChange: row.value.PasswordChange, IsDefault: inherited,
	}
}
