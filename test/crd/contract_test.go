package crd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"github.com/google/go-cmp/cmp"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/neosc/mfa-operator/test/harness"
)

// contract is what a kind promises to those who write it.
type contract struct {
	kind string
	// name is what an object has to be called; empty: any will do.
	name string
	// least is the spec with nothing but what is required, as YAML.
	least string
	// defaults is what the API server adds to it, as YAML.
	defaults string
	// fields has every property below spec; a property whose words need different
	// things around them has several rows.
	fields []field
	// others are refusals of more than one property's value.
	others []refusal
	// changes are refusals to make something else of an object that is stored.
	changes []change
}

// field is one property of a spec, and what it may be.
type field struct {
	path     string // below spec; [0] is the entry of a list
	required bool
	// with is laid over the least spec first, as YAML: what the property needs
	// around it.
	with           string
	accept, refuse []any
}

// refusal is an object that is refused as a whole.
type refusal struct {
	name string // of the object; empty: a good one
	spec string // laid over the least spec, as YAML
	at   string // the path the API server complains of
	says string
	why  string
}

// change is an update that is refused.
type change struct {
	from, to string // laid over the least spec, as YAML
	at, says string
	why      string
}

// contracts has one entry for each kind.
var contracts = []contract{securityPolicy, zitadelConnection, mfaUser, mfaExemption, mfaReset, mfaLedger}

func TestContracts(t *testing.T) {
	for _, c := range contracts {
		t.Run(c.kind, func(t *testing.T) {
			told := &told{}
			t.Run("least", c.testLeast)
			t.Run("fields", func(t *testing.T) { c.testFields(t, told) })
			t.Run("others", func(t *testing.T) { c.testOthers(t, told) })
			t.Run("changes", func(t *testing.T) { c.testChanges(t, told) })
			t.Run("complete", func(t *testing.T) { c.testComplete(t, told) })
		})
	}
}

// testLeast: what is unset stays unset but for the defaults, also in the hands
// of a program, and a status comes in by its own door only.
func (c contract) testLeast(t *testing.T) {
	made, err := create(c.object(t, parse(t, c.least)))
	if err != nil {
		t.Fatal(err)
	}
	want := laidOver(parse(t, c.least), parse(t, c.defaults))
	if diff := cmp.Diff(want, plain(t, made.Object["spec"])); diff != "" {
		t.Errorf("the API server makes something else of it (-want +got):\n%s", diff)
	}
	c.testRoundTrip(t, made)

	with := c.object(t, parse(t, c.least))
	with.Object["status"] = map[string]any{"observedGeneration": int64(7)}
	if made, err = create(with); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]any{"observedGeneration": int64(-1)}, made.Object["status"]); diff != "" {
		t.Errorf("whoever creates the object writes its status too (-want +got):\n%s", diff)
	}
	// Nobody has looked at it yet, and what waits for health must not take it for done.
	if seen, err := status.Compute(made); err != nil || seen.Status != status.InProgressStatus {
		t.Errorf("new, it is %v, %v", seen, err)
	}
}

func (c contract) testFields(t *testing.T, told *told) {
	for _, f := range c.fields {
		t.Run(f.path, func(t *testing.T) {
			around := laidOver(parse(t, c.least), parse(t, f.with))
			for _, value := range f.accept {
				made, err := create(c.object(t, changed(around, f.path, value)))
				if err != nil {
					t.Errorf("%s is refused: %v", shown(t, value), err)
					continue
				}
				if got := at(plain(t, made.Object["spec"]), f.path); !keeps(got, plain(t, value)) {
					t.Errorf("%s becomes %s", shown(t, value), shown(t, got))
				}
				c.testRoundTrip(t, made)
			}
			for _, value := range f.refuse {
				_, err := create(c.object(t, changed(around, f.path, value)))
				told.refused(t, err, "spec."+f.path, "", shown(t, value))
			}
			if f.required {
				_, err := create(c.object(t, changed(around, f.path, unset{})))
				told.refused(t, err, "spec."+f.path, "Required value", "an object without it")
			}
		})
	}
}

func (c contract) testOthers(t *testing.T, told *told) {
	for _, r := range c.others {
		t.Run(r.why, func(t *testing.T) {
			object := c.object(t, laidOver(parse(t, c.least), parse(t, r.spec)))
			if r.name != "" {
				object.SetName(r.name)
			}
			_, err := create(object)
			told.refused(t, err, r.at, r.says, r.why)
		})
	}
}

func (c contract) testChanges(t *testing.T, told *told) {
	for i, change := range c.changes {
		t.Run(change.why, func(t *testing.T) {
			object := c.object(t, laidOver(parse(t, c.least), parse(t, change.from)))
			object.SetName(fmt.Sprintf("stored-%d", i))
			if err := stored.Create(t.Context(), object); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = stored.Delete(context.WithoutCancel(t.Context()), object) })
			if err := api.Update(t.Context(), object.DeepCopy()); err != nil {
				t.Errorf("an update that changes nothing is refused: %v", err)
			}
			changed := object.DeepCopy()
			changed.Object["spec"] = plain(t, laidOver(plain(t, object.Object["spec"]), parse(t, change.to)))
			told.refused(t, api.Update(t.Context(), changed), change.at, change.says, change.why)
		})
	}
}

// testRoundTrip: a program that reads the object and writes it back changes
// nothing.
func (c contract) testRoundTrip(t *testing.T, made *unstructured.Unstructured) {
	t.Helper()
	typed, err := harness.Scheme.New(made.GroupVersionKind())
	if err != nil {
		t.Fatal(err)
	}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(made.Object, typed); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(plain(t, made.Object["spec"]), at(plain(t, typed), "spec")); diff != "" {
		t.Errorf("the Go type makes something else of it (-want +got):\n%s", diff)
	}
}

// testComplete: the table has every property, and for every rule of the schema
// a case that it refuses.
func (c contract) testComplete(t *testing.T, told *told) {
	rows := map[string]field{}
	for _, f := range c.fields {
		f.accept, f.refuse = slices.Concat(rows[f.path].accept, f.accept), slices.Concat(rows[f.path].refuse, f.refuse)
		rows[f.path] = f
	}
	root := crdOf(t, c.kind).Spec.Versions[0].Schema.OpenAPIV3Schema
	for _, p := range propertiesBelow(root.Properties["spec"], "") {
		row, ok := rows[p.path]
		if !ok {
			t.Errorf("%s has no row in the table", p.path)
			continue
		}
		delete(rows, p.path)
		row.testComplete(t, p)
	}
	for path := range rows {
		t.Errorf("the schema has no %s any more", path)
	}
	for _, rule := range rulesOf(root) {
		if !strings.Contains(told.everything.String(), rule.Message) {
			t.Errorf("nothing was refused with: %s", rule.Message)
		}
	}
}

// testComplete: the row tries every word of an enum, and both ends of a range,
// from both sides.
func (f field) testComplete(t *testing.T, p property) {
	t.Helper()
	if p.required != f.required {
		t.Errorf("%s: required is %v in the schema, %v in the table", f.path, p.required, f.required)
	}
	if len(f.accept) == 0 || len(f.refuse) == 0 {
		t.Errorf("%s: the row must accept something and refuse something", f.path)
	}
	tries := func(values []any, word string, value any) {
		if !slices.ContainsFunc(values, func(v any) bool { return cmp.Equal(plain(t, v), plain(t, value)) }) {
			t.Errorf("%s: the row does not %s %s", f.path, word, shown(t, value))
		}
	}
	for _, word := range p.schema.Enum {
		tries(f.accept, "accept", json.RawMessage(word.Raw))
	}
	if least := p.schema.Minimum; least != nil {
		tries(f.accept, "accept", *least)
		tries(f.refuse, "refuse", *least-1)
	}
	if most := p.schema.Maximum; most != nil {
		tries(f.accept, "accept", *most)
		tries(f.refuse, "refuse", *most+1)
	}
	f.testLength(t, p.schema.MinLength, p.schema.MaxLength, func(value any) (int, bool) {
		text, ok := value.(string)
		return utf8.RuneCountInString(text), ok
	})
	f.testLength(t, p.schema.MinItems, p.schema.MaxItems, func(value any) (int, bool) {
		list, ok := value.([]any)
		return len(list), ok
	})
	if p.schema.XListType != nil && *p.schema.XListType == "set" && !slices.ContainsFunc(f.refuse, hasTwins) {
		t.Errorf("%s: the row must refuse a set that has one entry twice", f.path)
	}
}

// testLength: the row tries both ends of a length, from both sides.
func (f field) testLength(t *testing.T, least, most *int64, length func(any) (int, bool)) {
	t.Helper()
	tries := func(values []any, word string, want int64) {
		if want >= 0 && !slices.ContainsFunc(values, func(v any) bool { n, ok := length(v); return ok && n == int(want) }) {
			t.Errorf("%s: the row does not %s a length of %d", f.path, word, want)
		}
	}
	if least != nil { // the shortest that is accepted may be longer, for a pattern
		tries(f.refuse, "refuse", *least-1)
	}
	if most != nil {
		tries(f.accept, "accept", *most)
		tries(f.refuse, "refuse", *most+1)
	}
}

// told collects what the API server said.
type told struct{ everything strings.Builder }

// refused fails the test unless the API server refused, because of what is at
// that path, in words that name it.
func (d *told) refused(t *testing.T, err error, at, says, what string) {
	t.Helper()
	if err == nil {
		t.Errorf("%s is accepted", what)
		return
	}
	d.everything.WriteString(err.Error() + "\n")
	var status apierrors.APIStatus
	if !apierrors.IsInvalid(err) || !errors.As(err, &status) {
		t.Errorf("%s is refused, but not as invalid: %v", what, err)
		return
	}
	if !slices.ContainsFunc(status.Status().Details.Causes, func(c metav1.StatusCause) bool {
		return strings.HasPrefix(c.Field, at) && strings.Contains(c.Message, says) && strings.Contains(err.Error(), at)
	}) {
		t.Errorf("%s is refused, but not with %q at %s: %v", what, says, at, err)
	}
}

// object makes an object of the kind.
func (c contract) object(t *testing.T, spec any) *unstructured.Unstructured {
	t.Helper()
	u := &unstructured.Unstructured{}
	u.SetAPIVersion("security.neosc.io/v1alpha1")
	u.SetKind(c.kind)
	u.SetName("an-object")
	if c.name != "" {
		u.SetName(c.name)
	}
	if crdOf(t, c.kind).Spec.Scope == apiextensionsv1.NamespaceScoped {
		u.SetNamespace("default")
	}
	u.Object["spec"] = spec
	text, err := json.Marshal(u.Object)
	if err != nil {
		t.Fatal(err)
	}
	if err := u.UnmarshalJSON(text); err != nil { // whole numbers become integers
		t.Fatal(err)
	}
	return u
}

// create asks the API server, and returns the object as it would be stored. An
// unknown field is an error.
func create(object *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	made := object.DeepCopy()
	err := api.Create(context.Background(), made, client.FieldValidation(metav1.FieldValidationStrict))
	return made, err
}

func hasTwins(value any) bool {
	list, _ := value.([]any)
	for i := range list {
		if slices.ContainsFunc(list[:i], func(v any) bool { return cmp.Equal(v, list[i]) }) {
			return true
		}
	}
	return false
}
