// Package controllers registers every reconciler; this file is the only one
// that lists them.
package controllers

import (
	"context"
	"errors"
	"fmt"
	"time"

	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/neosc/mfa-operator/controllers/compliance"
	"github.com/neosc/mfa-operator/controllers/mfaexemption"
	"github.com/neosc/mfa-operator/controllers/mfaledger"
	"github.com/neosc/mfa-operator/controllers/mfareset"
	"github.com/neosc/mfa-operator/controllers/mfauser"
	"github.com/neosc/mfa-operator/controllers/securitypolicy"
	"github.com/neosc/mfa-operator/controllers/standing"
	"github.com/neosc/mfa-operator/controllers/zitadelconnection"
	"github.com/neosc/mfa-operator/internal/metrics"
	"github.com/neosc/mfa-operator/internal/mfa"
)

// Outside is what the reconcilers reach through adapters.
type Outside struct {
	Providers securitypolicy.Providers
	Connector zitadelconnection.Connector
	EventLogs zitadelconnection.EventLogs
	Tenants   zitadelconnection.Tenants
	Bells     zitadelconnection.Bells
	Ledgers   Ledgers
	Users     mfauser.Providers
	Resets    mfareset.Providers
	// Credentials of local users, without what is secret of them.
	Credentials Credentials
	// Notifier tells local users of resets; nil: nobody does.
	Notifier mfa.Notifier
}

// Credentials are what is kept of local users.
type Credentials interface {
	mfauser.Credentials
	mfareset.Credentials
}

// Ledgers are the audit ledgers of all namespaces.
type Ledgers interface {
	mfaledger.Keeper
	mfauser.Ledgers
	mfareset.Recorder
	zitadelconnection.Recorder
}

// Settings are what an operator chooses for all reconcilers.
type Settings struct {
	// Namespace is the operator's own.
	Namespace string
	// AllowInsecure permits plain HTTP to hosts that are not loopback.
	AllowInsecure bool
	// Resync is the pause between two full comparisons of a policy in force, and
	// between two complete readings of a user.
	Resync time.Duration
	// Probe is the pause between two proofs of a connection's credential.
	Probe time.Duration
}

// Setup registers every reconciler with the manager.
func Setup(mgr ctrl.Manager, outside Outside, s Settings) error {
	recorder := mgr.GetEventRecorder("mfa-operator")
	connections := &zitadelconnection.Reconciler{
		Client: mgr.GetClient(), Secrets: mgr.GetAPIReader(), Live: mgr.GetAPIReader(), Connector: outside.Connector, Events: recorder,
		AllowInsecure: s.AllowInsecure, Probe: s.Probe,
	}
	if err := connections.SetupWithManager(mgr); err != nil {
		return fmt.Errorf("setting up ZitadelConnection: %w", err)
	}
	census := &zitadelconnection.Census{
		Client: mgr.GetClient(), Live: mgr.GetAPIReader(), Logs: outside.EventLogs, Namespace: s.Namespace,
	}
	policies := &securitypolicy.Reconciler{
		Client: mgr.GetClient(), Live: mgr.GetAPIReader(), Providers: outside.Providers, Census: census, Events: recorder,
		Recorder: outside.Ledgers, Namespace: s.Namespace, Resync: s.Resync,
	}
	discovery := &zitadelconnection.Discovery{Client: mgr.GetClient(), Live: mgr.GetAPIReader(), Census: census, Tenants: outside.Tenants}
	census.Taken = func(ctx context.Context, connection string) error {
		return errors.Join(policies.CensusTaken(ctx, connection), discovery.CensusTaken(ctx, connection))
	}
	if err := census.SetupWithManager(mgr); err != nil {
		return fmt.Errorf("setting up the census: %w", err)
	}
	if err := discovery.SetupWithManager(mgr); err != nil {
		return fmt.Errorf("setting up discovery: %w", err)
	}
	if err := policies.SetupWithManager(mgr); err != nil {
		return fmt.Errorf("setting up SecurityPolicy: %w", err)
	}
	ledgers := &mfaledger.Reconciler{Client: mgr.GetClient(), Keeper: outside.Ledgers, Events: recorder}
	if err := ledgers.SetupWithManager(mgr); err != nil {
		return fmt.Errorf("setting up MFALedger: %w", err)
	}
	users := &mfauser.Reconciler{
		Client: mgr.GetClient(), Providers: outside.Users, Policies: policies, Events: recorder,
		Ledgers: outside.Ledgers, Credentials: outside.Credentials, Namespace: s.Namespace, Resync: s.Resync,
	}
	if err := users.SetupWithManager(mgr); err != nil {
		return fmt.Errorf("setting up MFAUser: %w", err)
	}
	if err := (&compliance.Counters{Client: mgr.GetClient()}).SetupWithManager(mgr); err != nil {
		return fmt.Errorf("setting up the counters of compliance: %w", err)
	}
	if err := (&compliance.Reports{Client: mgr.GetClient(), Live: mgr.GetAPIReader()}).SetupWithManager(mgr); err != nil {
		return fmt.Errorf("setting up the reports of compliance: %w", err)
	}
	if err := (&mfaexemption.Reconciler{Client: mgr.GetClient(), Recorder: outside.Ledgers, Events: recorder}).SetupWithManager(mgr); err != nil {
		return fmt.Errorf("setting up MFAExemption: %w", err)
	}
	resets := &mfareset.Reconciler{
		Client: mgr.GetClient(), Live: mgr.GetAPIReader(), Providers: outside.Resets, Recorder: outside.Ledgers, Events: recorder,
		Standings: outside.Ledgers, Credentials: outside.Credentials, Notifier: outside.Notifier,
	}
	if err := resets.SetupWithManager(mgr); err != nil {
		return fmt.Errorf("setting up MFAReset: %w", err)
	}
	follower := &zitadelconnection.Follower{
		Client: mgr.GetClient(), Live: mgr.GetAPIReader(), Logs: outside.EventLogs, Events: recorder, Namespace: s.Namespace,
		// The census first: a policy that is woken looks at it. Users after it: they
		// look at what policies know. The trail last: while it can record nothing, the
		// others still act.
		Listeners: []zitadelconnection.Listener{census, policies, discovery, users, &zitadelconnection.Trail{Recorder: outside.Ledgers, Namespace: s.Namespace}},
	}
	if err := follower.SetupWithManager(mgr); err != nil {
		return fmt.Errorf("setting up the follower of events: %w", err)
	}
	bell := &zitadelconnection.Doorbell{
		Client: mgr.GetClient(), Live: mgr.GetAPIReader(), Bells: outside.Bells, Events: recorder,
		Namespace: s.Namespace, Probe: s.Probe,
	}
	if err := bell.SetupWithManager(mgr); err != nil {
		return fmt.Errorf("setting up the doorbell: %w", err)
	}
	if err := mgr.Add(&standing.Reporter{Cache: mgr.GetCache(), To: metrics.Now}); err != nil {
		return fmt.Errorf("adding what tells how things stand: %w", err)
	}
	return nil
}
