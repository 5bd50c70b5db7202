package policy

import (
	"hash/maphash"
	"maps"
	"slices"
	"time"
	"unique"

	"github.com/neosc/mfa-operator/internal/idp"
)

// Register folds events into what a census counts. It holds one entry per human
// user, and never a name, an address or an id of an external account.
//
// Events of one user have to come in their order; between users and
// organizations any order will do. An event that comes again changes nothing.
// The zero Register is empty and ready.
//
// What the log does not tell: recovery codes count until they are removed, also
// when all are used up, as Zitadel's own list does; users who never finished
// their registration count as active.
type Register struct {
	people  map[string]person
	tenants map[string]*tenant
	// removed organizations and identity providers, so that what the log says
	// of them before their end need not be read first.
	removedOrganizations map[string]bool
	removedIDPs          map[unique.Handle[string]]bool

	seed    maphash.Seed
	events  int64
	through time.Time
}

type person struct {
	tenant *tenant
	// sequence is that of the last event that counted.
	sequence uint64
	traits   Traits
	// credentials are those a user can have several of: keys and links.
	credentials []credential
}

// credential is a key, or a link to an external identity provider. Of its id it
// keeps a hash with a seed that nobody knows: all that is asked is whether two
// are the same.
type credential struct {
	trait Traits
	of    unique.Handle[string] // the identity provider of a link
	id    uint64
}

type tenant struct {
	removed  bool
	sequence uint64
	own      map[idp.Group]bool
	users    Histogram
}

// Fold takes events into account.
func (r *Register) Fold(events ...idp.Event) {
	if r.people == nil {
		*r = Register{
			people: map[string]person{}, tenants: map[string]*tenant{}, seed: maphash.MakeSeed(),
			removedOrganizations: map[string]bool{}, removedIDPs: map[unique.Handle[string]]bool{},
		}
	}
	ended := false
	for _, e := range events {
		if !counted[e.Kind] {
			continue
		}
		r.events++
		if e.At.After(r.through) {
			r.through = e.At
		}
		switch e.Kind {
		case idp.OrganizationRemoved:
			r.removedOrganizations[e.OrganizationID] = true
			r.tenant(e.OrganizationID).removed = true
			delete(r.tenants, e.OrganizationID)
			ended = true
		case idp.IDPRemoved:
			r.removedIDPs[unique.Make(e.IDPID)] = true
			ended = true
		case idp.SettingsChanged:
			r.foldPolicy(e)
		default:
			r.foldUser(e)
		}
	}
	if ended {
		r.sweep()
	}
}

// counted are the kinds of events that a census is folded from.
var counted = map[idp.EventKind]bool{
	idp.OrganizationRemoved: true, idp.IDPRemoved: true, idp.SettingsChanged: true,
	idp.UserAdded: true, idp.UserRemoved: true,
	idp.UserLocked: true, idp.UserUnlocked: true, idp.UserDeactivated: true, idp.UserReactivated: true,
	idp.PasswordChanged: true, idp.PhoneRemoved: true, idp.FactorAdded: true, idp.FactorRemoved: true,
	idp.IDPLinked: true, idp.IDPUnlinked: true,
}

// Humans lists the users of these organizations, by their ids, and the id of the
// organization of each.
func (r *Register) Humans(organizations ...string) map[string]string {
	of := map[*tenant]string{}
	for _, id := range organizations {
		if t := r.tenants[id]; t != nil {
			of[t] = id
		}
	}
	humans := map[string]string{}
	for id, p := range r.people {
		if organization, wanted := of[p.tenant]; wanted {
			humans[id] = organization
		}
	}
	return humans
}

// foldPolicy notes who has a policy of its own.
func (r *Register) foldPolicy(e idp.Event) {
	if e.Scope.IsInstance() || e.Change == idp.PolicyEdited || r.removedOrganizations[e.OrganizationID] {
		return
	}
	t := r.tenant(e.OrganizationID)
	if e.Sequence > t.sequence {
		t.sequence = e.Sequence
		t.own[e.Group] = e.Change == idp.PolicyCreated
	}
}

func (r *Register) foldUser(e idp.Event) {
	p, known := r.people[e.UserID]
	switch {
	case known && e.Sequence <= p.sequence, r.removedOrganizations[e.OrganizationID]:
		return
	case !known && e.Kind != idp.UserAdded: // of a machine, or of nobody any more
		return
	case !known:
		p.tenant = r.tenant(e.OrganizationID)
	default:
		p.tenant.count(p.traits, -1)
	}
	p.sequence = e.Sequence
	if e.Kind == idp.UserRemoved {
		delete(r.people, e.UserID)
		return
	}
	r.change(&p, e)
	p.tenant.count(p.traits, 1)
	r.people[e.UserID] = p
}

// change is what an event makes of a person.
func (r *Register) change(p *person, e idp.Event) {
	switch e.Kind {
	case idp.UserAdded:
		if e.HasPassword {
			p.traits |= HasPassword
		}
	case idp.PasswordChanged:
		p.traits |= HasPassword
	case idp.UserLocked:
		p.traits = p.traits&^Inactive | Locked
	case idp.UserDeactivated: // replaces a lock
		p.traits = p.traits&^Locked | Inactive
	case idp.UserUnlocked, idp.UserReactivated:
		p.traits &^= Locked | Inactive
	case idp.PhoneRemoved:
		p.traits &^= HasOTPSMS
	case idp.FactorAdded:
		r.gain(p, e)
	case idp.FactorRemoved:
		r.lose(p, e)
	case idp.IDPLinked:
		if of := unique.Make(e.IDPID); !r.removedIDPs[of] {
			p.hold(credential{Linked, of, r.hash(e.ExternalUserID)})
		}
	case idp.IDPUnlinked:
		p.drop(credential{Linked, unique.Make(e.IDPID), r.hash(e.ExternalUserID)})
	default: // nothing that a census counts
	}
}

func (r *Register) gain(p *person, e idp.Event) {
	trait := TraitOf(e.Factor)
	if e.Credential != "" {
		p.hold(credential{trait: trait, id: r.hash(e.Credential)})
		return
	}
	p.traits |= trait
}

// lose takes away a factor. A key that was never verified is not held, so its
// removal changes nothing; neither does the removal of a passkey as if it were
// a U2F key, which Zitadel accepts and then ignores.
func (r *Register) lose(p *person, e idp.Event) {
	trait := TraitOf(e.Factor)
	if e.Credential != "" {
		p.drop(credential{trait: trait, id: r.hash(e.Credential)})
		return
	}
	p.traits &^= trait
}

func (r *Register) hash(id string) uint64 { return maphash.String(r.seed, id) }

func (p *person) hold(c credential) {
	if !slices.Contains(p.credentials, c) {
		p.credentials = append(p.credentials, c)
	}
	p.traits |= c.trait
}

func (p *person) drop(c credential) {
	p.keep(func(held credential) bool { return held != c })
}

// keep drops the other credentials, and the traits that nothing is left for.
func (p *person) keep(wanted func(credential) bool) {
	p.credentials = slices.DeleteFunc(p.credentials, func(c credential) bool { return !wanted(c) })
	p.traits &^= HasU2F | HasPasskey | Linked
	for _, c := range p.credentials {
		p.traits |= c.trait
	}
}

// sweep takes out what belonged to removed organizations and identity
// providers.
func (r *Register) sweep() {
	for id, p := range r.people {
		if p.tenant.removed {
			delete(r.people, id)
			continue
		}
		gone := func(c credential) bool { return c.trait == Linked && r.removedIDPs[c.of] }
		if !slices.ContainsFunc(p.credentials, gone) {
			continue
		}
		p.tenant.count(p.traits, -1)
		p.keep(func(c credential) bool { return !gone(c) })
		p.tenant.count(p.traits, 1)
		r.people[id] = p
	}
}

func (r *Register) tenant(id string) *tenant {
	t, known := r.tenants[id]
	if !known {
		t = &tenant{own: map[idp.Group]bool{}, users: Histogram{}}
		r.tenants[id] = t
	}
	return t
}

func (t *tenant) count(traits Traits, by int) {
	if t.users[traits] += by; t.users[traits] == 0 {
		delete(t.users, traits)
	}
}

// Census returns what has been counted so far.
func (r *Register) Census() Census {
	c := Census{Through: r.through, Events: r.events, Organizations: map[string]Tenant{}}
	for id, t := range r.tenants {
		one := Tenant{Users: maps.Clone(t.users)}
		for _, g := range idp.AllGroups() {
			if t.own[g] {
				one.Own = append(one.Own, g)
			}
		}
		if len(one.Own) > 0 || len(one.Users) > 0 {
			c.Organizations[id] = one
		}
	}
	return c
}
