package zitadel

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/admin"
	idpv1 "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/idp"
	"github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/management"
	"github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/policy"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/neosc/mfa-operator/internal/idp"
)

func blank(g idp.Group) policyMessage {
	return map[idp.Group]policyMessage{
		idp.Login:              &policy.LoginPolicy{},
		idp.Lockout:            &policy.LockoutPolicy{},
		idp.PasswordComplexity: &policy.PasswordComplexityPolicy{},
		idp.PasswordAge:        &policy.PasswordAgePolicy{},
	}[g]
}

func TestEverySettingHasExactlyOneField(t *testing.T) {
	listed := map[idp.Setting]int{}
	for _, f := range fields {
		listed[f.setting]++
	}
	for _, s := range idp.AllSettings() {
		if listed[s] != 1 {
			t.Errorf("%s has %d fields, want 1", s, listed[s])
		}
		delete(listed, s)
	}
	if len(listed) > 0 {
		t.Errorf("fields of settings that do not exist: %v", listed)
	}
}

// Every setting must land in the field of the policy that carries its name:
// two lines of the table that point at one field would pass a round trip.
func TestFieldsAreTheOnesOfTheirName(t *testing.T) {
	for _, f := range fields {
		if f.isFactor() {
			continue
		}
		p := blank(f.setting.Group())
		for _, text := range []string{"true", "7", "1h", "x"} {
			if v, err := f.setting.Parse(text); err == nil {
				f.set(p, v)
				break
			}
		}
		var touched []string
		p.ProtoReflect().Range(func(d protoreflect.FieldDescriptor, _ protoreflect.Value) bool {
			touched = append(touched, d.JSONName())
			return true
		})
		if want := []string{string(f.setting)[len(f.setting.Group())+1:]}; !slices.Equal(touched, want) {
			t.Errorf("setting %s touches %v, want %v", f.setting, touched, want)
		}
	}
}

func TestOverlayKeepsWhatIsNotOurs(t *testing.T) {
	const newerFactor, newerPasskeys = policy.SecondFactorType(99), policy.PasswordlessType(7)
	found := &policy.LoginPolicy{
		SecondFactors:    []policy.SecondFactorType{newerFactor, policy.SecondFactorType_SECOND_FACTOR_TYPE_OTP},
		PasswordlessType: newerPasskeys,
		Idps:             []*idpv1.IDPLoginPolicyLink{{IdpId: "1"}},
	}
	found.ProtoReflect().SetUnknown(protoreflect.RawFields{0xf8, 0x3f, 1}) // field 1023, a newer server's
	before := proto.Clone(found)

	got := overlaid(found, idp.Settings{idp.SecondFactorTOTP: idp.Bool(false), idp.SecondFactorU2F: idp.Bool(true)})

	want := proto.Clone(found).(*policy.LoginPolicy)
	want.SecondFactors = []policy.SecondFactorType{newerFactor, policy.SecondFactorType_SECOND_FACTOR_TYPE_U2F}
	if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
		t.Errorf("only the two factors may change (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(before, proto.Message(found), protocmp.Transform()); diff != "" {
		t.Errorf("the reading itself must not change (-want +got):\n%s", diff)
	}

	if v := settingsOf(idp.Login, found)[idp.AllowPasskeys]; v != idp.Bool(true) {
		t.Errorf("a newer kind of allowed passkeys reads as %s, want true", v)
	}
	off := overlaid(found, idp.Settings{idp.AllowPasskeys: idp.Bool(false)}).(*policy.LoginPolicy)
	if off.PasswordlessType != policy.PasswordlessType_PASSWORDLESS_TYPE_NOT_ALLOWED {
		t.Errorf("forbidden passkeys are written as %v", off.PasswordlessType)
	}
}

func TestUnfitValues(t *testing.T) {
	tests := []struct {
		setting idp.Setting
		value   idp.Value
		unfit   bool
		reason  string
	}{
		{idp.ForceMFA, idp.Bool(false), false, "a boolean"},
		{idp.ForceMFA, idp.Number(0), true, "a number would be written as false"},
		{idp.ForceMFA, idp.Value{}, true, "no value would be written as false"},
		{idp.SecondFactorU2F, idp.Text("true"), true, "membership is a boolean"},
		{idp.AllowPasskeys, idp.Text("yes"), true, "passkeys are a boolean"},
		{idp.MaxOTPAttempts, idp.Number(math.MaxUint32), false, "the largest number a request can carry"},
		{idp.MaxOTPAttempts, idp.Number(math.MaxUint32 + 1), true, "would overflow the request"},
		{idp.MaxOTPAttempts, idp.Number(-1), true, "would become a huge number"},
		{idp.MaxOTPAttempts, idp.Duration(time.Second), true, "a duration would be written as 0"},
		{idp.MFAInitSkipLifetime, idp.Duration(-time.Millisecond), false, "Zitadel stores any duration"},
		{idp.MFAInitSkipLifetime, idp.Duration(math.MaxInt64), false, "the longest duration"},
		{idp.MFAInitSkipLifetime, idp.Number(0), true, "a number would be written as 0s"},
		{idp.DefaultRedirectURI, idp.Text(""), false, "the empty text is a value"},
		{idp.DefaultRedirectURI, idp.Bool(true), true, "a boolean would be written as no text"},
		{"login.noSuchThing", idp.Bool(true), true, "there is no such setting"},
	}
	for _, test := range tests {
		got := unfit(idp.Settings{test.setting: test.value})
		if (len(got) > 0) != test.unfit {
			t.Errorf("%s = %#v: unfit %v, want %v: %s", test.setting, test.value, got, test.unfit, test.reason)
		}
	}
}

// fill sets every field of a message to something that is not its zero value.
func fill(m protoreflect.Message) {
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		d := fields.Get(i)
		switch {
		case d.IsList() && d.Kind() == protoreflect.EnumKind:
			m.Mutable(d).List().Append(protoreflect.ValueOfEnum(1))
		case d.IsList():
			fill(m.Mutable(d).List().AppendMutable().Message())
		case d.Kind() == protoreflect.MessageKind:
			fill(m.Mutable(d).Message())
		case d.Kind() == protoreflect.BoolKind:
			m.Set(d, protoreflect.ValueOfBool(true))
		case d.Kind() == protoreflect.StringKind:
			m.Set(d, protoreflect.ValueOfString("text"))
		case d.Kind() == protoreflect.EnumKind:
			m.Set(d, protoreflect.ValueOfEnum(1))
		case d.Kind() == protoreflect.Uint64Kind:
			m.Set(d, protoreflect.ValueOfUint64(uint64(100+i)))
		case d.Kind() == protoreflect.Int64Kind:
			m.Set(d, protoreflect.ValueOfInt64(int64(100+i)))
		case d.Kind() == protoreflect.Int32Kind:
			m.Set(d, protoreflect.ValueOfInt32(int32(100+i)))
		}
	}
}

func TestRequestsCarryTheWholePolicy(t *testing.T) {
	requests := map[idp.Group][]proto.Message{
		idp.Login:   {&admin.UpdateLoginPolicyRequest{}, &management.UpdateCustomLoginPolicyRequest{}, &management.AddCustomLoginPolicyRequest{}},
		idp.Lockout: {&admin.UpdateLockoutPolicyRequest{}, &management.UpdateCustomLockoutPolicyRequest{}, &management.AddCustomLockoutPolicyRequest{}},
		idp.PasswordComplexity: {&admin.UpdatePasswordComplexityPolicyRequest{}, &management.UpdateCustomPasswordComplexityPolicyRequest{},
			&management.AddCustomPasswordComplexityPolicyRequest{}},
		idp.PasswordAge: {&admin.UpdatePasswordAgePolicyRequest{}, &management.UpdateCustomPasswordAgePolicyRequest{}, &management.AddCustomPasswordAgePolicyRequest{}},
	}
	for _, g := range idp.AllGroups() {
		full := blank(g)
		fill(full.ProtoReflect())
		for _, empty := range requests[g] {
			request := copied(full, empty).ProtoReflect()
			fields := request.Descriptor().Fields()
			for i := range fields.Len() {
				d := fields.Get(i)
				twin := full.ProtoReflect().Descriptor().Fields().ByName(d.Name())
				switch {
				case twin == nil:
					t.Errorf("%s.%s has no field to be filled from", request.Descriptor().Name(), d.Name())
				case d.Name() == "idps": // another type: see TestOwnLoginPolicyIsComplete
				case d.Kind() == protoreflect.Uint32Kind:
					if request.Get(d).Uint() != full.ProtoReflect().Get(twin).Uint() {
						t.Errorf("%s.%s is %v, want %v", request.Descriptor().Name(), d.Name(), request.Get(d), full.ProtoReflect().Get(twin))
					}
				case !request.Get(d).Equal(full.ProtoReflect().Get(twin)):
					t.Errorf("%s.%s is %v, want %v", request.Descriptor().Name(), d.Name(), request.Get(d), full.ProtoReflect().Get(twin))
				}
			}
		}
	}
}

func TestOwnLoginPolicyIsComplete(t *testing.T) {
	const newer = policy.SecondFactorType(99)
	otp, u2f := policy.SecondFactorType_SECOND_FACTOR_TYPE_OTP, policy.SecondFactorType_SECOND_FACTOR_TYPE_U2F
	verified := policy.MultiFactorType_MULTI_FACTOR_TYPE_U2F_WITH_VERIFICATION
	got := ownLoginPolicy(&policy.LoginPolicy{
		ForceMfa:      true,
		SecondFactors: []policy.SecondFactorType{u2f, otp, newer, otp},
		MultiFactors:  []policy.MultiFactorType{verified, verified},
		Idps:          []*idpv1.IDPLoginPolicyLink{{IdpId: "1"}, {IdpId: "2", IdpName: "two"}},
	})
	want := &management.AddCustomLoginPolicyRequest{
		ForceMfa:      true,
		SecondFactors: []policy.SecondFactorType{otp, u2f, newer},
		MultiFactors:  []policy.MultiFactorType{verified},
		Idps: []*management.AddCustomLoginPolicyRequest_IDP{
			{IdpId: "1", OwnerType: idpv1.IDPOwnerType_IDP_OWNER_TYPE_SYSTEM},
			{IdpId: "2", OwnerType: idpv1.IDPOwnerType_IDP_OWNER_TYPE_SYSTEM},
		},
	}
	if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
		t.Errorf("a copy of the instance default has every factor once, unknown ones too, and every provider (-want +got):\n%s", diff)
	}
}

func TestCopiedSaturates(t *testing.T) {
	got := copied(&policy.LockoutPolicy{MaxOtpAttempts: math.MaxUint64}, &admin.UpdateLockoutPolicyRequest{})
	if got.MaxOtpAttempts != math.MaxUint32 {
		t.Errorf("an attempt limit beyond the request became %d: never a smaller one", got.MaxOtpAttempts)
	}
}
