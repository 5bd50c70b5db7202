package pages

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	strictjson "sigs.k8s.io/json"

	"github.com/neosc/mfa-operator/internal/mfa"
	"github.com/neosc/mfa-operator/webhook/callers"
)

// The bounds of a request: an attestation with its certificates is the largest.
const (
	maxBody     = 96 << 10
	maxLink     = 4 << 10
	bodyTimeout = 5 * time.Second
)

// Actor is who asked, in records: the right was the link's.
const Actor = "enrolment-link"

// scheme is how the page shows the link, in the header Authorization: a header that
// proxies know not to log.
const scheme = "Link "

// answer serves one question of the page: whose link it is, the work, and the
// answer or the problem.
func answer[I any](p *Pages, work func(context.Context, bearer, *I) (any, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		in, err := read[I](w, r)
		if err != nil {
			write(w, p.problemOf(r, err))
			return
		}
		ctx, cancel := context.WithTimeout(r.Context(), callers.Patience)
		defer cancel()
		r = r.WithContext(ctx)
		b, err := p.bearer(r)
		if err != nil {
			write(w, p.problemOf(r, err))
			return
		}
		out, err := work(ctx, b, in)
		if err != nil {
			write(w, p.problemOf(r, err))
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(out) // whoever does not wait for it does not need it
	})
}

// bearer finds out whose link is shown.
func (p *Pages) bearer(r *http.Request) (bearer, error) {
	shown, ok := strings.CutPrefix(r.Header.Get("Authorization"), scheme)
	namespace, link, two := strings.Cut(shown, separator)
	if !ok || !two || len(shown) > maxLink {
		return bearer{}, errDead
	}
	owner, err := p.Verifier.LinkOwner(r.Context(), namespace, link)
	if err != nil {
		return bearer{}, deadIf(err, mfa.ErrDenied)
	}
	b := bearer{link: link, from: mfa.From{Actor: Actor, IP: clientOf(r, p.Proxies), UserAgent: r.UserAgent()}}
	b.person, b.rules, err = p.People.Person(r.Context(), owner)
	return b, deadIf(err, mfa.ErrNotFound)
}

// read reads the whole of a request: JSON that says so, with nothing unknown in it.
func read[I any](w http.ResponseWriter, r *http.Request) (*I, error) {
	if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || media != "application/json" {
		return nil, errInvalid
	}
	if err := http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyTimeout)); err != nil {
		return nil, fmt.Errorf("limiting the time of a body: %w", err)
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		return nil, errInvalid // it ended early, was too long, or too slow
	}
	in := new(I)
	if ambiguous, err := strictjson.UnmarshalStrict(body, in); err != nil || len(ambiguous) > 0 {
		return nil, errInvalid
	}
	return in, nil
}

// errInvalid says nothing of what was read: it may be a code.
var errInvalid = errors.New("no request of this page")

// errDead: the link is good for nothing. Wrong, used, expired, replaced, of somebody
// who is gone or suspended: who shows it is not told.
var errDead = errors.New("no link that can be used")

// deadIf makes an error that says so the one that says no more.
func deadIf(err, dead error) error {
	if errors.Is(err, dead) {
		return errDead
	}
	return err
}

// problem is what the page is told. It has the words for people.
type problem struct {
	Problem    string `json:"problem"`
	RetryAfter int    `json:"retryAfter,omitempty"` // seconds

	status int
}

// The problems.
const (
	problemInvalid     = "invalid"     // no request of this page
	problemLink        = "link"        // the link is good for nothing
	problemDenied      = "denied"      // what was shown is not right
	problemTaken       = "taken"       // the key is registered already
	problemKind        = "kind"        // the policy does not allow it
	problemFull        = "full"        // there are too many factors
	problemWait        = "wait"        // too much was tried
	problemUnavailable = "unavailable" // nothing is known; later
)

var unavailable = problem{status: http.StatusServiceUnavailable, Problem: problemUnavailable, RetryAfter: 2}

// refusals are the reasons of the rules, in the words of the page.
var refusals = map[string]string{
	mfa.ReasonLinkSpent: problemLink, mfa.ReasonSuspended: problemLink,
	mfa.ReasonTaken: problemTaken, mfa.ReasonFull: problemFull,
}

// problemOf says what the page is told of an error.
func (p *Pages) problemOf(r *http.Request, err error) problem {
	var notAllowed *mfa.NotAllowedError
	var throttled *mfa.ThrottledError
	switch {
	case errors.Is(err, errDead):
		return problem{status: http.StatusForbidden, Problem: problemLink}
	case errors.Is(err, errInvalid), errors.Is(err, mfa.ErrInvalid):
		return problem{status: http.StatusUnprocessableEntity, Problem: problemInvalid}
	case errors.Is(err, mfa.ErrDenied):
		return problem{status: http.StatusForbidden, Problem: problemDenied}
	case errors.As(err, &notAllowed):
		kind, status := refusals[notAllowed.Reason], http.StatusConflict
		switch kind {
		case problemLink:
			status = http.StatusForbidden
		case "":
			kind = problemKind
		}
		return problem{status: status, Problem: kind}
	case errors.As(err, &throttled):
		return problem{status: http.StatusTooManyRequests, Problem: problemWait, RetryAfter: max(1, int(math.Ceil(throttled.RetryAfter.Seconds())))}
	default:
		// Whatever else it is, it does not say whether a code was right.
		p.Log.Error(err, "Cannot answer a browser", "path", r.URL.Path)
		return unavailable
	}
}

func write(w http.ResponseWriter, p problem) {
	if p.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(p.RetryAfter))
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(p.status)
	_ = json.NewEncoder(w).Encode(p) // whoever does not wait for it does not need it
}
