package securitypolicy

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
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
// a policy holds: whose it is, and what stood there before. The API server lets
// one policy create it, so two policies cannot hold one target; every update
// carries the resource version it was made from, so a stale cache can make us
// try again but never remember our own values as those of before.

// ClaimLabels are on every claim, for selection.
var ClaimLabels = map[string]string{
	"app.kubernetes.io/managed-by": "mfa-operator",
	"app.kubernetes.io/component":  "claim",
}

// Further labels and annotations of a claim.
const (
	labelConnection = "security.neosc.io/connection"
	labelPolicyUID  = "security.neosc.io/policy-uid"
	annotationOf    = "security.neosc.io/policy"
	annotationOrg   = "security.neosc.io/organization-id"
)

// Entries of a claim.
const (
	keySettings  = "settings.json"
	keyInherited = "inherited.json"
)

// claim is what one policy holds of one target.
type claim struct {
	key    targetKey
	before policy.Before
	// stored is the ConfigMap, nil as long as there is none of ours.
	stored *corev1.ConfigMap
	// holder names another policy that holds the target, if there is one.
	holder string
	// unreadable is why what stood before cannot be told, nil if it can.
	unreadable error
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
	return "before-" + k.connection + "-" + hex.EncodeToString(sum[:8])
}

// claimOn returns what p holds of a target. What a policy that is gone has left
// behind is taken over.
func (r *Reconciler) claimOn(ctx context.Context, p *v1alpha1.SecurityPolicy, key targetKey) (claim, error) {
	stored := &corev1.ConfigMap{}
	err := r.Client.Get(ctx, types.NamespacedName{Namespace: r.Namespace, Name: key.claimName()}, stored)
	if apierrors.IsNotFound(err) {
		return claim{key: key}, nil
	}
	if err != nil {
		return claim{}, fmt.Errorf("reading what stood before: %w", err)
	}
	if holder, err := r.holder(ctx, stored); err != nil {
		return claim{}, err
	} else if holder != "" && stored.Labels[labelPolicyUID] != string(p.UID) {
		return claim{key: key, holder: holder}, nil
	}
	c := parseClaim(stored)
	return c, c.unreadable
}

// holder names the policy a claim belongs to, empty if that policy is gone.
func (r *Reconciler) holder(ctx context.Context, stored *corev1.ConfigMap) (string, error) {
	of := stored.Annotations[annotationOf]
	namespace, name, _ := strings.Cut(of, "/")
	other := &v1alpha1.SecurityPolicy{}
	err := r.Client.Get(ctx, types.NamespacedName{Namespace: namespace, Name: name}, other)
	if apierrors.IsNotFound(err) || err == nil && string(other.UID) != stored.Labels[labelPolicyUID] {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("looking up the policy that holds the target: %w", err)
	}
	return of, nil
}

// claimsOf lists everything p holds.
func (r *Reconciler) claimsOf(ctx context.Context, p *v1alpha1.SecurityPolicy) ([]claim, error) {
	list := &corev1.ConfigMapList{}
	if err := r.Client.List(ctx, list, client.InNamespace(r.Namespace),
		client.MatchingLabels{labelPolicyUID: string(p.UID)}); err != nil {
		return nil, fmt.Errorf("listing the held targets: %w", err)
	}
	claims := make([]claim, 0, len(list.Items))
	for i := range list.Items {
		claims = append(claims, parseClaim(&list.Items[i]))
	}
	return claims, nil
}

// hold stores what p holds of a target from now on. Holding nothing removes
// the claim.
func (r *Reconciler) hold(ctx context.Context, p *v1alpha1.SecurityPolicy, c *claim, before policy.Before) error {
	mine := c.stored != nil && c.stored.Labels[labelPolicyUID] == string(p.UID)
	switch {
	case before.Empty() && c.stored == nil:
		return nil
	case before.Empty():
		if err := r.Client.Delete(ctx, c.stored); client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("letting go of %s: %w", c.key.scope, err)
		}
		c.stored, c.before = nil, before
		return nil
	case mine && before.Equal(c.before):
		return nil
	}

	next, err := renderClaim(r.Namespace, p, c.key, before)
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
	c.stored, c.before = next, before
	return nil
}

func renderClaim(namespace string, p *v1alpha1.SecurityPolicy, key targetKey, before policy.Before) (*corev1.ConfigMap, error) {
	rendered := make(map[idp.Setting]string, len(before.Settings))
	for setting, value := range before.Settings {
		rendered[setting] = value.String()
	}
	settings, err := json.Marshal(rendered)
	if err != nil {
		return nil, fmt.Errorf("rendering what stood before: %w", err)
	}
	inherited, err := json.Marshal(before.Inherited)
	if err != nil {
		return nil, fmt.Errorf("rendering what stood before: %w", err)
	}
	labels := maps.Clone(ClaimLabels)
	labels[labelConnection], labels[labelPolicyUID] = key.connection, string(p.UID)
	return &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: namespace,
			Name:      key.claimName(),
			Labels:    labels,
			Annotations: map[string]string{
				annotationOf:  p.Namespace + "/" + p.Name,
				annotationOrg: key.scope.OrganizationID,
			},
		},
		Data: map[string]string{keySettings: string(settings), keyInherited: string(inherited)},
	}, nil
}

func parseClaim(stored *corev1.ConfigMap) claim {
	c := claim{
		key: targetKey{
			connection: stored.Labels[labelConnection],
			scope:      idp.InOrganization(stored.Annotations[annotationOrg]),
		},
		stored: stored,
	}
	var err error
	if c.before, err = parseBefore(stored.Data); err != nil {
		c.unreadable = kube.Refuse(v1alpha1.ReasonClaimInvalid,
			"ConfigMap %s/%s does not tell what stood before (%v); correct it, or delete it to start from what stands now", stored.Namespace, stored.Name, err)
	}
	return c
}

func parseBefore(data map[string]string) (policy.Before, error) {
	before := policy.Before{Settings: idp.Settings{}}
	rendered := map[idp.Setting]string{}
	if err := json.Unmarshal([]byte(data[keySettings]), &rendered); err != nil {
		return policy.Before{}, fmt.Errorf("reading %s: %w", keySettings, err)
	}
	if err := json.Unmarshal([]byte(data[keyInherited]), &before.Inherited); err != nil {
		return policy.Before{}, fmt.Errorf("reading %s: %w", keyInherited, err)
	}
	for setting, text := range rendered {
		value, err := setting.Parse(text)
		if err != nil {
			return policy.Before{}, fmt.Errorf("reading %s: %w", keySettings, err)
		}
		before.Settings[setting] = value
	}
	return before, nil
}
