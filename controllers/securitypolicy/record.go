package securitypolicy

import (
	"context"
	"errors"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/uuid"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/audit"
	"github.com/neosc/mfa-operator/internal/idp"
	"github.com/neosc/mfa-operator/internal/kube"
	"github.com/neosc/mfa-operator/internal/policy"
)

// What internal/ledger needs to append on our behalf.
// +kubebuilder:rbac:groups=security.neosc.io,resources=mfaauditrecords,verbs=get;list;watch;create;delete
// +kubebuilder:rbac:groups=security.neosc.io,resources=mfaledgers,verbs=get;create
// +kubebuilder:rbac:groups=security.neosc.io,resources=mfaledgersnapshots,verbs=get

// Recorder appends records to the audit ledger of a namespace, all or none of
// them. A record whose Origin is in the ledger already is left out.
type Recorder interface {
	Record(ctx context.Context, namespace string, records ...audit.Record) error
}

// acts are what a pass is about to do at a target, as records. They are stored
// with the claim before the first write in Zitadel, appended to the ledger after
// the last, and taken out of the claim by the write that ends the pass. So
// whatever ends the process, the next pass finds them, and their origin keeps
// them from being recorded twice.
type acts struct {
	// Namespace is that of the policy whose pass it was.
	Namespace string         `json:"namespace"`
	Records   []audit.Record `json:"records"`
}

// operator is the actor of what we do.
const operator = "mfa-operator"

// Reasons in records.
const (
	recordDriftRepaired = "DriftRepaired"
	recordUnknownEditor = "EditorUnknown"
	// recordUnconfirmed: we were stopped after we had begun, and the settings are
	// not as they were to be.
	recordUnconfirmed = "Unconfirmed"
)

// errNotRecorded: nothing more is written before what was done is recorded.
var errNotRecorded = errors.New("not recorded")

// actsOf says what a pass found changed and is about to write; contested tells
// that it is left as it is. Nil: nothing.
func actsOf(p *v1alpha1.SecurityPolicy, t target, s settled, contested bool) *acts {
	a := &acts{Namespace: p.Namespace}
	subject := t.key.connection + "/instance"
	if !t.key.scope.IsInstance() {
		subject = t.key.connection + "/" + t.key.scope.OrganizationID
	}
	act := audit.Record{
		Action: audit.PolicyApplied, Outcome: audit.Succeeded, Actor: operator,
		Subject: audit.Printable(subject, audit.MaxSubject), Policy: client.ObjectKeyFromObject(p).String(),
	}
	if s.drifted && !s.known { // or it is recorded by now
		drifted := act
		drifted.Action, drifted.Actor = audit.PolicyDrifted, audit.Printable(s.drift.Editor.UserID, audit.MaxActor)
		if drifted.Actor == "" {
			drifted.Reason = recordUnknownEditor
		}
		var details []audit.Detail
		for _, c := range s.drift.Settings {
			details = append(details, detail(string(c.Setting), c.Wanted, c.Found))
		}
		if name := s.drift.Editor.Name; name != "" && name != s.drift.Editor.UserID {
			details = append(details, detail("actorName", "", name))
		}
		a.add(drifted, details)
	}
	var details []audit.Detail
	switch {
	case contested && s.drifted:
		act.Outcome, act.Reason = audit.Failed, v1alpha1.ReasonContestedBy
		for _, c := range s.drift.Settings {
			details = append(details, detail(string(c.Setting), c.Found, c.Wanted))
		}
	case contested:
	default:
		switch {
		case s.drifted:
			act.Reason = recordDriftRepaired
		case putsBack(p, t):
			act.Action = audit.PolicyRestored
		}
		for _, c := range s.written {
			details = append(details, detail(string(c.Setting), c.Found.String(), c.Wanted.String()))
		}
		for _, g := range s.reset {
			details = append(details, detail(string(g), "", "follows the instance"))
		}
	}
	a.add(act, details)
	if len(a.Records) == 0 {
		return nil
	}
	id := string(uuid.NewUUID())
	for i := range a.Records {
		a.Records[i].Origin = &audit.Origin{Aggregate: t.key.connection + "/change/" + id, Sequence: int64(i + 1)}
	}
	return a
}

// add adds an act with its details, as often as it takes to hold them.
func (a *acts) add(act audit.Record, details []audit.Detail) {
	for some := range slices.Chunk(details, audit.MaxDetails) {
		act.Details = some
		a.Records = append(a.Records, act)
	}
}

func detail(name, old, value string) audit.Detail {
	return audit.Detail{Name: name, Old: audit.Printable(old, audit.MaxDetailValue), Value: audit.Printable(value, audit.MaxDetailValue)}
}

// putsBack tells whether what a pass of p writes without drift is what stood
// before: p has let go of the target.
func putsBack(p *v1alpha1.SecurityPolicy, t target) bool {
	return policy.Suspended(&p.Spec) || !p.DeletionTimestamp.IsZero() || !targets(p, t.key.connection, t.org)
}

// confirmed are the acts of a pass whose end we did not live to see, or that could
// not be recorded. What the target does not show now was not done, or was undone
// since.
func (a *acts) confirmed(found idp.State) *acts {
	if a == nil {
		return nil
	}
	shows := func(d audit.Detail) bool {
		if value, seen := found.Settings[idp.Setting(d.Name)]; seen {
			return audit.Printable(value.String(), audit.MaxDetailValue) == d.Value
		}
		return slices.Contains(found.Settings.Groups(), idp.Group(d.Name)) && found.Inherits(idp.Group(d.Name))
	}
	sure := &acts{Namespace: a.Namespace, Records: slices.Clone(a.Records)}
	for i := range sure.Records {
		r := &sure.Records[i]
		done := r.Action != audit.PolicyDrifted && r.Outcome == audit.Succeeded
		if done && slices.ContainsFunc(r.Details, func(d audit.Detail) bool { return !shows(d) }) {
			r.Outcome, r.Reason = audit.Failed, recordUnconfirmed
		}
	}
	return sure
}

// record appends the acts to the ledger of the policy's namespace, or of our own
// if that is going away and takes nothing any more.
func (r *Reconciler) record(ctx context.Context, a *acts) error {
	if a == nil {
		return nil
	}
	namespace := a.Namespace
	in := &corev1.Namespace{}
	err := r.Client.Get(ctx, types.NamespacedName{Name: namespace}, in)
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("reading namespace %s: %w", namespace, err)
	}
	if apierrors.IsNotFound(err) || !in.DeletionTimestamp.IsZero() {
		namespace = r.Namespace
	}
	if err := r.Recorder.Record(ctx, namespace, a.Records...); err != nil {
		if ctx.Err() != nil {
			return err
		}
		return fmt.Errorf("%w: %w", errNotRecorded, kube.Refuse(v1alpha1.ReasonNotRecorded,
			"what was done at this target is not in the audit ledger of namespace %s yet, and nothing more is done before it is; retrying (%v)", namespace, err))
	}
	return nil
}

// recordLeft records what a pass left behind whose end we did not live to see.
func (r *Reconciler) recordLeft(ctx context.Context, c *claim, left *acts) error {
	if c.unrecorded == nil {
		return nil
	}
	if err := r.record(ctx, left); err != nil {
		return err
	}
	return r.store(ctx, c, c.held, c.drift, nil)
}
