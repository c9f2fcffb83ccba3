// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package chart

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/exchequer-dev/exchequer/config/crd"
)

const keep = "helm.sh/resource-policy"

func TestF367TheChartCarriesTheGeneratedCRDs(t *testing.T) {
	t.Parallel()
	names, err := fs.Glob(crd.Files, "*.yaml")
	if err != nil || len(names) == 0 {
		t.Fatalf("no CRDs: %v", err)
	}
	copies, err := os.ReadDir(filepath.Join(chartDir, "files", "crds"))
	if err != nil || len(copies) != len(names) {
		t.Errorf("the chart has %d CRDs, config/crd %d (%v); run: make manifests", len(copies), len(names), err)
	}
	rendered := map[string]object{}
	for _, o := range only(render(t), "CustomResourceDefinition") {
		rendered[o.GetName()] = o
	}
	for _, name := range names {
		text, err := fs.ReadFile(crd.Files, name)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(filepath.Join(chartDir, "files", "crds", name)); err != nil || string(got) != string(text) {
			t.Errorf("the chart's copy of %s is another (%v); run: make manifests", name, err)
		}
		want := &unstructured.Unstructured{}
		if err := yaml.Unmarshal(text, &want.Object); err != nil {
			t.Fatal(err)
		}
		got, there := rendered[want.GetName()]
		if !there {
			t.Errorf("the chart does not install %s", want.GetName())
			continue
		}
		if got.GetAnnotations()[keep] != "keep" {
			t.Errorf("uninstalling takes %s away, and every object with it", want.GetName())
		}
		want.SetAnnotations(with(want.GetAnnotations(), keep, "keep"))
		if !equality.Semantic.DeepEqual(got.Object, want.Object) {
			t.Errorf("%s is rendered differently", want.GetName())
		}
	}
	if len(rendered) != len(names) {
		t.Errorf("the chart renders %d CRDs, there are %d", len(rendered), len(names))
	}
}

func with(annotations map[string]string, key, value string) map[string]string {
	annotations[key] = value
	return annotations
}

func TestF367CRDsGoOnlyWhenAsked(t *testing.T) {
	t.Parallel()
	for _, o := range only(render(t, "--set", "crds.keep=false"), "CustomResourceDefinition") {
		if o.GetAnnotations()[keep] != "" {
			t.Errorf("%s stays although crds.keep is false", o.GetName())
		}
	}
	if left := only(render(t, "--set", "crds.install=false"), "CustomResourceDefinition"); len(left) > 0 {
		t.Errorf("%d CRDs are installed although crds.install is false", len(left))
	}
}

func TestKubectlGetShowsOfEveryKindWhetherItIsReadyAndWhy(t *testing.T) {
	t.Parallel()
	for _, o := range only(render(t), "CustomResourceDefinition") {
		definition := as[apiextensionsv1.CustomResourceDefinition](t, o)
		var columns []string
		for _, c := range definition.Spec.Versions[0].AdditionalPrinterColumns {
			if c.Priority == 0 {
				columns = append(columns, c.Name)
			}
		}
		want := []string{"Ready", "Reason", "Age"}
		if definition.Spec.Names.Kind == "ExchangerReplica" {
			want = []string{"Revision", "Refused", "Age"}
		}
		if n := len(columns); n < 3 || !slices.Equal(columns[n-3:], want) {
			t.Errorf("kubectl get %s ends with the columns %v, expected %v", definition.Spec.Names.Plural, columns, want)
		}
		if !slices.Contains(definition.Spec.Names.Categories, "exchequer") || len(definition.Spec.Names.ShortNames) == 0 {
			t.Errorf("%s is not part of `kubectl get exchequer`, or has no short name: %+v", o.GetName(), definition.Spec.Names)
		}
	}
}

func TestKubectlExplainHasSomethingToSayAboutEveryField(t *testing.T) {
	t.Parallel()
	for _, o := range only(render(t), "CustomResourceDefinition") {
		definition := as[apiextensionsv1.CustomResourceDefinition](t, o)
		fields := 0
		var walk func(path string, schema *apiextensionsv1.JSONSchemaProps)
		walk = func(path string, schema *apiextensionsv1.JSONSchemaProps) {
			for name := range schema.Properties {
				property, at := schema.Properties[name], path+"."+name
				fields++
				if at != ".metadata" && len(property.Description) < 10 {
					t.Errorf("%s%s: no description", definition.Spec.Names.Kind, at)
				}
				walk(at, &property)
			}
			if schema.Items != nil && schema.Items.Schema != nil {
				walk(path+"[]", schema.Items.Schema)
			}
		}
		walk("", definition.Spec.Versions[0].Schema.OpenAPIV3Schema)
		if fields < 5 {
			t.Errorf("%s has %d fields: the test says nothing", o.GetName(), fields)
		}
	}
}
