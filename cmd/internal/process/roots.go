package process

import (
	// Whom TLS trusts where the system names nobody: the container image is empty
	// but for the binaries. Mozilla's list, as of the version in go.mod; a list of
	// the system's comes before it.
	_ "golang.org/x/crypto/x509roots/fallback"
)
