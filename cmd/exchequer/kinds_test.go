// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/base64"
	"testing"

	"github.com/exchequer-dev/exchequer/test/cluster"
)

func b64(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

func TestTheKindsAreThoseOfTheCRDs(t *testing.T) {
	t.Parallel()
	crds, err := cluster.CRDs()
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]kindName{}
	for _, c := range crds {
		k := kindName{kind: c.Spec.Names.Kind, plural: c.Spec.Names.Plural, namespaced: c.Spec.Scope == "Namespaced"}
		if len(c.Spec.Names.ShortNames) > 0 {
			k.short = c.Spec.Names.ShortNames[0]
		}
		found[k.kind] = k
	}
	for _, k := range kinds() {
		if found[k.kind] != k {
			t.Errorf("%+v, the CRD says %+v", k, found[k.kind])
		}
		delete(found, k.kind)
	}
	if len(found) > 0 {
		t.Errorf("missing: %+v", found)
	}
}

func TestObjectsAreNamedInMoreThanOneWay(t *testing.T) {
	t.Parallel()
	for arg, want := range map[string]string{
		"ExchangePolicy/media/x": "ExchangePolicy/media/x", "exchangepolicies/media/x": "ExchangePolicy/media/x", "XP/media/x": "ExchangePolicy/media/x",
		"exchangepolicy/media/x": "ExchangePolicy/media/x", "xts/default": "TokenService/default", "trustedissuer/corp": "TrustedIssuer/corp",
	} {
		if got, err := parseObject(arg); err != nil || got.String() != want {
			t.Errorf("%s: got %s, %v", arg, got, err)
		}
	}
	for arg, want := range map[string]string{
		"xp/x": "expected ExchangePolicy/NAMESPACE/NAME", "xts/a/b": "it has no namespace", "pod/a/b": "with one of TokenService",
		"xp/a/": "expected ExchangePolicy/NAMESPACE/NAME", "": "expected KIND/NAMESPACE/NAME", "/a/b": "expected KIND/NAMESPACE/NAME",
	} {
		r := exchequer(t, "", "wait", arg).must(t, exitUsage)
		says(t, r.errs, want)
	}
	says(t, exchequer(t, "", "wait", "xts/default", "--timeout", "0s").must(t, exitUsage).errs, "--timeout")
	says(t, exchequer(t, "", "wait", "xts/default", "--for", "rain").must(t, exitUsage).errs, "expected programmed, ready, gone")
}
