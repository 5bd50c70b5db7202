package harness

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrlconfig "sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/yaml"

	"github.com/neosc/mfa-operator/internal/controlplane"
	"github.com/neosc/mfa-operator/webhook/zitadelevents"
)

// InstallDoorbell applies config/doorbell/objects.yaml.
func InstallDoorbell(ctx context.Context, c client.Client) error {
	root, err := controlplane.Root()
	if err != nil {
		return err
	}
	manifests, err := os.ReadFile(filepath.Join(root, "config", "doorbell", "objects.yaml"))
	if err != nil {
		return fmt.Errorf("reading the doorbell's manifests: %w", err)
	}
	for manifest := range strings.SplitSeq(string(manifests), "\n---\n") {
		obj := &unstructured.Unstructured{}
		if err := yaml.Unmarshal([]byte(manifest), obj); err != nil {
			return fmt.Errorf("reading the doorbell's manifests: %w", err)
		}
		if err := c.Create(ctx, obj); err != nil {
			return fmt.Errorf("creating %s %s: %w", obj.GetKind(), obj.GetName(), err)
		}
	}
	return nil
}

// StartDoorbell hears doorbells in this process, on loopback, as the webhook
// does. url is where.
func StartDoorbell(config *rest.Config, log logr.Logger) (url string, stop func() error, err error) {
	address, err := controlplane.FreeAddress()
	if err != nil {
		return "", nil, err
	}
	mgr, err := ctrl.NewManager(config, ctrl.Options{
		Scheme: Scheme, Logger: log, Metrics: server.Options{BindAddress: "0"}, HealthProbeBindAddress: "0",
		Controller: ctrlconfig.Controller{SkipNameValidation: ptr.To(true)},
	})
	if err != nil {
		return "", nil, fmt.Errorf("making the webhook's manager: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	if err := zitadelevents.Setup(ctx, mgr, OperatorNamespace, address); err != nil {
		cancel()
		return "", nil, err
	}
	ended := make(chan error, 1)
	go func() { ended <- mgr.Start(ctx) }()
	return "http://" + address, func() error {
		cancel()
		select {
		case err := <-ended:
			return err
		case <-time.After(time.Minute):
			return errors.New("the doorbell did not stop within a minute")
		}
	}, nil
}
