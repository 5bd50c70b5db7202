package admission

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/onsi/gomega"
	admissionv1 "k8s.io/api/admission/v1"

	"github.com/neosc/mfa-operator/webhook/admission"
)

// What is not a request that the API server would send gets an answer that
// allows nothing.
func TestHostileRequests(t *testing.T) {
	w := newWorld(t)
	caller := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	const policy = `{"apiVersion":"security.neosc.io/v1alpha1","kind":"SecurityPolicy","metadata":{"name":"p","namespace":"default"},"spec":{"targets":{"zitadel":[{"connection":"c","scope":"Instance"}]}}}`
	review := func(parts string) string {
		return `{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{"uid":"u","resource":{"group":"security.neosc.io","version":"v1alpha1","resource":"securitypolicies"},` + parts + `}}`
	}
	for _, c := range []struct {
		name, body string
		says       string
	}{
		{"nothing", ``, "no AdmissionReview"},
		{"no JSON", `policy`, "no AdmissionReview"},
		{"no request", `{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview"}`, "this webhook decides about"},
		{"request null", `{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":null}`, ""},
		{"another version of the review", strings.Replace(review(`"operation":"CREATE","object":`+policy), "admission.k8s.io/v1", "admission.k8s.io/v2", 1), "no AdmissionReview of admission.k8s.io/v1"},
		{"another kind of message", `{"apiVersion":"v1","kind":"Pod"}`, "no AdmissionReview"},
		{"another resource", strings.Replace(review(`"operation":"CREATE","object":`+policy), "securitypolicies", "pods", 1), `was asked about "security.neosc.io/v1alpha1, Resource=pods"`},
		{"a subresource", review(`"subResource":"status","operation":"UPDATE","object":` + policy + `,"oldObject":` + policy), `"status"`},
		{"another version of the kind", review(`"operation":"CREATE","object":` + strings.Replace(policy, "v1alpha1", "v1", 1)), "was given something else"},
		{"another kind", review(`"operation":"CREATE","object":` + strings.Replace(policy, "SecurityPolicy", "ZitadelConnection", 1)), "was given something else"},
		{"no object", review(`"operation":"CREATE"`), "there is no content to decode"},
		{"an object that is null", review(`"operation":"CREATE","object":null`), ""},
		{"an object that is empty", review(`"operation":"CREATE","object":{}`), "was given something else"},
		{"an update without the old object", review(`"operation":"UPDATE","object":` + policy), "there is no content to decode"},
		{"a deletion without the old object", review(`"operation":"DELETE","object":` + policy), "there is no content to decode"},
		{"an operation that is none", review(`"operation":"DESTROY","object":` + policy), "unknown operation"},
		{"a type that is wrong", review(`"operation":"CREATE","object":` + strings.Replace(policy, `"Instance"`, `7`, 1)), "cannot unmarshal"},
		{"too much", review(`"operation":"CREATE","object":"` + strings.Repeat("x", 8<<20) + `"`), "too large"},
		{"too deep", review(`"operation":"CREATE","object":` + strings.Repeat("[", 1<<16) + strings.Repeat("]", 1<<16)), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := gomega.NewWithT(t)
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, cluster.webhook.URL+admission.PathSecurityPolicies, strings.NewReader(c.body))
			g.Expect(err).NotTo(gomega.HaveOccurred())
			req.Header.Set("Content-Type", "application/json")
			resp, err := caller.Do(req)
			g.Expect(err).NotTo(gomega.HaveOccurred())
			defer resp.Body.Close() //nolint:errcheck // it was read
			body, err := io.ReadAll(resp.Body)
			g.Expect(err).NotTo(gomega.HaveOccurred())
			var answer admissionv1.AdmissionReview
			g.Expect(json.Unmarshal(body, &answer)).To(gomega.Succeed(), "%s", body)
			g.Expect(answer.Response).NotTo(gomega.BeNil())
			g.Expect(answer.Response.Allowed).To(gomega.BeFalse())
			g.Expect(answer.Response.Result.Message).To(gomega.ContainSubstring(c.says))
			g.Expect(answer.Response.Result.Message).NotTo(gomega.ContainSubstring("panic"))
			g.Expect(len(body)).To(gomega.BeNumerically("<", 8<<10), "what was sent is not sent back")
		})
	}
	t.Run("not posted, or somewhere else", func(t *testing.T) {
		g := gomega.NewWithT(t)
		for path, want := range map[string]int{admission.PathSecurityPolicies: http.StatusMethodNotAllowed, "/": http.StatusNotFound, "/metrics": http.StatusNotFound} {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, cluster.webhook.URL+path, nil)
			g.Expect(err).NotTo(gomega.HaveOccurred())
			resp, err := caller.Do(req)
			g.Expect(err).NotTo(gomega.HaveOccurred())
			g.Expect(resp.Body.Close()).To(gomega.Succeed())
			g.Expect(resp.StatusCode).To(gomega.Equal(want), path)
		}
	})
	t.Run("plain HTTP, and old TLS", func(t *testing.T) {
		g := gomega.NewWithT(t)
		resp, err := http.Post("http"+strings.TrimPrefix(cluster.webhook.URL, "https")+"/", "application/json", bytes.NewReader(nil)) //nolint:noctx // it is refused at once
		g.Expect(err).NotTo(gomega.HaveOccurred())
		g.Expect(resp.Body.Close()).To(gomega.Succeed())
		g.Expect(resp.StatusCode).To(gomega.Equal(http.StatusBadRequest))
		_, err = (&tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12}}).DialContext(t.Context(), "tcp", cluster.webhook.URL[len("https://"):])
		g.Expect(err).To(gomega.MatchError(gomega.ContainSubstring("protocol version")))
	})
	w.Expect(cluster.webhook.Ready(w.ctx)).To(gomega.BeTrue(), "and it goes on")
}
