package verify

import (
	"os"
	"testing"

	"github.com/neosc/mfa-operator/test/harness"
)

// TestMain lets the replica run in a process of its own.
func TestMain(m *testing.M) {
	if code, child := harness.RunIfChild(); child {
		os.Exit(code)
	}
	os.Exit(m.Run())
}
