package sealed

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// What is told of one Secret may come late, from the watch or as an answer.
func TestTheNewestIsKnown(t *testing.T) {
	name := types.NamespacedName{Namespace: "shop", Name: SecretName("alice")}
	secret := func(number string) *corev1.Secret {
		return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: name.Namespace, Name: name.Name, ResourceVersion: number}}
	}
	for _, c := range []struct {
		reason string
		told   func(*Cached)
		want   version
	}{
		{"in order", func(c *Cached) { c.note(secret("9"), false); c.note(secret("10"), false) }, version{number: "10", secret: secret("10")}},
		{"the older one late", func(c *Cached) { c.note(secret("10"), false); c.note(secret("9"), false) }, version{number: "10", secret: secret("10")}},
		{"deleted", func(c *Cached) { c.note(secret("9"), false); c.note(secret("10"), true) }, version{number: "10"}},
		{"deleted, and an answer late", func(c *Cached) { c.note(secret("10"), true); c.note(secret("9"), false) }, version{number: "10"}},
		{"made again", func(c *Cached) { c.note(secret("10"), true); c.note(secret("11"), false) }, version{number: "11", secret: secret("11")}},
		{"a deletion late", func(c *Cached) { c.note(secret("11"), false); c.note(secret("10"), true) }, version{number: "11", secret: secret("11")}},
		{"a deletion that was missed", func(c *Cached) { c.note(secret("11"), false); c.doubtMissed(secret("9")) },
			version{number: "11", secret: secret("11"), doubtful: true}},
		{"doubted, and told something older", func(c *Cached) { c.note(secret("11"), false); c.doubt(name); c.note(secret("10"), false) },
			version{number: "11", secret: secret("11"), doubtful: true}},
		{"doubted, and told something newer", func(c *Cached) { c.note(secret("11"), false); c.doubt(name); c.note(secret("12"), false) },
			version{number: "12", secret: secret("12")}},
	} {
		cached := NewCached(nil, "")
		c.told(cached)
		is := cached.known[name]
		if is.number != c.want.number || (is.secret == nil) != (c.want.secret == nil) || is.doubtful != c.want.doubtful ||
			is.secret != nil && is.secret.ResourceVersion != c.want.secret.ResourceVersion {
			t.Errorf("%s: known is %+v, want %+v", c.reason, is, c.want)
		}
	}
}
