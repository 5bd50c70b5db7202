// Package docs checks that the documentation says what is: it names every
// condition reason, field, setting, flag, route and Event there is and no reason that
// there is not, its links lead somewhere, its commands call what exists as it can
// be called, and its manifests are valid.
package docs

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/controlplane"
	"github.com/neosc/mfa-operator/internal/idp"
	"github.com/neosc/mfa-operator/internal/policy"
)

const (
	runbook   = "docs/runbook.md"
	settings  = "docs/reference/settings.md"
	events    = "docs/reference/events.md"
	merging   = "docs/reference/merging.md"
	commands  = "docs/reference/commands.md"
	httpAPI   = "docs/reference/http-api.md"
	neoscAPI  = "docs/reference/neosc-api.md"
	generated = "docs/reference/api.md"
	proven    = "docs/reference/security-tests.md"
	security  = "docs/security.md"
)

func TestRunbookHasOneEntryForEachReason(t *testing.T) {
	reasons := stringConstants(t, "api/v1alpha1/conditions.go", "Reason")
	var entries []string
	for _, h := range read(t, runbook).headings {
		if h.level == 3 && !strings.HasPrefix(h.text, "MFA") { // these are alerts, and test/metrics holds them
			entries = append(entries, h.text)
		}
	}
	sameSet(t, "entries of "+runbook, entries, "reasons in api/v1alpha1/conditions.go", reasons)
}

func TestEventsAreDocumented(t *testing.T) {
	for _, source := range []string{"controllers/securitypolicy/events.go", "controllers/mfauser/events.go", "controllers/mfaexemption/events.go", "controllers/mfareset/status.go"} {
		for _, reason := range stringConstants(t, source, "event") {
			contains(t, events, "`"+reason+"`")
		}
	}
}

func TestSettingsAreDocumented(t *testing.T) {
	for _, s := range idp.AllSettings() {
		contains(t, settings, "`"+string(s)+"`")
	}
	spec := reflect.TypeFor[v1alpha1.SecurityPolicySpec]()
	for _, part := range []string{"MFA", "Session", "Login", "Password", "Lockout"} {
		field, _ := spec.FieldByName(part)
		for i := range field.Type.Elem().NumField() {
			contains(t, settings, "`"+jsonName(field)+"."+jsonName(field.Type.Elem().Field(i))+"`")
		}
	}
}

func TestMergingIsDocumented(t *testing.T) {
	for _, f := range policy.FieldRules() {
		if strings.HasPrefix(f.Path, "mfa.enforcement.") {
			continue // no field of a spec
		}
		contains(t, merging, "| `"+f.Path+"` | "+cmp.Or(f.Wins, "precedence")+" |")
	}
}

func TestFlagsAreDocumented(t *testing.T) {
	flag := regexp.MustCompile(`flags\.\w+Var\([^,]+, "([a-z-]+)"`)
	for _, source := range []string{"internal/options/manager.go", "internal/options/check.go", "internal/options/webhook.go", "internal/options/mfa.go", "internal/options/tracing.go", "cmd/devcluster/main.go", "cmd/zitadel-sim/options.go"} {
		found := flag.FindAllStringSubmatch(text(t, source), -1)
		if len(found) == 0 {
			t.Errorf("%s: no flags found; has the way they are declared changed?", source)
		}
		for _, f := range found {
			contains(t, commands, "`--"+f[1]+"`")
		}
	}
}

// Every route of the HTTP API is there with the right that it takes, and no other;
// so are the problems it answers with and the headers it reads.
func TestHTTPAPIIsDocumented(t *testing.T) {
	source := text(t, "webhook/mfaapi/routes.go")
	rights, needs := map[string]string{}, map[string]string{"PUT …": "`create` `mfausers`", "GET /.well-known/jwks.json": "none, no token either"}
	for _, m := range regexp.MustCompile(`(may\w+)\s*= right{"(\w+)", "(\w+)"}`).FindAllStringSubmatch(source, -1) {
		rights[m[1]] = "`" + m[2] + "` `mfausers/" + m[3] + "`"
	}
	for _, m := range regexp.MustCompile(`op\(http\.Method(\w+), "([^"]+)", .*, (may\w+), a\.`).FindAllStringSubmatch(source, -1) {
		needs[strings.ToUpper(m[1])+" …"+m[2]] = rights[m[3]]
	}
	routesAreDocumented(t, httpAPI, "docs/reference/openapi.json", needs)
	sameSet(t, "problems of "+httpAPI, problemTypes(t, httpAPI), "problems of webhook/callers/problem.go", problemTypes(t, "webhook/callers/problem.go"))
}

// The same of the API in NeoSC's shape, whose problems are some of those.
func TestNeoSCAPIIsDocumented(t *testing.T) {
	needs := map[string]string{}
	for _, m := range regexp.MustCompile(`op\(http\.Method(\w+), "([^"]*)", .*, "(\w+)", a\.`).FindAllStringSubmatch(text(t, "webhook/neoscapi/endpoint.go"), -1) {
		needs[strings.ToUpper(m[1])+" /api/policies"+m[2]] = "`" + m[3] + "` `securitypolicies`"
	}
	routesAreDocumented(t, neoscAPI, "docs/reference/neosc-openapi.json", needs)
	for _, kind := range problemTypes(t, neoscAPI) {
		contains(t, "webhook/callers/problem.go", `"`+kind+`"`)
	}
}

// routesAreDocumented compares the table of a page with the description of an API;
// needs has the right that each route takes.
func routesAreDocumented(t *testing.T, page, description string, needs map[string]string) {
	t.Helper()
	var api struct {
		Paths map[string]map[string]struct {
			Summary    string
			Parameters []struct{ In, Name string }
		}
	}
	if err := yaml.Unmarshal([]byte(text(t, description)), &api); err != nil {
		t.Fatal(err)
	}
	var wanted []string
	for path, methods := range api.Paths {
		for method, operation := range methods {
			route := strings.ToUpper(method) + " " + strings.Replace(path, "/v1/namespaces/{namespace}/users/{user}", "…", 1)
			if needs[route] == "" {
				t.Errorf("%s: no right found; has the way routes are declared changed?", route)
			}
			wanted = append(wanted, "| `"+route+"` | "+needs[route]+" | "+operation.Summary+" |")
			for _, p := range operation.Parameters {
				if p.In == "header" {
					contains(t, page, "| `"+p.Name+"` | ")
				}
			}
		}
	}
	row := regexp.MustCompile("(?m)^\\| `(?:GET|PUT|POST|PATCH|DELETE) .*$")
	sameSet(t, "routes of "+page, row.FindAllString(text(t, page), -1), "routes of "+description, wanted)
}

// problemTypes are the types of problems that a file names, each once.
func problemTypes(t *testing.T, path string) []string {
	t.Helper()
	found := regexp.MustCompile("urn:neosc:mfa:[a-z-]+").FindAllString(text(t, path), -1)
	slices.Sort(found)
	return slices.Compact(found)
}

var link = regexp.MustCompile(`\]\(([^)\s]+)\)`)

// A page that says which test proves what names tests that are there.
func TestTestsThatProveSomethingExist(t *testing.T) {
	for _, page := range []string{proven, security} {
		named := provenBy.FindAllStringSubmatch(text(t, page), -1)
		if len(named) < 40 {
			t.Errorf("%s names %d tests only", page, len(named))
		}
		for _, n := range named {
			contains(t, filepath.Join(filepath.Dir(page), n[2]), "func "+n[1]+"(")
		}
	}
}

// provenBy is a link to a test: its name, and its file.
var provenBy = regexp.MustCompile("\\[`(\\w+)`\\]\\(((?:\\.\\./)+[\\w/]+_test\\.go)\\)")

func TestRelativeLinksResolve(t *testing.T) {
	for _, p := range pages(t) {
		for _, l := range link.FindAllStringSubmatch(p.prose, -1) {
			target, anchor, _ := strings.Cut(l[1], "#")
			if strings.Contains(target, "://") {
				continue
			}
			path := p.path
			if target != "" {
				path = filepath.Join(filepath.Dir(p.path), target)
			}
			if _, err := os.Stat(inRoot(t, path)); err != nil {
				t.Errorf("%s: link to %s: there is no %s", p.path, l[1], path)
				continue
			}
			if anchor != "" && !slices.Contains(read(t, path).anchors(), anchor) {
				t.Errorf("%s: link to %s: %s has no such heading", p.path, l[1], path)
			}
		}
	}
}

var (
	// Paths of the repository, wherever a command or a sentence names one.
	repositoryPath = regexp.MustCompile(`(?:^|[\s"'=` + "`" + `])((?:api|charts|cmd|config|controllers|docs|hack|internal|test)/[\w./-]*[\w/])`)
	makeTarget     = regexp.MustCompile(`\bmake ([a-z][a-z-]*)`)
	declaredTarget = regexp.MustCompile(`(?m)^([a-z][a-z-]*):`)
)

func TestCommandsNameWhatExists(t *testing.T) {
	var targets []string
	for _, m := range declaredTarget.FindAllStringSubmatch(text(t, "Makefile"), -1) {
		targets = append(targets, m[1])
	}
	for _, p := range pages(t) {
		for _, m := range repositoryPath.FindAllStringSubmatch(p.whole, -1) {
			if _, err := os.Stat(inRoot(t, m[1])); err != nil {
				t.Errorf("%s names %s, which does not exist", p.path, m[1])
			}
		}
		code := slices.Concat(p.blocks("sh"), inlineCode.FindAllString(p.prose, -1))
		for _, c := range code {
			for _, m := range makeTarget.FindAllStringSubmatch(c, -1) {
				if !slices.Contains(targets, m[1]) {
					t.Errorf("%s names make %s, which the Makefile does not have", p.path, m[1])
				}
			}
		}
	}
}

// manifest finds those in YAML blocks and in here-documents.
var manifest = regexp.MustCompile(`(?m)^apiVersion: security\.neosc\.io/v1alpha1\n(?:[^\n]+\n?)*`)

func TestManifestsAreValid(t *testing.T) {
	found, kinds := 0, kindsOf(t)
	for _, p := range pages(t) {
		for _, block := range slices.Concat(p.blocks("yaml"), p.blocks("sh")) {
			for _, m := range manifest.FindAllString(block, -1) {
				m, _, _ = strings.Cut(m, "\nPOLICY\n")
				for one := range strings.SplitSeq(m, "\n---\n") {
					found++
					if err := errors.Join(parse([]byte(one)), checkManifest(kinds, []byte(one))); err != nil {
						t.Errorf("%s: %v, in\n%s", p.path, err, one)
					}
				}
			}
		}
	}
	if found == 0 {
		t.Error("no manifest found; has the way they are written changed?")
	}
}

func parse(manifest []byte) error {
	kind := struct{ Kind string }{}
	if err := yaml.Unmarshal(manifest, &kind); err != nil {
		return fmt.Errorf("reading the kind: %w", err)
	}
	switch kind.Kind {
	case "SecurityPolicy":
		return yaml.UnmarshalStrict(manifest, &v1alpha1.SecurityPolicy{})
	case "MFAUser":
		return yaml.UnmarshalStrict(manifest, &v1alpha1.MFAUser{})
	case "MFAReset":
		return yaml.UnmarshalStrict(manifest, &v1alpha1.MFAReset{})
	case "MFAExemption":
		return yaml.UnmarshalStrict(manifest, &v1alpha1.MFAExemption{})
	case "ZitadelConnection":
		return yaml.UnmarshalStrict(manifest, &v1alpha1.ZitadelConnection{})
	}
	return fmt.Errorf("there is no kind %q", kind.Kind)
}

// page is one Markdown file.
type page struct {
	path     string
	whole    string
	prose    string // without fenced blocks
	headings []heading
	fenced   []block
}

type heading struct {
	level int
	text  string
}

type block struct{ language, text string }

var (
	fence      = regexp.MustCompile("^ *```(\\w*)$")
	headline   = regexp.MustCompile(`^(#+) (.*)$`)
	inlineCode = regexp.MustCompile("`[^`]+`")
)

func read(t *testing.T, path string) page {
	t.Helper()
	p := page{path: path, whole: text(t, path)}
	var prose, code strings.Builder
	inside := false
	for line := range strings.Lines(p.whole) {
		bare := strings.TrimSuffix(line, "\n")
		switch mark := fence.FindStringSubmatch(bare); {
		case mark != nil && inside:
			p.fenced[len(p.fenced)-1].text, inside = code.String(), false
		case mark != nil:
			p.fenced, inside = append(p.fenced, block{language: mark[1]}), true
			code.Reset()
		case inside:
			code.WriteString(line)
		default:
			prose.WriteString(line)
			if h := headline.FindStringSubmatch(bare); h != nil {
				p.headings = append(p.headings, heading{len(h[1]), h[2]})
			}
		}
	}
	if inside {
		t.Errorf("%s: a block is not closed", path)
	}
	p.prose = prose.String()
	return p
}

func (p page) blocks(language string) []string {
	var texts []string
	for _, b := range p.fenced {
		if b.language == language {
			texts = append(texts, b.text)
		}
	}
	return texts
}

var notInAnchor = regexp.MustCompile(`[^\w\- ]`)

// anchors are those a Markdown renderer makes of headings.
func (p page) anchors() []string {
	var all []string
	for _, h := range p.headings {
		plain := notInAnchor.ReplaceAllString(strings.ToLower(h.text), "")
		all = append(all, strings.ReplaceAll(plain, " ", "-"))
	}
	return all
}

// pages reads the README and everything in docs/ that is written by hand.
func pages(t *testing.T) []page {
	t.Helper()
	all := []page{read(t, "README.md")}
	err := fs.WalkDir(os.DirFS(inRoot(t, ".")), "docs", func(path string, _ fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, ".md") && path != generated {
			all = append(all, read(t, path))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// stringConstants returns the values of a file's string constants with that
// prefix.
func stringConstants(t *testing.T, file, prefix string) []string {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), inRoot(t, file), nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var values []string
	ast.Inspect(parsed, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || !strings.HasPrefix(spec.Names[0].Name, prefix) {
			return true
		}
		if literal, ok := spec.Values[0].(*ast.BasicLit); ok && literal.Kind == token.STRING {
			value, err := strconv.Unquote(literal.Value)
			if err != nil {
				t.Fatal(err)
			}
			values = append(values, value)
		}
		return true
	})
	if len(values) == 0 {
		t.Fatalf("%s has no constants %s…", file, prefix)
	}
	return values
}

func jsonName(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	return name
}

func sameSet(t *testing.T, haveName string, have []string, wantName string, want []string) {
	t.Helper()
	for i, h := range have {
		if !slices.Contains(want, h) {
			t.Errorf("%s has %s, which is not among the %s", haveName, h, wantName)
		}
		if slices.Contains(have[:i], h) {
			t.Errorf("%s has %s twice", haveName, h)
		}
	}
	for _, w := range want {
		if !slices.Contains(have, w) {
			t.Errorf("%s has no %s, which is among the %s", haveName, w, wantName)
		}
	}
}

func contains(t *testing.T, path, wanted string) {
	t.Helper()
	if !strings.Contains(text(t, path), wanted) {
		t.Errorf("%s does not mention %s", path, wanted)
	}
}

func text(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(inRoot(t, path))
	if err != nil {
		t.Fatal(err)
	}
	return string(bytes.ReplaceAll(b, []byte("\r\n"), []byte("\n")))
}

func inRoot(t *testing.T, path string) string {
	t.Helper()
	root, err := controlplane.Root()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(root, filepath.FromSlash(path))
}
