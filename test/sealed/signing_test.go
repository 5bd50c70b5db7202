package sealed

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-logr/logr"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/neosc/mfa-operator/internal/mfa"
	"github.com/neosc/mfa-operator/internal/signing"
)

const longest = 12 * time.Hour

func (o *operator) signer(t testing.TB) *signing.Signer {
	t.Helper()
	s, err := signing.Open(t.Context(), signing.Config{
		Secrets: cluster.secrets, Namespace: o.namespace, LongestSession: longest, Clock: o.clock.now, Log: logr.Discard(),
	})
	ok(t, err)
	return s
}

type claims struct {
	Subject string `json:"sub"`
	Expiry  int64  `json:"exp"`
}

func sign(t testing.TB, s *signing.Signer, subject string) string {
	t.Helper()
	token, err := s.Sign(claims{subject, 1})
	ok(t, err)
	return token
}

func verifies(t testing.TB, reason string, s *signing.Signer, token, subject string) {
	t.Helper()
	var is claims
	if err := s.Verify(token, &is); err != nil || is != (claims{subject, 1}) {
		t.Errorf("%s: %+v, %v", reason, is, err)
	}
}

func TestReplicasVerifyEachOthersTokens(t *testing.T) {
	o := install(t)
	var all [6]*signing.Signer
	var together sync.WaitGroup
	for i := range all {
		together.Go(func() { all[i] = o.signer(t) })
	}
	together.Wait()
	if t.Failed() {
		return
	}
	for _, from := range all {
		token := sign(t, from, "alice")
		for _, to := range all {
			verifies(t, "a replica that started at the same time", to, token, "alice")
		}
	}
	set := all[0].JWKS()
	if len(set.Keys) != 1 || !set.Keys[0].IsPublic() || set.Keys[0].Algorithm != "ES256" || set.Keys[0].Use != "sig" {
		t.Fatalf("published: %+v", set)
	}
	print, err := set.Keys[0].Thumbprint(crypto.SHA256)
	ok(t, err)
	if set.Keys[0].KeyID != base64.RawURLEncoding.EncodeToString(print) {
		t.Errorf("the key's id is %s, its thumbprint %x", set.Keys[0].KeyID, print)
	}
	published, err := json.Marshal(set)
	ok(t, err)
	if strings.Contains(string(published), `"d"`) {
		t.Error("the private key is published")
	}

	// Somebody who has the published keys alone can check a token.
	var theirs jose.JSONWebKeySet
	ok(t, json.Unmarshal(published, &theirs))
	parsed, err := jose.ParseSignedCompact(sign(t, all[1], "alice"), []jose.SignatureAlgorithm{jose.ES256})
	ok(t, err)
	header := parsed.Signatures[0].Protected
	if _, err := parsed.Verify(theirs.Key(header.KeyID)[0]); err != nil || header.ExtraHeaders[jose.HeaderType] != "JWT" {
		t.Errorf("with the published keys: %v, header %+v", err, header)
	}
}

func TestForgedTokensAreRefused(t *testing.T) {
	o := install(t)
	s := o.signer(t)
	ours := s.JWKS().Keys[0]
	token := sign(t, s, "alice")
	parts := strings.Split(token, ".")
	raw := base64.RawURLEncoding
	payload := []byte(`{"sub":"mallory","exp":1}`)

	forge := func(algorithm jose.SignatureAlgorithm, with any, options *jose.SignerOptions) string {
		signer, err := jose.NewSigner(jose.SigningKey{Algorithm: algorithm, Key: with}, options)
		ok(t, err)
		signed, err := signer.Sign(payload)
		ok(t, err)
		compact, err := signed.CompactSerialize()
		ok(t, err)
		return compact
	}
	mallory, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	ok(t, err)
	wide, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	ok(t, err)
	public, err := x509.MarshalPKIXPublicKey(ours.Key)
	ok(t, err)
	parsed, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.ES256})
	ok(t, err)
	named := func(key any) jose.JSONWebKey { return jose.JSONWebKey{Key: key, KeyID: ours.KeyID} }

	for reason, forged := range map[string]string{
		"alg none":                               raw.EncodeToString([]byte(`{"alg":"none","kid":"`+ours.KeyID+`"}`)) + "." + raw.EncodeToString(payload) + ".",
		"alg none, with our signature":           raw.EncodeToString([]byte(`{"alg":"none","kid":"`+ours.KeyID+`"}`)) + "." + parts[1] + "." + parts[2],
		"HS256 with our public key as secret":    forge(jose.HS256, named(public), nil),
		"another key under our key's id":         forge(jose.ES256, named(mallory), nil),
		"a key of another curve":                 forge(jose.ES384, named(wide), nil),
		"no key id":                              forge(jose.ES256, mallory, nil),
		"a key that the token brings":            forge(jose.ES256, mallory, &jose.SignerOptions{EmbedJWK: true}),
		"a key id that is not ours":              forge(jose.ES256, jose.JSONWebKey{Key: mallory, KeyID: "mallory"}, nil),
		"a key that the token points to":         forge(jose.ES256, named(mallory), (&jose.SignerOptions{}).WithHeader("jku", "https://evil.example")),
		"other claims under our signature":       parts[0] + "." + raw.EncodeToString(payload) + "." + parts[2],
		"no signature":                           parts[0] + "." + parts[1] + ".",
		"a signature cut off":                    token[:len(token)-4],
		"the JSON serialization of our token":    parsed.FullSerialize(),
		"of another installation":                sign(t, install(t).signer(t), "alice"),
		"nothing":                                "",
		"no token":                               "abc",
		"more than anybody should have to parse": token + strings.Repeat("A", 9<<10),
	} {
		var is claims
		if err := s.Verify(forged, &is); !errors.Is(err, mfa.ErrUnsealable) || is.Subject != "" {
			t.Errorf("%s: %+v, %v", reason, is, err)
		}
	}
	verifies(t, "and our own", s, token, "alice")
	var number int
	is(t, "claims of another form", s.Verify(token, &number), mfa.ErrUnsealable)
}

func TestKeysAreRenewedByWhicheverReplica(t *testing.T) {
	o := install(t)
	a, b, late := o.signer(t), o.signer(t), o.signer(t)
	old := sign(t, a, "alice")
	stopA, stopB := running(t, a), running(t, b)
	stopA()
	stopB()

	o.clock.advance(signing.DefaultRotateAfter - signing.DefaultPublishAhead)
	var together sync.WaitGroup
	for range 4 { // they all find that it is time
		together.Go(func() { o.signer(t) })
	}
	together.Wait()
	running(t, a)
	running(t, b)
	eventually(t, "running replicas publish two keys", func() bool { return len(a.JWKS().Keys) == 2 && len(b.JWKS().Keys) == 2 })
	first, second := a.JWKS().Keys[0].KeyID, a.JWKS().Keys[1].KeyID
	if kid(t, sign(t, a, "alice")) != first {
		t.Error("the new key signs before it was published for an hour")
	}
	o.clock.advance(signing.DefaultPublishAhead)
	fresh := sign(t, a, "alice")
	if kid(t, fresh) != second {
		t.Error("the new key does not sign when its time has come")
	}
	verifies(t, "a token of the old key", b, old, "alice")
	verifies(t, "a token of the new key", b, fresh, "alice")

	o.clock.advance(longest - time.Minute)
	verifies(t, "the last session of the old key has not ended", o.signer(t), old, "alice")
	o.clock.advance(2 * time.Minute)
	is(t, "the old key's sessions have all ended", o.signer(t).Verify(old, &claims{}), mfa.ErrUnsealable)
	if late.Check() == nil {
		t.Error("a replica that reads nothing says that it is ready")
	}
}

func newest(s *signing.Signer) string {
	all := s.JWKS().Keys
	return all[len(all)-1].KeyID
}

func kid(t testing.TB, token string) string {
	t.Helper()
	parsed, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.ES256})
	ok(t, err)
	return parsed.Signatures[0].Protected.KeyID
}

// Emptying the Secret is how to end all sessions at once; deleting it is another
// where the webhook may create it again.
func TestKeysThatAreTakenAwayEndAllSessions(t *testing.T) {
	for how, takeAway := range map[string]func(*testing.T, *operator){
		"deleted": func(t *testing.T, o *operator) {
			ok(t, cluster.core.Secrets(o.namespace).Delete(t.Context(), signing.KeysName, metav1.DeleteOptions{}))
		},
		"emptied": func(t *testing.T, o *operator) {
			_, err := cluster.core.Secrets(o.namespace).Patch(t.Context(), signing.KeysName, types.MergePatchType, []byte(`{"data":null}`), metav1.PatchOptions{})
			ok(t, err)
		},
	} {
		t.Run(how, func(t *testing.T) {
			o := install(t)
			o.emptySecret(t, signing.KeysName, signing.TypeKeys)
			a, b := o.signer(t), o.signer(t)
			running(t, a)
			running(t, b)
			for range 2 { // the second at the latest is told by the watch, which is then there
				o.clock.advance(signing.DefaultRotateAfter)
				is := newest(o.signer(t))
				eventually(t, "the new key is heard of", func() bool { return newest(a) == is && newest(b) == is })
			}
			token := sign(t, a, "alice")
			takeAway(t, o)
			eventually(t, "no replica takes the old token", func() bool { return a.Verify(token, &claims{}) != nil && b.Verify(token, &claims{}) != nil })
			token = sign(t, a, "alice")
			eventually(t, "they agree on a new key", func() bool { return b.Verify(token, &claims{}) == nil })
		})
	}
}

func TestSessionKeysThatCannotBeReadAreNotReplaced(t *testing.T) {
	o := install(t)
	running(t, o.signer(t))
	secret, err := cluster.core.Secrets(o.namespace).Get(t.Context(), signing.KeysName, metav1.GetOptions{})
	ok(t, err)
	if secret.Type != signing.TypeKeys {
		t.Errorf("its type is %s", secret.Type)
	}
	secret.Data["keys.json"] = []byte("broken")
	update(t, secret)
	_, err = signing.Open(t.Context(), signing.Config{Secrets: cluster.secrets, Namespace: o.namespace, LongestSession: longest, Clock: o.clock.now, Log: logr.Discard()})
	if err == nil || !strings.Contains(err.Error(), signing.KeysName) {
		t.Errorf("starting with keys that cannot be read: %v", err)
	}
}

func TestSignerConfigIsChecked(t *testing.T) {
	for reason, c := range map[string]signing.Config{
		"no longest session":                      {},
		"published ahead for as long as it signs": {LongestSession: time.Hour, RotateAfter: time.Hour, PublishAhead: time.Hour},
		"published afterwards":                    {LongestSession: time.Hour, PublishAhead: -time.Hour},
	} {
		if _, err := signing.Open(t.Context(), c); err == nil {
			t.Errorf("%s: accepted", reason)
		}
	}
}
