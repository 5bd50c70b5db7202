package policy

import "github.com/neosc/mfa-operator/internal/idp"

// Impact counts the users that settings reach by what they mean for them. Users
// who are locked or inactive cannot sign in and do not count.
type Impact struct {
	// UsersInScope is the sum of the three others.
	UsersInScope int
	// Compliant users have what is demanded of them, be it nothing.
	Compliant int
	// WillBePrompted users have to set up a factor at their next sign-in.
	WillBePrompted int
	// WillBeBlocked users cannot sign in any more: no factor they could set up
	// is allowed, or no way to sign in that they have.
	WillBeBlocked int
}

// Add sums up two impacts.
func (i Impact) Add(other Impact) Impact {
	return Impact{
		UsersInScope:   i.UsersInScope + other.UsersInScope,
		Compliant:      i.Compliant + other.Compliant,
		WillBePrompted: i.WillBePrompted + other.WillBePrompted,
		WillBeBlocked:  i.WillBeBlocked + other.WillBeBlocked,
	}
}

// ImpactOf tells what it means for users that these login settings hold.
func ImpactOf(settings idp.Settings, users Histogram) Impact { return gateOf(settings).impact(users) }

func (g gate) impact(users Histogram) Impact {
	var impact Impact
	for traits, n := range users {
		if traits.HasAny(Locked | Inactive) {
			continue
		}
		impact.UsersInScope += n
		switch {
		case g.noWayIn(traits):
			impact.WillBeBlocked += n
		case !g.demands(traits), traits.HasAny(g.accepted):
			impact.Compliant += n
		case g.canSetUp():
			impact.WillBePrompted += n
		default:
			impact.WillBeBlocked += n
		}
	}
	return impact
}
