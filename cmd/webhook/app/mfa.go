package app

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/neosc/mfa-operator/cmd/internal/process"
	"github.com/neosc/mfa-operator/internal/courier"
	"github.com/neosc/mfa-operator/internal/fidometadata"
	"github.com/neosc/mfa-operator/internal/kube"
	"github.com/neosc/mfa-operator/internal/mfa"
	"github.com/neosc/mfa-operator/internal/options"
	"github.com/neosc/mfa-operator/internal/sealed"
	"github.com/neosc/mfa-operator/internal/signing"
	"github.com/neosc/mfa-operator/webhook/callers"
	"github.com/neosc/mfa-operator/webhook/mfaapi"
	"github.com/neosc/mfa-operator/webhook/pages"
)

// What internal/ledger, internal/sealed and internal/signing need is asked for
// in webhook/mfaapi.

// longestSession is the longest lifetime a policy can give, and some.
const longestSession = 366 * 24 * time.Hour

// setupMFA makes what answers applications and browsers, by the patterns of
// http.ServeMux, and returns what has to be ready.
func setupMFA(ctx context.Context, mgr ctrl.Manager, o options.Webhook, ledgers *ledgers, guard callers.Guard) (map[string]http.Handler, map[string]func() error, error) {
	log := mgr.GetLogger()
	secrets, err := kube.Secrets(mgr.GetConfig())
	if err != nil {
		return nil, nil, err
	}
	keys, err := sealed.OpenKeyset(ctx, sealed.KeysetConfig{Secrets: secrets, Namespace: o.Namespace, Users: o.MFA.Namespaces, Clock: time.Now, Log: log.WithName("sealed")})
	if err != nil {
		return nil, nil, fmt.Errorf("opening the sealing keys: %w", err)
	}
	signer, err := signing.Open(ctx, signing.Config{
		Secrets: secrets, Namespace: o.Namespace, LongestSession: longestSession, Clock: time.Now, Log: log.WithName("signing"),
	})
	if err != nil {
		return nil, nil, fmt.Errorf("opening the session keys: %w", err)
	}
	vault := sealed.NewVaults(sealed.NewVault(secrets, keys), o.MFA.Namespaces)
	post, err := courier.New(courierConfig(&o.MFA), time.Now)
	if err != nil {
		return nil, nil, err
	}
	notices, err := courier.NewNotices(courierConfig(&o.MFA), time.Now, log.WithName("notices"))
	if err != nil {
		return nil, nil, err
	}
	opened := &opening{ledgers: ledgers, cache: mgr.GetCache(), served: vault.Serves, log: log.WithName("ledgers")}
	runnables := []manager.Runnable{keys, signer, vault, opened}
	var makes *fidometadata.Metadata
	if file := o.MFA.FIDOMetadataFile; file != "" {
		if makes, err = fidometadata.Open(fidometadata.Config{File: file, Clock: time.Now, Log: log.WithName("fidometadata")}); err != nil {
			return nil, nil, err
		}
		runnables = append(runnables, makes)
	}
	if notices != nil {
		runnables = append(runnables, notices)
	}
	for _, runnable := range runnables {
		if err := mgr.Add(runnable); err != nil {
			return nil, nil, fmt.Errorf("adding %T: %w", runnable, err)
		}
	}
	if err := mfaapi.Indexes(ctx, mgr.GetFieldIndexer()); err != nil {
		return nil, nil, err
	}
	service := &mfa.Service{
		Vault: vault, Sealer: keys, Signer: signer, Courier: post, Ledger: ledgers,
		Issuer: o.MFA.Issuer, Clock: time.Now, Rand: rand.Reader,
	}
	if notices != nil {
		service.Notifier = notices
	}
	if makes != nil {
		service.Metadata = makes
	}
	directory := &mfaapi.Directory{
		Cache: mgr.GetCache(), Client: mgr.GetClient(), Namespace: o.Namespace, Served: vault.Serves, Now: time.Now,
		RelyingParty: mfaapi.RelyingParty{ID: o.MFA.RelyingPartyID, Name: o.MFA.RelyingPartyName, Origins: o.MFA.Origins},
	}
	guard.Log = log.WithName("mfaapi")
	api := &mfaapi.API{
		Verifier: service, Directory: directory, Guard: guard,
		Keys: func() (json.RawMessage, error) { return json.Marshal(signer.JWKS()) },
	}
	routes := map[string]http.Handler{}
	if origin := o.MFA.PublicURL; origin != "" {
		api.LinkURL = func(namespace, token string) string { return pages.Link(origin, namespace, token) }
		page, err := (&pages.Pages{
			Verifier: service, People: directory, Origin: origin, Name: o.MFA.RelyingPartyName, Proxies: o.MFA.PageProxies,
			Log: log.WithName("pages"),
		}).Handler()
		if err != nil {
			return nil, nil, err
		}
		for _, prefix := range pages.Prefixes {
			routes[prefix] = page
		}
	}
	answering := api.Handler()
	for _, prefix := range mfaapi.Prefixes {
		routes[prefix] = answering
	}
	return routes, map[string]func() error{
		"sealing-keys": keys.Check, "session-keys": signer.Check, "credentials": vault.Check, "ledgers": opened.Check,
		"clock": func() error { return ledgers.CheckClock(ctx) },
	}, nil
}

func courierConfig(o *options.MFA) courier.Config {
	c := courier.Config{Email: process.Email(o.Email)}
	if s := o.SMS; s.URL != "" {
		c.SMS = &courier.SMS{URL: s.URL, SigningKeyFile: s.SigningKeyFile, TokenFile: s.TokenFile, CAFile: s.CAFile, Prefixes: s.Prefixes}
	}
	return c
}
