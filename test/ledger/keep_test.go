package ledger

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/controllers/mfaledger"
	"github.com/neosc/mfa-operator/internal/audit"
	"github.com/neosc/mfa-operator/test/harness"
)

// What an administrator reads of a ledger, and what the plugin says of it.
func TestLedgersAreKept(t *testing.T) {
	namespace := newNamespace(t)
	r := start(t, "writer", nil)
	for i := range 5 {
		r.must(t, namespace, try{Thing: fmt.Sprint(i), Who: "alice"})
	}
	mgr, err := ctrl.NewManager(cluster.env.Config, ctrl.Options{
		Scheme: cluster.client.Scheme(), Metrics: server.Options{BindAddress: "0"},
	})
	ok(t, err)
	reconciler := &mfaledger.Reconciler{
		Client: mgr.GetClient(), Keeper: r, Events: mgr.GetEventRecorder("test"), Pause: 200 * time.Millisecond,
	}
	ok(t, reconciler.SetupWithManager(mgr))
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- mgr.Start(ctx) }()
	defer func() { stop(); ok(t, <-ended) }()

	key := client.ObjectKey{Namespace: namespace, Name: v1alpha1.LedgerName}
	reason := func() string {
		var obj v1alpha1.MFALedger
		ok(t, cluster.client.Get(t.Context(), key, &obj))
		if c := meta.FindStatusCondition(obj.Status.Conditions, v1alpha1.ConditionReady); c != nil && obj.Status.Head.Sequence == 5 {
			return c.Reason
		}
		return ""
	}
	eventually(t, "the ledger does not become Ready", func() bool { return reason() == v1alpha1.ReasonLedgerInOrder })

	plugin, kubeconfig := buildPlugin(t), writeKubeconfig(t)
	run := func(args ...string) (string, error) {
		cmd := exec.CommandContext(t.Context(), plugin, append(args, "--kubeconfig", kubeconfig, "-n", namespace)...)
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		err := cmd.Run()
		return out.String(), err
	}
	out, err := run("audit", "verify")
	if err != nil || !strings.HasPrefix(out, "Intact: batches 1 to 5, 5 records.") {
		t.Errorf("%v: %s", err, out)
	}
	_, noted, _ := strings.Cut(out, "--head=")
	head := "--head=" + strings.TrimSpace(noted)
	if out, err := run("audit", "list", "--user", "alice", "--outcome", "Succeeded"); err != nil || strings.Count(out, "Verification") != 5 {
		t.Errorf("%v: %s", err, out)
	}

	// Somebody removes the end.
	last := batches(t, namespace)[4]
	ok(t, cluster.client.Delete(t.Context(), &last))
	eventually(t, "it is not noticed that the last batch is gone", func() bool { return reason() == v1alpha1.ReasonLedgerBroken })
	if _, err := r.Append(t.Context(), namespace, try{Thing: "more", Who: "x"}); err == nil {
		t.Error("a broken ledger takes records")
	}
	for _, args := range [][]string{{"audit", "verify"}, {"audit", "verify", head}} {
		if out, err := run(args...); err == nil || !strings.HasPrefix(out, "NOT INTACT: ") {
			t.Errorf("%v: %v: %s", args, err, out)
		}
	}
}

func buildPlugin(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kubectl-mfa")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", path, "github.com/neosc/mfa-operator/cmd/kubectl-mfa").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return path
}

func writeKubeconfig(t *testing.T) string {
	t.Helper()
	c := cluster.env.Config
	path := filepath.Join(t.TempDir(), "kubeconfig")
	ok(t, harness.WriteKubeconfig(path, c, &clientcmdapi.AuthInfo{ClientCertificateData: c.CertData, ClientKeyData: c.KeyData}))
	return path
}

var _ mfaledger.Keeper = (*replica)(nil)

var _ audit.Fold[string, try] = things{}
