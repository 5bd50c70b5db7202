package mfaapi

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
	"time"

	"golang.org/x/text/secure/precis"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/localpolicy"
	"github.com/neosc/mfa-operator/internal/mfa"
	"github.com/neosc/mfa-operator/internal/policy"
	"github.com/neosc/mfa-operator/webhook/callers"
)

// What is read here, and the users that are made.
//
// +kubebuilder:rbac:groups=security.neosc.io,resources=mfausers,verbs=get;list;watch;create
// +kubebuilder:rbac:groups=security.neosc.io,resources=securitypolicies;mfaexemptions,verbs=get;list;watch
// +kubebuilder:rbac:groups="",resources=namespaces,verbs=get;list;watch

// Directory knows the local users and what their policies say, from a cache.
type Directory struct {
	// Cache has users, policies, exemptions and namespaces, with the indexes of
	// Indexes. Its objects are only read.
	Cache client.Reader
	// Client makes users.
	Client client.Client
	// Namespace is the operator's own.
	Namespace string
	// Served tells whether the users of a namespace are verified here.
	Served func(namespace string) bool
	// RelyingParty is for whom WebAuthn credentials are made.
	RelyingParty RelyingParty
	// Now is the clock.
	Now func() time.Time
}

// RelyingParty is that of WebAuthn. It comes from the configuration, never from a
// request.
type RelyingParty struct {
	// ID is its domain; empty: WebAuthn is not offered.
	ID string
	// Name is shown by browsers.
	Name string
	// Origins are the exact origins that may ask.
	Origins []string
}

// Field indexes.
const (
	// indexUsername leads from a canonical username to local users.
	indexUsername = "spec.username"
	// indexLocal has the policies that name local users.
	indexLocal   = "spec.targets.localUsers"
	indexedLocal = "yes"
	// indexExempted leads from a policy's name to the exemptions from it.
	indexExempted = "spec.policyRef.name"
)

// Indexes adds the field indexes that a Directory's Cache needs.
func Indexes(ctx context.Context, indexer client.FieldIndexer) error {
	for _, index := range []struct {
		obj   client.Object
		field string
		of    client.IndexerFunc
	}{
		{&v1alpha1.MFAUser{}, indexUsername, func(obj client.Object) []string {
			spec := &obj.(*v1alpha1.MFAUser).Spec
			name, err := canonical(spec.Username)
			if spec.Source != v1alpha1.SourceLocal || err != nil {
				return nil
			}
			return []string{name}
		}},
		{&v1alpha1.SecurityPolicy{}, indexLocal, func(obj client.Object) []string {
			if obj.(*v1alpha1.SecurityPolicy).Spec.Targets.LocalUsers == nil {
				return nil
			}
			return []string{indexedLocal}
		}},
		{&v1alpha1.MFAExemption{}, indexExempted, func(obj client.Object) []string {
			return []string{obj.(*v1alpha1.MFAExemption).Spec.PolicyRef.Name}
		}},
	} {
		if err := indexer.IndexField(ctx, index.obj, index.field, index.of); err != nil {
			return fmt.Errorf("indexing by %s: %w", index.field, err)
		}
	}
	return nil
}

// canonical is a username in the one form in which usernames are compared
// (UsernameCaseMapped of RFC 8265), so that no spelling of a name has counters of
// its own.
func canonical(username string) (string, error) {
	return precis.UsernameCaseMapped.CompareKey(username)
}

// found is whom a username means.
type found struct {
	namespace, username string // username in its canonical form
	// name of the MFAUser; of one that is not there, the name that registering
	// would give it, so that rights are the same for both.
	name string
	// user is nil if there is none.
	user *v1alpha1.MFAUser
	// twins, if not nil, is that there are several. Only who may ask about them is told.
	twins error
}

// find looks a user up. Not to be there is no error: nobody shall be able to tell.
func (d *Directory) find(ctx context.Context, namespace, username string) (found, error) {
	if len(validation.IsDNS1123Label(namespace)) > 0 {
		return found{}, callers.NewProblem(http.StatusNotFound, callers.NotFound, "there is no such namespace")
	}
	if !d.Served(namespace) {
		return found{}, callers.NewProblem(http.StatusNotFound, callers.NotFound, "the local users of namespace "+namespace+" are not verified here; --mfa-namespace says whose are")
	}
	name, err := canonical(username)
	if err != nil {
		p := callers.NewProblem(http.StatusUnprocessableEntity, callers.Invalid, "the username cannot be one: it has characters that usernames have not (RFC 8265)")
		return found{}, p
	}
	f := found{namespace: namespace, username: name, name: nameFor(name)}
	list := &v1alpha1.MFAUserList{}
	err = d.Cache.List(ctx, list, client.InNamespace(namespace), client.MatchingFields{indexUsername: name}, client.UnsafeDisableDeepCopy)
	switch {
	case err != nil:
		return found{}, fmt.Errorf("%w: looking up a user: %w", mfa.ErrUnavailable, err)
	case len(list.Items) > 1:
		f.twins = callers.NewProblem(http.StatusConflict, callers.NotAllowed, fmt.Sprintf(
			"MFAUsers %s and %s have the same username; remove one of them", list.Items[0].Name, list.Items[1].Name))
	case len(list.Items) == 1 && list.Items[0].DeletionTimestamp.IsZero():
		f.user, f.name = &list.Items[0], list.Items[0].Name
	}
	return f, nil
}

// nameFor names the MFAUser of a username: readable, and no other's.
func nameFor(username string) string {
	readable := strings.Trim(strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		default:
			return '-'
		}
	}, username), "-")
	const longest = 40
	readable = strings.Trim(readable[:min(len(readable), longest)], "-")
	sum := sha256.Sum256([]byte(username))
	return strings.TrimPrefix(readable+"-"+hex.EncodeToString(sum[:8]), "-")
}

// standing says who a user is to the rules, and what their policies say. Of
// somebody who is not there it is what it would be of somebody new.
func (d *Directory) standing(ctx context.Context, f found) (mfa.Person, mfa.Rules, error) {
	if f.twins != nil {
		return mfa.Person{}, mfa.Rules{}, f.twins
	}
	ns := &corev1.Namespace{}
	err := d.Cache.Get(ctx, types.NamespacedName{Name: f.namespace}, ns)
	if apierrors.IsNotFound(err) {
		return mfa.Person{}, mfa.Rules{}, callers.NewProblem(http.StatusNotFound, callers.NotFound, "there is no namespace "+f.namespace)
	}
	if err != nil {
		return mfa.Person{}, mfa.Rules{}, fmt.Errorf("%w: reading a namespace: %w", mfa.ErrUnavailable, err)
	}
	user := f.user
	if user == nil {
		user = &v1alpha1.MFAUser{Spec: v1alpha1.MFAUserSpec{Source: v1alpha1.SourceLocal, Username: f.username}}
		user.Namespace, user.Name = f.namespace, f.name
	}
	policies := &v1alpha1.SecurityPolicyList{}
	if err := d.Cache.List(ctx, policies, client.MatchingFields{indexLocal: indexedLocal}, client.UnsafeDisableDeepCopy); err != nil {
		return mfa.Person{}, mfa.Rules{}, fmt.Errorf("%w: listing policies: %w", mfa.ErrUnavailable, err)
	}
	all := policy.ForLocalUser(policies.Items, user, d.Namespace)
	rules := localpolicy.Rules(policy.Merge(all))
	rules.WebAuthn.RPID, rules.WebAuthn.RPName, rules.WebAuthn.Origins = d.RelyingParty.ID, d.RelyingParty.Name, d.RelyingParty.Origins
	person := mfa.Person{
		Owner:    localpolicy.Owner(user),
		Username: f.username, Suspended: user.Spec.Suspended != nil && *user.Spec.Suspended,
	}
	if c := user.Spec.Contact; c != nil {
		person.Contact = mfa.Contact{Email: c.Email, Phone: c.Phone}
	}
	person.ExemptUntil, err = d.exemptUntil(ctx, user, all)
	return person, rules, err
}

// exemptUntil is when exemptions end that let the user off every demand; zero:
// there is no such thing.
func (d *Directory) exemptUntil(ctx context.Context, user *v1alpha1.MFAUser, all []policy.Contribution) (time.Time, error) {
	now := d.Now()
	var failure error
	until, _ := policy.ExemptFromAll(policy.Demanding(all), func(p types.NamespacedName) (time.Time, bool) {
		list := &v1alpha1.MFAExemptionList{}
		err := d.Cache.List(ctx, list, client.InNamespace(p.Namespace), client.MatchingFields{indexExempted: p.Name}, client.UnsafeDisableDeepCopy)
		if err != nil {
			failure = fmt.Errorf("%w: listing exemptions: %w", mfa.ErrUnavailable, err)
			return time.Time{}, false
		}
		return policy.Exempt(now, list.Items, user, p)
	})
	return until, failure
}
