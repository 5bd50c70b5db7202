package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/neosc/mfa-operator/internal/controlplane"
)

const webhookManifests = "config/webhook"

// startWebhook runs the webhook and makes the API server ask it. It makes its
// certificate itself, and the API server trust it.
func (s *stage) startWebhook(ctx context.Context, binary string) error {
	serving, err := controlplane.FreeAddress()
	if err != nil {
		return err
	}
	health, err := controlplane.FreeAddress()
	if err != nil {
		return err
	}
	if _, err := s.run(ctx, "apply", "-f", webhookManifests+"/secret.yaml"); err != nil {
		return err
	}
	_, port, err := net.SplitHostPort(serving)
	if err != nil {
		return fmt.Errorf("reading the webhook's address: %w", err)
	}
	s.webhookURL = "https://localhost:" + port
	configuration, err := s.asked()
	if err != nil {
		return err
	}
	if _, err := s.runWithInput(ctx, configuration, "apply", "-f", "-"); err != nil {
		return err
	}
	err = s.start("webhook", binary, "--bind-address="+serving, "--dns-name=localhost", "--health-probe-bind-address="+health,
		"--shutdown-delay=0s", "--mfa-namespace="+usersNamespace, "--webauthn-rp-id="+relyingParty)
	if err != nil {
		return err
	}
	if err := awaitReady(ctx, "http://"+health+"/readyz"); err != nil {
		return fmt.Errorf("waiting for the webhook: %w", err)
	}
	return nil
}

// asked is the webhook configuration for a webhook at its URL: here is no network
// of Services.
func (s *stage) asked() ([]byte, error) {
	configuration := &admissionregistrationv1.ValidatingWebhookConfiguration{}
	if err := readYAML(filepath.Join(s.root, webhookManifests, "validating.yaml"), configuration); err != nil {
		return nil, err
	}
	for i := range configuration.Webhooks {
		to := &configuration.Webhooks[i].ClientConfig
		url := s.webhookURL + *to.Service.Path
		to.URL, to.Service = &url, nil
	}
	return json.Marshal(configuration)
}

// awaitReady waits until url answers with 200.
func awaitReady(ctx context.Context, url string) error {
	return wait.PollUntilContextTimeout(ctx, 50*time.Millisecond, patience, true, func(ctx context.Context) (bool, error) {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return false, err
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return false, nil //nolint:nilerr // it does not listen yet
		}
		return response.StatusCode == http.StatusOK, response.Body.Close()
	})
}
