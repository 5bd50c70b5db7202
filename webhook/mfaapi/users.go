package mfaapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/mfa"
	"github.com/neosc/mfa-operator/webhook/callers"
)

type registerRequest struct {
	UserPath
	Body struct {
		Email string `json:"email,omitempty" maxLength:"200" doc:"Where codes by e-mail and notices of changes are sent. Unset: nowhere."`
		Phone string `json:"phone,omitempty" maxLength:"16" doc:"Where codes by SMS are sent, as E.164. Unset: nowhere."`
	}
}

type registerResponse struct {
	Status int
	Body   struct {
		Name      string `json:"name" doc:"Name of the MFAUser."`
		Namespace string `json:"namespace" doc:"Namespace of the MFAUser."`
		Username  string `json:"username" doc:"The username in its canonical form."`
	}
}

// labelRegistered marks users who were registered here.
const labelRegistered = "security.neosc.io/registered-by"

// register makes the MFAUser of a user, with MFA on. One who is there stays as
// they are.
func (a *API) register(ctx context.Context, in *registerRequest) (*registerResponse, error) {
	d := a.Directory
	f, err := d.find(ctx, in.Namespace, in.User)
	if err != nil {
		return nil, err
	}
	if err := a.authorize(ctx, right{verb: "create"}, in.Namespace, ""); err != nil {
		return nil, err
	}
	if f.twins != nil {
		return nil, f.twins
	}
	out := &registerResponse{Status: http.StatusOK}
	if f.user == nil {
		if err := d.register(ctx, f, in.Body.Email, in.Body.Phone); err != nil {
			return nil, err
		}
		out.Status = http.StatusCreated
	}
	out.Body.Name, out.Body.Namespace, out.Body.Username = f.name, f.namespace, f.username
	return out, nil
}

// register makes an MFAUser and waits until the cache has them, so that the
// next request finds them.
func (d *Directory) register(ctx context.Context, f found, email, phone string) error {
	user := &v1alpha1.MFAUser{
		ObjectMeta: metav1.ObjectMeta{Namespace: f.namespace, Name: f.name, Labels: map[string]string{labelRegistered: "mfa-api"}},
		Spec:       v1alpha1.MFAUserSpec{Source: v1alpha1.SourceLocal, Username: f.username},
	}
	if email != "" || phone != "" {
		user.Spec.Contact = &v1alpha1.Contact{Email: email, Phone: phone}
	}
	switch err := d.Client.Create(ctx, user); {
	case apierrors.IsAlreadyExists(err): // somebody else was faster
	case apierrors.IsInvalid(err):
		return callers.NewProblem(http.StatusUnprocessableEntity, callers.Invalid, err.Error())
	case apierrors.IsNotFound(err):
		return callers.NewProblem(http.StatusNotFound, callers.NotFound, "there is no namespace "+f.namespace)
	case apierrors.IsForbidden(err):
		return callers.NewProblem(http.StatusForbidden, callers.Forbidden, err.Error())
	case err != nil:
		return fmt.Errorf("%w: making a user: %w", mfa.ErrUnavailable, err)
	}
	err := wait.PollUntilContextTimeout(ctx, 5*time.Millisecond, 5*time.Second, true, func(ctx context.Context) (bool, error) {
		now, err := d.find(ctx, f.namespace, f.username)
		return now.user != nil, errors.Join(err, now.twins)
	})
	if err != nil {
		return fmt.Errorf("%w: waiting until a new user is known here: %w", mfa.ErrUnavailable, err)
	}
	return nil
}
