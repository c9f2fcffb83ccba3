// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package translate_test

import (
	"bytes"
	"os"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/exchequer-dev/exchequer/api/v1alpha1"
	"github.com/exchequer-dev/exchequer/exchanger/expr"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
	"github.com/exchequer-dev/exchequer/exchanger/translate"
)

// decodeLoosely takes whatever can be decoded, as it was before any schema.
func decodeLoosely(in *translate.Input, doc []byte) {
	var head metav1.TypeMeta
	if yaml.Unmarshal(doc, &head) != nil {
		return
	}
	all := &in.Objects
	switch head.Kind {
	case "TokenService":
		all.TokenServices = loosely(all.TokenServices, doc)
	case "TrustedIssuer":
		all.TrustedIssuers = loosely(all.TrustedIssuers, doc)
	case "ExchangeClient":
		all.ExchangeClients = loosely(all.ExchangeClients, doc)
	case "ClientScope":
		all.ClientScopes = loosely(all.ClientScopes, doc)
	case "ExchangePolicy":
		all.ExchangePolicies = loosely(all.ExchangePolicies, doc)
	case "ExternalTarget":
		all.ExternalTargets = loosely(all.ExternalTargets, doc)
	}
}

func loosely[T any](list []T, doc []byte) []T {
	var v T
	if yaml.Unmarshal(doc, &v) != nil {
		return list
	}
	return append(list, v)
}

// FuzzTranslate wants of any objects: no panic, a status for each, a Spec that
// compiles, and the same again from the same.
func FuzzTranslate(f *testing.F) {
	for _, file := range goldenInputs(f) {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	compiler := expr.New()
	f.Fuzz(func(t *testing.T, text []byte) {
		if len(text) > 32<<10 {
			return
		}
		in := newInput()
		in.Compiler, in.Check = compiler, compiler.Check
		for doc := range bytes.SplitSeq(text, []byte("\n---\n")) {
			decodeLoosely(&in, doc)
		}
		o := &in.Objects
		count := len(o.TokenServices) + len(o.TrustedIssuers) + len(o.ExchangeClients) + len(o.ClientScopes) + len(o.ExchangePolicies) + len(o.ExternalTargets)
		r := translate.Translate(in)
		if len(r.Statuses) != count {
			t.Errorf("%d statuses for %d objects", len(r.Statuses), count)
		}
		for _, s := range r.Statuses {
			if s.Condition(v1alpha1.ConditionReady) == nil {
				t.Errorf("%s %s has no Ready", s.Kind, s.Name)
			}
		}
		if _, err := policy.Compile(r.Spec, 1, compiler); err != nil {
			t.Errorf("the Spec does not compile: %v", err)
		}
		if !bytes.Equal(everything(t, r), everything(t, translate.Translate(in))) {
			t.Error("the same input gave two results")
		}
	})
}
