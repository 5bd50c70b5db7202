package docs

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// schema is the part of JSON Schema that CRDs, the chart's values and the HTTP
// API have in common.
type schema struct {
	Type                 types              `json:"type"`
	Properties           map[string]*schema `json:"properties"`
	AdditionalProperties json.RawMessage    `json:"additionalProperties"`
	Items                *schema            `json:"items"`
	Enum                 []any              `json:"enum"`
	Minimum              *float64           `json:"minimum"`
	Maximum              *float64           `json:"maximum"`
	Ref                  string             `json:"$ref"`
}

// types are what a value may be: one word in JSON, or a list.
type types []string

func (t *types) UnmarshalJSON(text []byte) error {
	var one string
	if json.Unmarshal(text, &one) == nil {
		*t = types{one}
		return nil
	}
	return json.Unmarshal(text, (*[]string)(t))
}

func (t types) has(name string) bool { return slices.Contains(t, name) }

// definitions are the schemas that others refer to, by the last part of their
// path.
type definitions map[string]*schema

func (d definitions) of(s *schema) *schema {
	if s != nil && s.Ref != "" {
		return d[path.Base(s.Ref)]
	}
	return s
}

// property returns the schema of a member; nil if anything may stand there.
func (d definitions) property(s *schema, name string) (*schema, error) {
	s = d.of(s)
	if s == nil {
		return nil, nil //nolint:nilnil // anything goes
	}
	if p, known := s.Properties[name]; known {
		return d.of(p), nil
	}
	switch rest := s.AdditionalProperties; {
	case bytes.HasPrefix(rest, []byte("{")):
		var p schema
		if err := json.Unmarshal(rest, &p); err != nil {
			return nil, fmt.Errorf("reading additionalProperties: %w", err)
		}
		return d.of(&p), nil
	case s.Type.has("object") && len(s.Properties) == 0 && !bytes.Equal(rest, []byte("false")):
		return nil, nil //nolint:nilnil // such as metadata
	}
	return nil, fmt.Errorf("there is no %s", name)
}

// elements returns the schema of what a list or a map holds.
func (d definitions) elements(s *schema) (*schema, error) {
	switch s = d.of(s); {
	case s == nil:
		return nil, nil //nolint:nilnil // anything goes
	case s.Items != nil:
		return d.of(s.Items), nil
	case s.Type.has("object"):
		return d.property(s, "*")
	}
	return nil, fmt.Errorf("%v holds no elements", s.Type)
}

// check finds what a value has that the schema has not: other members, types,
// words and numbers. That something is missing it does not find, for a patch is
// a part of an object.
func (d definitions) check(s *schema, value any, at string) error {
	s = d.of(s)
	if s == nil || value == nil {
		return nil
	}
	switch value := value.(type) {
	case map[string]any:
		for name, member := range value {
			p, err := d.property(s, name)
			if err != nil {
				return fmt.Errorf("%s: %w", at, err)
			}
			if err := d.check(p, member, at+"."+name); err != nil {
				return err
			}
		}
		return typed(s, at, "object")
	case []any:
		e, err := d.elements(s)
		if err != nil {
			return fmt.Errorf("%s: %w", at, err)
		}
		for _, element := range value {
			if err := d.check(e, element, at+"[]"); err != nil {
				return err
			}
		}
		return typed(s, at, "array")
	case float64:
		if s.Minimum != nil && value < *s.Minimum || s.Maximum != nil && value > *s.Maximum {
			return fmt.Errorf("%s: %v is out of bounds", at, value)
		}
		return typed(s, at, "number", "integer")
	case bool:
		return typed(s, at, "boolean")
	case string:
		if len(s.Enum) > 0 && !slices.Contains(s.Enum, any(value)) {
			return fmt.Errorf("%s: %q is none of %v", at, value, s.Enum)
		}
		return typed(s, at, "string")
	}
	return fmt.Errorf("%s: a %T", at, value)
}

func typed(s *schema, at string, names ...string) error {
	if len(s.Type) > 0 && !slices.ContainsFunc(names, s.Type.has) {
		return fmt.Errorf("%s: is no %v", at, s.Type)
	}
	return nil
}

// kind is a kind of ours, as its CRD has it.
type kind struct {
	name       string
	namespaced bool
	schema     *schema
}

// kindsOf reads the CRDs: every name that kubectl knows a kind of ours by, and the
// categories with no kind.
func kindsOf(t *testing.T) map[string]kind {
	t.Helper()
	names := map[string]kind{}
	for _, file := range files(t, "config/crd/bases", ".yaml") {
		var crd struct {
			Spec struct {
				Group, Scope string
				Names        struct {
					Kind, Plural, Singular string
					ShortNames, Categories []string
				}
				Versions []struct {
					Schema struct {
						OpenAPIV3Schema *schema `json:"openAPIV3Schema"`
					}
				}
			}
		}
		if err := yaml.Unmarshal([]byte(text(t, file)), &crd); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		spec := crd.Spec
		if len(spec.Versions) != 1 || spec.Versions[0].Schema.OpenAPIV3Schema == nil {
			t.Fatalf("%s: has no version, or several", file)
		}
		k := kind{name: spec.Names.Kind, namespaced: spec.Scope == "Namespaced", schema: spec.Versions[0].Schema.OpenAPIV3Schema}
		for _, name := range append(spec.Names.ShortNames, spec.Names.Plural, spec.Names.Singular, spec.Names.Plural+"."+spec.Group) {
			names[name] = k
		}
		for _, category := range spec.Names.Categories {
			names[category] = kind{namespaced: true}
		}
	}
	if len(names) == 0 {
		t.Fatal("no CRDs found")
	}
	return names
}

// checkManifest holds a manifest of ours to the schema of its kind.
func checkManifest(kinds map[string]kind, manifest []byte) error {
	var object map[string]any
	if err := yaml.Unmarshal(manifest, &object); err != nil {
		return fmt.Errorf("reading a manifest: %w", err)
	}
	name, _ := object["kind"].(string)
	k, known := kinds[strings.ToLower(name)]
	if !known {
		return fmt.Errorf("there is no kind %q", name)
	}
	if where, _ := object["metadata"].(map[string]any); !k.namespaced && where["namespace"] != nil {
		return fmt.Errorf("a %s has no namespace", name)
	}
	return definitions{}.check(k.schema, object, name)
}
