package integration

import (
	"context"

	"github.com/onsi/gomega"
	"github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/management"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
)

// What other administrators of Zitadel do, behind the operator's back.

func (w *world) dial() *grpc.ClientConn {
	conn, err := grpc.NewClient(w.zitadel.Addr(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	w.Expect(err).NotTo(gomega.HaveOccurred())
	w.t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func (w *world) as(token string) context.Context {
	return metadata.AppendToOutgoingContext(w.ctx, "authorization", "Bearer "+token)
}

// ownLockout gives an organization a lockout policy of its own.
func (w *world) ownLockout(org string, attempts uint32) {
	ctx := metadata.AppendToOutgoingContext(w.as(w.zitadel.OwnerToken()), "x-zitadel-orgid", org)
	_, err := management.NewManagementServiceClient(w.dial()).AddCustomLockoutPolicy(ctx,
		&management.AddCustomLockoutPolicyRequest{MaxPasswordAttempts: attempts})
	w.Expect(err).NotTo(gomega.HaveOccurred())
}
