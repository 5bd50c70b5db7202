package integration

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"k8s.io/utils/ptr"

	"github.com/neosc/mfa-operator/api/v1alpha1"
)

// oneField says, for each field of the spec set alone, which fields of
// Zitadel's policies change on a fresh instance. The value is one that differs
// from the default.
var oneField = map[string]struct {
	set     any
	changes []string
}{
	"MFA.Enforcement":  {v1alpha1.EnforcementRequiredOnFirstLogin, []string{"force_mfa"}},
	"MFA.AppliesTo":    {v1alpha1.LocalUsersOnly, []string{"force_mfa_local_only"}}, // with an enforcement, which it needs
	"MFA.Methods":      {[]v1alpha1.Method{v1alpha1.MethodWebAuthn, v1alpha1.MethodTOTP, v1alpha1.MethodEmail}, []string{"second_factors"}},
	"MFA.PasskeyLogin": {v1alpha1.Forbidden, []string{"passwordless_type"}},
	"MFA.SetupPrompt":  {&v1alpha1.SetupPrompt{EveryHours: ptr.To[int32](24)}, []string{"mfa_init_skip_lifetime"}},
	// For local users only: Zitadel has nothing of the kind.
	"MFA.PreferredMethod":          {v1alpha1.MethodTOTP, nil},
	"MFA.GracePeriodHours":         {ptr.To[int32](24), nil},
	"MFA.WebAuthn":                 {&v1alpha1.WebAuthnSettings{UserVerification: v1alpha1.UserVerificationRequired}, nil},
	"Lockout.AutoUnlockMinutes":    {ptr.To[int32](30), nil},
	"Session.SecondFactorMinutes":  {ptr.To[int32](60), []string{"second_factor_check_lifetime"}},
	"Session.MultiFactorMinutes":   {ptr.To[int32](60), []string{"multi_factor_check_lifetime"}},
	"Session.PasswordMinutes":      {ptr.To[int32](60), []string{"password_check_lifetime"}},
	"Session.ExternalLoginMinutes": {ptr.To[int32](60), []string{"external_login_check_lifetime"}},
	"Login.PasswordLogin":          {v1alpha1.Forbidden, []string{"allow_username_password"}},
	"Login.Registration":           {v1alpha1.Forbidden, []string{"allow_register"}},
	"Login.ExternalIDPs":           {v1alpha1.Forbidden, []string{"allow_external_idp"}},
	"Login.DomainDiscovery":        {v1alpha1.Forbidden, []string{"allow_domain_discovery"}},
	"Login.PasswordResetLink":      {v1alpha1.Forbidden, []string{"hide_password_reset"}},
	"Login.UnknownUsernames":       {v1alpha1.Allowed, []string{"ignore_unknown_usernames"}},
	"Login.LoginWithEmail":         {v1alpha1.Forbidden, []string{"disable_login_with_email"}},
	"Login.LoginWithPhone":         {v1alpha1.Forbidden, []string{"disable_login_with_phone"}},
	"Login.DefaultRedirectURI":     {ptr.To("https://apps.example.com/"), []string{"default_redirect_uri"}},
	"Password.MinLength":           {ptr.To[int32](14), []string{"min_length"}},
	"Password.RequireUppercase":    {v1alpha1.NotRequired, []string{"has_uppercase"}},
	"Password.RequireLowercase":    {v1alpha1.NotRequired, []string{"has_lowercase"}},
	"Password.RequireNumber":       {v1alpha1.NotRequired, []string{"has_number"}},
	"Password.RequireSymbol":       {v1alpha1.NotRequired, []string{"has_symbol"}},
	"Password.ExpireAfterDays":     {ptr.To[int32](90), []string{"max_age_days"}},
	"Password.WarnBeforeDays":      {ptr.To[int32](7), []string{"expire_warn_days"}},
	"Lockout.MaxPasswordAttempts":  {ptr.To[int32](5), []string{"max_password_attempts"}},
	"Lockout.MaxOTPAttempts":       {ptr.To[int32](5), []string{"max_otp_attempts"}},
}

// TestUnsetMeansUnmanaged applies every field alone, at both scopes, and looks
// at every field of every policy that Zitadel holds. A new field of the spec
// fails the test until it is listed.
func TestUnsetMeansUnmanaged(t *testing.T) {
	spec := reflect.TypeFor[v1alpha1.SecurityPolicySpec]()
	for i := range spec.NumField() {
		groupField := spec.Field(i)
		if groupField.Type.Kind() != reflect.Pointer || groupField.Type.Elem().Kind() != reflect.Struct {
			continue // says where, whether or how
		}
		group := groupField.Name
		for i := range groupField.Type.Elem().NumField() {
			path := group + "." + groupField.Type.Elem().Field(i).Name
			t.Run(path, func(t *testing.T) {
				t.Parallel()
				expected, listed := oneField[path]
				if !listed {
					t.Fatalf("%s is not listed in oneField", path)
				}
				for _, org := range []string{"", "acme"} {
					setsExactly(t, path, org, expected.set, expected.changes)
				}
			})
		}
	}
}

func setsExactly(t *testing.T, path, org string, value any, want []string) {
	t.Helper()
	w := newWorld(t)
	scope := ""
	if org != "" {
		scope = w.zitadel.AddOrganization(org)
	}
	before := w.held(scope)
	p := w.policy("one-field", org, func(spec *v1alpha1.SecurityPolicySpec) {
		group, name, _ := strings.Cut(path, ".")
		target := reflect.ValueOf(spec).Elem().FieldByName(group)
		target.Set(reflect.New(target.Type().Elem()))
		target.Elem().FieldByName(name).Set(reflect.ValueOf(value))
		if name == "AppliesTo" {
			spec.MFA.Enforcement = v1alpha1.EnforcementRequiredOnFirstLogin
		}
	})
	w.create(p)
	w.ready(p)
	if diff := cmp.Diff(want, changed(before, w.held(scope))); diff != "" {
		t.Errorf("%s alone at %q changes other fields in Zitadel than expected (-want +got):\n%s", path, scope, diff)
	}
}

// held renders every field of every policy that Zitadel holds for a scope.
func (w *world) held(scope string) map[string]string {
	login, _ := w.zitadel.LoginPolicy(scope)
	lockout, _ := w.zitadel.LockoutPolicy(scope)
	complexity, _ := w.zitadel.PasswordComplexityPolicy(scope)
	age, _ := w.zitadel.PasswordAgePolicy(scope)
	fields := map[string]string{}
	for _, m := range []proto.Message{login, lockout, complexity, age} {
		r := m.ProtoReflect()
		for i := range r.Descriptor().Fields().Len() {
			if fd := r.Descriptor().Fields().Get(i); fd.Name() != "details" && fd.Name() != "is_default" {
				fields[string(fd.Name())] = render(r, fd)
			}
		}
	}
	return fields
}

func render(m protoreflect.Message, fd protoreflect.FieldDescriptor) string {
	if fd.Message() != nil && !fd.IsList() {
		return fmt.Sprint(m.Get(fd).Message().Interface())
	}
	if fd.IsList() {
		var parts []string
		for i := range m.Get(fd).List().Len() {
			parts = append(parts, m.Get(fd).List().Get(i).String())
		}
		return strings.Join(parts, ",")
	}
	return m.Get(fd).String()
}

func changed(before, after map[string]string) []string {
	var names []string
	for name, value := range after {
		if before[name] != value {
			names = append(names, name)
		}
	}
	return names
}
