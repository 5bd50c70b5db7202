package install

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/onsi/gomega"
	"github.com/pquerna/otp/totp"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/rights"
	"github.com/neosc/mfa-operator/internal/sealed"
	"github.com/neosc/mfa-operator/internal/signing"
)

// Local users with the chart: what the webhook may then, and that it verifies with
// exactly that.
func TestLocalUsersWithHelm(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	c.kubectl("create", "namespace", usersNamespace)
	install := []string{
		"upgrade", "--install", release, chart, "--namespace", namespace, "--create-namespace",
		"--set-json", `localUsers={"namespaces":["` + usersNamespace + `"],"webauthn":{"rpID":"example.com"}}`,
	}
	c.do("", tool(t, "helm"), install...)
	c.kindsEstablished()
	c.mayExactly(webhookAccount, slices.Concat(rights.ForWebhook.Everywhere, rights.ForVerifier.Everywhere), places{
		namespace: slices.Concat(rights.ForWebhook.Home, rights.ForVerifier.Home), usersNamespace: rights.ForVerifier.Named,
	})
	c.webhookMayNot()

	running := c.startWebhook("--mfa-namespace="+usersNamespace, "--webauthn-rp-id=example.com")
	shop := c.caller(running.URL, "shop-app", "mfa-operator-mfa-caller")
	desk := c.caller(running.URL, "desk", "mfa-operator-mfa-helpdesk")
	alice := "/v1/namespaces/" + usersNamespace + "/users/alice"

	shop.do(http.MethodPut, alice, object{}, http.StatusCreated)
	c.Eventually(func() int { return shop.try(http.MethodPut, alice, object{}).status }).Should(gomega.Equal(http.StatusOK), "heard of")
	started := shop.do(http.MethodPost, alice+"/enrolments", object{"method": "TOTP", "name": "phone"}, http.StatusCreated)
	c.earlyInAStep()
	shop.do(http.MethodPost, alice+"/enrolments/confirm", object{"token": started["token"], "code": c.code(started, -1), "audience": "shop"}, http.StatusCreated)
	code := object{"method": "TOTP", "code": c.code(started, 0), "audience": "shop"}
	won := shop.do(http.MethodPost, alice+"/verifications", code, http.StatusCreated)
	c.Expect(won).To(gomega.HaveKeyWithValue("mfaVerified", true))
	shop.do(http.MethodPost, alice+"/verifications", code, http.StatusForbidden)
	introspected := shop.do(http.MethodPost, alice+"/sessions/introspect", object{"token": won["token"]}, http.StatusOK)
	c.Expect(introspected).To(gomega.HaveKeyWithValue("active", true))

	// Each has the rights of one, and those of the other not.
	shop.do(http.MethodPost, alice+"/enrolment-links", object{}, http.StatusForbidden)
	shop.do(http.MethodDelete, alice+"/lock", nil, http.StatusForbidden)
	desk.do(http.MethodPost, alice+"/enrolments", object{"method": "TOTP", "name": "mine"}, http.StatusForbidden)
	desk.do(http.MethodPost, alice+"/verifications", code, http.StatusForbidden)
	desk.do(http.MethodPost, alice+"/enrolment-links", object{}, http.StatusCreated)
	desk.do(http.MethodDelete, alice+"/lock", nil, http.StatusNotFound) // there is none, which the shop is not even told
	desk.do(http.MethodDelete, alice+"/sessions", nil, http.StatusNoContent)

	// What an upgrade and the end of the chart leave.
	keys := func() (data [2]map[string][]byte) {
		for i, name := range []string{sealed.KeysName, signing.KeysName} {
			secret := &corev1.Secret{}
			c.get(secret, namespace+"/"+name)
			c.Expect(secret.Data).NotTo(gomega.BeEmpty(), name)
			data[i] = secret.Data
		}
		return data
	}
	before := keys()
	c.do("", tool(t, "helm"), install...)
	c.Expect(keys()).To(gomega.Equal(before), "an upgrade takes no keys away")
	c.do("", tool(t, "helm"), "upgrade", release, chart, "--namespace", namespace, "--reuse-values", "--set-json", "localUsers.namespaces=[]")
	c.Expect(keys()).To(gomega.Equal(before), "nor does turning it off")
	c.gone(&rbacv1.RoleBinding{}, usersNamespace+"/mfa-operator-credentials")
	c.do("", tool(t, "helm"), install...)
	c.Expect(keys()).To(gomega.Equal(before), "and on again")

	ledger := &v1alpha1.MFAAuditRecordList{}
	c.Expect(c.client.List(t.Context(), ledger)).To(gomega.Succeed())
	for _, word := range []string{`"Verification"`, `"Replayed"`, "shop-app"} {
		c.Expect(ledger.Items).To(gomega.ContainElement(gomega.HaveField("Spec.Records", gomega.ContainElement(gomega.ContainSubstring(word)))))
	}
}

type object = map[string]any

// caller is an application with a token of its own, which trusts the webhook by the
// authority in the webhook's Secret.
type caller struct {
	c          *cluster
	http       http.Client
	url, token string
}

// caller makes a service account with one of the ClusterRoles for callers.
func (c *cluster) caller(url, name, role string) *caller {
	c.t.Helper()
	c.kubectl("-n", usersNamespace, "create", "serviceaccount", name)
	c.kubectl("-n", usersNamespace, "create", "rolebinding", name, "--clusterrole="+role, "--serviceaccount="+usersNamespace+":"+name)
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: usersNamespace, Name: name}}
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{Audiences: []string{"mfa.security.neosc.io"}}}
	c.Expect(c.client.SubResource("token").Create(c.t.Context(), account, request)).To(gomega.Succeed())
	secret := &corev1.Secret{}
	c.get(secret, namespace+"/"+hook+"-tls")
	trusted := x509.NewCertPool()
	c.Expect(trusted.AppendCertsFromPEM(secret.Data["ca.crt"])).To(gomega.BeTrue())
	return &caller{c, http.Client{Timeout: patience, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: trusted}}}, url, request.Status.Token}
}

type answer struct {
	status int
	body   object
	text   string
}

func (a *caller) try(method, path string, body object) answer {
	a.c.t.Helper()
	text, err := json.Marshal(body)
	a.c.Expect(err).NotTo(gomega.HaveOccurred())
	if body == nil {
		text = nil
	}
	req, err := http.NewRequestWithContext(a.c.t.Context(), method, a.url+path, bytes.NewReader(text))
	a.c.Expect(err).NotTo(gomega.HaveOccurred())
	req.Header.Set("Authorization", "Bearer "+a.token)
	if text != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := a.http.Do(req)
	a.c.Expect(err).NotTo(gomega.HaveOccurred())
	defer resp.Body.Close() //nolint:errcheck // it has been read
	got, err := io.ReadAll(resp.Body)
	a.c.Expect(err).NotTo(gomega.HaveOccurred())
	out := answer{status: resp.StatusCode, text: string(got)}
	if len(got) > 0 {
		a.c.Expect(json.Unmarshal(got, &out.body)).To(gomega.Succeed(), out.text)
	}
	return out
}

// do is try for what must be answered in that way.
func (a *caller) do(method, path string, body object, want int) object {
	a.c.t.Helper()
	got := a.try(method, path, body)
	a.c.Expect(got.status).To(gomega.Equal(want), "%s %s: %s", method, path, got.text)
	return got.body
}

// code is the one of a TOTP app, of the time step that is so far from the present.
func (c *cluster) code(enrolment object, steps int) string {
	c.t.Helper()
	secret, _ := enrolment["secret"].(string)
	code, err := totp.GenerateCode(secret, time.Now().Add(time.Duration(steps)*30*time.Second))
	c.Expect(err).NotTo(gomega.HaveOccurred())
	return code
}

// earlyInAStep waits until the present time step lasts for some seconds yet.
func (c *cluster) earlyInAStep() {
	c.t.Helper()
	c.Eventually(func() int { return time.Now().Second() % 30 }).Should(gomega.BeNumerically("<", 20))
}
