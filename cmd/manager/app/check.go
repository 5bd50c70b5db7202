package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/go-logr/logr"
	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/client-go/discovery"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/cmd/internal/process"
	"github.com/neosc/mfa-operator/internal/options"
)

const (
	// CheckedPolicy is the only SecurityPolicy that a check has to be allowed to
	// make. It never is: it is only asked for, as a dry run.
	CheckedPolicy = "installation-check"

	// askAgain is the pause between two looks at what does not hold yet.
	askAgain = time.Second
	// oneAnswer is how long the API server may take for one, with the webhook that it
	// waits 5 seconds for.
	oneAnswer = 10 * time.Second
)

// promise is something that a working installation keeps.
type promise struct {
	// says what is true once broken returns nil.
	says   string
	broken func(context.Context) error
}

// Check proves an installation from inside the cluster, as far as it can be without a
// Zitadel: the API server has our kinds, a manager works, and the API server asks the
// webhook before it stores a policy. It changes nothing. args are the flags of
// options.ParseCheck; a line for each promise that is kept goes to stdout, and the
// first that is not kept in time is the error.
func Check(ctx context.Context, args []string, stdout io.Writer) error {
	o, err := options.ParseCheck(args)
	if err != nil {
		return err
	}
	restConfig, scheme, err := process.Begin(logr.Discard(), o.Kubeconfig, nil)
	if err != nil {
		return err
	}
	restConfig.Timeout = oneAnswer
	kinds, err := discovery.NewDiscoveryClientForConfig(restConfig)
	if err != nil {
		return fmt.Errorf("making a client: %w", err)
	}
	kube, err := client.New(restConfig, client.Options{Scheme: scheme})
	if err != nil {
		return fmt.Errorf("making a client: %w", err)
	}
	promises := []promise{
		{"the API server has every kind of " + v1alpha1.GroupVersion.String(), func(context.Context) error { return kindsMissing(kinds, scheme) }},
		{"a manager leads", leaderMissing(kube, o.Namespace)},
	}
	if o.Guarded {
		promises = append(promises, promise{"the API server asks the webhook before it stores a policy", func(ctx context.Context) error { return unguarded(ctx, kube, o.Namespace) }})
	}
	ctx, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	for _, p := range promises {
		if err := p.await(ctx); err != nil {
			return fmt.Errorf("not true within %s that %s: %w", o.Timeout, p.says, err)
		}
		if _, err := fmt.Fprintln(stdout, "Yes, "+p.says+"."); err != nil {
			return fmt.Errorf("writing what holds: %w", err)
		}
	}
	return nil
}

// await returns what broke the promise last, if ctx ends before it is kept.
func (p promise) await(ctx context.Context) error {
	tick := time.NewTicker(askAgain)
	defer tick.Stop()
	var last error
	for {
		err := p.broken(ctx)
		if err == nil {
			return nil
		}
		if last == nil || ctx.Err() == nil { // what the end of ctx broke says nothing
			last = err
		}
		select {
		case <-ctx.Done():
			return last
		case <-tick.C:
		}
	}
}

// kindsMissing names those that the API server does not have. Everybody with a token
// may ask.
func kindsMissing(api discovery.ServerResourcesInterface, scheme *runtime.Scheme) error {
	served, err := api.ServerResourcesForGroupVersion(v1alpha1.GroupVersion.String())
	if err != nil {
		return fmt.Errorf("asking which kinds there are: %w", err)
	}
	var missing []string
	for kind := range scheme.KnownTypes(v1alpha1.GroupVersion) {
		obj, err := scheme.New(v1alpha1.GroupVersion.WithKind(kind))
		if err != nil {
			return fmt.Errorf("making a %s: %w", kind, err)
		}
		if _, stored := obj.(client.Object); !stored {
			continue // a list, or what only requests are made of
		}
		if !slices.ContainsFunc(served.APIResources, func(r metav1.APIResource) bool { return r.Kind == kind }) {
			missing = append(missing, kind)
		}
	}
	slices.Sort(missing)
	if len(missing) > 0 {
		return fmt.Errorf("there is no %s; are its CRDs of another version?", strings.Join(missing, ", "))
	}
	return nil
}

// leaderMissing looks at whether the leader's lease is renewed. It compares what stands
// there with what stood there before, so that no two clocks have to agree.
func leaderMissing(kube client.Reader, namespace string) func(context.Context) error {
	var first *metav1.MicroTime
	return func(ctx context.Context) error {
		lease := &coordinationv1.Lease{}
		if err := kube.Get(ctx, client.ObjectKey{Namespace: namespace, Name: leaderLease}, lease); err != nil {
			return fmt.Errorf("reading its lease: %w", err)
		}
		renewed := lease.Spec.RenewTime
		switch {
		case lease.Spec.HolderIdentity == nil || *lease.Spec.HolderIdentity == "" || renewed == nil:
			return fmt.Errorf("nobody holds the lease %s", leaderLease)
		case first == nil:
			first = renewed
		case !renewed.Equal(first):
			return nil
		}
		return fmt.Errorf("%s, who holds the lease %s, has not renewed it since %s", *lease.Spec.HolderIdentity, leaderLease, renewed.Format(time.RFC3339))
	}
}

// unguarded asks the API server, as a dry run, to store a policy that only the webhook
// refuses: a lock-out accepted without a reason. That it is refused with these words
// shows the whole way: that the API server finds the webhook, trusts its certificate,
// and follows it.
func unguarded(ctx context.Context, kube client.Client, namespace string) error {
	policy := &unstructured.Unstructured{Object: map[string]any{
		"metadata": map[string]any{
			"namespace": namespace, "name": CheckedPolicy,
			"annotations": map[string]any{v1alpha1.AnnotationAcceptLockout: ""},
		},
		"spec": map[string]any{
			"mode":    string(v1alpha1.ModeEnforce),
			"targets": map[string]any{"localUsers": map[string]any{"selector": map[string]any{"matchLabels": map[string]any{CheckedPolicy: CheckedPolicy}}}},
			"mfa":     map[string]any{"enforcement": string(v1alpha1.EnforcementOptional)},
		},
	}}
	policy.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("SecurityPolicy"))
	err := kube.Apply(ctx, client.ApplyConfigurationFromUnstructured(policy), client.DryRunAll, client.ForceOwnership, client.FieldOwner(CheckedPolicy))
	if err == nil {
		return errors.New("it would have stored one that the webhook refuses; is there a ValidatingWebhookConfiguration, and what is its failurePolicy?")
	}
	refusedIn := field.NewPath("metadata", "annotations").Key(v1alpha1.AnnotationAcceptLockout).String()
	if cause, ok := apierrors.StatusCause(err, metav1.CauseTypeFieldValueInvalid); ok && cause.Field == refusedIn {
		return nil
	}
	return fmt.Errorf("asking for one as a dry run: %w", err)
}
