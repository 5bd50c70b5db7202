package mfaapi

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/onsi/gomega"

	"github.com/neosc/mfa-operator/internal/audit"
	"github.com/neosc/mfa-operator/internal/mfa/mfatest"
)

const atOnce = 16

// armed is a user with one of each that is good for one success.
type armed struct {
	name   string
	proofs map[string]object // by method: the body of a verification
	codes  []any             // all recovery codes
	seed   seed
	step   int64 // that enrolled it
}

// arm registers users, from that number on, and has each hold a code of the next time
// step, an assertion, and a recovery code, none of them used.
func (w *world) arm(from, n int) []armed {
	w.t.Helper()
	out := make([]armed, n)
	var all sync.WaitGroup
	limit := make(chan struct{}, 8)
	for i := range out {
		all.Go(func() {
			limit <- struct{}{}
			defer func() { <-limit }()
			out[i] = w.armOne(fmt.Sprintf("user-%03d", from+i))
		})
	}
	all.Wait()
	return out
}

func (w *world) armOne(name string) armed {
	w.app.register(name)
	started := w.app.about(http.MethodPost, name, "/enrolments", object{"method": "TOTP"})
	w.Expect(started.status).To(gomega.Equal(http.StatusCreated), started.raw)
	step, app := time.Now().Unix()/30, seed(started.text("secret"))
	confirmed := w.app.about(http.MethodPost, name, "/enrolments/confirm", object{"token": started.text("token"), "code": app.at(step)})
	w.Expect(confirmed.status).To(gomega.Equal(http.StatusCreated), confirmed.raw)
	session := confirmed.text("session", "token")

	key := w.app.enrolKey(name, session)
	issued := w.app.about(http.MethodPost, name, "/recovery-codes", object{"session": session})
	w.Expect(issued.status).To(gomega.Equal(http.StatusCreated), issued.raw)
	codes, _ := issued.of("codes").([]any)
	return armed{name, map[string]object{
		// That of the next step is good from now on and for half a minute at least.
		"TOTP":          {"method": "TOTP", "code": app.at(step + 1)},
		"RecoveryCodes": {"method": "RecoveryCodes", "code": codes[0]},
		"WebAuthn":      w.app.assertion(name, key),
	}, codes, app, step}
}

// enrolKey gives a user a security key.
func (a *app) enrolKey(user, session string) *mfatest.Authenticator {
	a.w.t.Helper()
	body := object{"method": "WebAuthn", "name": "key"}
	if session != "" {
		body["session"] = session
	}
	started := a.about(http.MethodPost, user, "/enrolments", body)
	a.w.Expect(started.status).To(gomega.Equal(http.StatusCreated), started.raw)
	key := mfatest.NewAuthenticator("example.com", origin, mfatest.ES256)
	key.Counter = 1
	confirmed := a.about(http.MethodPost, user, "/enrolments/confirm", object{"token": started.text("token"), "response": json.RawMessage(key.Create(options(started)))})
	a.w.Expect(confirmed.status).To(gomega.Equal(http.StatusCreated), confirmed.raw)
	return key
}

func options(a answer) json.RawMessage {
	text, err := json.Marshal(a.of("options"))
	if err != nil {
		panic(err) // it was JSON
	}
	return text
}

// assertion asks for a challenge and answers it, without sending it.
func (a *app) assertion(user string, key *mfatest.Authenticator, change ...func(*mfatest.Ceremony)) object {
	a.w.t.Helper()
	challenge := a.about(http.MethodPost, user, "/challenges", object{"method": "WebAuthn"})
	a.w.Expect(challenge.status).To(gomega.Equal(http.StatusCreated), challenge.raw)
	return answerTo(challenge, key, change...)
}

// answerTo answers a challenge, as the body of a verification.
func answerTo(challenge answer, key *mfatest.Authenticator, change ...func(*mfatest.Ceremony)) object {
	return object{"method": "WebAuthn", "challenge": challenge.text("token"), "response": json.RawMessage(key.Get(options(challenge), change...))}
}

// A code, an assertion and a recovery code, 16 times at once to three replicas,
// for many users: each is accepted once, and every try is in etcd, once. ONCE_USERS says
// how many; they come in waves, as a code is good for a minute.
func TestEverythingIsAcceptedOnce(t *testing.T) {
	w := newWorld(t)
	n, wave := 50, 50
	if testing.Short() {
		n = 10
	}
	if asked := os.Getenv("ONCE_USERS"); asked != "" {
		var err error
		n, err = strconv.Atoi(asked)
		w.Expect(err).NotTo(gomega.HaveOccurred())
	}
	counted, want := map[string]int{}, map[string]int{}
	for from := 0; from < n; from += wave {
		users := w.arm(from, min(wave, n-from))
		w.acceptedOnce(users)
		for method := range users[0].proofs {
			want[method+" Succeeded"] += len(users)
			want[method+" Replayed"] += len(users) * (atOnce - 1)
		}
	}
	for _, r := range w.trail(audit.Verification, audit.RecoveryCodeUsed) {
		counted[fmt.Sprint(r.Method, " ", r.Outcome)]++
	}
	w.Expect(counted).To(gomega.Equal(want))
}

// acceptedOnce has each of users show everything they hold, many times at once.
func (w *world) acceptedOnce(users []armed) {
	t := w.t
	t.Helper()
	for method := range users[0].proofs {
		var all sync.WaitGroup
		limit := make(chan struct{}, 3) // users at a time: 48 requests the slowest machine answers in time
		for _, u := range users {
			all.Go(func() {
				limit <- struct{}{}
				defer func() { <-limit }()
				var won, lost atomic.Int32
				var tries sync.WaitGroup
				start := make(chan struct{})
				for i := range atOnce {
					tries.Go(func() {
						<-start
						switch got := w.app.at(i%replicas).about(http.MethodPost, u.name, "/verifications", u.proofs[method]); got.status {
						case http.StatusCreated:
							won.Add(1)
						case http.StatusForbidden:
							lost.Add(1)
						default:
							t.Errorf("%s of %s: %d %s", method, u.name, got.status, got.raw)
						}
					})
				}
				close(start)
				tries.Wait()
				if won.Load() != 1 || lost.Load() != atOnce-1 {
					t.Errorf("%s of %s: accepted %d times, denied %d", method, u.name, won.Load(), lost.Load())
				}
			})
		}
		all.Wait()
	}
}

// A security key over HTTP.
func TestSecurityKey(t *testing.T) {
	w := newWorld(t)
	w.app.register("ann")
	key := w.app.enrolKey("ann", "")
	send := func(replica int, body object) answer {
		return w.app.at(replica).about(http.MethodPost, "ann", "/verifications", body)
	}
	proof := w.app.assertion("ann", key)
	won := send(1, proof)
	w.Expect(won.status).To(gomega.Equal(http.StatusCreated), won.raw)
	w.Expect(won.of("amr")).To(gomega.ContainElements("hwk", "user", "mfa"))
	w.Expect(send(2, proof)).To(beProblem(http.StatusForbidden), "the same again")

	phished := w.app.assertion("ann", key, func(c *mfatest.Ceremony) { c.ClientData["origin"] = "https://login.example.com.evil.example" })
	w.Expect(send(0, phished)).To(beProblem(http.StatusForbidden), "another origin")
	w.Expect(send(1, phished)).To(beProblem(http.StatusForbidden), "another origin, again")
	w.Expect(w.app.at(2).about(http.MethodDelete, "ann", "/lock", nil).status).To(gomega.Equal(http.StatusNoContent), "forget the failures")

	// A challenge is spent by a wrong answer, too.
	challenge := w.app.about(http.MethodPost, "ann", "/challenges", object{"method": "WebAuthn"})
	broken := json.RawMessage(key.Get(options(challenge), func(c *mfatest.Ceremony) { c.ClientData["origin"] = "https://evil.example" }))
	right := json.RawMessage(key.Get(options(challenge)))
	answer := object{"method": "WebAuthn", "challenge": challenge.text("token"), "response": broken}
	w.Expect(send(0, answer)).To(beProblem(http.StatusForbidden))
	answer["response"] = right
	w.Expect(send(1, answer)).To(beProblem(http.StatusForbidden), "the right answer to a challenge that is spent")
	fresh := send(2, w.app.assertion("ann", key))
	w.Expect(fresh.status).To(gomega.Equal(http.StatusCreated), fresh.raw)

	// A key that others hold a copy of has counted on elsewhere.
	copied := *key
	copied.Counter = 1
	w.Expect(send(0, w.app.assertion("ann", &copied))).To(beProblem(http.StatusForbidden))
	w.Expect(outcomes(w.trail(audit.Verification))).To(gomega.Equal([]string{
		"Verification Succeeded", "Verification Replayed Used",
		"Verification Failed WrongAssertion", "Verification Failed WrongAssertion",
		"Verification Failed WrongAssertion", "Verification Replayed Used",
		"Verification Succeeded", "Verification Failed CloneSuspected",
	}))
	w.app.register("bob")
	w.Expect(w.app.about(http.MethodPost, "bob", "/verifications", w.app.assertion("ann", key))).To(beProblem(http.StatusForbidden), "an assertion of somebody else")
}
