package idp_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/neosc/mfa-operator/internal/idp"
)

// samples has values of each kind, the odd ones too: Zitadel stores whatever it
// is given, and what stood before must be put back as it was.
var samples = map[string][]idp.Value{
	"boolean":  {idp.Bool(false), idp.Bool(true)},
	"number":   {idp.Number(0), idp.Number(8), idp.Number(-1), idp.Number(1<<63 - 1)},
	"duration": {idp.Duration(0), idp.Duration(18 * time.Hour), idp.Duration(-time.Second), idp.Duration(1), idp.Duration(time.Hour + 30*time.Millisecond)},
	"text":     {idp.Text(""), idp.Text("https://example.com/?a=b c"), idp.Text("true"), idp.Text("zwei\nZeilen")},
}

func TestEveryValueCanBeReadBack(t *testing.T) {
	for kind, s := range map[string]idp.Setting{
		"boolean": idp.ForceMFA, "number": idp.PasswordMinLength, "duration": idp.PasswordCheckLifetime, "text": idp.DefaultRedirectURI,
	} {
		for _, v := range samples[kind] {
			if got, err := s.Parse(v.String()); err != nil || got != v {
				t.Errorf("%s: %q is read back as %q, %v", s, v, got, err)
			}
		}
	}
}

// TestEverySettingHasAKind: what the catalogue says of a setting decides what
// is read from a claim, so each must read exactly one kind.
func TestEverySettingHasAKind(t *testing.T) {
	for _, s := range idp.AllSettings() {
		var reads []string
		for kind, rendered := range map[string]string{"boolean": "true", "number": "8", "duration": "18h0m0s", "text": "a text"} {
			if _, err := s.Parse(rendered); err == nil {
				reads = append(reads, kind)
			}
		}
		if slices.Contains(reads, "text") {
			reads = []string{"text"} // reads all
		}
		if len(reads) != 1 {
			t.Errorf("%s reads as %v", s, reads)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for _, c := range []struct {
		setting  idp.Setting
		rendered string
		why      string
	}{
		{idp.ForceMFA, "", "nothing is not false"},
		{idp.ForceMFA, "yes", "a word of YAML, not ours"},
		{idp.MaxOTPAttempts, "5m", "a duration is no number"},
		{idp.MaxOTPAttempts, "1.5", "attempts are whole"},
		{idp.MaxOTPAttempts, "9223372036854775808", "larger than any number we know"},
		{idp.PasswordCheckLifetime, "15", "a lifetime has a unit"},
		{"login.newerThanUs", "true", "an unknown setting has no kind"},
	} {
		v, err := c.setting.Parse(c.rendered)
		if err == nil {
			t.Errorf("%s reads %q as %q: %s", c.setting, c.rendered, v, c.why)
		} else if !strings.Contains(err.Error(), string(c.setting)) {
			t.Errorf("the error does not name %s: %v", c.setting, err)
		}
	}
}

// TestValuesOfOtherKindsAreZero, and never what they look like.
func TestValuesOfOtherKindsAreZero(t *testing.T) {
	for kind, values := range samples {
		for _, v := range values {
			if kind != "boolean" && v.Bool() {
				t.Errorf("%s %q is true", kind, v)
			}
			if kind != "number" && v.Number() != 0 {
				t.Errorf("%s %q is the number %d", kind, v, v.Number())
			}
			if kind != "duration" && v.Duration() != 0 {
				t.Errorf("%s %q is the duration %s", kind, v, v.Duration())
			}
			if kind != "text" && v.Text() != "" {
				t.Errorf("%s %q is the text %q", kind, v, v.Text())
			}
		}
	}
	if none := (idp.Value{}); none == idp.Bool(false) || none == idp.Number(0) || none == idp.Duration(0) || none == idp.Text("") || none.String() != "" {
		t.Error("no value at all must differ from every value")
	}
}

func TestValuesKeepWhatTheyAreMadeOf(t *testing.T) {
	if !idp.Bool(true).Bool() || idp.Bool(false).Bool() {
		t.Error("a boolean is not what it was made of")
	}
	if idp.Number(-7).Number() != -7 || idp.Duration(-time.Minute).Duration() != -time.Minute || idp.Text(" a ").Text() != " a " {
		t.Error("a value is not what it was made of")
	}
}
