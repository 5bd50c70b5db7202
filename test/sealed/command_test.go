package sealed

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/neosc/mfa-operator/internal/mfa"
)

// Somebody rotates the keys by the kubectl plugin.
func TestKeysCommands(t *testing.T) {
	dir := t.TempDir()
	path, kubeconfig := filepath.Join(dir, "kubectl-mfa"), filepath.Join(dir, "kubeconfig")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", path, "github.com/neosc/mfa-operator/cmd/kubectl-mfa").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	ok(t, os.WriteFile(kubeconfig, cluster.env.KubeConfig, 0o600))
	o := install(t)
	run := func(args ...string) (string, error) {
		args = append([]string{"keys"}, append(args, "--kubeconfig="+kubeconfig, "--namespace="+o.namespace)...)
		out, err := exec.CommandContext(context.WithoutCancel(t.Context()), path, args...).CombinedOutput()
		return string(out), err
	}
	shows := func(reason, pattern, out string) {
		t.Helper()
		if !regexp.MustCompile(`(?m)` + pattern).MatchString(out) {
			t.Errorf("%s: there is no %s in\n%s", reason, pattern, out)
		}
	}
	out, err := run("status")
	if err == nil {
		t.Errorf("before there are keys it says\n%s", out)
	}

	namespace := newNamespace(t)
	for _, name := range []string{"alice", "bob", "carol"} {
		save(t, o.vault(t), mfa.Owner{Namespace: namespace, Name: name, UID: "uid-" + name}, factor("phone", 0), factor("tablet", 1))
	}
	out, err = run("status")
	ok(t, err)
	shows("at first", `^seal-[0-9a-f]{8} +primary .* 6$`, out)
	shows("at first", `^6 credentials of 3 users\.$`, out)
	old := regexp.MustCompile(`seal-[0-9a-f]{8}`).FindString(out)

	out, err = run("rotate")
	ok(t, err)
	shows("rotating", `^Under the new key: 0 of 3 users$`, out)
	shows("rotating", `^Under the new key: 3 of 3 users$`, out)
	shows("afterwards", `^`+old+` +old .* 0$`, out)
	shows("afterwards", `^seal-[0-9a-f]{8} +primary .* 6$`, out)
	if strings.Contains(out, "JBSW") {
		t.Errorf("it prints a seed:\n%s", out)
	}

	out, err = run("reseal")
	ok(t, err)
	shows("sealing anew what is new", `^Under the new key: 3 of 3 users$`, out)
	for reason, args := range map[string][]string{
		"too early": {"disable", old}, "while it is enabled": {"destroy", old}, "a key that there is not": {"enable", "seal-xyz"},
		"no key": {"disable"}, "two keys": {"destroy", old, old}, "an argument too many": {"status", old}, "no command": {"forget"},
	} {
		if out, err := run(args...); err == nil {
			t.Errorf("%s: %v succeeds:\n%s", reason, args, out)
		}
	}

	s := stored(t, mfa.Owner{Namespace: namespace, Name: "bob"})
	s.Data["broken"] = []byte("x")
	update(t, s)
	out, err = run("reseal")
	if err == nil {
		t.Error("what cannot be sealed anew is no error")
	}
	shows("what cannot be sealed anew", `^Not sealed anew: in Secret `+namespace+`/mfa-credentials-bob`, out)
	out, err = run("status")
	ok(t, err)
	shows("what does not open", `^Not everything in the Secret `+namespace+`/mfa-credentials-bob opens`, out)
}
