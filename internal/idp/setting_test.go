package idp_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/neosc/mfa-operator/internal/idp"
)

// declared reads the constants of a type from the source: what a test lists by
// hand is what somebody forgets.
func declared(t *testing.T, file, typeName string) []string {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var values []string
	ast.Inspect(parsed, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if name, ok := spec.Type.(*ast.Ident); !ok || name.Name != typeName {
			return true
		}
		text, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
		if err != nil {
			t.Fatal(err)
		}
		values = append(values, text)
		return true
	})
	if len(values) == 0 {
		t.Fatalf("%s declares no %s", file, typeName)
	}
	return values
}

func TestTheCatalogueIsComplete(t *testing.T) {
	all := idp.AllSettings()
	for _, s := range declared(t, "setting.go", "Setting") {
		if n := len(slices.DeleteFunc(slices.Clone(all), func(x idp.Setting) bool { return x != idp.Setting(s) })); n != 1 {
			t.Errorf("the catalogue has %s %d times, want once", s, n)
		}
	}
	for _, s := range all {
		if !slices.Contains(idp.AllGroups(), s.Group()) {
			t.Errorf("%s is in no known group: %q", s, s.Group())
		}
		if !strings.HasPrefix(string(s), string(s.Group())+".") {
			t.Errorf("%s does not begin with its group %s", s, s.Group())
		}
	}
	if g := idp.Setting("login.newerThanUs").Group(); g != "" {
		t.Errorf("an unknown setting is in group %q", g)
	}
}

func TestEveryGroupHasSettings(t *testing.T) {
	everything := idp.Settings{}
	for _, s := range idp.AllSettings() {
		everything[s] = idp.Value{}
	}
	if got := everything.Groups(); !slices.Equal(got, idp.AllGroups()) {
		t.Errorf("the settings are in %v, want %v", got, idp.AllGroups())
	}
	var declaredGroups []idp.Group
	for _, g := range declared(t, "setting.go", "Group") {
		declaredGroups = append(declaredGroups, idp.Group(g))
	}
	if !slices.Equal(declaredGroups, idp.AllGroups()) {
		t.Errorf("declared are the groups %v, AllGroups has %v", declaredGroups, idp.AllGroups())
	}
	if got := everything.Sorted(); !slices.Equal(got, idp.AllSettings()) {
		t.Errorf("sorted they are %v", got)
	}
	sum := 0
	for _, g := range idp.AllGroups() {
		sum += len(everything.Of(g))
	}
	if sum != len(everything) {
		t.Errorf("the groups have %d settings, there are %d", sum, len(everything))
	}
}

// TestTheCallerCannotChangeTheCatalogue through what it was given.
func TestTheCallerCannotChangeTheCatalogue(t *testing.T) {
	settings, groups := idp.AllSettings(), idp.AllGroups()
	first, firstGroup := settings[0], groups[0]
	settings[0], groups[0] = "changed", "changed"
	if idp.AllSettings()[0] != first || idp.AllGroups()[0] != firstGroup {
		t.Error("the catalogue has changed")
	}
}
