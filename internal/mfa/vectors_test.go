package mfa

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"
)

var (
	seed20 = []byte("12345678901234567890")
	seed32 = []byte("12345678901234567890123456789012")
	seed64 = []byte("1234567890123456789012345678901234567890123456789012345678901234")
)

// RFC 4226, Appendix D.
func TestCodesAreThoseOfRFC4226(t *testing.T) {
	for step, want := range []string{
		"755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871", "520489",
	} {
		got, err := totpSecret{Seed: seed20, Algorithm: "SHA1", Digits: 6}.code(int64(step))
		if err != nil || got != want {
			t.Errorf("count %d: %s, %v; want %s", step, got, err, want)
		}
	}
}

// RFC 6238, Appendix B.
func TestCodesAreThoseOfRFC6238(t *testing.T) {
	for _, c := range []struct {
		at                   int64
		sha1, sha256, sha512 string
	}{
		{59, "94287082", "46119246", "90693936"},
		{1111111109, "07081804", "68084774", "25091201"},
		{1111111111, "14050471", "67062674", "99943326"},
		{1234567890, "89005924", "91819424", "93441116"},
		{2000000000, "69279037", "90698825", "38618901"},
		{20000000000, "65353130", "77737706", "47863826"},
	} {
		for _, v := range []struct {
			secret totpSecret
			want   string
		}{
			{totpSecret{seed20, "SHA1", 8}, c.sha1}, {totpSecret{seed32, "SHA256", 8}, c.sha256}, {totpSecret{seed64, "SHA512", 8}, c.sha512},
		} {
			name := fmt.Sprintf("%s at %d", v.secret.Algorithm, c.at)
			steps, err := v.secret.match(v.want, time.Unix(c.at, 0))
			if err != nil || len(steps) != 1 || steps[0] != c.at/30 {
				t.Errorf("%s: the code is of steps %v, %v; want %d", name, steps, err, c.at/30)
			}
			v.secret.Digits = 6
			if steps, err = v.secret.match(v.want[2:], time.Unix(c.at, 0)); err != nil || len(steps) != 1 {
				t.Errorf("%s: with 6 digits the code is of steps %v, %v", name, steps, err)
			}
			if steps, err = v.secret.match(v.want, time.Unix(c.at, 0)); err != nil || len(steps) != 0 {
				t.Errorf("%s: 8 digits are taken for 6: %v, %v", name, steps, err)
			}
		}
	}
}

func TestASeedThatIsNoneIsRefused(t *testing.T) {
	for _, c := range []struct{ reason, secret string }{
		{"nothing at all", ``},
		{"no member", `{}`},
		{"an empty seed, which the library takes", `{"seed":"","algorithm":"SHA1","digits":6}`},
		{"80 bits", `{"seed":"AAAAAAAAAAAAAA==","algorithm":"SHA1","digits":6}`},
		{"an algorithm that is none", `{"seed":"AAAAAAAAAAAAAAAAAAAAAAAAAAA=","algorithm":"MD5","digits":6}`},
		{"no digits", `{"seed":"AAAAAAAAAAAAAAAAAAAAAAAAAAA=","algorithm":"SHA1","digits":0}`},
		{"100 digits", `{"seed":"AAAAAAAAAAAAAAAAAAAAAAAAAAA=","algorithm":"SHA1","digits":100}`},
		{"no JSON", `seed`},
	} {
		if _, err := parseTOTP([]byte(c.secret)); !errors.Is(err, ErrUnsealable) {
			t.Errorf("%s: %v", c.reason, err)
		}
	}
	good, err := json.Marshal(totpSecret{seed20, "SHA1", 6})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parseTOTP(good); err != nil {
		t.Error(err)
	}
}

func TestTheDelayDoublesUpToAnEnd(t *testing.T) {
	for failures, want := range []time.Duration{
		0, 0, 0, time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, 16 * time.Second, 30 * time.Second, 30 * time.Second,
	} {
		if got := delay(failures); got != want {
			t.Errorf("after %d failures: %s, want %s", failures, got, want)
		}
	}
	if got := delay(1 << 40); got != lastDelay {
		t.Errorf("after very many: %s", got)
	}
}

func TestARecoveryCodeIsReadAsPeopleWriteIt(t *testing.T) {
	const plain = "0123456789ABCDEFGHJKMNPQR"
	for _, c := range []struct{ code, want, reason string }{
		{"01234-56789-ABCDE-FGHJK-MNPQR", plain, "as shown"},
		{"01234 56789 abcde fghjk mnpqr", plain, "lower case and spaces"},
		{"O1234-56789-ABCDE-FGHJK-MNPQR", plain, "the letter O for zero"},
		{"0I234-56789-ABCDE-FGHJK-MNPQR", plain, "the letter I for one"},
		{"0l234-56789-ABCDE-FGHJK-MNPQR", plain, "the letter l for one"},
		{"0U234-56789-ABCDE-FGHJK-MNPQR", "", "U is not in the alphabet"},
		{"01234-56789-ABCDE-FGHJK-MNPQ", "", "one too few"},
		{"01234-56789-ABCDE-FGHJK-MNPQRS", "", "one too many"},
		{"01234-56789-ABCDE-FGHJK-MNPQ\n", "", "a line feed"},
		{"\u00a001234-56789-ABCDE-FGHJK-MNPQR", "", "white space of another alphabet"},
		{"", "", "empty"},
		{string(make([]byte, 1<<20)), "", "a megabyte"},
	} {
		if got := plainRecovery(c.code); got != c.want {
			t.Errorf("%s: %q, want %q", c.reason, got, c.want)
		}
	}
}
