package fidometadata

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-webauthn/webauthn/metadata"
	"github.com/google/uuid"
)

// signer is whom the certificate of the BLOB has to be for (MDS 3.0, 3.1.7): its
// root issues certificates for anybody.
const signer = "mds.fidoalliance.org"

// algorithms are those that the service signs with. Nothing that names another is
// looked at.
var algorithms = []jose.SignatureAlgorithm{jose.RS256, jose.ES256}

// blob is one that was signed by the service.
type blob struct {
	number  int
	until   time.Time // when its successor should long have been there
	entries map[uuid.UUID]*metadata.Entry
	unread  int // entries that could not be read, which then are not known
}

// serviceRoots has the root that the service's certificate leads to.
func serviceRoots() (*x509.CertPool, error) {
	der, err := base64.StdEncoding.DecodeString(metadata.ProductionMDSRoot)
	if err != nil {
		return nil, fmt.Errorf("reading the root of the metadata service: %w", err)
	}
	root, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("reading the root of the metadata service: %w", err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(root)
	return pool, nil
}

// parse checks who signed a BLOB, and reads it. Whether a certificate was revoked is
// not asked: that would take the network.
func parse(text string, roots *x509.CertPool, now time.Time) (*blob, error) {
	signed, err := jose.ParseSignedCompact(strings.TrimSpace(text), algorithms)
	if err != nil {
		return nil, fmt.Errorf("it is no signed BLOB: %w", err)
	}
	chains, err := signed.Signatures[0].Protected.Certificates(x509.VerifyOptions{
		DNSName: signer, Roots: roots, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	})
	if err != nil {
		return nil, fmt.Errorf("it is not signed by the metadata service: %w", err)
	}
	payload, err := signed.Verify(chains[0][0].PublicKey)
	if err != nil {
		return nil, errors.New("its signature is wrong")
	}
	raw := &metadata.PayloadJSON{}
	if err := json.Unmarshal(payload, raw); err != nil {
		return nil, fmt.Errorf("reading its content: %w", err)
	}
	decoder, err := metadata.NewDecoder(metadata.WithIgnoreEntryParsingErrors())
	if err != nil {
		return nil, fmt.Errorf("reading its content: %w", err)
	}
	read, err := decoder.Parse(raw)
	if err != nil {
		return nil, fmt.Errorf("reading its content: %w", err)
	}
	return &blob{
		number: read.Parsed.Number, until: read.Parsed.NextUpdate.AddDate(0, 0, 1), entries: read.ToMap(), unread: len(read.Unparsed),
	}, nil
}
