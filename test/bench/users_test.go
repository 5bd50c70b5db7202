package bench

import (
	"context"
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/controlplane"
	"github.com/neosc/mfa-operator/internal/zitadel/zitadeltest"
	"github.com/neosc/mfa-operator/test/harness"
)

// The cluster of BenchmarkUsers.
const (
	benchUsers    = 10_000
	benchPolicies = 500
)

// BenchmarkUsers discovers 10,000 users while 500 policies are there: real API
// server, the manager as a process of its own, real gRPC, a rate limit that does
// not hold it back. Figures:
//
//	made-s      until each has an MFAUser
//	shown-s     until each has been read
//	calls/user  to Zitadel, all together
//	idle-calls  in the ten polls after that, beside the polls
//	MiB         the most memory the manager ever had (VmHWM)
//
// Then of everybody being looked at because a policy of theirs changed, which asks
// Zitadel about nobody:
//
//	looks/poll  at users, for each status that polls write to the connection
//	look-µs     CPU of the manager for each user
//	of-update   the same, as a share of the time of one update at the API server
//	idle-writes to MFAUsers, where the change shows in nobody's status
//	writes/user where it shows in everybody's
//
// The promise is at most 300 MiB, no call but the poll, no look at anybody whom a
// poll does not name, and one write for each status that differs.
func BenchmarkUsers(b *testing.B) {
	env, err := controlplane.Start()
	ok(b, err)
	b.Cleanup(func() { ok(b, env.Stop()) })
	kube, err := client.New(env.Config, client.Options{Scheme: harness.Scheme})
	ok(b, err)
	ok(b, kube.Create(b.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: harness.OperatorNamespace}}))
	zitadel := zitadeltest.Start(b, zitadeltest.Options{})
	m := startManager(b, env.KubeConfig)

	policy := prepare(b, kube, zitadel, "bench")
	for i := range benchPolicies {
		one := policy.DeepCopy()
		one.Name = fmt.Sprintf("policy-%03d", i)
		n := i % organizations
		one.Spec.Targets.Zitadel = policy.Spec.Targets.Zitadel[n : n+1]
		ok(b, kube.Create(b.Context(), one))
	}
	acme := zitadel.AddOrganization("acme")
	for i := range benchUsers {
		zitadel.AddHuman(acme, fmt.Sprintf("user-%05d", i), fmt.Sprintf("user-%05d@example.com", i))
	}
	conn := &v1alpha1.ZitadelConnection{ObjectMeta: metav1.ObjectMeta{Name: "bench"}}
	until := func(done func(*v1alpha1.DiscoveryStatus) bool) time.Time {
		ok(b, wait.PollUntilContextTimeout(b.Context(), 200*time.Millisecond, 30*time.Minute, true, func(ctx context.Context) (bool, error) {
			err := kube.Get(ctx, client.ObjectKeyFromObject(conn), conn)
			return conn.Status.Discovery != nil && done(conn.Status.Discovery), err
		}))
		return time.Now()
	}
	for range b.N {
		followedForLong(b, kube, conn)
		zitadel.ResetCalls()
		start := time.Now()
		patch := `{"spec":{"events":{"pollSeconds":1},"discovery":{"namespace":"` + harness.OperatorNamespace + `","organizations":[{"name":"acme"}]}}}`
		ok(b, kube.Patch(b.Context(), conn, client.RawPatch(types.MergePatchType, []byte(patch))))
		made := until(func(s *v1alpha1.DiscoveryStatus) bool { return s.Made == benchUsers })
		shown := until(func(s *v1alpha1.DiscoveryStatus) bool { return s.Shown == benchUsers })
		calls := len(zitadel.Calls())
		polls := func() int { return zitadel.CountCalls()["/zitadel.admin.v1.AdminService/ListEvents"] }
		zitadel.ResetCalls()
		ok(b, wait.PollUntilContextTimeout(b.Context(), 100*time.Millisecond, time.Minute, true, func(context.Context) (bool, error) { return polls() >= 10, nil }))
		b.ReportMetric(made.Sub(start).Seconds(), "made-s")
		b.ReportMetric(shown.Sub(start).Seconds(), "shown-s")
		b.ReportMetric(float64(calls)/benchUsers, "calls/user")
		b.ReportMetric(float64(len(zitadel.Calls())-polls()), "idle-calls")
		b.ReportMetric(m.peakMiB(b), "MiB")
		lookAtEverybody(b, env.Config, kube, m)
	}
}

// followedForLong makes of the connection one whose events have been followed for
// an hour, for whoever is read soon after the beginning is read twice.
func followedForLong(b *testing.B, kube client.Client, conn *v1alpha1.ZitadelConnection) {
	b.Helper()
	ok(b, wait.PollUntilContextTimeout(b.Context(), 100*time.Millisecond, time.Minute, true, func(ctx context.Context) (bool, error) {
		err := kube.Get(ctx, client.ObjectKeyFromObject(conn), conn)
		return conn.Status.Events != nil && conn.Status.Events.FollowedSince != nil, err
	}))
	patch := fmt.Sprintf(`{"status":{"events":{"followedSince":%q}}}`, time.Now().Add(-time.Hour).UTC().Format(time.RFC3339))
	ok(b, kube.Status().Patch(b.Context(), conn, client.RawPatch(types.MergePatchType, []byte(patch))))
}
