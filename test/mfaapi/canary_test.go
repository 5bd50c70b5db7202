package mfaapi

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/neosc/mfa-operator/api/v1alpha1"
)

// canaries are the secrets of the whole run. When it has ended, none of them may
// be anywhere but in the answer that gave it out.
var canaries canary

type canary struct {
	mu      sync.Mutex
	secrets map[string]string // what they are
	refused []string          // bodies of answers that refused something
}

// secretMembers are those of answers that hold secrets, at any depth.
var secretMembers = map[string]bool{"token": true, "secret": true, "uri": true, "codes": true}

// hear keeps what an answer gives out, and what a refusal says.
func (c *canary) hear(a answer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if a.status >= 400 {
		c.refused = append(c.refused, a.raw)
		return
	}
	c.keep("", a.body)
}

func (c *canary) keep(member string, value any) {
	switch v := value.(type) {
	case map[string]any:
		for name, inner := range v {
			c.keep(name, inner)
		}
	case []any:
		for _, inner := range v {
			c.keep(member, inner)
		}
	case string:
		if secretMembers[member] {
			c.add(member, v)
		}
	}
}

func (c *canary) add(what, secret string) {
	if c.secrets == nil {
		c.secrets = map[string]string{}
	}
	c.secrets[secret] = what
	if what == "codes" {
		c.secrets[strings.ReplaceAll(secret, "-", "")] = what
	}
}

// check looks for them in the log, in refusals, and in every object of the kinds
// that this product writes.
func (c *canary) check(ctx context.Context, s *site) error {
	places := map[string]string{"the log": s.logs.String()}
	for _, list := range []client.ObjectList{
		&v1alpha1.MFAAuditRecordList{}, &v1alpha1.MFALedgerList{}, &v1alpha1.MFALedgerSnapshotList{}, &v1alpha1.MFAUserList{},
		&v1alpha1.SecurityPolicyList{}, &corev1.EventList{}, &corev1.ConfigMapList{}, &corev1.SecretList{},
	} {
		if err := s.client.List(ctx, list); err != nil {
			return fmt.Errorf("listing %T: %w", list, err)
		}
		text, err := yaml.Marshal(list)
		if err != nil {
			return err
		}
		places[fmt.Sprintf("%T", list)] = string(text)
		if secrets, ok := list.(*corev1.SecretList); ok { // they are base64 there
			var plain strings.Builder
			for _, secret := range secrets.Items {
				for _, value := range secret.Data {
					plain.Write(value)
					plain.WriteByte('\n')
				}
			}
			places["the data of Secrets"] = plain.String()
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	places["refusals"] = strings.Join(c.refused, "\n")
	var errs []error
	whose, gone := map[string]string{}, []string{}
	for secret, what := range c.secrets {
		for _, form := range []string{secret, base64.StdEncoding.EncodeToString([]byte(secret))} {
			whose[form], gone = what, append(gone, form, "")
		}
	}
	without := strings.NewReplacer(gone...) // one pass, however many there are
	for place, text := range places {
		if without.Replace(text) == text {
			continue
		}
		for form, what := range whose {
			if strings.Contains(text, form) {
				errs = append(errs, fmt.Errorf("a secret (%s) is in %s", what, place))
			}
		}
	}
	for place, text := range places {
		for _, trace := range []string{"goroutine ", "panic", ".go:"} {
			if place == "refusals" && strings.Contains(text, trace) {
				errs = append(errs, fmt.Errorf("%q is in %s", trace, place))
			}
		}
		if strings.Contains(text, "BEGIN EC PRIVATE KEY") && place != "the data of Secrets" {
			errs = append(errs, fmt.Errorf("a private key is in %s", place))
		}
	}
	return errors.Join(errs...)
}
