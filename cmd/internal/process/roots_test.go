package process

import (
	"crypto/x509"
	"os"
	"os/exec"
	"testing"
)

// Where the system trusts nobody, as in the container image, the processes still
// know whom to trust. Go reads the system's list once, so it takes a process of
// its own to have none.
func TestRootsWithoutASystem(t *testing.T) {
	const inside = "TEST_INSIDE_AN_EMPTY_IMAGE"
	if os.Getenv(inside) == "" {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$")
		cmd.Env = []string{inside + "=1", "SSL_CERT_FILE=/nonexistent", "SSL_CERT_DIR=/nonexistent"}
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	// What is added to a pool of one's own, such as a caBundle, adds to these.
	pool, err := x509.SystemCertPool()
	if err != nil {
		t.Fatal(err)
	}
	if pool.Equal(x509.NewCertPool()) {
		t.Error("nobody is trusted: TLS to Zitadel, SMTP servers and gateways would fail")
	}
}
