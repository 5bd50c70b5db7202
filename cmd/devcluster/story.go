package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/yaml"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/idp"
	"github.com/neosc/mfa-operator/internal/zitadel"
)

const (
	samples      = "config/samples"
	policySample = samples + "/securitypolicy_pol-mfa-required.yaml"
	patience     = 30 * time.Second
)

// simulated is the whole story, on a Zitadel that may be written to.
func simulated(ctx context.Context, s *stage) error {
	var before, after idp.Settings
	return inOrder(
		func() error {
			return s.step("Connecting the operator to Zitadel", func() error { return connect(ctx, s) })
		},
		func() error {
			return s.step("What the instance asks for at sign-in, read from Zitadel", func() (err error) {
				before, err = s.show(ctx, nil)
				return err
			})
		},
		func() error {
			return s.step("Applying the policy: MFA is always required, security key or one-time code", func() error {
				return applyAndWait(ctx, s, policySample)
			})
		},
		func() error {
			return s.step("The same settings now, read back from Zitadel", func() (err error) {
				if after, err = s.show(ctx, before); err != nil {
					return err
				}
				if !after[idp.ForceMFA].Bool() {
					return fmt.Errorf("%s is not in force in Zitadel", idp.ForceMFA)
				}
				return nil
			})
		},
		func() error {
			return s.step("Applying the other samples: stricter rules for one organization, a policy that only audits", func() error {
				return applyAndWait(ctx, s, samples+"/securitypolicy_acme.yaml", samples+"/securitypolicy_audit.yaml")
			})
		},
		func() error {
			return s.step("An administrator weakens the instance in Zitadel, behind the operator's back", func() error {
				return weaken(ctx, s, after)
			})
		},
		func() error {
			return s.step("The operator repairs it", func() error { return repaired(ctx, s, after) })
		},
		func() error {
			return s.step("Somebody asks what forbidding passwords would do, while nobody has a passkey: it is refused", func() error {
				return refused(ctx, s)
			})
		},
	)
}

// auditOnly shows what the policy would change on a real Zitadel, and writes
// nothing to it.
func auditOnly(ctx context.Context, s *stage) error {
	return inOrder(
		func() error {
			return s.step("Connecting the operator to Zitadel", func() error { return connect(ctx, s) })
		},
		func() error {
			return s.step("What the instance asks for at sign-in", func() error {
				_, err := s.show(ctx, nil)
				return err
			})
		},
		func() error {
			return s.step("Applying pol-mfa-required in Audit mode: it writes nothing and shows what it would write", func() error {
				manifest, err := auditManifest(filepath.Join(s.root, policySample))
				if err != nil {
					return err
				}
				if _, err := s.runWithInput(ctx, manifest, "apply", "--server-side", "-f", "-"); err != nil {
					return err
				}
				if err := waitReady(ctx, s, "secpol/pol-mfa-required"); err != nil {
					return err
				}
				return s.kubectlShown(ctx, "-n", operatorNamespace, "get", "secpol", "pol-mfa-required", "-o",
					`jsonpath={range .status.targets[*].pending[*]}{.setting}: {.found} -> {.wanted}{"\n"}{end}`)
			})
		},
	)
}

func inOrder(steps ...func() error) error {
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// connect creates the credential and the sample connection, pointed at the
// Zitadel of this stage.
func connect(ctx context.Context, s *stage) error {
	conn := &v1alpha1.ZitadelConnection{}
	if err := readYAML(filepath.Join(s.root, samples, "zitadelconnection.yaml"), conn); err != nil {
		return err
	}
	conn.Spec.Domain, conn.Spec.Port, conn.Spec.Insecure = s.target.Domain, ptr.To(int32(s.target.Port)), s.target.Insecure
	conn.Spec.Events.PollSeconds = 1 // nobody watching waits for ten
	ref := conn.Spec.Credentials.SecretRef
	secret := &corev1.Secret{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"},
		ObjectMeta: metav1.ObjectMeta{Namespace: ref.Namespace, Name: ref.Name},
		Data:       map[string][]byte{ref.Key: s.target.Credentials.Secret},
	}
	for _, obj := range []any{secret, conn} {
		manifest, err := json.Marshal(obj)
		if err != nil {
			return fmt.Errorf("rendering a manifest: %w", err)
		}
		out, err := s.runWithInput(ctx, manifest, "apply", "--server-side", "-f", "-")
		if err != nil {
			return err
		}
		s.quote(out)
	}
	if err := waitReady(ctx, s, "zconn/"+conn.Name); err != nil {
		return err
	}
	return s.kubectlShown(ctx, "get", "zconn")
}

func applyAndWait(ctx context.Context, s *stage, files ...string) error {
	args := []string{"apply"}
	for _, file := range files {
		args = append(args, "-f", file)
	}
	if err := s.kubectlShown(ctx, args...); err != nil {
		return err
	}
	if err := waitReady(ctx, s, "secpol", "--all"); err != nil {
		return err
	}
	return s.kubectlShown(ctx, "-n", operatorNamespace, "get", "secpol")
}

func waitReady(ctx context.Context, s *stage, what ...string) error {
	args := append([]string{"-n", operatorNamespace, "wait", "--for=condition=Ready", "--timeout=" + patience.String()}, what...)
	return s.kubectlShown(ctx, args...)
}

// show reads the instance's login settings from Zitadel and shows them.
func (s *stage) show(ctx context.Context, before idp.Settings) (idp.Settings, error) {
	state, err := s.reader.Observe(ctx, idp.Instance, idp.Login)
	if err != nil {
		return nil, err
	}
	s.settings(state.Settings, before)
	return state.Settings, nil
}

// weaken acts as another administrator, with an account and a token of its own.
func weaken(ctx context.Context, s *stage, before idp.Settings) error {
	_, token := s.simulator.AddMachine(s.simulator.DefaultOrganizationID(), "mallory", "IAM_OWNER")
	cfg := s.target
	cfg.Credentials = zitadel.Credentials{Type: zitadel.PAT, Secret: []byte(token)}
	mallory, err := zitadel.Dial(cfg)
	if err != nil {
		return err
	}
	defer mallory.Close() //nolint:errcheck // nothing is lost with a connection that was only used here
	weaker := idp.Settings{
		idp.ForceMFA:                  idp.Bool(false),
		idp.SecondFactorCheckLifetime: idp.Duration(7 * 24 * time.Hour),
	}
	// Written but not confirmed: the operator was faster than the reading back.
	if _, err := mallory.Apply(ctx, idp.Instance, weaker); err != nil && idp.CauseOf(err) != idp.NotConfirmed {
		return err
	}
	s.settings(before.Overlay(weaker), before)
	return nil
}

func repaired(ctx context.Context, s *stage, wanted idp.Settings) error {
	err := wait.PollUntilContextTimeout(ctx, 100*time.Millisecond, patience, true, func(ctx context.Context) (bool, error) {
		state, err := s.reader.Observe(ctx, idp.Instance, idp.Login)
		return err == nil && len(state.Settings.Differences(wanted)) == 0, err
	})
	if err != nil {
		return fmt.Errorf("the settings did not come back: %w", err)
	}
	if _, err := s.show(ctx, nil); err != nil {
		return err
	}
	var out string
	err = wait.PollUntilContextTimeout(ctx, 200*time.Millisecond, patience, true, func(ctx context.Context) (done bool, err error) {
		out, err = s.run(ctx, "-n", operatorNamespace, "get", "events.events.k8s.io", "-o",
			`custom-columns=REASON:.reason,OBJECT:.regarding.name,NOTE:.note`)
		return strings.Contains(out, "DriftRepaired"), err
	})
	s.quote("$ kubectl -n " + operatorNamespace + " get events.events.k8s.io")
	s.quote(out)
	if err != nil {
		return err
	}
	return s.kubectlShown(ctx, "-n", operatorNamespace, "get", "secpol", "pol-mfa-required", "-o",
		`jsonpath={.status.conditions[?(@.type=="DriftDetected")].message}{"\n"}`)
}

// lockout forbids what everybody at the instance signs in with.
const lockout = `apiVersion: security.neosc.io/v1alpha1
kind: SecurityPolicy
metadata:
  name: no-passwords
  namespace: ` + operatorNamespace + `
spec:
  targets:
    zitadel:
    - connection: default
      scope: Instance
  login:
    passwordLogin: Forbidden
`

// refused asks about the lock-out, and shows what the webhook says. It counts on
// the census, so it asks until everybody is counted.
func refused(ctx context.Context, s *stage) error {
	var said string
	err := wait.PollUntilContextTimeout(ctx, 500*time.Millisecond, patience, true, func(ctx context.Context) (bool, error) {
		var err error
		said, err = s.runWithInput(ctx, []byte(lockout), "apply", "--dry-run=server", "-f", "-")
		return err != nil && strings.Contains(said, "users could sign in any more"), nil
	})
	s.quote("$ kubectl apply --dry-run=server -f - <<'POLICY'")
	s.quote(lockout + "POLICY")
	s.quote(said)
	if err != nil {
		return fmt.Errorf("the lock-out is not refused: %w", err)
	}
	return nil
}

// auditManifest is the sample with its mode lowered.
func auditManifest(file string) ([]byte, error) {
	p := &v1alpha1.SecurityPolicy{}
	if err := readYAML(file, p); err != nil {
		return nil, err
	}
	p.Spec.Mode = v1alpha1.ModeAudit
	return json.Marshal(p)
}

func readYAML(file string, into any) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("reading a sample: %w", err)
	}
	if err := yaml.UnmarshalStrict(text, into); err != nil {
		return fmt.Errorf("reading %s: %w", file, err)
	}
	return nil
}
