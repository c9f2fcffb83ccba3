// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"strings"
	"testing"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	crdvalidation "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/validation"
	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"

	"github.com/exchequer-dev/exchequer/api/v1alpha1"
)

func TestTheAPIServerTakesEveryCRD(t *testing.T) {
	t.Parallel()
	validator := newValidator(t)
	for name, k := range validator.kinds {
		t.Run("F260: "+name+" compiles within the cost budget of CEL", func(t *testing.T) {
			t.Parallel()
			installed := k.crd.DeepCopy()
			installed.Status.StoredVersions = []string{v1alpha1.Version}
			for _, err := range crdvalidation.ValidateCustomResourceDefinition(t.Context(), installed) {
				t.Error(err)
			}
		})
		t.Run(name+" is found as the contract says", func(t *testing.T) {
			t.Parallel()
			if got := k.crd.Annotations[v1alpha1.SchemaAnnotation]; got != "1" {
				t.Errorf("expected the annotation %s: 1, found %q", v1alpha1.SchemaAnnotation, got)
			}
			names := k.crd.Spec.Names
			if len(names.Categories) != 1 || names.Categories[0] != "exchequer" {
				t.Errorf("expected the category exchequer, found %v", names.Categories)
			}
			want := shortNames()[name]
			if len(names.ShortNames) != 1 || names.ShortNames[0] != want.shortName {
				t.Errorf("expected the short name %s, found %v", want.shortName, names.ShortNames)
			}
			if err := k.compile(); err != nil {
				t.Fatal(err)
			}
			columns := k.crd.Spec.AdditionalPrinterColumns
			if len(columns) == 0 {
				columns = k.version.AdditionalPrinterColumns
			}
			for _, column := range columns {
				if !strings.HasPrefix(column.JSONPath, ".metadata.") && !known(k.structural, column.JSONPath) {
					t.Errorf("the column %s shows %s, which there is not", column.Name, column.JSONPath)
				}
			}
			if len(columns) < 3 {
				t.Errorf("expected columns that tell the state at a glance, found %v", columns)
			}
			if k.crd.Spec.Scope != want.scope {
				t.Errorf("expected scope %s, found %s", want.scope, k.crd.Spec.Scope)
			}
		})
	}
	if len(validator.kinds) != len(shortNames()) {
		t.Errorf("expected %d kinds, found %v", len(shortNames()), validator.Kinds())
	}
}

// known says whether the first names of a path, up to a list, are in a schema.
func known(node *structuralschema.Structural, path string) bool {
	path, _, _ = strings.Cut(path, "[")
	for _, name := range steps(path) {
		next, ok := node.Properties[name]
		if !ok {
			return false
		}
		node = &next
	}
	return true
}

type naming struct {
	shortName string
	scope     apiextensions.ResourceScope
}

func shortNames() map[string]naming {
	return map[string]naming{
		"TokenService":       {"xts", apiextensions.ClusterScoped},
		"TrustedIssuer":      {"xti", apiextensions.ClusterScoped},
		"ExchangeClient":     {"xc", apiextensions.NamespaceScoped},
		"ClientScope":        {"xcs", apiextensions.NamespaceScoped},
		"ExchangePolicy":     {"xp", apiextensions.NamespaceScoped},
		"ImpersonationGrant": {"xig", apiextensions.ClusterScoped},
		"ExternalTarget":     {"xet", apiextensions.ClusterScoped},
		"TokenRevocation":    {"xtr", apiextensions.ClusterScoped},
		"ExchangerReplica":   {"xr", apiextensions.NamespaceScoped},
	}
}

func newValidator(t testing.TB) *Validator {
	t.Helper()
	validator, err := New()
	if err != nil {
		t.Fatal(err)
	}
	return validator
}
