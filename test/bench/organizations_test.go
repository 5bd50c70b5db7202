// Package bench measures the operator against stated limits, in the same run.
package bench

import (
	"context"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/management"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/controlplane"
	"github.com/neosc/mfa-operator/internal/zitadel/zitadeltest"
	"github.com/neosc/mfa-operator/test/harness"
)

const organizations = 200

// BenchmarkOrganizationsIntoForce brings one policy into force in 200
// organizations: real API server, real manager, real gRPC. The limit is the
// fake's own rate of RPCs, measured in the same run with as many callers as the
// operator has. Figures:
//
//	rpcs      calls to Zitadel, and per organization
//	wall-s    from apply to Ready
//	raw-rpc/s what the fake answers by itself
//	of-limit  the share of the wall time that the calls alone would take
func BenchmarkOrganizationsIntoForce(b *testing.B) {
	env, err := controlplane.Start()
	ok(b, err)
	b.Cleanup(func() { ok(b, env.Stop()) })
	kube, err := client.New(env.Config, client.Options{Scheme: harness.Scheme})
	ok(b, err)
	ok(b, kube.Create(b.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: harness.OperatorNamespace}}))
	stop, err := harness.StartManager(env, io.Discard, "--resync=1h")
	ok(b, err)
	b.Cleanup(func() { ok(b, stop()) })

	for round := range b.N {
		zitadel := zitadeltest.Start(b, zitadeltest.Options{})
		policy := prepare(b, kube, zitadel, "round-"+strconv.Itoa(round))
		raw := rawRate(b, zitadel)

		zitadel.ResetCalls()
		start := time.Now()
		ok(b, kube.Create(b.Context(), policy))
		awaitReady(b, kube, policy)
		wall := time.Since(start)

		calls := float64(len(zitadel.Calls()))
		b.ReportMetric(calls, "rpcs")
		b.ReportMetric(calls/organizations, "rpcs/org")
		b.ReportMetric(wall.Seconds(), "wall-s")
		b.ReportMetric(raw, "raw-rpc/s")
		b.ReportMetric(calls/raw/wall.Seconds(), "of-limit")
	}
}

// prepare makes 200 organizations, a connection to their Zitadel, and a policy
// for all of them that is not applied yet.
func prepare(b *testing.B, kube client.Client, zitadel *zitadeltest.Server, name string) *v1alpha1.SecurityPolicy {
	b.Helper()
	host, port, err := net.SplitHostPort(zitadel.Addr())
	ok(b, err)
	number, err := strconv.Atoi(port)
	ok(b, err)
	ok(b, kube.Create(b.Context(), &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: harness.OperatorNamespace, Name: name},
		Data:       map[string][]byte{"token": []byte(zitadel.OwnerToken())},
	}))
	conn := &v1alpha1.ZitadelConnection{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: v1alpha1.ZitadelConnectionSpec{
			Domain: host, Port: ptr.To(int32(number)), Insecure: true,
			Credentials: v1alpha1.Credentials{
				Type:      v1alpha1.CredentialPAT,
				SecretRef: v1alpha1.SecretKeyRef{Namespace: harness.OperatorNamespace, Name: name, Key: "token"},
			},
			RateLimit: v1alpha1.RateLimit{RequestsPerSecond: 1000, Burst: 1000},
			Access: []v1alpha1.AccessRule{{
				NamespaceSelector: &metav1.LabelSelector{}, Scopes: []v1alpha1.TargetScope{v1alpha1.ScopeOrganization},
			}},
		},
	}
	ok(b, kube.Create(b.Context(), conn))
	awaitReady(b, kube, conn)

	policy := &v1alpha1.SecurityPolicy{
		ObjectMeta: metav1.ObjectMeta{Namespace: harness.OperatorNamespace, Name: name},
		Spec: v1alpha1.SecurityPolicySpec{MFA: &v1alpha1.MFASettings{
			Enforcement: v1alpha1.EnforcementRequiredOnFirstLogin,
			Methods:     []v1alpha1.Method{v1alpha1.MethodWebAuthn, v1alpha1.MethodTOTP},
		}},
	}
	for i := range organizations {
		org := fmt.Sprintf("org-%03d", i)
		zitadel.AddOrganization(org)
		policy.Spec.Targets.Zitadel = append(policy.Spec.Targets.Zitadel, v1alpha1.ZitadelTarget{
			Connection: name, Scope: v1alpha1.ScopeOrganization, Organization: &v1alpha1.OrganizationSelector{Name: org},
		})
	}
	return policy
}

// rawRate asks the fake for login policies with as many callers as the operator
// has, and returns how many it answers per second.
func rawRate(b *testing.B, zitadel *zitadeltest.Server) float64 {
	b.Helper()
	const callers, calls = 4, 4000
	conn, err := grpc.NewClient(zitadel.Addr(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	ok(b, err)
	defer conn.Close() //nolint:errcheck // nothing is lost with it
	service := management.NewManagementServiceClient(conn)
	ctx := metadata.AppendToOutgoingContext(b.Context(), "authorization", "Bearer "+zitadel.OwnerToken())

	start := time.Now()
	var group sync.WaitGroup
	for range callers {
		group.Go(func() {
			for range calls / callers {
				if _, err := service.GetLoginPolicy(ctx, &management.GetLoginPolicyRequest{}); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	group.Wait()
	return calls / time.Since(start).Seconds()
}

func awaitReady(b *testing.B, kube client.Client, obj client.Object) {
	b.Helper()
	ok(b, wait.PollUntilContextTimeout(b.Context(), 20*time.Millisecond, 5*time.Minute, true, func(ctx context.Context) (bool, error) {
		if err := kube.Get(ctx, client.ObjectKeyFromObject(obj), obj); err != nil {
			return false, err
		}
		switch o := obj.(type) {
		case *v1alpha1.SecurityPolicy:
			return meta.IsStatusConditionTrue(o.Status.Conditions, v1alpha1.ConditionReady), nil
		case *v1alpha1.ZitadelConnection:
			return meta.IsStatusConditionTrue(o.Status.Conditions, v1alpha1.ConditionReady), nil
		}
		return false, fmt.Errorf("%T has no Ready condition", obj)
	}))
}

func ok(b *testing.B, err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}
