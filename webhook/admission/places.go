package admission

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/idp"
	"github.com/neosc/mfa-operator/internal/policy"
)

// target is one target of the policy under review, as far as the cluster knows
// it.
type target struct {
	path *field.Path
	spec *v1alpha1.ZitadelTarget
	// connected: there is a connection of that name.
	connected bool
	access    access
	// unreadable says what is wrong with the access rules that refuse.
	unreadable error
	// places are where the target's settings hold; empty if the policy may not
	// target it.
	places []*place
}

// access tells whether the policy's namespace may target something.
type access int

const (
	refused access = iota
	allowed
	// undecided: that is only known once Zitadel has been asked which
	// organization it is. Nothing that is known of organizations here plays a
	// part, so that nobody learns which there are.
	undecided
)

// place is where the same settings hold for the same users: a target, or what
// is below an instance.
type place struct {
	connection string
	// org is the organization, as far as it is known; zero if it is none.
	org idp.Organization
	// key tells places apart, keys are those that select it.
	key  string
	keys []string
	// own name the place itself, floor the instance above it; the policy under
	// review is in neither.
	own, floor []*v1alpha1.SecurityPolicy
	// others are the ways that all other policies leave together.
	others policy.Ways
	// below: the policy under review names the instance above.
	below bool
	// users are those for whom the login settings of the place hold, each at one
	// place only; unknown says why they are not known.
	users   policy.Histogram
	unknown string
}

// name is how messages call the place.
func (pl *place) name() string {
	switch {
	case pl.org != idp.Organization{}:
		return fmt.Sprintf("organization %s of %s", cmp.Or(pl.org.Name, pl.org.ID, pl.org.PrimaryDomain), pl.connection)
	case pl.below:
		return "organizations of " + pl.connection + " with settings of their own"
	default:
		return "the instance of " + pl.connection
	}
}

// survey finds out what is known of each target of a policy.
func (c *Cluster) survey(ctx context.Context, p *v1alpha1.SecurityPolicy) ([]target, error) {
	s := &surveyor{Cluster: c, tenancy: c.tenancy(), policy: p, counted: map[string]map[string]bool{}}
	targets := make([]target, len(p.Spec.Targets.Zitadel))
	path := field.NewPath("spec", "targets", "zitadel")
	for i := range targets {
		targets[i] = target{path: path.Index(i), spec: &p.Spec.Targets.Zitadel[i]}
	}
	// Organizations first: whom their own settings reach, the instance's do not.
	for _, instances := range []bool{false, true} {
		for i := range targets {
			if t := &targets[i]; (t.spec.Organization == nil) == instances {
				if err := s.look(ctx, t); err != nil {
					return nil, err
				}
			}
		}
	}
	return targets, nil
}

type surveyor struct {
	*Cluster
	tenancy *tenancy
	policy  *v1alpha1.SecurityPolicy
	// counted has, by connection, the ids of the organizations that are targets
	// and whose users are at a place of their own.
	counted map[string]map[string]bool
}

func (s *surveyor) look(ctx context.Context, t *target) error {
	conn, err := s.connection(ctx, t.spec.Connection)
	if conn == nil || err != nil {
		return err
	}
	t.connected = true
	if err := s.judgeAccess(ctx, t, conn); err != nil || t.access != allowed {
		return err
	}
	floor, err := s.targeting(ctx, conn, nil, policy.InstanceKey(conn.Name))
	if err != nil {
		return err
	}
	if t.spec.Organization == nil {
		return s.lookAtInstance(ctx, t, conn, floor)
	}
	org := s.known(conn.Name, t.spec.Organization)
	own, err := s.targeting(ctx, conn, &org, policy.KeysOf(conn.Name, org)...)
	if err != nil {
		return err
	}
	one := &place{
		connection: conn.Name, org: org, key: keyOf(conn.Name, org), keys: policy.KeysOf(conn.Name, org),
		own: own, floor: floor, others: waysOf(floor).And(waysOf(own)),
	}
	switch census := s.Published.census(conn.Name); {
	case census.whyNot(conn.Name) != "":
		one.unknown = census.whyNot(conn.Name)
	case org.ID == "":
		one.unknown = one.name() + " has not been looked up yet"
	case s.counted[conn.Name][org.ID], s.followsNamedInstance(one, census, org):
		// Counted there.
	default:
		var known bool
		if one.users, known = census.Reached(idp.InOrganization(org.ID), idp.Login); !known {
			one.unknown = "the census has no room for " + one.name()
		}
		ids := s.counted[conn.Name]
		put(&ids, org.ID, true)
		put(&s.counted, conn.Name, ids)
	}
	t.places = []*place{one}
	return nil
}

// followsNamedInstance tells whether the organization takes its login settings
// from an instance that the policy names as well.
func (s *surveyor) followsNamedInstance(one *place, c *census, org idp.Organization) bool {
	if !slices.Contains(policy.TargetKeys(&s.policy.Spec), policy.InstanceKey(one.connection)) {
		return false
	}
	return !c.Organizations[org.ID].Owns(idp.Login) && !slices.Contains(one.applied(s.policy, policy.RulesOf).OwnGroups(), idp.Login)
}

func (s *surveyor) judgeAccess(ctx context.Context, t *target, conn *v1alpha1.ZitadelConnection) error {
	granted, err := s.tenancy.of(ctx, s.policy.Namespace, conn)
	if err != nil {
		return err
	}
	var org *idp.Organization
	if t.spec.Organization != nil {
		org = new(asked(t.spec.Organization))
	}
	switch {
	case granted.rules.Cover(org):
		t.access = allowed
	case granted.err != nil:
		t.access, t.unreadable = refused, granted.err
	case org != nil && granted.rules.MayTurnOutToCover(*org):
		t.access = undecided
	}
	return nil
}

// lookAtInstance makes places of the instance, of the organizations below it
// with login settings of their own, and of those that policies name.
func (s *surveyor) lookAtInstance(ctx context.Context, t *target, conn *v1alpha1.ZitadelConnection, own []*v1alpha1.SecurityPolicy) error {
	census := s.Published.census(conn.Name)
	unknown := census.whyNot(conn.Name)
	ways := waysOf(own)
	instance := &place{connection: conn.Name, key: policy.InstanceKey(conn.Name), own: own, others: ways, unknown: unknown}
	others := &place{connection: conn.Name, key: instance.key + "/below", floor: own, others: ways, below: true, unknown: unknown}
	named, err := s.namedBelow(ctx, conn, others)
	if err != nil {
		return err
	}
	if unknown == "" {
		instance.users, others.users = maps.Clone(census.following), maps.Clone(census.owning)
		for id := range s.counted[conn.Name] {
			if tenant := census.Organizations[id]; tenant.Owns(idp.Login) {
				others.users.Subtract(tenant.Users)
			} else {
				instance.users.Subtract(tenant.Users)
			}
		}
		for _, one := range named {
			if tenant, known := census.Organizations[one.org.ID]; known && tenant.Owns(idp.Login) {
				others.users.Subtract(tenant.Users)
				one.users = tenant.Users
			}
		}
	}
	t.places = []*place{instance, others}
	for _, key := range slices.Sorted(maps.Keys(named)) {
		t.places = append(t.places, named[key])
	}
	return nil
}

// namedBelow makes a place, by key, of each organization of a connection that
// policies name other than the one under review. below is the place of those
// that none names.
func (s *surveyor) namedBelow(ctx context.Context, conn *v1alpha1.ZitadelConnection, below *place) (map[string]*place, error) {
	own := map[string]bool{}
	for i := range s.policy.Spec.Targets.Zitadel {
		if t := &s.policy.Spec.Targets.Zitadel[i]; t.Organization != nil && t.Connection == conn.Name {
			own[keyOf(conn.Name, s.known(conn.Name, t.Organization))] = true
		}
	}
	named := map[string]*place{}
	for _, one := range s.Named.at(conn.Name) {
		p := one.policy
		if s.isSame(p) || !p.DeletionTimestamp.IsZero() {
			continue
		}
		org := s.knownBy(conn.Name, one.key, one.target)
		key := keyOf(conn.Name, org)
		if own[key] {
			continue // a target by itself
		}
		may, err := s.tenancy.may(ctx, p, conn, &org)
		if err != nil {
			return nil, err
		}
		if !may {
			continue
		}
		pl := named[key]
		if pl == nil {
			pl = &place{connection: conn.Name, org: org, key: key, floor: below.floor, others: below.others, below: true}
			named[key] = pl
		}
		if !slices.Contains(pl.own, p) {
			pl.own = append(pl.own, p)
			pl.others = pl.others.And(one.ways)
		}
	}
	return named, nil
}

// targeting lists the other policies found under the keys that are not being
// deleted and whose namespaces may target org; nil is the instance.
func (s *surveyor) targeting(ctx context.Context, conn *v1alpha1.ZitadelConnection, org *idp.Organization, keys ...string) ([]*v1alpha1.SecurityPolicy, error) {
	var found []*v1alpha1.SecurityPolicy
	for _, key := range keys {
		list, err := s.policies(ctx, client.MatchingFields{indexTarget: key})
		if err != nil {
			return nil, err
		}
		for i := range list {
			p := &list[i]
			known := slices.ContainsFunc(found, func(other *v1alpha1.SecurityPolicy) bool { return sameObject(p, other) })
			if known || s.isSame(p) || !p.DeletionTimestamp.IsZero() {
				continue
			}
			may, err := s.tenancy.may(ctx, p, conn, org)
			if err != nil {
				return nil, err
			}
			if may {
				found = append(found, p)
			}
		}
	}
	return found, nil
}

// known is what is known of a selected organization: at least what the selector
// says. Where nothing is held of it, the policy's own status may tell.
func (s *surveyor) known(connection string, selector *v1alpha1.OrganizationSelector) idp.Organization {
	return s.knownBy(connection, policy.OrganizationKey(connection, selector), selector)
}

// knownBy is known, with the selector's key.
func (s *surveyor) knownBy(connection, key string, selector *v1alpha1.OrganizationSelector) idp.Organization {
	org, known := s.Published.organization(key)
	if !known {
		org = asked(selector)
	}
	for i := range s.policy.Status.Targets {
		t := &s.policy.Status.Targets[i]
		if org.ID == "" && org.Name != "" && t.Connection == connection && t.Organization == org.Name {
			org.ID = t.OrganizationID
		}
	}
	return org
}

func (s *surveyor) isSame(p *v1alpha1.SecurityPolicy) bool { return sameObject(p, s.policy) }

func sameObject(a, b *v1alpha1.SecurityPolicy) bool {
	return a.Namespace == b.Namespace && a.Name == b.Name
}

// keyOf is one key for an organization, by its id if that is known.
func keyOf(connection string, org idp.Organization) string {
	return policy.OrganizationKey(connection, &v1alpha1.OrganizationSelector{ID: org.ID, Name: org.Name, PrimaryDomain: org.PrimaryDomain})
}

// applied are the policies that apply at the place, p among them unless it is
// nil; rules says what each contributes.
func (pl *place) applied(p *v1alpha1.SecurityPolicy, rules func(*v1alpha1.SecurityPolicySpec) policy.Rules) policy.Applied {
	var a policy.Applied
	if p != nil {
		one := policy.ContributionOf(p, rules(&p.Spec), pl.below)
		if pl.below {
			a.Floor = append(a.Floor, one)
		} else {
			a.Own = append(a.Own, one)
		}
	}
	for _, other := range pl.own {
		a.Own = append(a.Own, policy.ContributionOf(other, policy.InForce(&other.Spec), false))
	}
	for _, other := range pl.floor {
		if !slices.ContainsFunc(pl.own, func(own *v1alpha1.SecurityPolicy) bool { return sameObject(own, other) }) {
			a.Floor = append(a.Floor, policy.ContributionOf(other, policy.InForce(&other.Spec), true))
		}
	}
	return a
}

// ways are those that are left at the place, p among the policies unless it is
// nil; of says which p leaves.
func (pl *place) ways(p *v1alpha1.SecurityPolicy, of func(*v1alpha1.SecurityPolicySpec) policy.Ways) policy.Ways {
	if p == nil {
		return pl.others
	}
	return pl.others.And(of(&p.Spec))
}

func waysOf(policies []*v1alpha1.SecurityPolicy) policy.Ways {
	var w policy.Ways
	for _, p := range policies {
		w = w.And(policy.WaysInForce(&p.Spec))
	}
	return w
}

// wanted is what the policies make of the place, and how.
func wanted(a policy.Applied) (idp.Settings, policy.Effective) {
	return a.Wanted(func(idp.Group) bool { return false }, nil)
}

// isSelectedBy tells whether a selector means the place, as far as that is
// known.
func (pl *place) isSelectedBy(s *v1alpha1.OrganizationSelector) bool {
	for _, key := range policy.KeysOf(pl.connection, asked(s)) {
		if slices.Contains(pl.keys, key) {
			return true
		}
	}
	return false
}

func (pl *place) isInstance() bool { return !pl.below && len(pl.keys) == 0 }
