// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package gather

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/exchequer-dev/exchequer/api/v1alpha1"
	"github.com/exchequer-dev/exchequer/exchanger/translate"
)

// stuffed is metadata with all that anybody can put into it.
func stuffed() metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Name: "x", Namespace: "shop", UID: "u", ResourceVersion: "7", Generation: 3, Labels: map[string]string{"team": "a"},
		Annotations: map[string]string{"bomb": strings.Repeat("x", 255<<10)}, Finalizers: []string{"example.com/" + strings.Repeat("f", 1<<10)},
		OwnerReferences: []metav1.OwnerReference{{Name: strings.Repeat("o", 1<<10), Kind: "ConfigMap"}, {Name: "pod", Kind: "Pod", UID: "p"}},
		ManagedFields:   []metav1.ManagedFieldsEntry{{Manager: strings.Repeat("m", 1<<10)}},
	}
}

func slimmed[T any](t *testing.T, slim func(any) (any, error), in any) T {
	t.Helper()
	out, err := slim(in)
	if err != nil {
		t.Fatal(err)
	}
	o, ok := out.(T)
	if !ok {
		t.Fatalf("%T came out", out)
	}
	return o
}

func TestOfSecretsAndConfigMapsOnlyWhatIdentifiesThemIsKept(t *testing.T) {
	t.Parallel()
	got := slimmed[*metav1.PartialObjectMetadata](t, identify, &metav1.PartialObjectMetadata{ObjectMeta: stuffed()}).ObjectMeta
	if want := (metav1.ObjectMeta{Name: "x", Namespace: "shop", UID: "u", ResourceVersion: "7"}); !reflect.DeepEqual(got, want) {
		t.Errorf("kept: %.400v", got)
	}
}

func TestOfNamespacesTheLabelsAreKept(t *testing.T) {
	t.Parallel()
	got := slimmed[*metav1.PartialObjectMetadata](t, Slim, &metav1.PartialObjectMetadata{ObjectMeta: stuffed()}).ObjectMeta
	want := metav1.ObjectMeta{Name: "x", Namespace: "shop", UID: "u", ResourceVersion: "7", Labels: map[string]string{"team": "a"}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("kept: %.400v", got)
	}
}

func TestOfOurKindsWhatIsNeverReadIsNotKept(t *testing.T) {
	t.Parallel()
	for _, kind := range AllKinds() {
		u := object(kind, map[string]any{"suspend": true})
		meta := stuffed()
		u.SetAnnotations(meta.Annotations)
		u.SetFinalizers(meta.Finalizers)
		u.SetOwnerReferences(meta.OwnerReferences)
		u.SetManagedFields(meta.ManagedFields)
		u.SetLabels(meta.Labels)
		now := metav1.Now()
		u.SetDeletionTimestamp(&now)
		got := slimmed[*unstructured.Unstructured](t, Slim, u)
		if got.GetAnnotations() != nil || got.GetFinalizers() != nil || got.GetManagedFields() != nil {
			t.Errorf("%s keeps %.400v", kind, got.Object["metadata"])
		}
		owners := got.GetOwnerReferences()
		if want := kind == ExchangerReplica; (len(owners) == 1) != want || (want && owners[0].UID != "p") {
			t.Errorf("%s has the owners %.400v", kind, owners)
		}
		if got.GetName() != "x" || got.GetNamespace() != "shop" || got.GetGeneration() != 3 || got.GetLabels()["team"] != "a" || got.GetDeletionTimestamp() == nil || got.GetKind() != kind {
			t.Errorf("%s lost something: %v", kind, got.Object)
		}
		if spec, ok := got.Object["spec"].(map[string]any); !ok || spec["suspend"] != true {
			t.Errorf("%s lost its spec", kind)
		}
	}
}

func TestAnObjectThatIsTooLargeIsAStubThatSaysSo(t *testing.T) {
	t.Parallel()
	labels := map[string]any{}
	for i := range 17000 {
		labels[fmt.Sprintf("k%x", i)] = fmt.Sprintf("%063d", i)
	}
	long := strings.Repeat("x", maxObject)
	for name, of := range map[string]struct {
		kind         string
		labels, spec map[string]any
		prefix       string
		fits         bool
	}{
		"labels":                                 {ExchangeClient, labels, map[string]any{}, "", false},
		"a long text":                            {ExchangeClient, nil, map[string]any{"audiences": []any{long}}, "", false},
		"many small items":                       {ExchangeClient, nil, map[string]any{"audiences": make([]any, maxObject)}, "", false},
		"a long name":                            {ExchangeClient, nil, map[string]any{long: true}, "", false},
		"just what is allowed":                   {ExchangeClient, nil, map[string]any{"audiences": []any{long[:maxObject-100]}}, "", true},
		"an issuer, of which the prefix is kept": {TrustedIssuer, nil, map[string]any{"identityPrefix": "corp:", "x": long}, "corp:", false},
		"an issuer with the default's prefix":    {TrustedIssuer, nil, map[string]any{"x": long}, "x:", false},
		"an issuer whose prefix is no text":      {TrustedIssuer, nil, map[string]any{"identityPrefix": int64(7), "x": long}, "", false},
		"an issuer whose prefix is too large":    {TrustedIssuer, nil, map[string]any{"identityPrefix": long}, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			u := object(of.kind, of.spec)
			if of.labels != nil {
				u.Object["metadata"].(map[string]any)["labels"] = of.labels //nolint:forcetypeassert // object made it
			}
			u.SetUID("u")
			u.SetResourceVersion("7")
			u.Object["status"] = map[string]any{"inputDigest": "d"}
			got := slimmed[*unstructured.Unstructured](t, Slim, u)
			d := decode(of.kind, got)
			var all translate.Objects
			d.add(&all)
			if of.fits {
				if len(all.Undecodable) > 0 {
					t.Fatalf("%+v", all.Undecodable)
				}
				return
			}
			if left := weigh(got.Object, 1024); left < 0 {
				t.Error("the stub is longer than 1 KiB")
			}
			want := translate.Undecodable{
				Kind: of.kind, Namespace: "shop", Name: "x", Generation: 3, IdentityPrefix: of.prefix,
				Reason: v1alpha1.ReasonQuotaExceeded, Message: "labels and spec are larger than 256 KiB: make several objects of it",
			}
			if len(all.Undecodable) != 1 || all.Undecodable[0] != want {
				t.Errorf("%+v", all.Undecodable)
			}
			if got.GetUID() != "u" || got.GetResourceVersion() != "7" || got.GetAPIVersion() == "" {
				t.Errorf("%v", got.Object)
			}
			// The cache compares it with itself, and hands it on: once more is the same.
			if _, is := tooLarge(slimmed[*unstructured.Unstructured](t, Slim, got)); !is {
				t.Error("a stub that is slimmed again is not one any more")
			}
		})
	}
}
