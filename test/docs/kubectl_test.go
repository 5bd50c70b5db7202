package docs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/pflag"
	"k8s.io/client-go/util/jsonpath"
	"sigs.k8s.io/yaml"

	"github.com/neosc/mfa-operator/internal/controlplane"
)

// builtIn are the kinds of others that the documentation speaks of: whether they
// have a namespace.
var builtIn = map[string]bool{
	"pod": true, "pods": true, "deployment": true, "deployments": true, "deploy": true, "secret": true, "configmap": true, "lease": true,
	"service": true, "resourcequota": true, "events": true, "events.events.k8s.io": true, "reports.openreports.io": true,
	"serviceaccount": true, "rolebinding": true, "role": true,
	"namespace": false, "crd": false, "validatingwebhookconfiguration": false, "clusterrole": false, "clusterrolebinding": false,
	"validatingadmissionpolicybinding": false,
}

// verbs with a second word.
var subcommands = map[string][]string{
	"create":  {"namespace", "configmap", "serviceaccount", "role", "rolebinding", "token", "secret generic"},
	"rollout": {"restart", "status"},
}

func (c *checker) checkKubectl(one call) error {
	global, rest := c.split(one.args)
	if len(rest) == 0 {
		return errors.New("no verb")
	}
	verb, rest := []string{rest[0]}, rest[1:]
	if subs, has := subcommands[verb[0]]; has {
		i := slices.IndexFunc(subs, func(sub string) bool { return strings.HasPrefix(strings.Join(rest, " ")+" ", sub+" ") })
		if i < 0 {
			return fmt.Errorf("kubectl %s %v is not known here", verb[0], rest)
		}
		words := strings.Fields(subs[i])
		verb, rest = append(verb, words...), rest[len(words):]
	}
	flags, err := c.kubectlFlags(verb...)
	if err != nil {
		return err
	}
	if err := flags.Parse(append(global, rest...)); err != nil {
		return err
	}
	a := asked{checker: c, verb: verb[0], flags: flags, args: flags.Args()}
	if at := flags.ArgsLenAtDash(); at >= 0 {
		a.args = a.args[:at] // after it is what a Pod runs
	}
	for _, arg := range slices.Concat(one.args) {
		if err := c.checkName(arg); err != nil {
			return err
		}
	}
	return errors.Join(a.checkFiles(one.stdin), a.checkObjects(), a.checkOutput(), a.checkConditions())
}

// split takes what stands before the verb.
func (c *checker) split(args []string) (before, rest []string) {
	for len(args) > 0 && strings.HasPrefix(args[0], "-") {
		n := 1
		if !strings.Contains(args[0], "=") {
			n = 2
		}
		before, args = append(before, args[:min(n, len(args))]...), args[min(n, len(args)):]
	}
	return before, args
}

var describedFlag = regexp.MustCompile(`(?m)^    (?:-(\w), )?--([a-z0-9-]+)=(.*):$`)

// kubectlFlags asks kubectl which flags a verb has.
func (c *checker) kubectlFlags(verb ...string) (*pflag.FlagSet, error) {
	name := strings.Join(verb, " ")
	if flags, known := c.flags[name]; known {
		return clone(flags), nil
	}
	if c.options == "" { // those of every verb
		help, err := exec.Command(c.kubectl, "options").CombinedOutput()
		if err != nil {
			return nil, fmt.Errorf("kubectl options: %w: %s", err, help)
		}
		c.options = string(help)
	}
	help, err := exec.Command(c.kubectl, append(verb, "--help")...).CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("kubectl %s: %w: %s", name, err, help)
	}
	flags := pflag.NewFlagSet(name, pflag.ContinueOnError)
	for _, m := range describedFlag.FindAllStringSubmatch(string(help)+"\n"+c.options, -1) {
		switch short, long, fallback := m[1], m[2], m[3]; {
		case flags.Lookup(long) != nil:
		case fallback == "true" || fallback == "false":
			flags.BoolP(long, short, false, "")
		default:
			flags.StringP(long, short, "", "")
		}
	}
	if flags.Lookup("namespace") == nil {
		return nil, fmt.Errorf("kubectl %s --help lists no flags; has its form changed?", name)
	}
	c.flags[name] = flags
	return clone(flags), nil
}

// checkName finds the name of something that the operator brings.
func (c *checker) checkName(arg string) error {
	for _, name := range regexp.MustCompile(`\bmfa-operator-[a-z-]*[a-z]`).FindAllString(arg, -1) {
		if !slices.Contains(c.names, name) {
			return fmt.Errorf("nothing in config/ is called %s", name)
		}
	}
	return nil
}

// asked is one call of kubectl, taken apart.
type asked struct {
	*checker
	verb  string
	flags *pflag.FlagSet
	args  []string
}

func (a *asked) flag(name string) string {
	if f := a.flags.Lookup(name); f != nil {
		return f.Value.String()
	}
	return ""
}

// checkFiles looks for files of this repository, and holds manifests to their kinds.
func (a *asked) checkFiles(stdin string) error {
	if dir := a.flag("kustomize"); dir != "" {
		if _, err := os.Stat(filepath.Join(a.root, dir, "kustomization.yaml")); err != nil {
			return fmt.Errorf("finding a kustomization: %w", err)
		}
	}
	file := a.flag("filename")
	if strings.Contains(file, "/") {
		if _, err := os.Stat(filepath.Join(a.root, file)); err != nil {
			return fmt.Errorf("finding a manifest: %w", err)
		}
	}
	if file == "-" && strings.Contains(stdin, "apiVersion: security.neosc.io/") {
		return checkManifest(a.kinds, []byte(stdin))
	}
	return nil
}

// object is what an argument names: kinds, and perhaps one of them.
type object struct {
	types []string
	name  string
}

func (a *asked) objects() []object {
	args := a.args
	switch a.verb {
	case "get", "describe", "delete", "wait", "patch", "label", "annotate", "scale", "rollout":
	case "port-forward", "logs", "exec":
		args = args[:min(1, len(args))]
		if len(args) == 1 && !strings.Contains(args[0], "/") {
			args = []string{"pod", args[0]}
		}
	case "events":
		args = nil
		if which := a.flag("for"); which != "" {
			args = []string{which}
		}
	default:
		return nil
	}
	var all []object
	for i, arg := range args {
		switch kind, name, slash := strings.Cut(arg, "/"); {
		case strings.Contains(arg, "="): // a label
		case slash:
			all = append(all, object{[]string{kind}, name})
		case i == 0 && len(args) > 1 && !strings.Contains(args[1], "="):
			all = append(all, object{strings.Split(arg, ","), args[1]})
		case i == 0:
			all = append(all, object{types: strings.Split(arg, ",")})
		}
	}
	return all
}

func (a *asked) checkObjects() error {
	everywhere := a.flag("all-namespaces") == "true" || a.flag("namespace") != ""
	for _, o := range a.objects() {
		for _, name := range o.types {
			namespaced, known := builtIn[name]
			k, ours := a.kinds[name]
			switch {
			case ours:
				namespaced = k.namespaced
			case !known:
				return fmt.Errorf("there is no kind %s", name)
			}
			if namespaced && !everywhere {
				return fmt.Errorf("in which namespace is the %s?", name)
			}
			if patch := a.flag("patch"); ours && patch != "" {
				var is any
				if err := yaml.Unmarshal([]byte(patch), &is); err != nil {
					return fmt.Errorf("reading the patch: %w", err)
				}
				if err := (definitions{}).check(k.schema, is, "patch"); err != nil {
					return err
				}
			}
		}
	}
	if a.flag("patch") != "" && a.flag("type") != "merge" {
		return errors.New("a patch of our kinds has to be --type=merge")
	}
	return nil
}

// checkOutput looks for the fields that JSONPath and columns show of our kinds.
func (a *asked) checkOutput() error {
	form, expression, _ := strings.Cut(a.flag("output"), "=")
	all := a.objects()
	if len(all) == 0 || len(all[0].types) != 1 {
		return nil
	}
	k, ours := a.kinds[all[0].types[0]]
	if !ours || k.schema == nil {
		return nil
	}
	switch form {
	case "", "yaml", "json", "wide", "name":
	case "jsonpath":
		s := k.schema
		if all[0].name == "" {
			s = &schema{Type: types{"object"}, Properties: map[string]*schema{"items": {Type: types{"array"}, Items: k.schema}}}
		}
		return checkJSONPath(s, expression)
	case "custom-columns":
		for column := range strings.SplitSeq(expression, ",") {
			_, path, _ := strings.Cut(column, ":")
			if err := checkJSONPath(k.schema, "{"+path+"}"); err != nil {
				return err
			}
		}
	default:
		return fmt.Errorf("there is no output %s", form)
	}
	return nil
}

func (a *asked) checkConditions() error {
	if a.verb != "wait" {
		return nil
	}
	condition, is := strings.CutPrefix(a.flag("for"), "condition=")
	condition, _, _ = strings.Cut(condition, "=")
	if is && !slices.Contains(a.words, condition) {
		return fmt.Errorf("there is no condition %s", condition)
	}
	return nil
}

func checkJSONPath(s *schema, expression string) error {
	parsed, err := jsonpath.Parse("documented", expression)
	if err != nil {
		return fmt.Errorf("reading %s: %w", expression, err)
	}
	w := walk{at: []*schema{s}}
	for _, n := range parsed.Root.Nodes {
		if err := w.step(n); err != nil {
			return fmt.Errorf("%s: %w", expression, err)
		}
	}
	return nil
}

// walk is where a JSONPath has got to: at the root, or in ranges of elements.
type walk struct{ at []*schema }

func (w *walk) step(n jsonpath.Node) error {
	list, isList := n.(*jsonpath.ListNode)
	if !isList {
		return nil // text
	}
	is, ranging := w.at[len(w.at)-1], false
	for _, n := range list.Nodes {
		var err error
		switch n := n.(type) {
		case *jsonpath.IdentifierNode:
			if n.Name == "end" {
				w.at = w.at[:len(w.at)-1]
			}
			ranging = n.Name == "range"
		case *jsonpath.FieldNode:
			if n.Value != "" {
				is, err = definitions{}.property(is, n.Value)
			}
		case *jsonpath.FilterNode:
			if is, err = (definitions{}).elements(is); err == nil {
				inner := walk{at: []*schema{is}}
				err = errors.Join(inner.step(n.Left), inner.step(n.Right))
			}
		case *jsonpath.ArrayNode, *jsonpath.WildcardNode:
			is, err = definitions{}.elements(is)
		}
		if err != nil {
			return err
		}
	}
	if ranging {
		w.at = append(w.at, is)
	}
	return nil
}

// namesIn reads the names of all objects in config/.
func namesIn(t *testing.T) []string {
	t.Helper()
	var names []string
	for _, file := range files(t, "config", ".yaml") {
		for _, m := range regexp.MustCompile(`(?m)^  name: (\S+)$`).FindAllStringSubmatch(text(t, file), -1) {
			names = append(names, m[1])
		}
	}
	return names
}

// files lists the files below a folder of the repository.
func files(t *testing.T, folder, suffix string) []string {
	t.Helper()
	var found []string
	err := fs.WalkDir(os.DirFS(inRoot(t, ".")), folder, func(path string, _ fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, suffix) {
			found = append(found, path)
		}
		return err
	})
	must(t, err)
	return found
}

func kubectlBinary(t *testing.T) string {
	t.Helper()
	assets, err := controlplane.Assets()
	must(t, err)
	return filepath.Join(assets, "kubectl")
}
