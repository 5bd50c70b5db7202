package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/neosc/mfa-operator/internal/controlplane"
	"github.com/neosc/mfa-operator/internal/zitadel"
	"github.com/neosc/mfa-operator/internal/zitadel/zitadeltest"
)

const operatorNamespace = "neosc-system"

// stage is everything that runs, and how to clear it away.
type stage struct {
	screen
	root       string
	dir        string // temporary files
	kubectl    string
	kubeconfig string
	plugin     string
	webhookURL string
	app        *caller // once it is there

	simulator *zitadeltest.Server // nil with a real Zitadel
	target    zitadel.Config      // where and as whom the operator works
	reader    *zitadel.Client     // reads back what Zitadel holds

	processes []process
	ended     func(name string) // called when a process ends, for whatever reason

	undo []func() error
}

// later adds something to do when the stage is cleared; last added, first done.
func (s *stage) later(undo func() error) { s.undo = append(s.undo, undo) }

func (s *stage) clear() error {
	var errs []error
	for i := len(s.undo) - 1; i >= 0; i-- {
		errs = append(errs, s.undo[i]())
	}
	return errors.Join(errs...)
}

func (s *stage) setUp(ctx context.Context, o options) (err error) {
	if s.root, err = controlplane.Root(); err != nil {
		return err
	}
	if s.dir, err = os.MkdirTemp("", "neosc-mfa-"); err != nil {
		return fmt.Errorf("making a temporary folder: %w", err)
	}
	s.later(func() error { return os.RemoveAll(s.dir) })
	// What is started keeps its temporary files in there too: envtest starts
	// etcd and API server anew if they are slow, and leaves the files of the
	// first attempt.
	if err := os.Setenv("TMPDIR", s.dir); err != nil {
		return fmt.Errorf("choosing the temporary folder: %w", err)
	}

	if err := s.step("Starting a Kubernetes control plane (etcd, kube-apiserver) on loopback", s.startControlPlane); err != nil {
		return err
	}
	if o.domain == "" {
		err = s.step("Starting a Zitadel simulator with three organizations and some users", s.startSimulator)
	} else {
		err = s.useRealZitadel(o)
	}
	if err != nil {
		return err
	}
	if s.reader, err = zitadel.Dial(s.target); err != nil {
		return err
	}
	s.later(s.reader.Close)
	return s.step("Starting the operator", func() error {
		for _, namespace := range []string{operatorNamespace, usersNamespace} {
			if _, err := s.run(ctx, "create", "namespace", namespace); err != nil {
				return err
			}
		}
		if err := s.start("manager", o.manager, "--health-probe-bind-address=0"); err != nil {
			return err
		}
		return s.startWebhook(ctx, o.webhook)
	})
}

func (s *stage) startControlPlane() error {
	assets, err := controlplane.Assets()
	if err != nil {
		return err
	}
	env, err := controlplane.Start()
	if err != nil {
		return err
	}
	s.later(env.Stop)
	s.kubectl = filepath.Join(assets, "kubectl")
	s.kubeconfig = filepath.Join(s.dir, "kubeconfig")
	return s.writeKubeconfig(env)
}

func (s *stage) writeKubeconfig(env *envtest.Environment) error {
	if err := os.WriteFile(s.kubeconfig, env.KubeConfig, 0o600); err != nil {
		return fmt.Errorf("writing the kubeconfig: %w", err)
	}
	s.quote("API server " + env.Config.Host)
	return nil
}

func (s *stage) startSimulator() error {
	s.simulator = zitadeltest.New(zitadeltest.Options{Lag: 50 * time.Millisecond})
	addr, err := s.simulator.Listen("127.0.0.1:0")
	if err != nil {
		return err
	}
	go s.simulator.Serve() //nolint:errcheck // a simulator that dies shows in every call to it
	s.later(func() error { s.simulator.Close(); return nil })

	for _, org := range []string{"acme", "globex", "initech"} {
		id := s.simulator.AddOrganization(org)
		for _, user := range []string{"alice", "bob"} {
			s.simulator.AddHuman(id, user+"-"+org, user+"@"+org+".example")
		}
	}
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("reading the simulator's address: %w", err)
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return fmt.Errorf("reading the simulator's port: %w", err)
	}
	s.target = config("localhost", uint16(number), s.simulator.OwnerToken())
	s.target.Insecure = true
	s.quote("Zitadel at http://localhost:" + port + ", organizations acme, globex, initech")
	return nil
}

func (s *stage) useRealZitadel(o options) error {
	token, err := os.ReadFile(o.tokenFile)
	if err != nil {
		return fmt.Errorf("reading the token: %w", err)
	}
	s.target = config(o.domain, o.port, strings.TrimSpace(string(token)))
	return nil
}

func config(domain string, port uint16, token string) zitadel.Config {
	return zitadel.Config{
		Domain: domain, Port: port,
		Credentials: zitadel.Credentials{Type: zitadel.PAT, Secret: []byte(token)},
	}
}

// kubectlShown runs kubectl and shows command and output.
func (s *stage) kubectlShown(ctx context.Context, args ...string) error {
	s.quote("$ kubectl " + strings.Join(args, " "))
	out, err := s.run(ctx, args...)
	s.quote(out)
	return err
}

// run runs kubectl from the repository's root, so that paths in commands are
// those of the documentation.
func (s *stage) run(ctx context.Context, args ...string) (string, error) {
	return s.runWithInput(ctx, nil, args...)
}

func (s *stage) runWithInput(ctx context.Context, input []byte, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, s.kubectl, args...)
	cmd.Dir = s.root
	cmd.Env = append(os.Environ(), "KUBECONFIG="+s.kubeconfig)
	cmd.Stdin = bytes.NewReader(input)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return string(out), fmt.Errorf("kubectl %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return string(out), nil
}

// invite tells what to try while everything is up.
func (s *stage) invite() {
	s.say(`Everything is up. Try, in another terminal:

   export KUBECONFIG=%s
   kubectl get secpol,zconn -A                     # what is in force, and where
   kubectl -n %s describe secpol pol-mfa-required
   kubectl -n %[2]s get events
   kubectl -n %[2]s patch secpol pol-mfa-required --type=merge -p '{"spec":{"mode":"Audit"}}'

and, as the application, for a user of your own:

   mfa() { curl --cacert %[4]s -H "Authorization: Bearer $(cat %[5]s)" -H 'Content-Type: application/json' "$@"; }
   mfa -X PUT %[6]sbob -d '{}'
   mfa %[6]sbob/requirement -d '{}'
   mfa %[6]sbob/enrolments -d '{"method":"TOTP","name":"phone"}'   # the secret goes into an authenticator app
   mfa %[6]sbob/enrolments/confirm -d '{"token":"…","code":"…"}'
   mfa %[6]sbob/verifications -d '{"method":"TOTP","code":"…"}'

Manager and webhook log to manager.log and webhook.log in %[3]s.
Ctrl-C ends everything and leaves nothing behind.`, s.kubeconfig, operatorNamespace, s.dir, s.app.caFile, s.app.tokenFile, s.app.url)
}
