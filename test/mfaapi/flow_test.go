package mfaapi

import (
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/audit"
)

// From nothing to a session, with nothing but the built-in baseline: MFA is on.
func TestAUserEnrolsAndVerifies(t *testing.T) {
	w := newWorld(t)
	w.app.register("Alice@Example.com")

	users := &v1alpha1.MFAUserList{}
	w.Expect(w.site.client.List(w.ctx, users, client.InNamespace(w.namespace))).To(gomega.Succeed())
	w.Expect(users.Items).To(gomega.HaveLen(1), "registering again, and at the other replicas, made nobody else")
	w.Expect(users.Items[0].Spec.Username).To(gomega.Equal("alice@example.com"))
	w.Expect(*users.Items[0].Spec.MFAEnabled).To(gomega.BeTrue())

	asked := w.app.about(http.MethodPost, "alice@example.com", "/requirement", object{})
	w.Expect(asked.body).To(gomega.And(
		gomega.HaveKeyWithValue("needed", true), gomega.HaveKeyWithValue("why", "MustEnrol"),
		gomega.HaveKeyWithValue("enrollable", gomega.ConsistOf("WebAuthn", "TOTP")),
	), asked.raw)

	s, _ := w.app.enrol("alice@example.com")
	for _, spelling := range []string{"alice@example.com", "ALICE@example.com"} {
		got := w.app.verify(spelling, "TOTP", s.code(w, -1))
		w.Expect(got.status).To(gomega.Equal(http.StatusForbidden), "the code that confirmed the enrolment is used up; %s", got.raw)
		w.Expect(got.text("type")).To(gomega.Equal("urn:neosc:mfa:denied"))
	}
	won := w.app.at(1).verify("alice@example.com", "TOTP", s.code(w, 0))
	w.Expect(won.status).To(gomega.Equal(http.StatusCreated), won.raw)
	w.Expect(won.of("mfaVerified")).To(gomega.BeTrue())
	w.Expect(won.of("amr")).To(gomega.ContainElements("otp", "mfa"))

	again := w.app.about(http.MethodPost, "alice@example.com", "/requirement", object{"session": won.text("token")})
	w.Expect(again.body).To(gomega.And(gomega.HaveKeyWithValue("needed", false), gomega.HaveKeyWithValue("why", "VerifiedRecently")), again.raw)

	for _, r := range w.trail() {
		if r.Action == audit.UserChanged {
			continue // of the object, by whoever these replicas are for the API server
		}
		w.Expect(r.Actor).To(gomega.Equal("system:serviceaccount:"+w.namespace+":app"), "who asked for it")
	}
	w.Expect(outcomes(w.trail(audit.FactorEnrolled, audit.Verification))).To(gomega.Equal([]string{
		"FactorEnrolled Succeeded", "Verification Replayed Used", "Verification Replayed Used", "Verification Succeeded",
	}))

	secrets := &corev1.SecretList{}
	w.Expect(w.site.client.List(w.ctx, secrets, client.InNamespace(w.namespace))).To(gomega.Succeed())
	w.Expect(secrets.Items).To(gomega.HaveLen(1))
	for _, entry := range secrets.Items[0].Data {
		w.Expect(string(entry)).NotTo(gomega.ContainSubstring(string(s)), "etcd must not hold the seed")
	}
	w.Expect(secrets.Items[0].OwnerReferences[0].UID).To(gomega.Equal(users.Items[0].UID))
	w.Expect(w.site.logs.String()).NotTo(gomega.ContainSubstring(string(s)), "nor a log")
}

// The same code to three replicas at once, over and over: each code once.
func TestACodeIsAcceptedOnce(t *testing.T) {
	w := newWorld(t)
	const users, at = 12, 16
	var all sync.WaitGroup
	for n := range users {
		user := "user-" + string(rune('a'+n))
		w.app.register(user)
		s, _ := w.app.enrol(user)
		code := s.code(w, 0)
		got := make([]answer, at)
		start := make(chan struct{})
		for i := range got {
			all.Go(func() {
				<-start
				got[i] = w.app.at(i%replicas).verify(user, "TOTP", code)
			})
		}
		close(start)
		all.Wait()
		won := 0
		for _, a := range got {
			switch a.status {
			case http.StatusCreated:
				won++
			case http.StatusForbidden:
			default:
				t.Errorf("%s: %d %s", user, a.status, a.raw)
			}
		}
		if won != 1 {
			t.Errorf("%s: accepted %d times, want once", user, won)
		}
	}
	counted := map[string]int{}
	for _, line := range outcomes(w.trail(audit.Verification)) {
		counted[line]++
	}
	w.Expect(counted).To(gomega.Equal(map[string]int{"Verification Succeeded": users, "Verification Replayed Used": users * (at - 1)}), "every try is in etcd, each once")
}

// Wrong, replayed, no factor and nobody: one answer. The record knows better.
func TestDenialsLookAlike(t *testing.T) {
	w := newWorld(t)
	for _, user := range []string{"ann", "bob", "nofactor"} {
		w.app.register(user)
	}
	s, _ := w.app.enrol("ann")
	w.app.enrol("bob")
	wrong := "000000"
	if s.code(w, 0) == wrong || s.code(w, 1) == wrong {
		wrong = "000001"
	}
	tries := map[string]answer{
		"wrong":     w.app.verify("bob", "TOTP", wrong),
		"replayed":  w.app.verify("ann", "TOTP", s.code(w, -1)),
		"no factor": w.app.verify("nofactor", "TOTP", wrong),
		"nobody":    w.app.verify("nobody", "TOTP", wrong),
	}
	for what, got := range tries {
		w.Expect(got.status).To(gomega.Equal(http.StatusForbidden), what)
		w.Expect(got.raw).To(gomega.Equal(tries["wrong"].raw), what)
	}
	w.Expect(outcomes(w.trail(audit.Verification))).To(gomega.ConsistOf(
		"Verification Failed WrongCode", "Verification Replayed Used", "Verification Failed NoFactor", "Verification Failed UnknownUser"))
}

func TestSessionsEndAtOnce(t *testing.T) {
	w := newWorld(t)
	w.app.register("ann")
	_, token := w.app.enrol("ann")
	active := func(replica int) any {
		return w.app.at(replica).about(http.MethodPost, "ann", "/sessions/introspect", object{"token": token}).of("active")
	}
	w.Expect(active(2)).To(gomega.BeTrue())
	listed := w.app.about(http.MethodGet, "ann", "/sessions", nil)
	w.Expect(listed.of("sessions")).To(gomega.HaveLen(1), listed.raw)
	w.Expect(w.app.about(http.MethodDelete, "ann", "/sessions", nil).status).To(gomega.Equal(http.StatusNoContent))
	for i := range replicas {
		w.Expect(active(i)).To(gomega.BeFalse(), "at replica %d", i)
	}
	w.Expect(w.app.about(http.MethodDelete, "ann", "/sessions", nil).status).To(gomega.Equal(http.StatusNotFound))

	keys := w.app.raw(http.MethodGet, "/.well-known/jwks.json", "", nil)
	w.Expect(keys.raw).To(gomega.ContainSubstring(`"crv":"P-256"`))
	w.Expect(keys.raw).NotTo(gomega.ContainSubstring(`"d"`), "public keys only")
}

func TestRecoveryCodes(t *testing.T) {
	w := newWorld(t)
	w.app.register("ann")
	_, token := w.app.enrol("ann")
	issued := w.app.about(http.MethodPost, "ann", "/recovery-codes", object{"session": token})
	w.Expect(issued.status).To(gomega.Equal(http.StatusCreated), issued.raw)
	codes, _ := issued.of("codes").([]any)
	w.Expect(codes).To(gomega.HaveLen(10))
	code, _ := codes[3].(string)

	won := w.app.verify("ann", "RecoveryCodes", strings.ToLower(code))
	w.Expect(won.status).To(gomega.Equal(http.StatusCreated), won.raw)
	w.Expect(won.body).To(gomega.And(gomega.HaveKeyWithValue("mfaVerified", false), gomega.HaveKeyWithValue("enrol", true), gomega.HaveKeyWithValue("acr", "aal1")))
	w.Expect(w.app.at(1).verify("ann", "RecoveryCodes", code).status).To(gomega.Equal(http.StatusForbidden), "once")

	listed := w.app.at(2).about(http.MethodGet, "ann", "/factors", nil)
	w.Expect(listed.raw).To(gomega.ContainSubstring(`"codesLeft":9`))
	w.Expect(w.site.logs.String()).NotTo(gomega.ContainSubstring(code))
}

// Who asks, and what they may, is the cluster's business.
func TestCallers(t *testing.T) {
	w := newWorld(t)
	w.app.register("ann")
	w.allow("reader", rbacv1.PolicyRule{APIGroups: []string{v1alpha1.GroupVersion.Group}, Verbs: []string{"get"}, Resources: []string{"mfausers/enrol"}})
	w.allow("of-bob", rbacv1.PolicyRule{
		APIGroups: []string{v1alpha1.GroupVersion.Group}, Verbs: []string{"create"}, Resources: []string{"mfausers/verify"}, ResourceNames: []string{"bob"},
	})
	for _, test := range []struct {
		token  string
		status int
		kind   string
		detail string
		reason string
	}{
		{"", 401, "urn:neosc:mfa:unauthenticated", "mfa.security.neosc.io", "nobody"},
		{"not.a.token", 401, "urn:neosc:mfa:unauthenticated", "mfa.security.neosc.io", "a forged one"},
		{w.tokenOf("app"), 401, "urn:neosc:mfa:unauthenticated", "mfa.security.neosc.io", "a token for the API server, which anybody it is shown to could use"},
		{w.tokenOf("app", "vault"), 401, "urn:neosc:mfa:unauthenticated", "mfa.security.neosc.io", "a token for somebody else"},
		{w.tokenOf("reader", "mfa.security.neosc.io"), 403, "urn:neosc:mfa:forbidden", "create mfausers/verify in namespace " + w.namespace, "another right"},
		{w.tokenOf("of-bob", "mfa.security.neosc.io"), 403, "urn:neosc:mfa:forbidden", "create mfausers/verify", "the right for another user"},
		{w.app.token, 200, "", "", "one who may"},
	} {
		a := app{w: w, token: test.token}
		got := a.about(http.MethodPost, "ann", "/requirement", object{})
		w.Expect(got.status).To(gomega.Equal(test.status), "%s: %s", test.reason, got.raw)
		w.Expect(got.text("type")).To(gomega.Equal(test.kind), test.reason)
		w.Expect(got.text("detail")).To(gomega.ContainSubstring(test.detail), test.reason)
	}
	w.Expect(cluster.client.Create(t.Context(), &v1alpha1.MFAUser{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "twin"}, Spec: v1alpha1.MFAUserSpec{Source: v1alpha1.SourceLocal, Username: "ANN"},
	})).To(gomega.Succeed())
	for i := range w.site.replicas { // each has a cache of its own
		w.Eventually(func() answer { return w.app.at(i).about(http.MethodPost, "ann", "/requirement", object{}) }).Should(beProblem(http.StatusConflict))
	}
	reader := app{w: w, token: w.tokenOf("reader", "mfa.security.neosc.io")}
	w.Expect(reader.about(http.MethodPost, "ann", "/requirement", object{})).To(beProblem(http.StatusForbidden), "who may not ask is not told who there is")
	w.Expect(reader.about(http.MethodPut, "ann", "", object{})).To(beProblem(http.StatusForbidden), "nor in registering")
	elsewhere := newWorld(t)
	elsewhere.app.token = w.app.token
	w.Expect(elsewhere.app.about(http.MethodPost, "ann", "/requirement", object{}).status).To(gomega.Equal(http.StatusForbidden), "another namespace")
}
