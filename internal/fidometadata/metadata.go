package fidometadata

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-webauthn/webauthn/metadata"
	"github.com/google/uuid"
)

const (
	// lookAgain is how often the file is looked at.
	lookAgain = time.Minute
	// largest is the longest file that is read, in bytes: ten times what there is.
	largest = 128 << 20
)

// Config is what a Metadata is made of. File, Clock and Log have to be set.
type Config struct {
	// File has the BLOB.
	File string
	// Roots are those that may have issued the certificate it is signed with. Nil:
	// the FIDO Alliance's.
	Roots *x509.CertPool
	Clock func() time.Time
	Log   logr.Logger
}

// Metadata is a metadata.Provider of what the file says. It is a manager.Runnable
// that looks for newer ones.
type Metadata struct {
	Config
	now  atomic.Pointer[blob]
	seen string // what the file looked like when it was last read
	told bool   // that the time is over
}

var _ metadata.Provider = (*Metadata)(nil)

// Open reads the file. One that cannot be used, or is not there yet, is logged and
// looked at again: until then nobody is vouched for, and whoever needs no attestation
// is not kept waiting.
func Open(c Config) (*Metadata, error) {
	if c.Roots == nil {
		var err error
		if c.Roots, err = serviceRoots(); err != nil {
			return nil, err
		}
	}
	m := &Metadata{Config: c}
	if err := m.Look(); err != nil {
		m.Log.Error(err, "There are no FIDO metadata: no authenticator whose make has to be proven can be enrolled")
	}
	return m, nil
}

// Look reads the file if it has changed. What cannot be used leaves what was read
// before in force.
func (m *Metadata) Look() error {
	info, err := os.Stat(m.File)
	if err != nil {
		return fmt.Errorf("looking at the FIDO metadata: %w", err)
	}
	if looks := fmt.Sprint(info.ModTime().UnixNano(), " ", info.Size()); looks != m.seen {
		if info.Size() > largest {
			return fmt.Errorf("the FIDO metadata in %s have more than %d bytes", m.File, largest)
		}
		if err := m.read(); err != nil {
			return fmt.Errorf("reading the FIDO metadata in %s: %w", m.File, err)
		}
		m.seen = looks
	}
	if over := m.over(); over && !m.told {
		m.Log.Error(errors.New("its successor is due"), "The FIDO metadata are too old: no authenticator whose make has to be proven can be enrolled",
			"file", m.File, "number", m.now.Load().number, "until", m.now.Load().until)
		m.told = true
	} else if !over {
		m.told = false
	}
	return nil
}

func (m *Metadata) read() error {
	text, err := os.ReadFile(m.File)
	if err != nil {
		return err
	}
	b, err := parse(string(text), m.Roots, m.Clock())
	if err != nil {
		return err
	}
	if before := m.now.Load(); before != nil && b.number < before.number {
		return fmt.Errorf("it has the number %d, and there has been %d already", b.number, before.number)
	}
	m.now.Store(b)
	m.Log.Info("Read FIDO metadata", "number", b.number, "until", b.until, "authenticators", len(b.entries), "unread", b.unread)
	return nil
}

// Start implements manager.Runnable.
func (m *Metadata) Start(ctx context.Context) error {
	ticker := time.NewTicker(lookAgain)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			if err := m.Look(); err != nil {
				m.Log.Error(err, "The FIDO metadata stay as they were")
			}
		}
	}
}

// NeedLeaderElection implements manager.LeaderElectionRunnable: every replica reads
// its own.
func (m *Metadata) NeedLeaderElection() bool { return false }

// over tells whether nothing was read, or its time is over.
func (m *Metadata) over() bool {
	b := m.now.Load()
	return b == nil || !m.Clock().Before(b.until)
}

// GetEntry implements metadata.Provider.
func (m *Metadata) GetEntry(_ context.Context, aaguid uuid.UUID) (*metadata.Entry, error) {
	if m.over() {
		return nil, errors.New("there are no FIDO metadata, or they are too old")
	}
	return m.now.Load().entries[aaguid], nil
}

// GetValidateTrustAnchor implements metadata.Provider: attestations are led to a
// root, as long as roots are known.
func (m *Metadata) GetValidateTrustAnchor(context.Context) bool { return !m.over() }

// GetValidateEntry implements metadata.Provider: a make that is not known is not
// believed.
func (m *Metadata) GetValidateEntry(context.Context) bool { return true }

// GetValidateEntryPermitZeroAAGUID implements metadata.Provider: nor is none.
func (m *Metadata) GetValidateEntryPermitZeroAAGUID(context.Context) bool { return false }

// GetValidateStatus implements metadata.Provider.
func (m *Metadata) GetValidateStatus(context.Context) bool { return true }

// GetValidateAttestationTypes implements metadata.Provider.
func (m *Metadata) GetValidateAttestationTypes(context.Context) bool { return true }

// ValidateStatusReports implements metadata.Provider: a make that was revoked, or
// whose keys are known to have leaked, is refused.
func (m *Metadata) ValidateStatusReports(_ context.Context, reports []metadata.StatusReport) error {
	return metadata.ValidateStatusReportsAt(reports, nil, metadata.DefaultUndesiredAuthenticatorStatuses(), m.Clock())
}
