package fidometadata_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-logr/logr/funcr"
	"github.com/go-webauthn/webauthn/metadata"
	"github.com/google/uuid"

	"github.com/neosc/mfa-operator/internal/fidometadata"
)

var (
	noon   = time.Date(2030, 5, 17, 12, 0, 0, 0, time.UTC)
	make1  = uuid.MustParse("ee882879-721c-4913-9775-3dfcce97072a")
	make2  = uuid.MustParse("fa2b99dc-9e39-4257-8f92-4a30d23c4118")
	nobody = uuid.MustParse("11111111-1111-4111-8111-111111111111")
)

// authority issues certificates to services.
type authority struct {
	t    *testing.T
	root *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) authority {
	t.Helper()
	a := authority{t: t, key: newKey(t)}
	a.root = a.sign(&x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Root"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign,
	}, nil, a.key)
	return a
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func (a authority) sign(template, parent *x509.Certificate, key *ecdsa.PrivateKey) *x509.Certificate {
	a.t.Helper()
	if parent == nil {
		parent = template
	}
	if template.NotBefore.IsZero() {
		template.NotBefore, template.NotAfter = noon.AddDate(-1, 0, 0), noon.AddDate(1, 0, 0)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return c
}

func (a authority) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.root)
	return pool
}

// blob is one of that number, good until a day, signed by a service of that name.
func (a authority) blob(name string, number int, next string, change ...func(*x509.Certificate)) string {
	a.t.Helper()
	entry := func(id uuid.UUID, status string) map[string]any {
		return map[string]any{
			"aaguid": id.String(), "timeOfLastStatusChange": "2030-01-01",
			"statusReports": []any{map[string]any{"status": status, "effectiveDate": "2030-01-01"}},
			"metadataStatement": map[string]any{
				"aaguid": id.String(), "description": "a key", "attestationTypes": []string{"basic_full"},
				"attestationRootCertificates": []string{base64.StdEncoding.EncodeToString(a.root.Raw)},
			},
		}
	}
	payload, err := json.Marshal(map[string]any{
		"no": number, "nextUpdate": next, "entries": []any{entry(make1, "FIDO_CERTIFIED"), entry(make2, "REVOKED")},
	})
	if err != nil {
		a.t.Fatal(err)
	}
	key := newKey(a.t)
	template := &x509.Certificate{SerialNumber: big.NewInt(2), DNSNames: []string{name}}
	for _, c := range change {
		c(template)
	}
	leaf := a.sign(template, a.root, key)
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, (&jose.SignerOptions{}).WithHeader("x5c", []string{
		base64.StdEncoding.EncodeToString(leaf.Raw), base64.StdEncoding.EncodeToString(a.root.Raw),
	}))
	if err != nil {
		a.t.Fatal(err)
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		a.t.Fatal(err)
	}
	text, err := signed.CompactSerialize()
	if err != nil {
		a.t.Fatal(err)
	}
	return text
}

const service = "mds.fidoalliance.org"

// world is a file and what was read of it.
type world struct {
	*fidometadata.Metadata
	t      *testing.T
	file   string
	now    time.Time
	logged strings.Builder
	writes int
}

func newWorld(t *testing.T, a authority, text string) *world {
	t.Helper()
	w := &world{t: t, file: filepath.Join(t.TempDir(), "blob.jwt"), now: noon}
	w.write(text)
	var err error
	w.Metadata, err = fidometadata.Open(fidometadata.Config{
		File: w.file, Roots: a.pool(), Clock: func() time.Time { return w.now },
		Log: funcr.New(func(_, args string) { w.logged.WriteString(args + "\n") }, funcr.Options{}),
	})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// write puts another file there, which looks newer.
func (w *world) write(text string) {
	w.t.Helper()
	w.writes++
	if err := os.WriteFile(w.file, []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
	if err := os.Chtimes(w.file, time.Time{}, noon.Add(time.Duration(w.writes)*time.Second)); err != nil {
		w.t.Fatal(err)
	}
}

// vouches tells whether a make is known and good, and so at all.
func (w *world) vouches(id uuid.UUID) bool {
	entry, err := w.GetEntry(w.t.Context(), id)
	return w.GetValidateTrustAnchor(w.t.Context()) && err == nil && entry != nil && w.ValidateStatusReports(w.t.Context(), entry.StatusReports) == nil
}

func TestWhatTheFileVouchesFor(t *testing.T) {
	a := newAuthority(t)
	w := newWorld(t, a, a.blob(service, 7, "2030-05-20")+"\n")
	if !w.vouches(make1) || w.vouches(make2) || w.vouches(nobody) || w.vouches(uuid.Nil) {
		t.Errorf("certified %v, revoked %v, unknown %v, none %v", w.vouches(make1), w.vouches(make2), w.vouches(nobody), w.vouches(uuid.Nil))
	}
	entry, err := w.GetEntry(t.Context(), make1)
	if err != nil || len(entry.MetadataStatement.AttestationRootCertificates) != 1 || !entry.MetadataStatement.AttestationTypes.HasBasicFull() {
		t.Errorf("%+v, %v", entry, err)
	}
	var _ metadata.Provider = w
}

// A file that is not the service's is as if there were none.
func TestAFileThatIsNotBelieved(t *testing.T) {
	a, other := newAuthority(t), newAuthority(t)
	good := a.blob(service, 7, "2030-05-20")
	parts := strings.Split(good, ".")
	forged := base64.RawURLEncoding.EncodeToString([]byte(`{"no":9,"nextUpdate":"2040-01-01","entries":[]}`))
	for why, text := range map[string]string{
		"another authority":                other.blob(service, 7, "2030-05-20"),
		"the same authority, another name": a.blob("example.com", 7, "2030-05-20"),
		"a certificate that has ended": a.blob(service, 7, "2030-05-20", func(c *x509.Certificate) {
			c.NotBefore, c.NotAfter = noon.AddDate(-1, 0, 0), noon.AddDate(0, 0, -1)
		}),
		"another content":   parts[0] + "." + forged + "." + parts[2],
		"another signature": good[:len(good)-8] + "AAAAAAAA",
		"no signature":      base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + "." + parts[1] + ".",
		"no BLOB":           "<html>",
		"nothing":           "",
		"no date":           a.blob(service, 7, "soon"),
	} {
		w := newWorld(t, a, text)
		if w.vouches(make1) || w.GetValidateTrustAnchor(t.Context()) {
			t.Errorf("%s: it is believed", why)
		}
		if !strings.Contains(w.logged.String(), "There are no FIDO metadata") {
			t.Errorf("%s: nobody is told: %s", why, &w.logged)
		}
		w.write(good)
		if err := w.Look(); err != nil || !w.vouches(make1) {
			t.Errorf("%s: then the right one: %v", why, err)
		}
	}
}

func TestANewerFile(t *testing.T) {
	a := newAuthority(t)
	w := newWorld(t, a, a.blob(service, 7, "2030-05-20"))
	for _, c := range []struct {
		why, text string
		taken     bool
	}{
		{"an older one, brought back", a.blob(service, 6, "2031-05-20"), false},
		{"one that is broken", "x", false},
		{"the same number", a.blob(service, 7, "2030-05-20"), true},
	} {
		w.write(c.text)
		if err := w.Look(); (err == nil) != c.taken {
			t.Errorf("%s: %v", c.why, err)
		}
		if !w.vouches(make1) {
			t.Errorf("%s: what was read before is not in force any more", c.why)
		}
	}

	w.now = time.Date(2030, 5, 20, 23, 59, 59, 0, time.UTC)
	if !w.vouches(make1) {
		t.Error("on the day of the next one, it is over already")
	}
	w.now = w.now.Add(time.Second)
	w.logged.Reset()
	for range 3 {
		if err := w.Look(); err != nil {
			t.Error(err)
		}
	}
	if w.vouches(make1) || strings.Count(w.logged.String(), "too old") != 1 {
		t.Errorf("the day after, it is in force, or that is not told once: %s", &w.logged)
	}
	w.write(a.blob(service, 8, "2030-06-20"))
	if err := w.Look(); err != nil || !w.vouches(make1) {
		t.Errorf("the next one: %v", err)
	}
}

func TestTheServicesOwnRoot(t *testing.T) {
	a := newAuthority(t)
	file := filepath.Join(t.TempDir(), "blob.jwt")
	if err := os.WriteFile(file, []byte(a.blob(service, 7, "2030-05-20")), 0o600); err != nil {
		t.Fatal(err)
	}
	m, err := fidometadata.Open(fidometadata.Config{File: file, Clock: func() time.Time { return noon }, Log: funcr.New(func(string, string) {}, funcr.Options{})})
	if err != nil || m.GetValidateTrustAnchor(t.Context()) {
		t.Errorf("unless told otherwise, only the FIDO Alliance is believed: %v", err)
	}
}
