package policy

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/neosc/mfa-operator/internal/idp"
)

// Contribution is what one policy asks of a target.
type Contribution struct {
	Policy types.NamespacedName
	Rules  Rules
	// Floor marks a policy of the instance at a target that is an
	// organization: it bounds what the organization's own policies say.
	Floor bool
	// Priority and Created decide where no value is stricter: the higher
	// priority, then the older policy, then the name.
	Priority int32
	Created  time.Time
}

// Effective is what several policies make together.
type Effective struct {
	Rules Rules
	// Fields has one entry for each field that is set, in the order of the
	// table of fields.
	Fields []Provenance
}

// Provenance says where the value of one field comes from.
type Provenance struct {
	// Field is its path in the spec.
	Field string
	Value string
	// By names the policies that ask for this value. Where they made it
	// together, as with methods that all of them allow, it names them all.
	By []types.NamespacedName
	// Over has what was asked for and lost.
	Over []Lost
	// Stricter tells that the value won for being stricter, not by precedence.
	Stricter bool
	// Combined tells that nobody asked for just this value.
	Combined bool
}

// Lost is a policy's value that did not become effective.
type Lost struct {
	Policy types.NamespacedName
	Value  string
}

// Merge makes one effective policy of all that apply to a local user, in whatever
// order they are given.
func Merge(contributions []Contribution) Effective {
	return merge(contributions, func(*field) bool { return true })
}

// mergeAtZitadel is Merge for a target in Zitadel, where the fields for local
// users have no say, and so nobody wins or loses in them.
func mergeAtZitadel(contributions []Contribution) Effective {
	return merge(contributions, func(f *field) bool { return !f.localOnly })
}

func merge(contributions []Contribution, counts func(*field) bool) Effective {
	ordered := slices.Clone(contributions)
	slices.SortFunc(ordered, precedence)
	var e Effective
	for i := range fields {
		if f := &fields[i]; counts(f) {
			e.decide(f, ordered)
		}
	}
	return e
}

// precedence sorts what decides first to the front. What an organization's own
// policy says is nearer than what the instance's says.
func precedence(a, b Contribution) int {
	return cmp.Or(
		compareFalseFirst(a.Floor, b.Floor),
		cmp.Compare(b.Priority, a.Priority),
		a.Created.Compare(b.Created),
		byName(a.Policy, b.Policy),
	)
}

func compareFalseFirst(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	default:
		return 1
	}
}

func (e *Effective) decide(f *field, ordered []Contribution) {
	var asking []*Contribution
	for i := range ordered {
		if f.set(&ordered[i].Rules) {
			asking = append(asking, &ordered[i])
		}
	}
	if len(asking) == 0 {
		return
	}
	f.copy(&e.Rules, &asking[0].Rules)
	if f.join != nil {
		for _, c := range asking[1:] {
			f.join(&e.Rules, &c.Rules)
		}
	}
	made := Provenance{Field: f.path, Value: f.show(&e.Rules), Stricter: f.join != nil}
	for _, c := range asking {
		if own := f.show(&c.Rules); own == made.Value {
			made.By = append(made.By, c.Policy)
		} else {
			made.Over = append(made.Over, Lost{Policy: c.Policy, Value: own})
		}
	}
	if made.By == nil {
		made.Combined = true
		for _, c := range asking {
			made.By = append(made.By, c.Policy)
		}
	}
	e.Fields = append(e.Fields, made)
}

// NoMethodInCommon tells whether policies that each allow some methods allow
// none together.
func (e Effective) NoMethodInCommon() bool {
	return slices.ContainsFunc(e.Fields, func(p Provenance) bool { return p.Field == FieldMethods && p.Combined }) &&
		len(e.Rules.MFA.Methods) == 0
}

// LostBy returns the fields in which a policy lost to others.
func (e Effective) LostBy(policy types.NamespacedName) []Provenance {
	return slices.DeleteFunc(slices.Clone(e.Fields), func(p Provenance) bool {
		return !slices.ContainsFunc(p.Over, func(l Lost) bool { return l.Policy == policy })
	})
}

// Only returns the rules of the fields that keep tells to keep.
func (e Effective) Only(keep func(Provenance) bool) Rules {
	var r Rules
	for _, p := range e.Fields {
		if keep(p) {
			fieldAt(p.Field).copy(&r, &e.Rules)
		}
	}
	return r
}

// Askers names, for each setting, the policies whose value it has.
func (e Effective) Askers() map[idp.Setting][]types.NamespacedName {
	by := map[idp.Setting][]types.NamespacedName{}
	for _, p := range e.Fields {
		alone := e.Only(func(other Provenance) bool { return other.Field == p.Field })
		for s := range Desired(alone, nil) {
			for _, policy := range p.By {
				if policy != itself && !slices.Contains(by[s], policy) {
					by[s] = append(by[s], policy)
				}
			}
		}
	}
	for _, policies := range by {
		slices.SortFunc(policies, byName)
	}
	return by
}

func byName(a, b types.NamespacedName) int { return cmp.Compare(a.String(), b.String()) }

func fieldAt(path string) *field {
	return &fields[slices.IndexFunc(fields, func(f field) bool { return f.path == path })]
}

// Names renders policies as namespace/name.
func Names(policies []types.NamespacedName, between string) string {
	names := make([]string, len(policies))
	for i, p := range policies {
		names[i] = p.String()
	}
	return strings.Join(names, between)
}
