package zitadeltest

import (
	"time"

	policypb "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/policy"
)

// editorSystem is the editor of what the server's own setup writes.
const editorSystem = "SYSTEM"

// setUpInstance writes what the setup of a real Zitadel writes.
func (s *Server) setUpInstance() {
	s.push(editorSystem, s.instance(),
		instanceAdded{name: s.instanceName},
		policyAdded[complexityPolicy]{complexityKind, complexityPolicy{
			MinLength: 8, HasLowercase: true, HasUppercase: true, HasNumber: true, HasSymbol: true,
		}},
		policyAdded[agePolicy]{ageKind, agePolicy{}},
		policyAdded[lockoutPolicy]{lockoutKind, lockoutPolicy{ShowFailures: true}},
		policyAdded[notificationPolicy]{notificationKind, notificationPolicy{PasswordChange: true}},
		policyAdded[loginPolicy]{loginKind, loginPolicy{
			AllowUsernamePassword:      true,
			AllowRegister:              true,
			AllowExternalIDP:           true,
			AllowDomainDiscovery:       true,
			PasswordlessType:           policypb.PasswordlessType_PASSWORDLESS_TYPE_ALLOWED,
			PasswordCheckLifetime:      240 * time.Hour,
			ExternalLoginCheckLifetime: 240 * time.Hour,
			MFAInitSkipLifetime:        720 * time.Hour,
			SecondFactorCheckLifetime:  18 * time.Hour,
			MultiFactorCheckLifetime:   12 * time.Hour,
		}},
		factorAdded{secondFactor, int32(policypb.SecondFactorType_SECOND_FACTOR_TYPE_OTP)},
		factorAdded{secondFactor, int32(policypb.SecondFactorType_SECOND_FACTOR_TYPE_U2F)},
		factorAdded{multiFactor, int32(policypb.MultiFactorType_MULTI_FACTOR_TYPE_U2F_WITH_VERIFICATION)},
	)

	s.defaultOrgID = s.ids.next()
	s.push(editorSystem, orgAggregate(s.defaultOrgID), s.newOrganization("ZITADEL")...)

	s.ownerID = s.ids.next()
	s.push(editorSystem, userAggregate(s.ownerID, s.defaultOrgID),
		machineAdded{username: "zitadel-admin-sa", name: "Admin"},
		patAdded{id: s.newPAT(s.ownerID, s.ownerToken), expires: farFuture},
	)
	s.push(editorSystem, s.instance(), memberAdded{userID: s.ownerID, roles: []string{"IAM_OWNER"}})
	s.settle()
}

// farFuture is when credentials end that nobody gave an end.
var farFuture = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)
