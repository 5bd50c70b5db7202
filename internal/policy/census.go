package policy

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/neosc/mfa-operator/internal/idp"
)

// Traits are what impact needs to know of one user, as a set of bits. They are
// stored: a bit keeps its meaning.
type Traits uint16

// The traits. Those of factors say that the user has at least one that is ready
// for use.
const (
	HasTOTP Traits = 1 << iota
	HasU2F
	HasOTPEmail
	HasOTPSMS
	HasRecoveryCodes
	HasPasskey
	// Linked: the user may sign in through an external identity provider.
	Linked
	// HasPassword is set by a user's first password and stays: Zitadel has no
	// way to take one away.
	HasPassword
	// Locked and Inactive users cannot sign in; at most one of both is set.
	Locked
	Inactive
)

// Shown by providers as factors, in the order of their bits.
var traitOf = map[idp.Factor]Traits{
	idp.TOTP:          HasTOTP,
	idp.U2F:           HasU2F,
	idp.OTPEmail:      HasOTPEmail,
	idp.OTPSMS:        HasOTPSMS,
	idp.RecoveryCodes: HasRecoveryCodes,
	idp.Passkey:       HasPasskey,
}

// TraitOf is the trait of users who have the factor, none for what no user has
// as a factor.
func TraitOf(f idp.Factor) Traits { return traitOf[f] }

// Has tells whether the user has all of these.
func (t Traits) Has(all Traits) bool { return t&all == all }

// HasAny tells whether the user has at least one of these.
func (t Traits) HasAny(some Traits) bool { return t&some != 0 }

// Histogram counts users by their traits.
type Histogram map[Traits]int

// Users is how many users it counts.
func (h Histogram) Users() int {
	n := 0
	for _, users := range h {
		n += users
	}
	return n
}

// Add counts the users of another as well.
func (h Histogram) Add(other Histogram) {
	for t, n := range other {
		h[t] += n
	}
}

// Subtract leaves out the users of another, who are counted here.
func (h Histogram) Subtract(other Histogram) {
	for t, n := range other {
		if h[t] -= n; h[t] == 0 {
			delete(h, t)
		}
	}
}

// Census counts the human users of an instance: who has which factors, in which
// organization. It names organizations and no user.
type Census struct {
	// Instance is the origin of the instance.
	Instance string `json:"instance"`
	// Complete: the whole log has been read. Otherwise users are missing, and
	// who is there may have changed since.
	Complete bool `json:"complete"`
	// Stale: the log is not being followed at the moment; nothing after Through
	// is known.
	Stale bool `json:"stale,omitempty"`
	// Through is the time of the newest event that counted, Events how many
	// have been read so far.
	Through time.Time `json:"through"`
	Events  int64     `json:"events"`
	// Organizations has those with users or with policies of their own, by id.
	Organizations map[string]Tenant `json:"organizations"`
	// Rest sums up those that Organizations has no room for, one entry for each
	// set of own policies.
	Rest []Tenant `json:"rest,omitempty"`
}

// Tenant is what the census knows of one organization, or of several.
type Tenant struct {
	// Own lists the groups the organization has policies of its own for, so
	// that those of the instance do not reach it. In the order of AllGroups.
	Own []idp.Group `json:"own,omitempty"`
	// Users counts the users.
	Users Histogram `json:"users,omitempty"`
}

// Owns tells whether the organization has a policy of its own for the group.
func (t Tenant) Owns(g idp.Group) bool { return slices.Contains(t.Own, g) }

// Reached counts the users for whom the settings of a group hold that stand at
// the scope: at an organization its users; at the instance those of every
// organization without a policy of its own for the group. It reports false for
// an organization that the census had no room for.
func (c Census) Reached(scope idp.Scope, g idp.Group) (Histogram, bool) {
	reached := Histogram{}
	if !scope.IsInstance() {
		one, known := c.Organizations[scope.OrganizationID]
		reached.Add(one.Users)
		return reached, known || len(c.Rest) == 0
	}
	for _, t := range c.Organizations {
		if !t.Owns(g) {
			reached.Add(t.Users)
		}
	}
	for _, t := range c.Rest {
		if !t.Owns(g) {
			reached.Add(t.Users)
		}
	}
	return reached, true
}

// Encode renders the census for storage, in at most so many bytes where there
// is room for the fixed part at all. If it is too large, the organizations with
// the fewest users are summed up.
func (c Census) Encode(most int) ([]byte, error) {
	for {
		data, err := json.Marshal(c)
		if err != nil {
			return nil, fmt.Errorf("rendering the census: %w", err)
		}
		excess := len(data) - most
		if excess <= 0 || len(c.Organizations) == 0 {
			return data, nil
		}
		if c, err = c.without(excess); err != nil {
			return nil, err
		}
	}
}

// without moves organizations to the rest until so many bytes are saved.
func (c Census) without(bytes int) (Census, error) {
	c.Organizations = maps.Clone(c.Organizations)
	rest := map[string]Tenant{}
	for _, t := range c.Rest {
		rest[fmt.Sprint(t.Own)] = Tenant{Own: t.Own, Users: maps.Clone(t.Users)}
	}
	smallest := slices.SortedFunc(maps.Keys(c.Organizations), func(a, b string) int {
		return cmp.Or(cmp.Compare(c.Organizations[a].Users.Users(), c.Organizations[b].Users.Users()), cmp.Compare(a, b))
	})
	for _, id := range smallest {
		if bytes <= 0 {
			break
		}
		t := c.Organizations[id]
		data, err := json.Marshal(map[string]Tenant{id: t})
		if err != nil {
			return Census{}, fmt.Errorf("rendering an organization of the census: %w", err)
		}
		bytes -= len(data) - 1 // one of the braces is a comma there
		delete(c.Organizations, id)
		sum, known := rest[fmt.Sprint(t.Own)]
		if !known {
			sum = Tenant{Own: t.Own, Users: Histogram{}}
		}
		sum.Users.Add(t.Users)
		rest[fmt.Sprint(t.Own)] = sum
	}
	c.Rest = nil
	for _, own := range slices.Sorted(maps.Keys(rest)) {
		c.Rest = append(c.Rest, rest[own])
	}
	return c, nil
}

// ReadCensus reads what Encode rendered.
func ReadCensus(data []byte) (Census, error) {
	var c Census
	if err := json.Unmarshal(data, &c); err != nil {
		return Census{}, fmt.Errorf("reading a census: %w", err)
	}
	return c, nil
}
