package securitypolicy

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/idp"
	"github.com/neosc/mfa-operator/internal/kube"
	"github.com/neosc/mfa-operator/internal/policy"
)

// A claim is a ConfigMap in the operator's namespace, one for each target that
// policies hold: for each setting what stood before, what was last put in force
// and who asked for it, and the last change that somebody else made. Every
// update carries the resource version it was made from, so a stale cache can
// make us try again but never remember our own values as those of before.

// Entries of a claim.
const (
	keySettings  = "settings.json"
	keyInherited = "inherited.json"
	keyDrift     = "drift.json"
	// keyUnrecorded is there only while something is not in the ledger yet.
	keyUnrecorded = "unrecorded.json"
)

// claim is what policies hold of one target.
type claim struct {
	key   targetKey
	org   idp.Organization // zero for the instance
	held  policy.Held
	drift *drift // nil if nobody ever changed what was in force
	// unrecorded is what was begun and is not known to be in the ledger, nil if
	// there is nothing.
	unrecorded *acts
	// stored is the ConfigMap, nil as long as there is none.
	stored *corev1.ConfigMap
}

// targetKey identifies a target.
type targetKey struct {
	connection string
	scope      idp.Scope
}

func (k targetKey) claimName() string {
	if k.scope.IsInstance() {
		return "before-" + k.connection + "-instance"
	}
	// Organization ids may be chosen freely and need not be legal names.
	sum := sha256.Sum256([]byte(k.scope.OrganizationID))
	return "before-" + k.connection + "-" + hex.EncodeToString(sum[:16])
}

// claimOn returns what is held of a target.
func (r *Reconciler) claimOn(ctx context.Context, key targetKey, org idp.Organization) (claim, error) {
	stored := &corev1.ConfigMap{}
	err := r.Client.Get(ctx, types.NamespacedName{Namespace: r.Namespace, Name: key.claimName()}, stored)
	if apierrors.IsNotFound(err) {
		return claim{key: key, org: org}, nil
	}
	if err != nil {
		return claim{}, fmt.Errorf("reading what stood before: %w", err)
	}
	c, err := parseClaim(stored)
	c.key, c.org = key, org
	return c, err
}

// claimsOf lists everything that p has a part in. For a policy that is being
// deleted it reads past the cache, which may not have the newest claim yet: what
// is overlooked now is never put back.
func (r *Reconciler) claimsOf(ctx context.Context, p *v1alpha1.SecurityPolicy) ([]claim, []error, error) {
	name := client.ObjectKeyFromObject(p).String()
	list := &corev1.ConfigMapList{}
	var err error
	if p.DeletionTimestamp.IsZero() {
		err = r.Client.List(ctx, list, client.InNamespace(r.Namespace), client.MatchingFields{IndexHolder: name})
	} else {
		err = r.Live.List(ctx, list, client.InNamespace(r.Namespace), client.MatchingLabels(policy.ClaimLabels))
		list.Items = slices.DeleteFunc(list.Items, func(stored corev1.ConfigMap) bool { return !slices.Contains(holdersOf(&stored), name) })
	}
	if err != nil {
		return nil, nil, fmt.Errorf("listing the held targets: %w", err)
	}
	claims, unreadable := make([]claim, len(list.Items)), make([]error, len(list.Items))
	for i := range list.Items {
		claims[i], unreadable[i] = parseClaim(&list.Items[i])
	}
	return claims, unreadable, nil
}

// store keeps what is held of a target from now on, and what is to be recorded.
// Holding nothing, with nothing to be recorded, removes the claim.
func (r *Reconciler) store(ctx context.Context, c *claim, held policy.Held, d *drift, unrecorded *acts) error {
	empty := held.Empty() && unrecorded == nil
	switch {
	case empty && c.stored == nil:
		return nil
	case empty:
		if err := r.Client.Delete(ctx, c.stored); client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("letting go of %s: %w", c.key.scope, err)
		}
		c.stored, c.held, c.drift, c.unrecorded = nil, held, nil, nil
		return nil
	case c.stored != nil && held.Equal(c.held) && d == c.drift && unrecorded == c.unrecorded:
		return nil
	}

	next, err := renderClaim(r.Namespace, c, held, d, unrecorded)
	if err != nil {
		return err
	}
	if c.stored == nil {
		err = r.Client.Create(ctx, next)
	} else {
		next.ResourceVersion = c.stored.ResourceVersion
		err = r.Client.Update(ctx, next)
	}
	if err != nil {
		return fmt.Errorf("keeping what stood before at %s: %w", c.key.scope, err)
	}
	c.stored, c.held, c.drift, c.unrecorded = next, held, d, unrecorded
	return nil
}

// entry is how a claim writes policy.Entry.
type entry struct {
	Before string   `json:"before"`
	Wrote  string   `json:"wrote"`
	By     []string `json:"by"`
}

func renderClaim(namespace string, c *claim, held policy.Held, d *drift, unrecorded *acts) (*corev1.ConfigMap, error) {
	entries := make(map[idp.Setting]entry, len(held.Entries))
	for s, e := range held.Entries {
		rendered := entry{Before: e.Before.String(), Wrote: e.Wrote.String(), By: []string{}}
		for _, by := range e.By {
			rendered.By = append(rendered.By, by.String())
		}
		entries[s] = rendered
	}
	data := map[string]string{}
	values := map[string]any{keySettings: entries, keyInherited: held.Inherited, keyDrift: d}
	if unrecorded != nil {
		values[keyUnrecorded] = unrecorded
	}
	for key, value := range values {
		text, err := json.Marshal(value)
		if err != nil {
			return nil, fmt.Errorf("rendering what stood before: %w", err)
		}
		data[key] = string(text)
	}
	labels := maps.Clone(policy.ClaimLabels)
	labels[policy.LabelConnection] = c.key.connection
	return &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: namespace,
			Name:      c.key.claimName(),
			Labels:    labels,
			Annotations: map[string]string{
				policy.AnnotationOrganizationID: c.org.ID, policy.AnnotationOrganizationName: c.org.Name,
				policy.AnnotationPrimaryDomain: c.org.PrimaryDomain,
				policy.AnnotationPolicies:      policy.Names(held.Holders(), " "),
			},
		},
		Data: data,
	}, nil
}

func parseClaim(stored *corev1.ConfigMap) (claim, error) {
	org := policy.OrganizationOf(stored.Annotations)
	c := claim{
		key:    targetKey{connection: stored.Labels[policy.LabelConnection], scope: idp.InOrganization(org.ID)},
		org:    org,
		stored: stored,
	}
	if err := c.read(stored.Data); err != nil {
		return c, kube.Refuse(v1alpha1.ReasonClaimInvalid,
			"ConfigMap %s/%s does not tell what stood before (%v); correct it, or delete it to start from what stands now", stored.Namespace, stored.Name, err)
	}
	return c, nil
}

func (c *claim) read(data map[string]string) error {
	entries := map[idp.Setting]entry{}
	values := map[string]any{keySettings: &entries, keyInherited: &c.held.Inherited, keyDrift: &c.drift}
	if _, there := data[keyUnrecorded]; there {
		values[keyUnrecorded] = &c.unrecorded
	}
	for key, into := range values {
		if err := json.Unmarshal([]byte(data[key]), into); err != nil {
			return fmt.Errorf("reading %s: %w", key, err)
		}
	}
	c.held.Entries = make(map[idp.Setting]policy.Entry, len(entries))
	for s, e := range entries {
		before, err := s.Parse(e.Before)
		if err != nil {
			return fmt.Errorf("reading %s: %w", keySettings, err)
		}
		wrote, err := s.Parse(e.Wrote)
		if err != nil {
			return fmt.Errorf("reading %s: %w", keySettings, err)
		}
		c.held.Entries[s] = policy.Entry{Before: before, Wrote: wrote, By: namesIn(e.By)}
	}
	return nil
}

func namesIn(texts []string) []types.NamespacedName {
	var names []types.NamespacedName
	for _, text := range texts {
		namespace, name, _ := strings.Cut(text, "/")
		names = append(names, types.NamespacedName{Namespace: namespace, Name: name})
	}
	return names
}

// holdersOf are the index values of a claim: the policies that have a part in
// it.
func holdersOf(obj client.Object) []string {
	return policy.HoldersOf(obj.GetAnnotations())
}
