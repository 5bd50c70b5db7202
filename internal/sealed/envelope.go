package sealed

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/neosc/mfa-operator/internal/mfa"
)

// envelope is one credential as a data entry, named by the credential's id. All
// but Sealed may be read without a key, and none of it can be changed without
// one: it is part of what Sealed is bound to.
type envelope struct {
	Method  mfa.Method `json:"method"`
	Name    string     `json:"name,omitempty"`
	AddedAt time.Time  `json:"addedAt"`
	AAGUID  string     `json:"aaguid,omitempty"`
	Ledger  string     `json:"ledger,omitempty"`
	Sealed  []byte     `json:"sealed"`
}

var idPattern = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

// validate refuses what could not be read back as it was.
func validate(c mfa.Credential) error {
	var errs []error
	if !idPattern.MatchString(c.ID) {
		errs = append(errs, fmt.Errorf("credential id %q: not 1 to 63 of a-z, 0-9 and '-'", c.ID))
	}
	if c.Method == "" {
		errs = append(errs, fmt.Errorf("credential %q has no method", c.ID))
	}
	if !utf8.ValidString(c.Name) || utf8.RuneCountInString(c.Name) > 64 {
		errs = append(errs, fmt.Errorf("the name of credential %q is not text of at most 64 characters", c.ID))
	}
	if len(c.Secret) == 0 {
		errs = append(errs, fmt.Errorf("credential %q has no secret", c.ID))
	}
	return errors.Join(errs...)
}

// credentialBound is what the secret of a credential is bound to: the place, and
// all that stands beside it.
func credentialBound(owner mfa.Owner, c mfa.Credential) []byte {
	return bound(useCredential, owner, c.ID, "secret", string(c.Method), c.Name, c.AddedAt.UTC().Format(time.RFC3339Nano), c.AAGUID, c.Ledger)
}

func encodeEnvelope(k *keys, owner mfa.Owner, c mfa.Credential) ([]byte, error) {
	sealed, err := k.seal(c.Secret, credentialBound(owner, c))
	if err != nil {
		return nil, err
	}
	return json.Marshal(envelope{Method: c.Method, Name: c.Name, AddedAt: c.AddedAt.UTC(), AAGUID: c.AAGUID, Ledger: c.Ledger, Sealed: sealed})
}

// decodeEnvelope returns the credential with its secret still sealed.
func decodeEnvelope(id string, data []byte) (c mfa.Credential, sealed []byte, err error) {
	var e envelope
	if err := json.Unmarshal(data, &e); err != nil {
		return c, nil, fmt.Errorf("entry %s is no credential: %w", id, mfa.ErrUnsealable)
	}
	return mfa.Credential{ID: id, Method: e.Method, Name: e.Name, AddedAt: e.AddedAt, AAGUID: e.AAGUID, Ledger: e.Ledger}, e.Sealed, nil
}

// inOrder sorts by when they were added; at the same time, by id.
func inOrder(credentials []mfa.Credential) {
	slices.SortFunc(credentials, func(a, b mfa.Credential) int {
		if order := a.AddedAt.Compare(b.AddedAt); order != 0 {
			return order
		}
		return strings.Compare(a.ID, b.ID)
	})
}
