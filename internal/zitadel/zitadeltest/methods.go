package zitadeltest

import (
	"fmt"
	"path"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	actionpb "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/action/v2"
	adminpb "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/admin"
	authpb "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/auth"
	authoptionpb "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/authoption"
	permissionpb "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/internal_permission/v2"
	managementpb "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/management"
	orgpb "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/org/v2"
	optionspb "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/protoc/v2"
	sessionpb "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/session/v2"
	settingspb "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/settings/v2"
	userpb "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/user/v2"
)

// methodRule says what a caller needs before a method is even tried.
type methodRule struct {
	permission   string // "" for none, not even a token
	orgInRequest bool   // the organization stands in the request and beats the header
}

// methodRules is the table of method permissions. It is read from the API definition the client
// carries, which is where the real server has it from too.
var methodRules = readMethodRules(
	actionpb.File_zitadel_action_v2_action_service_proto,
	adminpb.File_zitadel_admin_proto,
	authpb.File_zitadel_auth_proto,
	managementpb.File_zitadel_management_proto,
	orgpb.File_zitadel_org_v2_org_service_proto,
	permissionpb.File_zitadel_internal_permission_v2_internal_permission_service_proto,
	sessionpb.File_zitadel_session_v2_session_service_proto,
	settingspb.File_zitadel_settings_v2_settings_service_proto,
	userpb.File_zitadel_user_v2_user_service_proto,
)

func readMethodRules(files ...protoreflect.FileDescriptor) map[string]methodRule {
	rules := map[string]methodRule{}
	for _, file := range files {
		for i := range file.Services().Len() {
			service := file.Services().Get(i)
			for j := range service.Methods().Len() {
				method := service.Methods().Get(j)
				rules[fmt.Sprintf("/%s/%s", service.FullName(), method.Name())] = readMethodRule(method)
			}
		}
	}
	return rules
}

func readMethodRule(method protoreflect.MethodDescriptor) methodRule {
	v1, _ := proto.GetExtension(method.Options(), authoptionpb.E_AuthOption).(*authoptionpb.AuthOption)
	if v1.GetPermission() != "" {
		return methodRule{permission: v1.GetPermission()}
	}
	v2, _ := proto.GetExtension(method.Options(), optionspb.E_Options).(*optionspb.Options)
	return methodRule{
		permission:   v2.GetAuthOption().GetPermission(),
		orgInRequest: v2.GetAuthOption().GetOrgField() != "",
	}
}

// isRead tells methods that only look from methods that write.
func isRead(method string) bool {
	name := path.Base(method)
	return strings.HasPrefix(name, "Get") || strings.HasPrefix(name, "List") || name == "Healthz"
}
