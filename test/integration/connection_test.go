package integration

import (
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/neosc/mfa-operator/api/v1alpha1"
)

func (w *world) connectionObject() *v1alpha1.ZitadelConnection {
	return &v1alpha1.ZitadelConnection{ObjectMeta: metav1.ObjectMeta{Name: w.connection}}
}

func TestConnectionReportsAccountAndServer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	conn := w.connectionObject()
	w.ready(conn)
	w.Expect(conn.Status.ServerVersion).To(HavePrefix("v4."))
	w.Expect(conn.Status.Credential.UserID).To(Equal(w.zitadel.OwnerID()))
	w.Expect(conn.Status.Credential.Roles).To(ConsistOf("IAM_OWNER"))

	t.Log("proving it again writes nothing")
	seldom := client.RawPatch("application/merge-patch+json", []byte(`{"spec":{"events":{"pollSeconds":3600}}}`)) // what is followed is written down
	w.Expect(cluster.client.Patch(w.ctx, conn, seldom)).To(Succeed())
	w.ready(conn)
	w.condition(conn, v1alpha1.ConditionEventsFollowed, metav1.ConditionTrue, v1alpha1.ReasonFollowing)
	version := conn.ResourceVersion
	w.zitadel.ResetCalls()
	w.Eventually(func() int { return w.zitadel.CountCalls()["/zitadel.auth.v1.AuthService/GetMyUser"] }).Should(BeNumerically(">=", 2))
	w.ready(conn)
	w.Expect(conn.ResourceVersion).To(Equal(version))
}

// TestRotation: a new credential is proven before it is used, without restart;
// as long as it is refused, the one before stays in use.
func TestRotation(t *testing.T) {
	w := newWorld(t)
	p := w.policy("mfa", "", sixAttempts)
	w.create(p)
	w.ready(p)

	t.Log("a token the server does not know is refused, and policies go on")
	w.putCredential("not-a-token")
	ready := w.failing(w.connectionObject(), v1alpha1.ReasonCredentialsRefused)
	w.Expect(ready.Message).To(ContainSubstring("stays in use"))
	w.update(p, func(spec *v1alpha1.SecurityPolicySpec) { *spec.Lockout.MaxPasswordAttempts = 8 })
	w.ready(p)
	held, _ := w.zitadel.LockoutPolicy("")
	w.Expect(held.MaxPasswordAttempts).To(BeEquivalentTo(8))

	t.Log("a good one is taken, and the old one can be revoked")
	user, token := w.zitadel.AddMachine(w.zitadel.DefaultOrganizationID(), "rotated", "IAM_OWNER")
	w.putCredential(token)
	conn := w.connectionObject()
	w.Eventually(func(g Gomega) {
		w.ready(conn)
		g.Expect(conn.Status.Credential.UserID).To(Equal(user))
	}).Should(Succeed())
	w.zitadel.RevokeToken(w.zitadel.OwnerToken())
	w.update(p, func(spec *v1alpha1.SecurityPolicySpec) { *spec.Lockout.MaxPasswordAttempts = 9 })
	w.ready(p)
	held, _ = w.zitadel.LockoutPolicy("")
	w.Expect(held.MaxPasswordAttempts).To(BeEquivalentTo(9))
}

func TestKeyFileCredentialAndItsExpiry(t *testing.T) {
	const day = 24 * time.Hour
	for _, c := range []struct {
		end    time.Duration // from now
		status metav1.ConditionStatus
		reason string
	}{
		{60 * day, metav1.ConditionFalse, v1alpha1.ReasonNotExpiring},
		{20 * day, metav1.ConditionTrue, v1alpha1.ReasonExpiresWithin30Days},
		{10 * day, metav1.ConditionTrue, v1alpha1.ReasonExpiresWithin14Days},
		{2 * day, metav1.ConditionTrue, v1alpha1.ReasonExpiresWithin3Days},
		{6 * time.Second, metav1.ConditionTrue, v1alpha1.ReasonExpired},
	} {
		t.Run(c.reason, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			user, _ := w.zitadel.AddMachine(w.zitadel.DefaultOrganizationID(), "operator", "IAM_OWNER")
			w.putCredential(string(w.zitadel.AddKey(user, time.Now().Add(c.end))))
			conn := w.connectionObject()
			w.Expect(cluster.client.Patch(w.ctx, conn, client.RawPatch("application/merge-patch+json", []byte(`{"spec":{"credentials":{"type":"JWTProfile"}}}`)))).To(Succeed())
			w.condition(conn, v1alpha1.ConditionCredentialExpiring, c.status, c.reason)
			w.Expect(conn.Status.Credential.UserID).To(Equal(user))
		})
	}
}

func TestConnectionRefusals(t *testing.T) {
	for _, c := range []struct {
		name   string
		change string // merge patch of the spec
		reason string
		says   string
	}{
		{"no Secret", `{"credentials":{"secretRef":{"name":"nothing"}}}`, v1alpha1.ReasonSecretNotFound, "no Secret nothing"},
		{"no entry", `{"credentials":{"secretRef":{"key":"other"}}}`, v1alpha1.ReasonSecretNotFound, `no entry "other"`},
		{"not a key file", `{"credentials":{"type":"JWTProfile"}}`, v1alpha1.ReasonSecretInvalid, "correct the Secret"},
		{"plain HTTP", `{"domain":"zitadel.example.com"}`, v1alpha1.ReasonInsecureNotAllowed, "--allow-insecure"},
		{"plain HTTP to a name below localhost", `{"domain":"zitadel.localhost"}`, v1alpha1.ReasonInsecureNotAllowed, "--allow-insecure"},
		{"plain HTTP to another address", `{"address":"zitadel.example.com:80"}`, v1alpha1.ReasonInsecureNotAllowed, "--allow-insecure"},
		{"nobody there", `{"port":1}`, v1alpha1.ReasonZitadelUnreachable, "retrying"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			conn := w.connectionObject()
			w.Expect(cluster.client.Patch(w.ctx, conn, client.RawPatch("application/merge-patch+json", []byte(`{"spec":`+c.change+`}`)))).To(Succeed())
			ready := w.failing(conn, c.reason)
			w.Expect(ready.Message).To(ContainSubstring(c.says))
			w.Expect(ready.Message).NotTo(ContainSubstring(w.zitadel.OwnerToken()))
		})
	}
}

// TestAccountWithoutRole is told so at the connection and at the policy.
func TestAccountWithoutRole(t *testing.T) {
	w := newWorld(t)
	_, token := w.zitadel.AddMachine(w.zitadel.DefaultOrganizationID(), "nobody")
	w.putCredential(token)
	w.failing(w.connectionObject(), v1alpha1.ReasonPermissionMissing)
	p := w.policy("mfa", "", sixAttempts)
	w.create(p)
	ready := w.failing(p, v1alpha1.ReasonPermissionMissing)
	w.Expect(ready.Message).To(ContainSubstring("IAM_OWNER"))
}

// TestAccessFailsClosed: without a matching rule a policy has no effect, and it
// gets one as soon as a rule matches.
func TestAccessFailsClosed(t *testing.T) {
	w := newWorld(t)
	id := w.zitadel.AddOrganization("acme")
	patch := func(access string) {
		conn := w.connectionObject()
		w.Expect(cluster.client.Patch(w.ctx, conn, client.RawPatch("application/merge-patch+json", []byte(`{"spec":{"access":`+access+`}}`)))).To(Succeed())
	}
	patch(`null`)
	p := w.policy("mfa", "acme", sixAttempts)
	w.create(p)
	w.failing(p, v1alpha1.ReasonNamespaceNotAllowed)

	for _, c := range []struct{ access, why string }{
		{`[{"namespaceSelector":{},"scopes":["Instance"]}]`, "another scope"},
		{`[{"namespaceSelector":{},"scopes":["Organization"],"organizations":[{"name":"globex"}]}]`, "another organization"},
		{`[{"namespaceSelector":{"matchLabels":{"team":"other"}},"scopes":["Organization"]}]`, "another namespace"},
	} {
		patch(c.access)
		ready := w.failing(p, v1alpha1.ReasonNamespaceNotAllowed)
		w.Expect(ready.Message).To(And(ContainSubstring(w.namespace), ContainSubstring("acme")), c.why)
		_, own := w.zitadel.LockoutPolicy(id)
		w.Expect(own).To(BeFalse(), c.why)
	}

	t.Log("the namespace gets the label, and the policy its effect")
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: w.namespace}}
	w.Expect(cluster.client.Patch(w.ctx, namespace, client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"labels":{"team":"other"}}}`)))).To(Succeed())
	w.ready(p)
	held, _ := w.zitadel.LockoutPolicy(id)
	w.Expect(held.MaxPasswordAttempts).To(BeEquivalentTo(6))
}

func TestPolicyWaitsForItsConnection(t *testing.T) {
	w := newWorld(t)
	p := w.policy("mfa", "", func(spec *v1alpha1.SecurityPolicySpec) {
		sixAttempts(spec)
		spec.Targets.Zitadel[0].Connection = w.connection + "-later"
	})
	w.create(p)
	w.failing(p, v1alpha1.ReasonConnectionNotFound)
	conn := w.newConnection()
	conn.Name = w.connection + "-later"
	w.create(conn)
	w.ready(p)
}

// TestDeletedConnectionWaitsForWhatMustBePutBack, so that deleting everything
// at once neither deadlocks nor leaves something behind.
func TestDeletedConnectionWaitsForWhatMustBePutBack(t *testing.T) {
	w := newWorld(t)
	p := w.policy("restoring", "", func(spec *v1alpha1.SecurityPolicySpec) {
		sixAttempts(spec)
		spec.DeletionPolicy = v1alpha1.DeletionRestore
	})
	w.create(p)
	w.ready(p)
	conn := w.connectionObject()
	w.Expect(cluster.client.Delete(w.ctx, conn)).To(Succeed())
	inUse := w.failing(conn, v1alpha1.ReasonInUse)
	w.Expect(inUse.Message).To(ContainSubstring(w.namespace + "/restoring"))
	w.Expect(cluster.client.Delete(w.ctx, p)).To(Succeed())
	w.gone(p)
	w.gone(conn)
	held, _ := w.zitadel.LockoutPolicy("")
	w.Expect(held.MaxPasswordAttempts).To(BeZero())
}

// TestDeletedConnectionGoesWithItsLastTarget, also where the policy stays.
func TestDeletedConnectionGoesWithItsLastTarget(t *testing.T) {
	w := newWorld(t)
	w.zitadel.AddOrganization("acme")
	globex := w.zitadel.AddOrganization("globex")
	other := w.newConnection()
	other.Name += "-other"
	w.create(other)
	w.ready(other)
	p := w.policy("two", "acme", func(spec *v1alpha1.SecurityPolicySpec) {
		sixAttempts(spec)
		spec.DeletionPolicy = v1alpha1.DeletionRestore
	})
	p.Spec.Targets.Zitadel = append(p.Spec.Targets.Zitadel, w.policy("", "globex", nil).Spec.Targets.Zitadel...)
	p.Spec.Targets.Zitadel[1].Connection = other.Name
	w.create(p)
	w.ready(p)

	w.Expect(cluster.client.Delete(w.ctx, other)).To(Succeed())
	w.failing(other, v1alpha1.ReasonInUse)
	w.update(p, func(spec *v1alpha1.SecurityPolicySpec) { spec.Targets.Zitadel = spec.Targets.Zitadel[:1] })
	w.ready(p)
	w.gone(other)
	_, own := w.zitadel.LockoutPolicy(globex)
	w.Expect(own).To(BeFalse(), "what stood before was put back first")
}

// TestDeletedConnectionStillConnects for those who have something to put back:
// it may be deleted while the manager restarts, or its Secret be late.
func TestDeletedConnectionStillConnects(t *testing.T) {
	w := newWorld(t)
	late := w.newConnection()
	late.Name += "-late"
	late.Spec.Credentials.SecretRef.Key = "late"
	w.create(late)
	w.failing(late, v1alpha1.ReasonSecretNotFound)
	p := w.policy("restoring", "", func(spec *v1alpha1.SecurityPolicySpec) {
		sixAttempts(spec)
		spec.Targets.Zitadel[0].Connection = late.Name
		spec.DeletionPolicy = v1alpha1.DeletionRestore
	})
	w.create(p)
	w.failing(p, v1alpha1.ReasonConnectionNotReady)
	w.Expect(cluster.client.Delete(w.ctx, late)).To(Succeed())

	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: operatorNamespace, Name: w.connection}}
	w.Expect(cluster.client.Patch(w.ctx, secret, client.RawPatch("application/merge-patch+json",
		[]byte(`{"stringData":{"late":"`+w.zitadel.OwnerToken()+`"}}`)))).To(Succeed())
	w.failing(late, v1alpha1.ReasonInUse)
	w.ready(p)
	held, _ := w.zitadel.LockoutPolicy("")
	w.Expect(held.MaxPasswordAttempts).To(BeEquivalentTo(6), "the policy works through it")

	w.Expect(cluster.client.Delete(w.ctx, p)).To(Succeed())
	w.gone(p)
	w.gone(late)
	held, _ = w.zitadel.LockoutPolicy("")
	w.Expect(held.MaxPasswordAttempts).To(BeZero(), "and what stood before is put back")
}

// TestNoSecretLeaks greps what users and engineers can read for the
// credential, after everything that handles it has worked and has failed.
func TestNoSecretLeaks(t *testing.T) {
	w := newWorld(t)
	const canary = "canary-7d0c4f1e9a"
	p := w.policy("mfa", "", alwaysRequired)
	w.create(p)
	w.ready(p)
	w.putCredential(canary)
	w.failing(w.connectionObject(), v1alpha1.ReasonCredentialsRefused)
	user, _ := w.zitadel.AddMachine(w.zitadel.DefaultOrganizationID(), "operator", "IAM_OWNER")
	key := string(w.zitadel.AddKey(user, time.Now().Add(time.Hour)))
	w.putCredential(key)
	conn := w.connectionObject()
	w.Expect(cluster.client.Patch(w.ctx, conn, client.RawPatch("application/merge-patch+json", []byte(`{"spec":{"credentials":{"type":"JWTProfile"}}}`)))).To(Succeed())
	w.ready(conn)
	w.putCredential(strings.Replace(key, "PRIVATE KEY", canary, 1))
	w.failing(conn, v1alpha1.ReasonSecretInvalid)

	secrets := []string{canary, w.zitadel.OwnerToken(), key[len(key)/2 : len(key)/2+40]}
	readable := map[string]string{"logs": cluster.logs.String(), "events": strings.Join(w.allNotes(), "\n")}
	for _, obj := range []client.Object{p, conn} {
		w.Expect(cluster.client.Get(w.ctx, client.ObjectKeyFromObject(obj), obj)).To(Succeed())
		readable[obj.GetName()] = w.json(obj)
	}
	for where, text := range readable {
		w.Expect(text).NotTo(BeEmpty(), where)
		for _, secret := range secrets {
			w.Expect(text).NotTo(ContainSubstring(secret), where)
		}
	}
}
