package kstatus

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	lua "github.com/yuin/gopher-lua"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/neosc/mfa-operator/internal/controlplane"
)

// healthOf is what Argo CD calls what the library says.
var healthOf = map[status.Status]string{
	status.CurrentStatus: "Healthy", status.InProgressStatus: "Progressing", status.TerminatingStatus: "Progressing", status.FailedStatus: "Degraded",
}

// What nobody has looked at is no failure, and not in force either.
func TestArgoCDOfWhatNobodyHasLookedAt(t *testing.T) {
	obj := &unstructured.Unstructured{Object: map[string]any{}}
	obj.SetGeneration(1)
	if health, message := argoCD(t, obj); health != "Progressing" || message == "" {
		t.Errorf("it is %s: %q", health, message)
	}
}

// argoCD runs the health check that the guide to GitOps has for Argo CD as Argo CD does:
// in Lua, without its libraries, and the object in the global obj.
func argoCD(t *testing.T, obj *unstructured.Unstructured) (health, message string) {
	t.Helper()
	state := lua.NewState(lua.Options{SkipOpenLibs: true})
	defer state.Close()
	state.Push(state.NewFunction(lua.OpenBase))
	state.Call(0, 0)
	state.SetGlobal("obj", inLua(state, obj.Object))
	if err := state.DoString(healthScript(t)); err != nil {
		t.Fatal(err)
	}
	result, ok := state.Get(-1).(*lua.LTable)
	if !ok {
		t.Fatalf("the script returns %s", state.Get(-1))
	}
	return result.RawGetString("status").String(), result.RawGetString("message").String()
}

func inLua(state *lua.LState, value any) lua.LValue {
	switch v := value.(type) {
	case map[string]any:
		table := state.NewTable()
		for key, one := range v {
			table.RawSetString(key, inLua(state, one))
		}
		return table
	case []any:
		table := state.NewTable()
		for _, one := range v {
			table.Append(inLua(state, one))
		}
		return table
	case string:
		return lua.LString(v)
	case int64:
		return lua.LNumber(v)
	case bool:
		return lua.LBool(v)
	default:
		return lua.LNil
	}
}

var configMap = regexp.MustCompile("(?s)```yaml\n(apiVersion: v1\nkind: ConfigMap\n.*?)```")

// healthScript is the one in the guide.
func healthScript(t *testing.T) string {
	t.Helper()
	root, err := controlplane.Root()
	if err != nil {
		t.Fatal(err)
	}
	guide, err := os.ReadFile(filepath.Join(root, "docs", "how-to", "gitops.md"))
	if err != nil {
		t.Fatal(err)
	}
	block := configMap.FindSubmatch(guide)
	if block == nil {
		t.Fatal("there is no ConfigMap in the guide")
	}
	found := &corev1.ConfigMap{}
	if err := yaml.UnmarshalStrict(block[1], found); err != nil {
		t.Fatal(err)
	}
	customizations := map[string]map[string]string{}
	if err := yaml.UnmarshalStrict([]byte(found.Data["resource.customizations"]), &customizations); err != nil {
		t.Fatal(err)
	}
	script := customizations["security.neosc.io/*"]["health.lua"]
	if script == "" {
		t.Fatal("there is no script for our kinds")
	}
	return script
}
