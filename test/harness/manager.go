// Package harness gives suites a cluster, runs the real manager and webhook on it inside
// a test's process, and reads what they leave behind.
package harness

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	openreports "github.com/openreports/reports-api/apis/openreports.io/v1alpha1"
	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/cmd/manager/app"
)

// OperatorNamespace is where the manager lives.
const OperatorNamespace = "neosc-system"

// Scheme has the kinds of Kubernetes, ours, and those of openreports.io.
var Scheme = func() *runtime.Scheme {
	s := runtime.NewScheme()
	utilruntime.Must(clientgoscheme.AddToScheme(s))
	utilruntime.Must(v1alpha1.AddToScheme(s))
	utilruntime.Must(openreports.Install(s))
	return s
}()

// StartManager runs the manager in this process, so that the race detector sees
// it. stop ends it and returns its error.
func StartManager(env *envtest.Environment, logs io.Writer, flags ...string) (stop func() error, err error) {
	dir, err := os.MkdirTemp("", "manager")
	if err != nil {
		return nil, fmt.Errorf("making a temporary folder: %w", err)
	}
	kubeconfig := filepath.Join(dir, "kubeconfig")
	if err := os.WriteFile(kubeconfig, env.KubeConfig, 0o600); err != nil {
		return nil, fmt.Errorf("writing the kubeconfig: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		args := append([]string{"--kubeconfig=" + kubeconfig, "--health-probe-bind-address=0", "--namespace=" + OperatorNamespace}, flags...)
		ended <- app.Run(ctx, "test", args, io.Discard, logs)
	}()
	return func() error {
		cancel()
		select {
		case err := <-ended:
			return errors.Join(err, os.RemoveAll(dir))
		case <-time.After(time.Minute):
			return errors.New("the manager did not stop within a minute")
		}
	}, nil
}

// Recorder keeps what was written to it.
type Recorder struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write implements io.Writer.
func (r *Recorder) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.Write(p)
}

// String returns everything written so far.
func (r *Recorder) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.String()
}
