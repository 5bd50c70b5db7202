package crd

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"

	"github.com/neosc/mfa-operator/internal/controlplane"
)

// property is one property of a schema.
type property struct {
	path     string // [0] stands for the entries of a list
	required bool
	schema   apiextensionsv1.JSONSchemaProps
}

// isSelector tells the label selector of Kubernetes, whose schema is not ours.
func (p property) isSelector() bool {
	_, labels := p.schema.Properties["matchLabels"]
	_, expressions := p.schema.Properties["matchExpressions"]
	return labels && expressions
}

// crds returns every CRD of the project.
func crds(t *testing.T) []apiextensionsv1.CustomResourceDefinition {
	t.Helper()
	all, err := readCRDs()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// readCRDs reads them once: the race detector takes most of a second to do so, and
// there are some hundred cases.
var readCRDs = sync.OnceValues(func() ([]apiextensionsv1.CustomResourceDefinition, error) {
	root, err := controlplane.Root()
	if err != nil {
		return nil, err
	}
	files, err := filepath.Glob(filepath.Join(root, "config", "crd", "bases", "*.yaml"))
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("there are no CRDs in %s", root)
	}
	all := make([]apiextensionsv1.CustomResourceDefinition, len(files))
	for i, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		if err := yaml.UnmarshalStrict(text, &all[i]); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
	}
	return all, nil
})

func crdOf(t *testing.T, kind string) apiextensionsv1.CustomResourceDefinition {
	t.Helper()
	all := crds(t)
	i := slices.IndexFunc(all, func(crd apiextensionsv1.CustomResourceDefinition) bool { return crd.Spec.Names.Kind == kind })
	if i < 0 {
		t.Fatalf("there is no CRD of %s", kind)
	}
	return all[i]
}

// propertiesBelow returns every property below a schema. Entries of lists have
// no name and count as part of the list.
func propertiesBelow(s apiextensionsv1.JSONSchemaProps, path string) []property {
	if s.Items != nil {
		return propertiesBelow(*s.Items.Schema, path+"[0]")
	}
	if path != "" {
		path += "."
	}
	var all []property
	for name := range s.Properties {
		p := property{path: path + name, required: slices.Contains(s.Required, name), schema: s.Properties[name]}
		all = append(all, p)
		if !p.isSelector() {
			all = append(all, propertiesBelow(p.schema, p.path)...)
		}
	}
	slices.SortFunc(all, func(a, b property) int { return strings.Compare(a.path, b.path) })
	return all
}

// rulesOf returns every CEL rule in a schema.
func rulesOf(s *apiextensionsv1.JSONSchemaProps) []apiextensionsv1.ValidationRule {
	rules := slices.Clone(s.XValidations)
	for name := range s.Properties {
		rules = append(rules, rulesOf(new(s.Properties[name]))...)
	}
	if s.Items != nil {
		rules = append(rules, rulesOf(s.Items.Schema)...)
	}
	return rules
}

// ours are the kinds that nobody but the operator writes, which the API server
// is told to refuse from anybody else. They have no status, and there may be too
// many of them for a category. test/ledger holds them to their format.
var ours = []string{"MFAAuditRecord", "MFALedgerSnapshot"}

func TestEveryKindHasAContract(t *testing.T) {
	for _, crd := range crds(t) {
		if slices.Contains(ours, crd.Spec.Names.Kind) {
			continue
		}
		if !slices.ContainsFunc(contracts, func(c contract) bool { return c.kind == crd.Spec.Names.Kind }) {
			t.Errorf("there is no contract for %s", crd.Spec.Names.Kind)
		}
	}
}

// TestEverythingInASpecIsBounded, so that no object can be too large for etcd,
// no rule too dear for the API server, and no number beyond what Zitadel takes.
func TestEverythingInASpecIsBounded(t *testing.T) {
	for _, crd := range crds(t) {
		for _, p := range propertiesBelow(crd.Spec.Versions[0].Schema.OpenAPIV3Schema.Properties["spec"], "spec") {
			for _, complaint := range unbounded(p.schema) {
				if !p.isSelector() {
					t.Errorf("%s %s has no %s", crd.Spec.Names.Kind, p.path, complaint)
				}
			}
		}
	}
}

func unbounded(s apiextensionsv1.JSONSchemaProps) (missing []string) {
	lacks := func(lacking bool, what string) {
		if lacking {
			missing = append(missing, what)
		}
	}
	switch s.Type {
	case "string":
		lacks(s.MaxLength == nil && len(s.Enum) == 0 && s.Format != "date-time", "maxLength and no enum")
	case "integer":
		lacks(s.Minimum == nil, "minimum")
		lacks(s.Maximum == nil, "maximum")
	case "array":
		lacks(s.MaxItems == nil, "maxItems")
		missing = append(missing, unbounded(*s.Items.Schema)...)
	case "object":
		lacks(s.AdditionalProperties != nil && s.MaxProperties == nil, "maxProperties")
	case "boolean":
	default:
		missing = append(missing, "type we use: "+s.Type)
	}
	return missing
}

// TestEveryListSaysHowItMerges, in spec and status: without a list type two
// writers overwrite each other.
func TestEveryListSaysHowItMerges(t *testing.T) {
	for _, crd := range crds(t) {
		for _, p := range propertiesBelow(*crd.Spec.Versions[0].Schema.OpenAPIV3Schema, "") {
			if p.schema.Type == "array" && p.schema.XListType == nil {
				t.Errorf("%s %s has no list type", crd.Spec.Names.Kind, p.path)
			}
		}
	}
}

// TestEveryRuleSpeaks: without a message users read the rule's code.
func TestEveryRuleSpeaks(t *testing.T) {
	for _, crd := range crds(t) {
		for _, rule := range rulesOf(crd.Spec.Versions[0].Schema.OpenAPIV3Schema) {
			if rule.Message == "" {
				t.Errorf("%s: this rule has no message: %s", crd.Spec.Names.Kind, rule.Rule)
			}
		}
	}
}

// TestEveryKindReadsWellInKubectl: a short name, the category, and columns that
// show something.
func TestEveryKindReadsWellInKubectl(t *testing.T) {
	for _, crd := range crds(t) {
		names, version := crd.Spec.Names, crd.Spec.Versions[0]
		own := slices.Contains(ours, names.Kind)
		if len(names.ShortNames) == 0 || !own && !slices.Contains(names.Categories, "neosc") {
			t.Errorf("%s has short names %v and categories %v, want one, and neosc", names.Kind, names.ShortNames, names.Categories)
		}
		if !own && (version.Subresources == nil || version.Subresources.Status == nil) {
			t.Errorf("%s has no status subresource", names.Kind)
		}
		for _, column := range version.AdditionalPrinterColumns {
			if !resolves(*version.Schema.OpenAPIV3Schema, column.JSONPath) {
				t.Errorf("%s: the column %s shows nothing: there is no %s", names.Kind, column.Name, column.JSONPath)
			}
		}
	}
}

// resolves tells whether a JSON path such as .status.conditions[?(…)].reason
// leads to something the schema has.
func resolves(s apiextensionsv1.JSONSchemaProps, path string) bool {
	if path == ".metadata.creationTimestamp" {
		return true
	}
	before, filter, filtered := strings.Cut(path, "[")
	for _, name := range strings.Split(strings.TrimPrefix(before, "."), ".") {
		next, ok := s.Properties[name]
		if !ok {
			return false
		}
		s = next
	}
	if !filtered {
		return true
	}
	_, after, _ := strings.Cut(filter, "]")
	return s.Items != nil && resolves(*s.Items.Schema, after)
}
