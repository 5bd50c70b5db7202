package app

import (
	"context"
	"fmt"
	"net/http"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/neosc/mfa-operator/webhook/callers"
	"github.com/neosc/mfa-operator/webhook/neoscapi"
)

// setupNeoSC makes what answers in NeoSC's shape.
func setupNeoSC(ctx context.Context, mgr ctrl.Manager, namespace string, clientset kubernetes.Interface, guard callers.Guard) (http.Handler, error) {
	self, err := clientset.AuthenticationV1().SelfSubjectReviews().Create(ctx, &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
	if err != nil {
		return nil, fmt.Errorf("asking the API server who this is: %w", err)
	}
	changes, err := client.New(callers.OnBehalf(mgr.GetConfig(), self.Status.UserInfo), client.Options{Scheme: mgr.GetScheme(), Mapper: mgr.GetRESTMapper()})
	if err != nil {
		return nil, fmt.Errorf("making a client: %w", err)
	}
	guard.Log = mgr.GetLogger().WithName("neoscapi")
	return (&neoscapi.API{Guard: guard, Namespace: namespace, Policies: mgr.GetAPIReader(), Changes: changes}).Handler(), nil
}
