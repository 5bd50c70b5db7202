package controlplane

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// assets makes a folder with programs of these names.
func assets(t *testing.T, names ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range names {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestAssetsAreThoseOfTheEnvironment(t *testing.T) {
	dir := assets(t, "etcd", "kube-apiserver", "kubectl")
	t.Setenv("KUBEBUILDER_ASSETS", dir)
	if got, err := Assets(); err != nil || got != dir {
		t.Errorf("got %q, %v, want %q", got, err, dir)
	}
}

func TestMissingAssetsAreNamed(t *testing.T) {
	t.Setenv("KUBEBUILDER_ASSETS", assets(t, "etcd", "kubectl"))
	_, err := Assets()
	if err == nil || !strings.Contains(err.Error(), "kube-apiserver") || !strings.Contains(err.Error(), "make controlplane") {
		t.Errorf("got %v, want what is missing and what to do", err)
	}
}

func TestRootIsFoundFromBelow(t *testing.T) {
	dir := t.TempDir()
	below := filepath.Join(dir, "a", "b")
	if err := os.MkdirAll(below, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Chdir(below)
	if got, err := Root(); err == nil {
		t.Errorf("outside a checkout the root is %s", got)
	}
	if err := os.WriteFile(filepath.Join(dir, "PROJECT"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := Root(); err != nil || got != dir {
		t.Errorf("got %q, %v, want %q", got, err, dir)
	}
}

// checkout makes a checkout with nothing but the script that finds or makes the
// control plane.
func checkout(t *testing.T) (dir, script string) {
	t.Helper()
	root, err := Root()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(root, "hack", "controlplane.sh"))
	if err != nil {
		t.Fatal(err)
	}
	dir = t.TempDir()
	script = filepath.Join(dir, "hack", "controlplane.sh")
	if err := os.Mkdir(filepath.Dir(script), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(script, text, 0o700); err != nil {
		t.Fatal(err)
	}
	return dir, script
}

// TestScriptTakesWhatIsThere, in order: what the environment names if it is
// complete, then bin/k8s; and it prints one line, the folder.
func TestScriptTakesWhatIsThere(t *testing.T) {
	dir, script := checkout(t)
	own := filepath.Join(dir, "bin", "k8s")
	if err := os.MkdirAll(filepath.Dir(own), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(assets(t, "etcd", "kube-apiserver", "kubectl"), own); err != nil {
		t.Fatal(err)
	}
	complete, incomplete := assets(t, "etcd", "kube-apiserver", "kubectl"), assets(t, "etcd")
	for _, c := range []struct {
		environment, want, says string
	}{
		{"", own, ""},
		{complete, complete, ""},
		{incomplete, own, "KUBEBUILDER_ASSETS=" + incomplete + " is not used"},
	} {
		cmd := exec.CommandContext(t.Context(), "bash", script)
		cmd.Env = append(os.Environ(), "KUBEBUILDER_ASSETS="+c.environment)
		var out, said bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &said
		if err := cmd.Run(); err != nil {
			t.Fatalf("with %q: %v\n%s", c.environment, err, said.String())
		}
		if got := strings.TrimSpace(out.String()); got != c.want {
			t.Errorf("with %q it prints %q, want %q", c.environment, got, c.want)
		}
		if !strings.Contains(said.String(), c.says) || c.says == "" && said.Len() > 0 {
			t.Errorf("with %q it says %q, want %q", c.environment, said.String(), c.says)
		}
	}
}

// TestScriptBuildsWhereNothingCanBeDownloaded: the index does not answer, so it
// builds, says so, and fails if that fails.
func TestScriptBuildsWhereNothingCanBeDownloaded(t *testing.T) {
	dir, script := checkout(t)
	programs := filepath.Join(dir, "programs")
	if err := os.MkdirAll(filepath.Join(dir, "hack", "controlplane"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(assets(t), programs); err != nil {
		t.Fatal(err)
	}
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(programs, name), []byte("#!/bin/sh\n"+text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	run := func() (string, string, error) {
		cmd := exec.CommandContext(t.Context(), "bash", script)
		cmd.Env = append(os.Environ(), "KUBEBUILDER_ASSETS=", "PATH="+programs+":"+os.Getenv("PATH"))
		var out, said bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &said
		err := cmd.Run()
		return strings.TrimSpace(out.String()), said.String(), err
	}
	write("curl", "exit 28") // no answer in time

	write("go", "exit 1")
	if out, said, err := run(); err == nil {
		t.Errorf("a build that fails is no failure: %q, %s", out, said)
	}

	write("go", `while [ "$1" != -o ]; do shift; done; printf '#!/bin/sh\n' >"$2" && chmod +x "$2"`)
	out, said, err := run()
	if want := filepath.Join(dir, "bin", "k8s"); err != nil || out != want {
		t.Errorf("got %q, %v, want %q\n%s", out, err, want, said)
	}
	for _, want := range []string{"about 10 minutes", "building etcd", "building kube-apiserver", "building kubectl", "built kubectl in"} {
		if !strings.Contains(said, want) {
			t.Errorf("it does not say %q:\n%s", want, said)
		}
	}

	write("go", "exit 1")
	if out, said, err := run(); err != nil || said != "" {
		t.Errorf("the second time it builds again: %q, %s, %v", out, said, err)
	}
}
