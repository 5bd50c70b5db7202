package ledger

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/audit"
	"github.com/neosc/mfa-operator/internal/controlplane"
	"github.com/neosc/mfa-operator/internal/ledger"
)

const operator = "system:serviceaccount:neosc-system:mfa-operator-manager"

// Whatever RBAC lets them do, nobody but the operator writes a ledger. Runs
// last, by its name's place in the files: the rules hold for the whole cluster,
// so they are removed again.
func TestOnlyTheOperatorWritesLedgers(t *testing.T) {
	namespace := newNamespace(t)
	r := start(t, "writer", nil)
	r.must(t, namespace, try{Thing: "a", Who: "x"})

	for _, user := range []string{operator, "mallory"} {
		ok(t, cluster.client.Create(t.Context(), &rbacv1.ClusterRoleBinding{
			ObjectMeta: metav1.ObjectMeta{GenerateName: "everything-"},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "cluster-admin"},
			Subjects:   []rbacv1.Subject{{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: user}},
		}))
	}
	for _, obj := range manifests(t, "config", "admission") {
		ok(t, cluster.client.Create(t.Context(), obj))
		t.Cleanup(func() { ok(t, cluster.client.Delete(context.Background(), obj)) })
	}
	mallory, trusted := as(t, "mallory"), as(t, operator)
	store, err := ledger.NewStore(restAs("mallory"), nil)
	ok(t, err)
	var own v1alpha1.MFALedger
	ok(t, trusted.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: v1alpha1.LedgerName}, &own))
	forged := batch(string(own.UID), 2)
	eventually(t, "the rules are not enforced", func() bool {
		err := store.Create(t.Context(), namespace, forged)
		ok(t, store.Remove(t.Context(), "default", 999)) // deletes what is not there: no object, no rule
		return err != nil && apierrors.IsForbidden(unwrap(err))
	})

	first := batches(t, namespace)[0]
	relabelled := first.DeepCopy()
	relabelled.Labels = nil
	status := own.DeepCopy()
	status.Status.Floor.Sequence = 1
	for _, c := range []struct {
		what string
		err  error
	}{
		{"create the next batch", store.Create(t.Context(), namespace, forged)},
		{"remove a batch", mallory.Delete(t.Context(), first.DeepCopy())},
		{"change a batch's labels", mallory.Update(t.Context(), relabelled)},
		{"raise the floor", mallory.Status().Update(t.Context(), status)},
		{"remove the ledger", mallory.Delete(t.Context(), own.DeepCopy())},
		{"create a ledger", mallory.Create(t.Context(), &v1alpha1.MFALedger{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: v1alpha1.LedgerName}})},
		{"plant a snapshot", store.CreateSnapshot(t.Context(), namespace, "ledger-000000000001-00000000-0000",
			v1alpha1.MFALedgerSnapshotSpec{Sequence: 1, Part: new(int32), Data: []byte("x")})},
		{"change a batch's labels, as the operator", trusted.Update(t.Context(), relabelled)},
	} {
		if !apierrors.IsForbidden(unwrap(c.err)) {
			t.Errorf("an administrator may %s: %v", c.what, c.err)
		}
	}
	// Retention is the administrator's business.
	keep := own.DeepCopy()
	keep.Spec.Retention.MaxAgeDays = 90
	ok(t, mallory.Update(t.Context(), keep))

	// The fence: the operator itself may not use a name again, nor write into a
	// ledger of a namespace that is gone.
	mine, err := ledger.NewStore(restAs(operator), nil)
	ok(t, err)
	if err := mine.Create(t.Context(), namespace, batch("another-uid", 2)); err == nil {
		t.Error("a batch of another ledger was taken")
	}
	status = &v1alpha1.MFALedger{}
	ok(t, trusted.Get(t.Context(), client.ObjectKeyFromObject(&own), status))
	status.Status.Floor.Sequence = 5
	ok(t, trusted.Status().Update(t.Context(), status))
	eventually(t, "a name below the floor is taken", func() bool {
		err := mine.Create(t.Context(), namespace, batch(string(own.UID), 5))
		if err == nil {
			ok(t, mine.Remove(t.Context(), namespace, 5))
		}
		return err != nil
	})
	ok(t, mine.Create(t.Context(), namespace, batch(string(own.UID), 6)))
}

func batch(uid string, sequence int64) audit.Batch {
	b := audit.Batch{
		Ledger: uid, Writer: "mallory", Nonce: "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
		Records: []audit.Record{{Action: audit.Verification, Outcome: audit.Succeeded, Subject: "x"}},
	}
	b.Seal(audit.Head{Ledger: uid, Sequence: sequence - 1, Hash: audit.Genesis(uid)}, metav1.Now().UTC())
	return b
}

// unwrap finds the API server's answer in an error, also in a joined one.
func unwrap(err error) error {
	var status apierrors.APIStatus
	if errors.As(err, &status) {
		return &apierrors.StatusError{ErrStatus: status.Status()}
	}
	return err
}

func restAs(user string) *rest.Config {
	c := rest.CopyConfig(cluster.env.Config)
	c.Impersonate = rest.ImpersonationConfig{UserName: user}
	return c
}

func as(t *testing.T, user string) client.Client {
	t.Helper()
	c, err := client.New(restAs(user), client.Options{Scheme: cluster.client.Scheme()})
	ok(t, err)
	return c
}

// manifests reads the objects in a folder of this repository.
func manifests(t *testing.T, path ...string) []client.Object {
	t.Helper()
	root, err := controlplane.Root()
	ok(t, err)
	files, err := filepath.Glob(filepath.Join(append(append([]string{root}, path...), "*.yaml")...))
	ok(t, err)
	var out []client.Object
	for _, file := range files {
		data, err := os.ReadFile(file)
		ok(t, err)
		decoder := utilyaml.NewYAMLOrJSONDecoder(bytes.NewReader(data), 4096)
		for {
			obj := &unstructured.Unstructured{}
			if err := decoder.Decode(obj); errors.Is(err, io.EOF) {
				break
			} else {
				ok(t, err)
			}
			if obj.GetKind() != "Kustomization" {
				out = append(out, obj)
			}
		}
	}
	return out
}
