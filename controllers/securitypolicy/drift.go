package securitypolicy

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/idp"
	"github.com/neosc/mfa-operator/internal/kube"
	"github.com/neosc/mfa-operator/internal/policy"
)

// A target is contested when it was put right contestedAfter times within
// contestedWithin: then whoever changes it back is left alone until the first
// of those is older than that.
const (
	contestedAfter  = 5
	contestedWithin = 10 * time.Minute
)

// drift is a change that somebody else made to what was in force. It is stored
// with the claim before it is put right, so that it is reported even if we are
// stopped in between.
type drift struct {
	Detected time.Time       `json:"detected"`
	Settings []driftedChange `json:"settings"`
	// Editor and Edited are empty where Zitadel does not tell us.
	Editor idp.Editor `json:"editor"`
	Edited time.Time  `json:"edited"`
	// Corrections are the last times the target was put right.
	Corrections []time.Time `json:"corrections"`
}

type driftedChange struct {
	Setting idp.Setting `json:"setting"`
	Found   string      `json:"found"`
	Wanted  string      `json:"wanted"`
}

// judgeDrift describes what somebody else has changed, nil if nobody has. The
// error refuses to put it right once more.
func (r *Reconciler) judgeDrift(ctx context.Context, t target, before *drift, changes []policy.Change) (*drift, error) {
	if len(changes) == 0 {
		return nil, nil //nolint:nilnil // there is none
	}
	edit := r.lastEdit(ctx, t, changes)
	if edit.Editor.UserID != "" && edit.Editor.UserID == t.account() {
		// A write of ours whose end we did not live to see.
		return nil, nil //nolint:nilnil // there is none
	}
	now := r.now()
	d := &drift{Detected: now, Editor: edit.Editor, Edited: edit.At}
	for _, c := range changes {
		d.Settings = append(d.Settings, driftedChange{c.Setting, c.Found.String(), c.Wanted.String()})
	}
	if before != nil {
		d.Corrections = slices.DeleteFunc(slices.Clone(before.Corrections), func(at time.Time) bool { return now.Sub(at) >= contestedWithin })
	}
	if len(d.Corrections) >= contestedAfter {
		if before.same(d) {
			d = before // the same change, still there
		}
		return d, kube.Refuse(v1alpha1.ReasonContestedBy,
			"%s changed it %d times within %s and it was put right each time; it is left so until %s. Agree on who decides: %s",
			d.editor(), contestedAfter, contestedWithin, d.Corrections[0].Add(contestedWithin).UTC().Format(time.TimeOnly+" MST"), d.changes())
	}
	d.Corrections = append(d.Corrections, now)
	return d, nil
}

// lastEdit finds out who made the newest of some changes. It is only for
// people to read, so not to know is no failure.
func (r *Reconciler) lastEdit(ctx context.Context, t target, changes []policy.Change) idp.Edit {
	names := idp.Settings{}
	for _, c := range changes {
		names[c.Setting] = c.Found
	}
	var newest idp.Edit
	for _, g := range names.Groups() {
		edit, err := t.provider.LastEdit(ctx, t.key.scope, g)
		if err != nil {
			ctrl.LoggerFrom(ctx).Info("Who changed the settings is not known", "target", t.key.scope.String(), "group", g, "error", err.Error())
			continue
		}
		if edit.At.After(newest.At) {
			newest = edit
		}
	}
	return newest
}

func (d *drift) same(other *drift) bool {
	return d.Edited.Equal(other.Edited) && d.Editor == other.Editor && slices.Equal(d.Settings, other.Settings)
}

func (d *drift) editor() string { return who(d.Editor.UserID, d.Editor.Name) }

// who names a user of Zitadel for people; the id is empty if it is not known.
func who(id, name string) string {
	switch {
	case id == "":
		return "somebody"
	case name == "" || name == id:
		return "user " + id
	default:
		return name + " (user " + id + ")"
	}
}

// changes lists what was changed, for people.
func (d *drift) changes() string {
	parts := make([]string, len(d.Settings))
	for i, c := range d.Settings {
		parts[i] = fmt.Sprintf("%s is %s, wanted %s", c.Setting, shown(c.Found), shown(c.Wanted))
	}
	return strings.Join(parts, ", ")
}
