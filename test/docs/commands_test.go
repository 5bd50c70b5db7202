package docs

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"
	"sigs.k8s.io/yaml"

	"github.com/neosc/mfa-operator/internal/audit"
)

// TestCommandsAreSound has bash run every sh block of the documentation, page by
// page, and every line that is shown after a prompt, with stand-ins for the programs that only note how they were called.
// So quotes, variables, pipes, functions and here-documents are bash's own
// reading. How each program was called is then held to what there is:
//
//   - kubectl: its own flags; our kinds, their names and whether they have a
//     namespace; names of our objects; conditions to wait for; fields in JSONPath,
//     in columns, and in patches with their values; files; manifests from here-documents
//   - kubectl mfa, manager, zitadel-sim: commands, flags, words
//   - make: targets and variables. helm: the chart, and values with their types
//   - requests to the HTTP API: route, method, and members of the body
//   - sed, base64, and jq where it is installed, run for real
//
// Of all other programs, and of what commands do, it knows nothing: that is what
// the other tests are for.
func TestCommandsAreSound(t *testing.T) {
	c := newChecker(t)
	count := 0
	for _, p := range pages(t) {
		if len(p.blocks("sh"))+len(p.prompted()) == 0 {
			continue
		}
		t.Run(strings.TrimSuffix(p.path, ".md"), func(t *testing.T) {
			for _, called := range c.run(t, p) {
				count++
				switch err := c.check(called); {
				case p.refused(called.block) && err == nil:
					t.Errorf("block %d: %s: is said to be refused, and nothing is wrong with it", called.block, called)
				case !p.refused(called.block) && err != nil:
					t.Errorf("block %d: %s: %v", called.block, called, err)
				}
			}
		})
	}
	if count < 200 {
		t.Errorf("only %d commands found; has the way they are written changed?", count)
	}
}

// A checker that finds nothing wrong would pass for ever, so each thing that it
// holds commands to is broken once.
func TestUnsoundCommandsAreFound(t *testing.T) {
	c := newChecker(t)
	for _, line := range []string{
		`kubectl -n neosc-system get secpool`,
		`kubectl get secpol`,
		`kubectl -n neosc-system get secpol x --watchful`,
		`kubectl -n neosc-system get secpol x -o jsonpath='{.status.target}'`,
		`kubectl -n neosc-system get secpol x -o jsonpath='{range .status.targets[*].pending[*]}{.settings}{end}'`,
		`kubectl -n neosc-system get secpol x -o jsonpath='{.status.conditions[?(@.kind=="Ready")].reason}'`,
		`kubectl get secpol -A -o custom-columns=MODE:.spec.modes`,
		`kubectl -n neosc-system wait --for=condition=Readi secpol/x`,
		`kubectl -n neosc-system patch secpol x --type=merge -p '{"spec":{"mode":"Enforced"}}'`,
		`kubectl -n neosc-system patch secpol x --type=merge -p '{"spec":{"session":{"secondFactorMinutes":"5"}}}'`,
		`kubectl -n neosc-system patch secpol x --type=merge -p '{"spec":{"modus":"Audit"}}'`,
		`kubectl -n neosc-system rollout restart deployment/mfa-operator-manger`,
		`kubectl apply -f config/samples/nothing.yaml`,
		`kubectl apply -k config/samples/nothing`,
		`kubectl frobnicate`,
		"kubectl apply -f - <<'POLICY'\napiVersion: security.neosc.io/v1alpha1\nkind: SecurityPolicy\nmetadata: {name: x}\nspec: {mode: Later}\nPOLICY",
		`kubectl mfa audit lists`,
		`kubectl mfa audit list --action Verifications`,
		`kubectl mfa audit list --heads=1`,
		`kubectl mfa keys status --since 1h`,
		`make everything`,
		`make run-against ZITADEL=x`,
		`helm upgrade x charts/mfa-operator --set defaultPolicy.mod=Audit`,
		`helm upgrade x charts/mfa-operator --set defaultPolicy.mode=Audits`,
		`helm upgrade x charts/mfa-operator --set-json 'localUsers.namespaces=[1]'`,
		`helm upgrade x charts/mfa`,
		`bin/manager --resink=1h`,
		`bin/manager check --resync=1h`,
		`curl https://x.svc/v1/namespaces/shop/users/alice/verification -d '{}'`,
		`curl https://x.svc/v1/namespaces/shop/users/alice/verifications -d '{"methods":"TOTP"}'`,
		`curl -X DELETE https://x.svc/v1/namespaces/shop/users/alice/verifications`,
		`frobnicate`,
	} {
		called, err := c.runBlocks(t, line)
		for _, one := range called {
			if err == nil {
				err = c.check(one)
			}
		}
		if err == nil {
			t.Errorf("nothing wrong was found with: %s", line)
		}
	}
}

// refused tells whether the page shows, below an sh block, that the API server
// refuses it.
func (p page) refused(block int) bool {
	for i, b := range p.fenced {
		if b.language != "sh" {
			continue
		}
		if block--; block == 0 {
			return i+1 < len(p.fenced) && p.fenced[i+1].language == "" && strings.Contains(p.fenced[i+1].text, " is invalid: ")
		}
	}
	return false
}

// call is how a program was called.
type call struct {
	block int // of the page, from 1
	name  string
	args  []string
	stdin string // of kubectl … -f -
}

func (c call) String() string { return strings.Join(append([]string{c.name}, c.args...), " ") }

// programs that documentation may use and that are not checked any further.
var others = []string{"ctr", "go", "grep", "openssl", "terraform"}

// checker knows what there is to call.
type checker struct {
	root     string
	kubectl  string
	options  string // what kubectl says of the flags of every verb
	kinds    map[string]kind
	names    []string // of objects in config/
	words    []string // types of conditions
	flags    map[string]*pflag.FlagSet
	values   *schema
	defs     definitions
	api      apiDescription
	makefile string
}

func newChecker(t *testing.T) *checker {
	t.Helper()
	c := &checker{
		root: inRoot(t, "."), kubectl: kubectlBinary(t), kinds: kindsOf(t), names: namesIn(t),
		words: stringConstants(t, "api/v1alpha1/conditions.go", "Condition"), flags: map[string]*pflag.FlagSet{},
		makefile: text(t, "Makefile"),
	}
	var values struct {
		schema
		Definitions definitions `json:"definitions"`
	}
	if err := json.Unmarshal([]byte(text(t, "charts/mfa-operator/values.schema.json")), &values); err != nil {
		t.Fatal(err)
	}
	c.values, c.defs = &values.schema, values.Definitions
	if err := json.Unmarshal([]byte(text(t, "docs/reference/openapi.json")), &c.api); err != nil {
		t.Fatal(err)
	}
	c.flags["bin/manager"] = flagsIn(t, "internal/options/manager.go")
	c.flags["bin/manager check"] = flagsIn(t, "internal/options/check.go")
	c.flags["bin/zitadel-sim"] = flagsIn(t, "cmd/zitadel-sim/options.go")
	for group, file := range map[string]string{"audit list": "list.go", "audit follow": "list.go", "audit verify": "verify.go", "keys": "keys.go"} {
		c.flags[group] = flagsIn(t, "cmd/kubectl-mfa/cluster.go", "cmd/kubectl-mfa/"+file)
	}
	return c
}

// prompted are the commands that a page shows with what they print, but for those
// that go on in the next line.
func (p page) prompted() []string {
	var lines []string
	for _, b := range p.fenced {
		for _, m := range promptedLine.FindAllStringSubmatch(b.text, -1) {
			if !strings.Contains(m[1], "<<") {
				lines = append(lines, m[1])
			}
		}
	}
	return lines
}

var promptedLine = regexp.MustCompile(`(?m)^ *\$ (.*)$`)

// run has bash run the sh blocks of a page, and then what it shows.
func (c *checker) run(t *testing.T, p page) []call {
	t.Helper()
	called, err := c.runBlocks(t, append(p.blocks("sh"), p.prompted()...)...)
	if err != nil {
		t.Fatal(err)
	}
	return called
}

// standIn notes its arguments, and its input where a manifest comes in by it.
const standIn = `#!%s
printf '%%s\0' "$BLOCK" "$@" > "$CALLED/$$-${0##*/}"
case " $* " in *' -f - '*) %s > "$CALLED/$$-stdin" ;; esac
`

func (c *checker) runBlocks(t *testing.T, blocks ...string) ([]call, error) {
	t.Helper()
	dir := t.TempDir()
	programs, called := filepath.Join(dir, "programs"), filepath.Join(dir, "called")
	for _, folder := range []string{programs, called, filepath.Join(dir, "bin")} {
		must(t, os.Mkdir(folder, 0o700))
	}
	for _, shown := range []string{"config", "charts", "docs"} {
		must(t, os.Symlink(filepath.Join(c.root, shown), filepath.Join(dir, shown)))
	}
	stub := []byte(fmt.Sprintf(standIn, program(t, "sh"), program(t, "cat")))
	for _, name := range append([]string{"kubectl", "helm", "make", "curl"}, others...) {
		must(t, os.WriteFile(filepath.Join(programs, name), stub, 0o700))
	}
	for _, name := range []string{"kubectl-mfa", "manager", "zitadel-sim"} {
		must(t, os.WriteFile(filepath.Join(dir, "bin", name), stub, 0o700))
	}
	for _, name := range []string{"sed", "base64", "tr", "jq"} {
		switch real, err := exec.LookPath(name); {
		case err == nil:
			must(t, os.Symlink(real, filepath.Join(programs, name)))
		case name == "jq":
			must(t, os.WriteFile(filepath.Join(programs, name), stub, 0o700))
		default:
			t.Fatal(err)
		}
	}
	for _, file := range []string{"ca.pem", "audit.jsonl"} { // what readers have
		must(t, os.WriteFile(filepath.Join(dir, file), nil, 0o600))
	}

	var script strings.Builder
	script.WriteString("set -e -o pipefail\n")
	for i, block := range blocks {
		fmt.Fprintf(&script, "export BLOCK=%d\n%s\n", i+1, strings.TrimRight(block, "\n"))
	}
	script.WriteString("wait\n")
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	bash := exec.CommandContext(ctx, program(t, "bash"), "-c", script.String())
	bash.Dir = dir
	bash.Env = []string{"PATH=" + programs, "HOME=" + dir, "CALLED=" + called, "LC_ALL=C.UTF-8"}
	if out, err := bash.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%w: %s", err, out)
	}
	return readCalls(t, called), nil
}

func readCalls(t *testing.T, dir string) []call {
	t.Helper()
	entries, err := os.ReadDir(dir)
	must(t, err)
	var calls []call
	for _, e := range entries {
		pid, name, _ := strings.Cut(e.Name(), "-")
		if name == "stdin" {
			continue
		}
		noted, err := os.ReadFile(filepath.Join(dir, e.Name()))
		must(t, err)
		fields := strings.Split(strings.TrimSuffix(string(noted), "\x00"), "\x00")
		one := call{name: name, args: fields[1:]}
		one.block, err = strconv.Atoi(fields[0])
		must(t, err)
		if input, err := os.ReadFile(filepath.Join(dir, pid+"-stdin")); err == nil {
			one.stdin = string(input)
		}
		calls = append(calls, one)
	}
	slices.SortFunc(calls, func(a, b call) int { return a.block - b.block })
	return calls
}

func (c *checker) check(one call) error {
	switch one.name {
	case "kubectl":
		if len(one.args) > 0 && one.args[0] == "mfa" {
			return c.checkPlugin(one.args[1:])
		}
		return c.checkKubectl(one)
	case "kubectl-mfa":
		return c.checkPlugin(one.args)
	case "manager", "zitadel-sim":
		if one.name == "manager" && len(one.args) > 0 && one.args[0] == "check" {
			return clone(c.flags["bin/manager check"]).Parse(one.args[1:])
		}
		return clone(c.flags["bin/"+one.name]).Parse(one.args)
	case "make":
		return c.checkMake(one.args)
	case "helm":
		return c.checkHelm(one.args)
	case "curl":
		return c.checkRequest(one.args)
	}
	return nil
}

var pluginCommands = []string{"audit list", "audit follow", "audit verify", "keys status", "keys rotate", "keys reseal", "keys disable", "keys enable", "keys destroy"}

func (c *checker) checkPlugin(args []string) error {
	if len(args) < 2 || !slices.Contains(pluginCommands, args[0]+" "+args[1]) {
		return fmt.Errorf("there is no such command")
	}
	group := args[0] + " " + args[1]
	if args[0] == "keys" {
		group = "keys"
	}
	flags := clone(c.flags[group])
	if err := flags.Parse(args[2:]); err != nil {
		return err
	}
	if action, err := flags.GetString("action"); err == nil && action != "" && !slices.Contains(audit.Actions(), audit.Action(action)) {
		return fmt.Errorf("there is no action %s", action)
	}
	if outcome, err := flags.GetString("outcome"); err == nil && outcome != "" && !slices.Contains(audit.Outcomes(), audit.Outcome(outcome)) {
		return fmt.Errorf("there is no outcome %s", outcome)
	}
	return nil
}

func (c *checker) checkMake(args []string) error {
	for _, arg := range args {
		if name, _, assigned := strings.Cut(arg, "="); assigned {
			if !regexp.MustCompile(`\$[({]*` + name + `\b`).MatchString(c.makefile) {
				return fmt.Errorf("the Makefile does not use %s", name)
			}
		} else if !regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(arg) + `:|^[a-z -]*\b` + regexp.QuoteMeta(arg) + `:`).MatchString(c.makefile) {
			return fmt.Errorf("the Makefile has no %s", arg)
		}
	}
	return nil
}

func (c *checker) checkHelm(args []string) error {
	flags := pflag.NewFlagSet("helm", pflag.ContinueOnError)
	namespace := flags.StringP("namespace", "n", "", "")
	flags.StringArray("values", nil, "")
	sets, jsons := flags.StringArray("set", nil, ""), flags.StringArray("set-json", nil, "")
	for _, b := range []string{"wait", "create-namespace", "reuse-values", "force-conflicts"} {
		flags.Bool(b, false, "")
	}
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *namespace == "" && flags.NArg() > 0 && flags.Arg(0) != "template" && len(*sets)+len(*jsons) == 0 {
		return fmt.Errorf("in which namespace?")
	}
	switch verb, rest := flags.Arg(0), flags.Args(); verb {
	case "install", "upgrade":
		if len(rest) != 3 {
			return fmt.Errorf("%s takes a release and a chart", verb)
		}
		if _, err := os.Stat(filepath.Join(c.root, rest[2], "Chart.yaml")); err != nil {
			return fmt.Errorf("finding the chart: %w", err)
		}
	case "uninstall", "rollback", "test":
	default:
		return fmt.Errorf("there is no helm %s", verb)
	}
	for _, set := range *sets {
		for one := range strings.SplitSeq(set, ",") {
			name, value, _ := strings.Cut(one, "=")
			if err := c.checkValue(name, value, yaml.Unmarshal); err != nil {
				return err
			}
		}
	}
	for _, one := range *jsons {
		name, value, _ := strings.Cut(one, "=")
		if err := c.checkValue(name, value, yaml.Unmarshal); err != nil {
			return err
		}
	}
	return nil
}

// checkValue holds a value of the chart to its schema. Helm, too, takes true, 1 and
// [a] for what YAML takes them for.
func (c *checker) checkValue(name, value string, read func([]byte, any, ...yaml.JSONOpt) error) error {
	s := c.values
	for part := range strings.SplitSeq(name, ".") {
		var err error
		if s, err = c.defs.property(s, part); err != nil {
			return fmt.Errorf("value %s: %w", name, err)
		}
	}
	var is any
	if err := read([]byte(value), &is); err != nil {
		return fmt.Errorf("value %s: %w", name, err)
	}
	return c.defs.check(s, is, name)
}

// apiDescription is what the HTTP API says of itself.
type apiDescription struct {
	Paths map[string]map[string]struct {
		RequestBody struct {
			Content map[string]struct{ Schema *schema }
		}
	}
	Components struct{ Schemas definitions }
}

// checkRequest holds a request to the HTTP API to its description; curl is used
// for others as well.
func (c *checker) checkRequest(args []string) error {
	flags := pflag.NewFlagSet("curl", pflag.ContinueOnError)
	method := flags.StringP("request", "X", "", "")
	body := flags.StringP("data", "d", "", "")
	flags.StringArrayP("header", "H", nil, "")
	flags.String("cacert", "", "")
	flags.String("connect-to", "", "")
	flags.BoolP("silent", "s", false, "")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() != 1 {
		return fmt.Errorf("%d addresses: %v", flags.NArg(), flags.Args())
	}
	address, err := url.Parse(flags.Arg(0))
	if err != nil {
		return err
	}
	if !strings.HasPrefix(address.Path, "/v1/") {
		return nil
	}
	switch {
	case *method != "":
	case *body != "":
		*method = "POST"
	default:
		*method = "GET"
	}
	for route, methods := range c.api.Paths {
		if !regexp.MustCompile("^" + regexp.MustCompile(`{\w+}`).ReplaceAllString(route, `[^/]+`) + "$").MatchString(address.Path) {
			continue
		}
		operation, known := methods[strings.ToLower(*method)]
		if !known {
			return fmt.Errorf("%s has no %s", route, *method)
		}
		var is any
		if *body != "" {
			if err := json.Unmarshal([]byte(*body), &is); err != nil {
				return fmt.Errorf("reading the body: %w", err)
			}
		}
		return c.api.Components.Schemas.check(operation.RequestBody.Content["application/json"].Schema, is, "body")
	}
	return fmt.Errorf("there is no route %s", address.Path)
}

var declaredFlag = regexp.MustCompile(`\.(\w+?)VarP?\([^,]+, "([a-z-]+)"(?:, "(\w)")?`)

// flagsIn reads the flags that Go files declare.
func flagsIn(t *testing.T, sources ...string) *pflag.FlagSet {
	t.Helper()
	flags := pflag.NewFlagSet(sources[0], pflag.ContinueOnError)
	for _, source := range sources {
		for _, m := range declaredFlag.FindAllStringSubmatch(text(t, source), -1) {
			if flags.Lookup(m[2]) != nil {
				continue
			}
			short := m[3]
			if !strings.Contains(m[0], "VarP(") {
				short = ""
			}
			if m[1] == "Bool" {
				flags.BoolP(m[2], short, false, "")
			} else {
				flags.StringP(m[2], short, "", "")
			}
		}
	}
	if !flags.HasFlags() {
		t.Fatalf("%v: no flags found; has the way they are declared changed?", sources)
	}
	return flags
}

// clone returns a set with the same flags and no values.
func clone(flags *pflag.FlagSet) *pflag.FlagSet {
	c := pflag.NewFlagSet("", pflag.ContinueOnError)
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Value.Type() == "bool" {
			c.BoolP(f.Name, f.Shorthand, false, "")
			return
		}
		c.StringP(f.Name, f.Shorthand, "", "")
		c.Lookup(f.Name).NoOptDefVal = f.NoOptDefVal
	})
	return c
}

func program(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	must(t, err)
	return path
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
