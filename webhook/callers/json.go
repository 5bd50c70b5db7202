package callers

import (
	"errors"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"
	"sigs.k8s.io/json"
)

// strictJSON reads JSON of which there is one reading only: in UTF-8, each member
// once, names exactly as they are.
var strictJSON = huma.Format{Marshal: huma.DefaultJSONFormat.Marshal, Unmarshal: unmarshal}

// errNoJSON says nothing of what was read: it may be a code.
var errNoJSON = errors.New("is not one JSON value in UTF-8, with each member once")

func unmarshal(data []byte, into any) error {
	if !utf8.Valid(data) {
		return errNoJSON
	}
	if ambiguous, err := json.UnmarshalStrict(data, into); err != nil || len(ambiguous) > 0 {
		return errNoJSON
	}
	return nil
}
