package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestDemo runs the walk-through with the real binaries, and looks for what it
// leaves behind.
func TestDemo(t *testing.T) {
	binaries := build(t, "manager", "webhook", "kubectl-mfa")
	t.Run("to its end", func(t *testing.T) {
		temporary := emptyTemporaryFolder(t)
		screen := &syncBuffer{}
		if err := run(t.Context(), append([]string{"--demo"}, binaries...), screen); err != nil {
			t.Fatalf("%v\n%s", err, screen)
		}
		for _, want := range []string{
			"login.forceMfa                             true       <- was false",
			"login.forceMfa                             false      <- was true",
			"DriftRepaired   pol-mfa-required",
			"mallory (user ",
			"Warning: of 6 users in scope 0 will be asked to set up a factor at their next sign-in and 6 will be blocked",
			`The SecurityPolicy "no-passwords" is invalid`,
			"none of 6 users could sign in any more",
			`needed: true  why: "MustEnrol"`,
			`mfaVerified: true  amr: ["otp","mfa"]`,
			`mfaVerified: true  amr: ["hwk","user","mfa"]`,
			`mfaVerified: false  amr: ["rc"]`,
			`type: "urn:neosc:mfa:denied"`,
			"Replayed",
			"Intact: ",
			"Every step worked.",
		} {
			if !strings.Contains(screen.String(), want) {
				t.Errorf("the screen does not show %q:\n%s", want, screen)
			}
		}
		expectNothingLeft(t, temporary)
	})
	t.Run("until Ctrl-C", func(t *testing.T) {
		temporary := emptyTemporaryFolder(t)
		ctx, interrupt := context.WithTimeout(t.Context(), time.Minute)
		defer interrupt()
		screen := &syncBuffer{}
		screen.when("Everything is up.", interrupt)
		if err := run(ctx, binaries, screen); err != nil {
			t.Fatalf("%v\n%s", err, screen)
		}
		for _, want := range []string{"export KUBECONFIG=", "curl --cacert"} {
			if !strings.Contains(screen.String(), want) {
				t.Errorf("nothing tells how to go on, by %s:\n%s", want, screen)
			}
		}
		expectNothingLeft(t, temporary)
	})
}

// TestProcessThatEnds is told at once, with what it said last: its log is gone
// with everything else.
func TestProcessThatEnds(t *testing.T) {
	dir := t.TempDir()
	for name, script := range map[string]string{"lasting": "exec sleep 600", "ending": "echo the last words\nexit 3"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+script+"\n"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct{ who, manager, webhook string }{
		{"the manager", "ending", "lasting"},
		{"the webhook", "lasting", "ending"},
	} {
		t.Run(c.who, func(t *testing.T) {
			temporary := emptyTemporaryFolder(t)
			screen := &syncBuffer{}
			err := run(t.Context(), []string{
				"--demo", "--manager=" + filepath.Join(dir, c.manager), "--webhook=" + filepath.Join(dir, c.webhook),
			}, screen)
			if !errors.Is(err, errEnded) || !strings.Contains(err.Error(), c.who) {
				t.Errorf("got %v, want %s %v", err, c.who, errEnded)
			}
			if !strings.Contains(screen.String(), "the last words") {
				t.Errorf("the screen does not show the end of the log:\n%s", screen)
			}
			expectNothingLeft(t, temporary)
		})
	}
}

func TestRealZitadelNeedsDomainAndToken(t *testing.T) {
	err := run(t.Context(), []string{"--zitadel-domain=auth.example.com"}, &syncBuffer{})
	if err == nil || !strings.Contains(err.Error(), "--zitadel-token-file") {
		t.Errorf("got %v", err)
	}
}

// build builds programs of this repository, and returns the flags that name
// them.
func build(t *testing.T, names ...string) (flags []string) {
	t.Helper()
	dir := t.TempDir()
	for _, name := range names {
		binary := filepath.Join(dir, name)
		if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "../"+name).CombinedOutput(); err != nil {
			t.Fatalf("building the %s: %v\n%s", name, err, out)
		}
		flags = append(flags, "--"+cmp.Or(map[string]string{"kubectl-mfa": "plugin"}[name], name)+"="+binary)
	}
	return flags
}

// emptyTemporaryFolder becomes the temporary folder of everything the test
// starts.
func emptyTemporaryFolder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	return dir
}

func expectNothingLeft(t *testing.T, temporary string) {
	t.Helper()
	left, err := os.ReadDir(temporary)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range left {
		t.Errorf("left behind: %s", entry.Name())
	}
}

// syncBuffer is a screen that can be read while it is written to.
type syncBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
	mark string
	then func()
}

// when calls then as soon as mark is on the screen.
func (b *syncBuffer) when(mark string, then func()) { b.mark, b.then = mark, then }

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	n, err := b.text.Write(p)
	if b.then != nil && strings.Contains(b.text.String(), b.mark) {
		b.then()
	}
	return n, err
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}
