// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"strings"
	"testing"
	"time"
)

func buildOf(t *testing.T, manifests string) *Build {
	t.Helper()
	b, err := NewBuilder("exchequer-system", time.Now, nil)
	if err != nil {
		t.Fatal(err)
	}
	objects, problems := ParseManifests("x.yaml", []byte(manifests))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	build, err := b.Build(objects, nil, 1)
	if err != nil {
		t.Fatal(err)
	}
	return build
}

const service = `
apiVersion: exchequer.dev/v1alpha1
kind: TokenService
metadata: {name: default}
spec: {issuer: "https://sts.example.com", allowedNamespaces: {names: [shop]}}
---
`

func TestOfASecretThatIsThereTwiceNeitherCopyCounts(t *testing.T) {
	t.Parallel()
	secret := func(value string) string {
		return "apiVersion: v1\nkind: Secret\nmetadata: {namespace: shop, name: s}\nstringData: {k: " + strings.Repeat(value, 40) + "}\n---\n"
	}
	client := `
apiVersion: exchequer.dev/v1alpha1
kind: ExchangeClient
metadata: {namespace: shop, name: c}
spec: {authentication: [{clientSecret: {secretRef: {name: s, key: k}}}]}
`
	if got := buildOf(t, service+secret("a")+client); len(got.Spec.Clients) != 1 || got.Broken {
		t.Fatalf("one copy: %v", got.Problems)
	}
	for _, copies := range []string{secret("a") + secret("b"), secret("a") + secret("b") + secret("c")} {
		got := buildOf(t, service+copies+client)
		if len(got.Spec.Clients) != 0 || !got.Broken {
			t.Errorf("clients %+v, broken %v", got.Spec.Clients, got.Broken)
		}
	}
}

func TestTheIssuerWithoutPrefixMayNotSayTheNamesOfABrokenOne(t *testing.T) {
	t.Parallel()
	issuers := func(broken string) *Build {
		return buildOf(t, service+`
apiVersion: exchequer.dev/v1alpha1
kind: TrustedIssuer
metadata: {name: legacy}
spec: {identityPrefix: "", jwt: {issuer: {url: "https://legacy.example", audiences: [a]}}}
---
apiVersion: exchequer.dev/v1alpha1
kind: TrustedIssuer
metadata: {name: corp}
spec: {`+broken+` jwt: {issuer: {url: "https://corp.example", audiences: [a]}}, clockSkew: 1000h}
`)
	}
	for broken, prefix := range map[string]string{"": "corp:", `identityPrefix: "staff:",`: "staff:"} {
		got := issuers(broken).Spec.Issuers
		if len(got) != 1 || len(got[0].ForeignPrefixes) != 1 || got[0].ForeignPrefixes[0] != prefix {
			t.Errorf("%q: issuers in force %+v", broken, got)
		}
	}
	if got := issuers("identityPrefix: 7,").Spec.Issuers; len(got) != 0 {
		t.Errorf("a prefix that nobody knows: issuers in force %+v", got)
	}
}
