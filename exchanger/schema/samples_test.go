// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/exchequer-dev/exchequer/api/v1alpha1"
)

func TestEverySampleIsAdmittedAndKeepsItsMeaningInGo(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../../config/samples/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("expected samples, found none (%v)", err)
	}
	validator := newValidator(t)
	kustomization, err := os.ReadFile("../../config/samples/kustomization.yaml")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, file := range files {
		if filepath.Base(file) == "kustomization.yaml" {
			continue
		}
		if !bytes.Contains(kustomization, []byte("- "+filepath.Base(file)+"\n")) {
			t.Errorf("kustomization.yaml does not list %s", filepath.Base(file))
		}
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, object := range documents(t, data) {
			if object["kind"] == "Namespace" {
				continue // the tenants that the samples are of
			}
			defaulted, problems := validator.Admit(object, nil)
			for _, problem := range problems {
				t.Errorf("%s: %s", file, problem)
			}
			if defaulted != nil {
				seen[defaulted["kind"].(string)] = true
				roundTrip(t, defaulted)
			}
		}
	}
	for _, kind := range validator.Kinds() {
		// An exchanger writes its own acknowledgement; nobody else does.
		if !seen[kind] && kind != "ExchangerReplica" {
			t.Errorf("expected a sample of %s, found none", kind)
		}
	}
}

// roundTrip checks that the Go type knows every field of an admitted object
// under its own name.
func roundTrip(t *testing.T, object map[string]any) {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	typed, err := scheme.New(v1alpha1.GroupVersion.WithKind(object["kind"].(string)))
	if err != nil {
		t.Fatal(err)
	}
	before, err := json.Marshal(object)
	if err != nil {
		t.Fatal(err)
	}
	decoder := json.NewDecoder(bytes.NewReader(before))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(typed); err != nil {
		t.Errorf("decode %s: %v", before, err)
		return
	}
	after, err := json.Marshal(typed.DeepCopyObject())
	if err != nil {
		t.Error(err)
		return
	}
	var want, got map[string]any
	if json.Unmarshal(before, &want) != nil || json.Unmarshal(after, &got) != nil {
		t.Fatal("not JSON")
	}
	if lost := missing("", want, got); lost != "" {
		t.Errorf("the Go type of %s does not keep %s", object["kind"], lost)
	}
}

// missing names the first member of want that got does not have, or has with
// another value. Empty values may be left out.
func missing(path string, want, got any) string {
	switch typed := want.(type) {
	case map[string]any:
		members, _ := got.(map[string]any)
		for key, value := range typed {
			if lost := missing(path+"."+key, value, members[key]); lost != "" {
				return lost
			}
		}
		return ""
	case []any:
		items, _ := got.([]any)
		if len(items) != len(typed) {
			return path
		}
		for i, value := range typed {
			if lost := missing(path+"[]", value, items[i]); lost != "" {
				return lost
			}
		}
		return ""
	}
	if got == nil && (want == false || want == "" || want == 0.0) {
		return ""
	}
	if !reflect.DeepEqual(want, got) {
		return path
	}
	return ""
}

// documents decodes a stream of YAML documents.
func documents(t testing.TB, data []byte) []map[string]any {
	t.Helper()
	var objects []map[string]any
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	for {
		var object map[string]any
		err := decoder.Decode(&object)
		if errors.Is(err, io.EOF) {
			return objects
		}
		if err != nil {
			t.Fatalf("%v in\n%s", err, data)
		}
		if object != nil {
			objects = append(objects, object)
		}
	}
}

// object decodes one YAML document and puts apiVersion in.
func object(t testing.TB, text string) map[string]any {
	t.Helper()
	objects := documents(t, []byte(strings.ReplaceAll(text, "\t", "  ")))
	if len(objects) != 1 {
		t.Fatalf("expected one object, found %d", len(objects))
	}
	objects[0]["apiVersion"] = v1alpha1.GroupVersion.String()
	return objects[0]
}
