package changes

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/go-logr/logr"
	admissionv1 "k8s.io/api/admission/v1"
	"k8s.io/apimachinery/pkg/types"
	lru "k8s.io/apimachinery/pkg/util/cache"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/neosc/mfa-operator/internal/audit"
	"github.com/neosc/mfa-operator/webhook/callers"
)

// What internal/ledger needs to append on our behalf.
// +kubebuilder:rbac:groups=security.neosc.io,resources=mfaauditrecords,verbs=get;list;watch;create;delete
// +kubebuilder:rbac:groups=security.neosc.io,resources=mfaledgers,verbs=get;create
// +kubebuilder:rbac:groups=security.neosc.io,resources=mfaledgersnapshots,verbs=get
// +kubebuilder:rbac:groups=security.neosc.io,resources=securitypolicies;mfausers;mfaexemptions,verbs=get;list;watch

const (
	// most is how many changes are remembered, and remembered for how long: what
	// was let through is stored at once or never.
	most       = 10000
	remembered = time.Minute
	// attempts is how often a record is tried before it is given up, with growing
	// pauses that add up to some ten minutes.
	attempts = 12
)

// Recorder appends records to the audit ledger of a namespace. A record whose
// Origin is in the ledger already is left out.
type Recorder interface {
	Record(ctx context.Context, namespace string, records ...audit.Record) error
}

// Witness has what was changed recorded, with who asked. It handles the events of
// the informers of SecurityPolicies, MFAUsers and MFAExemptions.
type Witness struct {
	recorder Recorder
	log      logr.Logger

	mu       sync.Mutex
	admitted *lru.LRUExpireCache // version to []change
	queue    workqueue.TypedRateLimitingInterface[*change]
}

// version names what a change makes of an object.
type version struct {
	uid        types.UID
	generation int64
}

// change is one that was let through.
type change struct {
	kind kind
	// object as it is to be stored; of a deletion as it was.
	object  client.Object
	deletes bool
	record  audit.Record
}

// New makes a witness; Start has to run.
func New(recorder Recorder, log logr.Logger) *Witness {
	return &Witness{
		recorder: recorder, log: log, admitted: lru.NewLRUExpireCache(most),
		queue: workqueue.NewTypedRateLimitingQueue(workqueue.NewTypedItemExponentialFailureRateLimiter[*change](200*time.Millisecond, 2*time.Minute)),
	}
}

// Watch remembers what next lets through. It is no dry run's business.
func (w *Witness) Watch(next admission.Handler) admission.Handler {
	return admission.HandlerFunc(func(ctx context.Context, req admission.Request) admission.Response {
		answer := next.Handle(ctx, req)
		if answer.Allowed && (req.DryRun == nil || !*req.DryRun) {
			if err := w.remember(req.AdmissionRequest); err != nil {
				w.log.Error(err, "Who made a change will not be in the ledger", "resource", req.Resource.Resource, "namespace", req.Namespace, "name", req.Name)
			}
		}
		return answer
	})
}

func (w *Witness) remember(req admissionv1.AdmissionRequest) error {
	k, known := kinds[req.Resource.Resource]
	if !known {
		return errors.New("nothing is known of this kind")
	}
	was, is, err := decode(k, req)
	if err != nil {
		return err
	}
	c := &change{kind: k, object: is, deletes: req.Operation == admissionv1.Delete}
	var from, to any
	var reason string
	switch req.Operation {
	case admissionv1.Create:
		reason, to = "Created", k.spec(is)
	case admissionv1.Delete:
		reason, c.object = "Deleted", was
	default:
		reason, from, to = "Updated", k.spec(was), k.spec(is)
		if k.same(was, is) {
			return nil
		}
	}
	if c.record = k.about(c.object, req.Operation); c.record.Action == "" {
		return nil
	}
	c.record.Outcome, c.record.Reason, c.record.Actor = audit.Succeeded, reason, audit.Printable(callers.Actor(req.UserInfo), audit.MaxActor)
	fields, err := diff(from, to, k.show)
	if err != nil {
		return err
	}
	c.record.Details = append(c.record.Details, fields...)
	at := versionOf(c.object, c.deletes)
	// Each change has a stream of its own: of one, a ledger takes nothing that is
	// older than what it has, and a later change may be recorded first, by another
	// replica or because this one has to be tried again.
	c.record.Origin = &audit.Origin{Aggregate: fmt.Sprintf("kubernetes/%s/%s/%d", req.Resource.Resource, at.uid, at.generation), Sequence: 1}

	w.mu.Lock()
	defer w.mu.Unlock()
	others, _ := w.admitted.Get(at)
	list, _ := others.([]*change)
	w.admitted.Add(at, append(list, c), remembered)
	return nil
}

// decode reads the objects of a request; the one that is not there is nil.
func decode(k kind, req admissionv1.AdmissionRequest) (was, is client.Object, err error) {
	read := func(raw []byte) client.Object {
		if len(raw) == 0 || err != nil {
			return nil
		}
		obj := k.empty()
		err = json.Unmarshal(raw, obj)
		return obj
	}
	was, is = read(req.OldObject.Raw), read(req.Object.Raw)
	if err != nil {
		return nil, nil, fmt.Errorf("reading the objects of a request: %w", err)
	}
	return was, is, nil
}

// versionOf is what the change of an object is stored as. A deletion counts as the
// generation after the last.
func versionOf(obj client.Object, deletes bool) version {
	v := version{uid: obj.GetUID(), generation: obj.GetGeneration()}
	if deletes {
		v.generation++
	}
	return v
}

var _ toolscache.ResourceEventHandler = (*Witness)(nil)

// OnAdd implements cache.ResourceEventHandler.
func (w *Witness) OnAdd(obj any, initial bool) {
	if !initial {
		w.stored(obj.(client.Object), false)
	}
}

// OnUpdate implements cache.ResourceEventHandler.
func (w *Witness) OnUpdate(old, obj any) {
	was, is := old.(client.Object), obj.(client.Object)
	switch {
	case was.GetDeletionTimestamp().IsZero() && !is.GetDeletionTimestamp().IsZero():
		w.stored(was, true)
	case was.GetGeneration() != is.GetGeneration():
		w.stored(is, false)
	}
}

// OnDelete implements cache.ResourceEventHandler.
func (w *Witness) OnDelete(obj any) {
	if last, missed := obj.(toolscache.DeletedFinalStateUnknown); missed {
		obj = last.Obj
	}
	if gone, ok := obj.(client.Object); ok {
		w.stored(gone, true)
	}
}

// stored finds the change that was stored among those that were let through, and
// has it recorded. The others at the same version came second and were refused.
func (w *Witness) stored(obj client.Object, deleted bool) {
	at := versionOf(obj, deleted)
	w.mu.Lock()
	defer w.mu.Unlock()
	known, _ := w.admitted.Get(at)
	list, _ := known.([]*change)
	i := slices.IndexFunc(list, func(c *change) bool {
		return c.deletes == deleted && (deleted || c.kind.same(c.object, obj))
	})
	if i >= 0 {
		w.admitted.Remove(at)
		w.queue.Add(list[i])
	}
}

// Start appends records until ctx ends. It implements manager.Runnable.
func (w *Witness) Start(ctx context.Context) error {
	defer context.AfterFunc(ctx, w.queue.ShutDown)()
	for {
		c, end := w.queue.Get()
		if end {
			return nil
		}
		w.append(ctx, c)
	}
}

func (w *Witness) append(ctx context.Context, c *change) {
	defer w.queue.Done(c)
	err := w.recorder.Record(ctx, c.object.GetNamespace(), c.record)
	switch {
	case err == nil:
		w.queue.Forget(c)
	case errors.Is(err, audit.ErrInvalid), w.queue.NumRequeues(c) >= attempts:
		w.queue.Forget(c)
		w.log.Error(err, "Who made a change is not in the ledger", "action", c.record.Action, "subject", c.record.Subject, "actor", c.record.Actor)
	default:
		w.queue.AddRateLimited(c)
	}
}

// NeedLeaderElection tells controller-runtime that every replica works.
func (w *Witness) NeedLeaderElection() bool { return false }
