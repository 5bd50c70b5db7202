package harness

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/neosc/mfa-operator/internal/controlplane"
)

// Cluster is a control plane with the operator's namespace, and what a suite runs
// on it.
type Cluster struct {
	Env *envtest.Environment
	// Client is an administrator's, and knows the kinds of Scheme.
	Client client.Client
	// Kubeconfig is a file that makes a program that administrator.
	Kubeconfig string
	// Logs are those of whatever runs on it. They are shown if that does not start.
	Logs *Recorder

	ends []func() error
}

// An Option changes a control plane before it starts. The folder dir is there as
// long as the cluster is.
type Option func(dir string, env *envtest.Environment)

// Durable makes the control plane write to disk as it would in a cluster, and lets
// it be stopped and started again.
func Durable(dir string, env *envtest.Environment) { controlplane.Durable(dir)(env) }

// Main is a suite's TestMain: it starts a cluster, has prepare put on it what the tests
// share, runs them, ends everything, and exits. What does not start or end as it should
// fails the suite, and is named.
func Main(m *testing.M, prepare func(context.Context, *Cluster) error, options ...Option) {
	// Gomega asks a hundred times a second, which was two fifths of what a suite cost the
	// machine.
	gomega.SetDefaultEventuallyPollingInterval(50 * time.Millisecond)
	code, err := runOn(m.Run, prepare, options)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = max(code, 1)
	}
	os.Exit(code) //nolint:forbidigo // it stands for TestMain, which ends the process
}

func runOn(run func() int, prepare func(context.Context, *Cluster) error, options []Option) (code int, err error) {
	c, err := StartCluster(options...)
	if err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, c.Stop()) }()
	if err := prepare(context.Background(), c); err != nil {
		return 1, fmt.Errorf("preparing the suite: %w; log:\n%s", err, c.Logs)
	}
	return run(), nil
}

// StartCluster is for a test that needs one of its own, which it stops. A suite's
// comes from Main.
func StartCluster(options ...Option) (*Cluster, error) {
	c := &Cluster{Logs: &Recorder{}}
	if err := c.start(options); err != nil {
		return nil, errors.Join(err, c.Stop())
	}
	return c, nil
}

func (c *Cluster) start(options []Option) error {
	dir, err := os.MkdirTemp("", "cluster-")
	if err != nil {
		return fmt.Errorf("making a temporary folder: %w", err)
	}
	c.AtEnd(func() error { return os.RemoveAll(dir) })
	for _, name := range []string{"etcd", "apiserver"} { // for Durable
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			return fmt.Errorf("making a temporary folder: %w", err)
		}
	}
	if c.Env, err = controlplane.Start(func(env *envtest.Environment) {
		env.ControlPlaneStartTimeout = 2 * time.Minute // several start at once, on a busy machine
		for _, o := range options {
			o(dir, env)
		}
	}); err != nil {
		return err
	}
	c.AtEnd(c.Env.Stop)
	if c.Client, err = client.New(c.Env.Config, client.Options{Scheme: Scheme}); err != nil {
		return fmt.Errorf("making a client: %w", err)
	}
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: OperatorNamespace}}
	if err := c.Client.Create(context.Background(), namespace); err != nil {
		return fmt.Errorf("creating the operator's namespace: %w", err)
	}
	c.Kubeconfig = filepath.Join(dir, "kubeconfig")
	if err := os.WriteFile(c.Kubeconfig, c.Env.KubeConfig, 0o600); err != nil {
		return fmt.Errorf("writing the kubeconfig: %w", err)
	}
	return nil
}

// AtEnd has something ended before what was there earlier. Its error fails the suite.
func (c *Cluster) AtEnd(end func() error) { c.ends = append(c.ends, end) }

// Stop ends everything, the last first.
func (c *Cluster) Stop() error {
	var errs []error
	for _, end := range slices.Backward(c.ends) {
		errs = append(errs, end())
	}
	c.ends = nil
	return errors.Join(errs...)
}

// RunWebhooks installs the webhook of config/, runs that many replicas of it as whoever
// the kubeconfig file says, waits until they are ready, and makes the API server ask
// the last one.
func (c *Cluster) RunWebhooks(ctx context.Context, replicas int, kubeconfig string, flags ...string) ([]*Webhook, error) {
	return c.webhooks(ctx, StartWebhook, replicas, kubeconfig, flags)
}

// ForkWebhooks is RunWebhooks, each in a process of its own.
func (c *Cluster) ForkWebhooks(ctx context.Context, replicas int, kubeconfig string, flags ...string) ([]*Webhook, error) {
	return c.webhooks(ctx, ForkWebhook, replicas, kubeconfig, flags)
}

func (c *Cluster) webhooks(ctx context.Context, start func(string, io.Writer, ...string) (*Webhook, error), replicas int, kubeconfig string, flags []string) ([]*Webhook, error) {
	if err := InstallWebhook(ctx, c.Client); err != nil {
		return nil, err
	}
	var running []*Webhook
	for range replicas {
		w, err := start(kubeconfig, c.Logs, flags...)
		if err != nil {
			return nil, err
		}
		c.AtEnd(w.Stop)
		running = append(running, w)
	}
	for _, w := range running {
		if err := w.AwaitReady(ctx); err != nil {
			return nil, err
		}
	}
	if err := Redirect(ctx, c.Client, running[replicas-1].URL); err != nil {
		return nil, fmt.Errorf("redirecting the API server: %w", err)
	}
	return running, nil
}
