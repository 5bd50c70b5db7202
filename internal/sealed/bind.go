package sealed

import (
	"encoding/binary"

	"github.com/neosc/mfa-operator/internal/mfa"
)

// The uses of a key. A value made for one use is worthless for another.
const (
	useCredential = "neosc-mfa credential v1"
	useTravel     = "neosc-mfa travel v1"
	useHash       = "neosc-mfa hash v1"
)

// bound joins the parts so that different parts never give the same bytes: each
// follows its length.
func bound(use string, owner mfa.Owner, parts ...string) []byte {
	var out []byte
	for _, part := range append([]string{use, owner.Namespace, owner.Name, owner.UID}, parts...) {
		out = binary.AppendUvarint(out, uint64(len(part)))
		out = append(out, part...)
	}
	return out
}
