// Package process has what every process of the operator does at its start.
package process

import (
	"context"
	"fmt"
	"io"

	"github.com/go-logr/logr"
	openreports "github.com/openreports/reports-api/apis/openreports.io/v1alpha1"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap/zapcore"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client/config"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	ctrlmetrics "sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/metrics"
	"github.com/neosc/mfa-operator/internal/options"
	"github.com/neosc/mfa-operator/internal/tracing"
)

// Trace turns tracing on if the flags of a process say so; end sends the last spans. It
// comes before Begin.
func Trace(ctx context.Context, o options.Tracing, log logr.Logger, service, version, pod string) (end func(), err error) {
	return tracing.Open(ctx, tracing.Config{
		Endpoint: o.Endpoint, Sampling: o.Sampling, Service: service, Version: version, Instance: pod, Log: log,
	})
}

// Begin has controller-runtime's metrics show what the process measures, makes log the
// one that controller-runtime writes to, and returns how to
// reach the API server, by a kubeconfig file or as it is found, and all kinds.
func Begin(log logr.Logger, kubeconfig string, measured []prometheus.Collector) (*rest.Config, *runtime.Scheme, error) {
	ctrllog.SetLogger(log)
	if err := metrics.Register(ctrlmetrics.Registry, measured); err != nil {
		return nil, nil, err
	}
	restConfig, err := cluster(kubeconfig)
	if err != nil {
		return nil, nil, err
	}
	if tracing.On() {
		restConfig.Wrap(tracing.Cluster)
	}
	kinds, err := scheme()
	return restConfig, kinds, err
}

// scheme returns the kinds of Kubernetes, ours, and those of openreports.io, which a
// cluster may have or not.
func scheme() (*runtime.Scheme, error) {
	kinds := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme, openreports.Install} {
		if err := add(kinds); err != nil {
			return nil, fmt.Errorf("registering the kinds: %w", err)
		}
	}
	return kinds, nil
}

// cluster says how to reach the API server: by a kubeconfig file; empty means
// $KUBECONFIG, then the pod's service account. The API server's priority and
// fairness paces us, not a guess of ours.
func cluster(kubeconfig string) (*rest.Config, error) {
	var c *rest.Config
	var err error
	if kubeconfig == "" {
		if c, err = config.GetConfig(); err != nil {
			return nil, fmt.Errorf("finding a kubeconfig: %w", err)
		}
	} else if c, err = clientcmd.BuildConfigFromFlags("", kubeconfig); err != nil {
		return nil, fmt.Errorf("reading kubeconfig %s: %w", kubeconfig, err)
	}
	c.QPS = -1
	return c, nil
}

// Logger writes lines of a level (debug, info, error) and format (json,
// console).
func Logger(level, format string, to io.Writer) logr.Logger {
	from := map[string]zapcore.Level{"debug": zapcore.DebugLevel, "info": zapcore.InfoLevel, "error": zapcore.ErrorLevel}[level]
	return zap.New(zap.WriteTo(to), zap.UseDevMode(format == "console"), zap.Level(from), zap.StacktraceLevel(zapcore.PanicLevel))
}
