// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"context"
	"fmt"
	"io/fs"
	"sort"
	"sync"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	schemacel "k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/listtype"
	schemavalidation "k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"sigs.k8s.io/yaml"

	"github.com/exchequer-dev/exchequer/api/v1alpha1"
	"github.com/exchequer-dev/exchequer/config/crd"
)

// Validator judges objects of every kind of exchequer.dev. It is safe for
// concurrent use. What a kind needs is compiled when its first object comes,
// so that a command that sees three kinds does not pay for nine.
type Validator struct {
	kinds map[string]*kind
}

// kind is one kind and what was compiled for it.
type kind struct {
	crd        *apiextensions.CustomResourceDefinition
	version    *apiextensions.CustomResourceDefinitionVersion
	namespaced bool

	once       sync.Once
	err        error
	structural *structuralschema.Structural
	schema     schemavalidation.SchemaValidator
	rules      *schemacel.Validator
}

// New returns a Validator for the embedded CRDs.
func New() (*Validator, error) {
	v := &Validator{kinds: map[string]*kind{}}
	files, err := fs.Glob(crd.Files, "*.yaml")
	if err != nil {
		return nil, fmt.Errorf("list the embedded CRDs: %w", err)
	}
	for _, file := range files {
		data, err := crd.Files.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("read the embedded CRD %s: %w", file, err)
		}
		k, err := parseKind(data)
		if err != nil {
			return nil, fmt.Errorf("parse the embedded CRD %s: %w", file, err)
		}
		v.kinds[k.crd.Spec.Names.Kind] = k
	}
	return v, nil
}

func parseKind(data []byte) (*kind, error) {
	var external apiextensionsv1.CustomResourceDefinition
	if err := yaml.UnmarshalStrict(data, &external); err != nil {
		return nil, err
	}
	apiextensionsv1.SetDefaults_CustomResourceDefinition(&external)
	apiextensionsv1.SetDefaults_CustomResourceDefinitionSpec(&external.Spec)
	internal := &apiextensions.CustomResourceDefinition{}
	if err := apiextensionsv1.Convert_v1_CustomResourceDefinition_To_apiextensions_CustomResourceDefinition(&external, internal, nil); err != nil {
		return nil, err
	}
	for i := range internal.Spec.Versions {
		if version := &internal.Spec.Versions[i]; version.Name == v1alpha1.Version {
			return &kind{
				crd:        internal,
				version:    version,
				namespaced: internal.Spec.Scope == apiextensions.NamespaceScoped,
			}, nil
		}
	}
	return nil, fmt.Errorf("it has no version %s", v1alpha1.Version)
}

// Kinds returns the kinds that the Validator knows, sorted.
func (v *Validator) Kinds() []string {
	names := make([]string, 0, len(v.kinds))
	for name := range v.kinds {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

// Namespaced says whether objects of a kind live in namespaces, and whether
// the kind is known at all.
func (v *Validator) Namespaced(kindName string) (namespaced, known bool) {
	k, known := v.kinds[kindName]
	return known && k.namespaced, known
}

// compile prepares the schema, the defaults and the rules, once.
func (k *kind) compile() error {
	k.once.Do(func() {
		validation, err := apiextensions.GetSchemaForVersion(k.crd, k.version.Name)
		if err != nil || validation == nil || validation.OpenAPIV3Schema == nil {
			k.err = fmt.Errorf("the CRD of %s has no schema: %w", k.crd.Spec.Names.Kind, err)
			return
		}
		if k.structural, k.err = structuralschema.NewStructural(validation.OpenAPIV3Schema); k.err != nil {
			return
		}
		if k.err = defaulting.PruneDefaults(k.structural); k.err != nil {
			return
		}
		if k.schema, _, k.err = schemavalidation.NewSchemaValidator(validation.OpenAPIV3Schema); k.err != nil {
			return
		}
		k.rules = schemacel.NewValidator(k.structural, true, celconfig.PerCallLimit)
	})
	return k.err
}

// validate runs the schema, the list types and the rules over an object that
// has its defaults. A nil old is a creation.
func (k *kind) validate(object, old map[string]any) field.ErrorList {
	errs := schemavalidation.ValidateCustomResource(nil, object, k.schema)
	errs = append(errs, listtype.ValidateListSetsAndMaps(nil, k.structural, object)...)
	if k.rules == nil || blocking(errs) {
		// Rules are written for objects of the right shape: on others they
		// would only repeat, in worse words, what has been said.
		return errs
	}
	// A nil map must reach the rules as a nil interface: it means creation.
	var former any
	if old != nil {
		former = old
	}
	ruleErrs, _ := k.rules.Validate(context.Background(), nil, k.structural, object, former, celconfig.RuntimeCELCostBudget)
	return append(errs, ruleErrs...)
}

// blocking says whether the shape of an object is so wrong that its rules
// cannot be asked; the API server draws the line in the same place.
func blocking(errs field.ErrorList) bool {
	for _, err := range errs {
		switch err.Type {
		case field.ErrorTypeNotSupported, field.ErrorTypeRequired, field.ErrorTypeTooLong,
			field.ErrorTypeTooMany, field.ErrorTypeTypeInvalid:
			return true
		}
	}
	return false
}
