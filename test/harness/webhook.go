package harness

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	neturl "net/url"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/util/retry"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/yaml"

	"github.com/neosc/mfa-operator/cmd/webhook/app"
	"github.com/neosc/mfa-operator/internal/controlplane"
)

// Several processes run in one here, and setting controller-runtime's own logger
// is no race only the first time.
func init() { ctrllog.SetLogger(logr.Discard()) }

// InstallWebhook applies config/webhook except what needs nodes to run on.
func InstallWebhook(ctx context.Context, c client.Client) error {
	root, err := controlplane.Root()
	if err != nil {
		return err
	}
	for file, obj := range map[string]client.Object{
		"secret.yaml": &corev1.Secret{}, "validating.yaml": &admissionregistrationv1.ValidatingWebhookConfiguration{},
	} {
		manifest, err := os.ReadFile(filepath.Join(root, "config", "webhook", file))
		if err != nil {
			return fmt.Errorf("reading a manifest: %w", err)
		}
		if err := yaml.UnmarshalStrict(manifest, obj); err != nil {
			return fmt.Errorf("reading %s: %w", file, err)
		}
		if err := c.Create(ctx, obj); err != nil {
			return fmt.Errorf("creating %s: %w", file, err)
		}
	}
	return nil
}

// WebhookName is what config/ calls the webhook and its configuration.
const WebhookName = "mfa-operator-webhook"

// Webhook is a running webhook process.
type Webhook struct {
	// URL is where it serves.
	URL string
	// Stop ends it and returns its error.
	Stop func() error

	health  string
	ended   chan error
	process *os.Process // nil: it runs in this one
}

// prepare chooses where a webhook serves, and its flags.
func prepare(kubeconfig string, flags []string) ([]string, *Webhook, error) {
	serving, err := controlplane.FreeAddress()
	if err != nil {
		return nil, nil, err
	}
	health, err := controlplane.FreeAddress()
	if err != nil {
		return nil, nil, err
	}
	_, port, err := net.SplitHostPort(serving)
	if err != nil {
		return nil, nil, fmt.Errorf("reading the webhook's address: %w", err)
	}
	return append([]string{
		"--kubeconfig=" + kubeconfig, "--namespace=" + OperatorNamespace, "--bind-address=" + serving,
		"--health-probe-bind-address=" + health, "--dns-name=localhost", "--pod-name=webhook-" + port,
		"--shutdown-delay=0s",
	}, flags...), &Webhook{URL: "https://localhost:" + port, health: health, ended: make(chan error, 1)}, nil
}

// StartWebhook runs the webhook in this process, on loopback, as whoever the
// kubeconfig file says.
func StartWebhook(kubeconfig string, logs io.Writer, flags ...string) (*Webhook, error) {
	args, w, err := prepare(kubeconfig, flags)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() { w.ended <- app.Run(ctx, "test", args, io.Discard, logs) }()
	w.Stop = func() error {
		cancel()
		select {
		case err := <-w.ended:
			w.ended <- err // for whoever asks again
			return err
		case <-time.After(time.Minute):
			return errors.New("the webhook did not stop within a minute")
		}
	}
	return w, nil
}

// childArgs has the flags of a webhook that is a process of its own.
const childArgs = "MFA_OPERATOR_TEST_WEBHOOK_ARGS"

// RunIfChild runs the webhook in a process that ForkWebhook started, and tells
// whether this is one. It comes first in TestMain, which then exits with code.
func RunIfChild() (code int, child bool) {
	text, child := os.LookupEnv(childArgs)
	if !child {
		return 0, false
	}
	var args []string
	err := json.Unmarshal([]byte(text), &args)
	if err == nil {
		err = app.Run(ctrl.SetupSignalHandler(), "test", args, os.Stdout, os.Stderr)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1, true
	}
	return 0, true
}

// ForkWebhook runs the webhook in a process of its own, which Stop kills: it
// ends in the middle of whatever it does.
func ForkWebhook(kubeconfig string, logs io.Writer, flags ...string) (*Webhook, error) {
	args, w, err := prepare(kubeconfig, flags)
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(args)
	if err != nil {
		return nil, err
	}
	child := exec.Command(os.Args[0]) // this very program; Stop ends it
	child.Env = append(os.Environ(), childArgs+"="+string(text))
	child.Stderr = logs
	if err := child.Start(); err != nil {
		return nil, fmt.Errorf("starting a webhook: %w", err)
	}
	w.process = child.Process
	go func() { w.ended <- child.Wait() }()
	w.Stop = func() error {
		if err := child.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
			return fmt.Errorf("killing a webhook: %w", err)
		}
		w.ended <- <-w.ended // that it was killed is no news
		return nil
	}
	return w, nil
}

// Terminate asks a webhook that is a process of its own to end, as a kubelet does,
// and returns its error when it has.
func (w *Webhook) Terminate() error {
	if err := w.process.Signal(syscall.SIGTERM); err != nil {
		return fmt.Errorf("telling a webhook to end: %w", err)
	}
	select {
	case err := <-w.ended:
		w.ended <- err
		return err
	case <-time.After(time.Minute):
		return errors.New("the webhook did not end within a minute")
	}
}

// AwaitReady waits until the process says that it is ready.
func (w *Webhook) AwaitReady(ctx context.Context) error {
	return wait.PollUntilContextTimeout(ctx, 20*time.Millisecond, time.Minute, true, func(ctx context.Context) (bool, error) {
		select {
		case err := <-w.ended:
			w.ended <- err
			return false, fmt.Errorf("the webhook ended: %w", err)
		default:
			return w.Ready(ctx), nil
		}
	})
}

// Ready tells whether the process says that it is ready.
func (w *Webhook) Ready(ctx context.Context) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+w.health+"/readyz", nil)
	if err != nil {
		return false
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	defer resp.Body.Close() //nolint:errcheck // nothing is read
	return resp.StatusCode == http.StatusOK
}

// Redirect makes the API server ask the webhook at a URL: where there is no
// network of Services it would not find it otherwise.
func Redirect(ctx context.Context, c client.Client, url string) error {
	return retry.RetryOnConflict(retry.DefaultRetry, func() error {
		configuration := &admissionregistrationv1.ValidatingWebhookConfiguration{}
		if err := c.Get(ctx, client.ObjectKey{Name: WebhookName}, configuration); err != nil {
			return err
		}
		for i := range configuration.Webhooks {
			to := &configuration.Webhooks[i].ClientConfig
			path := ""
			if to.Service != nil {
				path = *to.Service.Path
			} else if now, err := neturl.Parse(*to.URL); err == nil {
				path = now.Path
			}
			whole := url + path
			to.URL, to.Service = &whole, nil
		}
		return c.Update(ctx, configuration)
	})
}
