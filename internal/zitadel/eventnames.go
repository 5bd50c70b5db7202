package zitadel

import (
	"maps"
	"slices"

	"github.com/neosc/mfa-operator/internal/idp"
)

// The types of the aggregates whose events we read.
const (
	instanceAggregate = "instance"
	orgAggregate      = "org"
	userAggregate     = "user"
	sessionAggregate  = "session"
)

// naming says what an event of one name is to us.
type naming struct {
	kind   idp.EventKind
	factor idp.Factor
	group  idp.Group
	change idp.Change
}

// namings has every event of Zitadel that means something to us. Names
// without "human" are those of the server's first version; old users have them.
var namings = func() map[string]naming {
	m := map[string]naming{
		"org.added":              {kind: idp.OrganizationAdded},
		"org.changed":            {kind: idp.OrganizationChanged},
		"org.domain.primary.set": {kind: idp.OrganizationChanged},
		"org.deactivated":        {kind: idp.OrganizationDeactivated},
		"org.reactivated":        {kind: idp.OrganizationReactivated},
		"org.removed":            {kind: idp.OrganizationRemoved},

		"user.human.added":           {kind: idp.UserAdded},
		"user.human.selfregistered":  {kind: idp.UserAdded},
		"user.added":                 {kind: idp.UserAdded},
		"user.selfregistered":        {kind: idp.UserAdded},
		"user.machine.added":         {kind: idp.MachineAdded},
		"user.username.changed":      {kind: idp.UserChanged},
		"user.domain.claimed":        {kind: idp.UserChanged},
		"user.human.profile.changed": {kind: idp.UserChanged},
		"user.human.email.changed":   {kind: idp.UserChanged},
		"user.human.email.verified":  {kind: idp.UserChanged},
		"user.human.phone.changed":   {kind: idp.UserChanged},
		"user.human.phone.verified":  {kind: idp.UserChanged},
		"user.human.phone.removed":   {kind: idp.PhoneRemoved},
		"user.phone.removed":         {kind: idp.PhoneRemoved},
		"user.locked":                {kind: idp.UserLocked},
		"user.unlocked":              {kind: idp.UserUnlocked},
		"user.deactivated":           {kind: idp.UserDeactivated},
		"user.reactivated":           {kind: idp.UserReactivated},
		"user.removed":               {kind: idp.UserRemoved},

		"user.human.password.changed":         {kind: idp.PasswordChanged},
		"user.password.changed":               {kind: idp.PasswordChanged},
		"user.human.password.check.succeeded": {kind: idp.CheckSucceeded, factor: idp.Password},
		"user.human.password.check.failed":    {kind: idp.CheckFailed, factor: idp.Password},
		"user.password.check.succeeded":       {kind: idp.CheckSucceeded, factor: idp.Password},
		"user.password.check.failed":          {kind: idp.CheckFailed, factor: idp.Password},

		"user.human.externalidp.added":             {kind: idp.IDPLinked},
		"user.human.externalidp.removed":           {kind: idp.IDPUnlinked},
		"user.human.externalidp.cascade.removed":   {kind: idp.IDPUnlinked},
		"user.human.externallogin.check.succeeded": {kind: idp.CheckSucceeded, factor: idp.ExternalLogin},
		"instance.idp.removed":                     {kind: idp.IDPRemoved},
		"instance.idp.config.removed":              {kind: idp.IDPRemoved},
		"org.idp.removed":                          {kind: idp.IDPRemoved},
		"org.idp.config.removed":                   {kind: idp.IDPRemoved},

		"session.added":                {kind: idp.SessionStarted},
		"session.user.checked":         {kind: idp.SessionUserChecked},
		"session.password.checked":     {kind: idp.SessionFactorChecked, factor: idp.Password},
		"session.intent.checked":       {kind: idp.SessionFactorChecked, factor: idp.ExternalLogin},
		"session.totp.checked":         {kind: idp.SessionFactorChecked, factor: idp.TOTP},
		"session.otp.email.checked":    {kind: idp.SessionFactorChecked, factor: idp.OTPEmail},
		"session.otp.sms.checked":      {kind: idp.SessionFactorChecked, factor: idp.OTPSMS},
		"session.webAuthN.checked":     {kind: idp.SessionFactorChecked, factor: idp.WebAuthn},
		"session.recoveryCode.checked": {kind: idp.SessionFactorChecked, factor: idp.RecoveryCodes},
		"session.terminated":           {kind: idp.SessionEnded},
		"user.human.signed.out":        {kind: idp.SessionEnded},
		"user.signed.out":              {kind: idp.SessionEnded},
	}
	for _, f := range []struct {
		prefix, ready string
		factor        idp.Factor
	}{
		{"user.human.mfa.otp.", "verified", idp.TOTP},
		{"user.mfa.otp.", "verified", idp.TOTP},
		{"user.human.mfa.u2f.token.", "verified", idp.U2F},
		{"user.human.passwordless.token.", "verified", idp.Passkey},
		// These are ready as soon as they are added.
		{"user.human.mfa.otp.email.", "added", idp.OTPEmail},
		{"user.human.mfa.otp.sms.", "added", idp.OTPSMS},
		{"user.human.mfa.recoverycode.", "added", idp.RecoveryCodes},
	} {
		m[f.prefix+f.ready] = naming{kind: idp.FactorAdded, factor: f.factor}
		m[f.prefix+"removed"] = naming{kind: idp.FactorRemoved, factor: f.factor}
		m[f.prefix+"check.succeeded"] = naming{kind: idp.CheckSucceeded, factor: f.factor}
		m[f.prefix+"check.failed"] = naming{kind: idp.CheckFailed, factor: f.factor}
	}
	for _, level := range []string{instanceAggregate, orgAggregate} {
		for g, area := range policyAreas {
			m[level+area+".added"] = naming{kind: idp.SettingsChanged, group: g, change: idp.PolicyCreated}
			m[level+area+".changed"] = naming{kind: idp.SettingsChanged, group: g, change: idp.PolicyEdited}
			m[level+area+".removed"] = naming{kind: idp.SettingsChanged, group: g, change: idp.PolicyRemoved}
		}
		for _, part := range loginParts {
			m[level+policyAreas[idp.Login]+part] = naming{kind: idp.SettingsChanged, group: idp.Login, change: idp.PolicyEdited}
		}
	}
	return m
}()

// policyAreas are the middles of the names of policy events.
var policyAreas = map[idp.Group]string{
	idp.Login:              ".policy.login",
	idp.Lockout:            ".policy.lockout",
	idp.PasswordComplexity: ".policy.password.complexity",
	idp.PasswordAge:        ".policy.password.age",
}

// loginParts are the events of the lists in a login policy.
var loginParts = []string{
	".secondfactor.added", ".secondfactor.removed",
	".multifactor.added", ".multifactor.removed",
	".idpprovider.added", ".idpprovider.removed", ".idpprovider.cascade.removed",
}

// namesOf returns the names whose naming fits, in a fixed order.
func namesOf(fits func(string, naming) bool) []string {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(namings)) {
		if fits(name, namings[name]) {
			names = append(names, name)
		}
	}
	return names
}

// topics are the names of the events of each topic. The server takes at most
// maxNames of them in one call, and one call is what keeps them in order.
var topics = map[idp.Topic][]string{
	idp.UserHistory: namesOf(func(_ string, n naming) bool {
		return slices.Contains([]idp.EventKind{
			idp.UserAdded, idp.UserRemoved, idp.UserLocked, idp.UserUnlocked, idp.UserDeactivated, idp.UserReactivated,
			idp.PasswordChanged, idp.PhoneRemoved, idp.FactorAdded, idp.FactorRemoved, idp.IDPLinked, idp.IDPUnlinked,
		}, n.kind)
	}),
	idp.OrganizationHistory: namesOf(func(name string, n naming) bool {
		ownership := n.kind == idp.SettingsChanged && n.change != idp.PolicyEdited && name[:len(orgAggregate)] == orgAggregate
		return ownership || n.kind == idp.OrganizationRemoved || n.kind == idp.IDPRemoved
	}),
}

// editNames are the names of the events that change one policy at one level.
func editNames(level string, g idp.Group) []string {
	return namesOf(func(name string, n naming) bool {
		return n.kind == idp.SettingsChanged && n.group == g && name[:len(level)+1] == level+"."
	})
}
