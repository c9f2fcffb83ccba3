// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package translate_test

import (
	"slices"
	"strconv"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/types"

	"github.com/exchequer-dev/exchequer/api/v1alpha1"
	"github.com/exchequer-dev/exchequer/exchanger/translate"
)

func digests(in translate.Input) map[string]string {
	out := map[string]string{}
	for _, s := range translate.Translate(in).Statuses {
		out[s.Kind+" "+s.Namespace+"/"+s.Name] = s.InputDigest
	}
	return out
}

// changed lists the objects of which the digest differs, sorted.
func changed(before, after map[string]string) []string {
	var out []string
	for name, digest := range before {
		if after[name] != digest {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

func TestAnInputDigestChangesWithTheObjectAndItsReferencesAlone(t *testing.T) {
	t.Parallel()
	const policy, app, images, scope = "ExchangePolicy media/app-gets-images", "ExchangeClient shop/app", "ExchangeClient media/images-resource", "ClientScope media/images"
	client := func(in *translate.Input, name string) *v1alpha1.ExchangeClient {
		i := slices.IndexFunc(in.Objects.ExchangeClients, func(c v1alpha1.ExchangeClient) bool { return c.Name == name })
		return &in.Objects.ExchangeClients[i]
	}
	for name, tc := range map[string]struct {
		change func(*translate.Input)
		want   []string
	}{
		"nothing changed": {func(*translate.Input) {}, nil},
		"a policy's own generation": {func(in *translate.Input) {
			in.Objects.ExchangePolicies[0].Generation++
		}, []string{policy}},
		"labels, which selectors and expressions read": {func(in *translate.Input) {
			client(in, "app").Labels = map[string]string{"tier": "gold"}
		}, []string{app}},
		"a target made again under its name": {func(in *translate.Input) {
			client(in, "images-resource").UID = "made-again"
		}, []string{scope, images, policy}},
		"a target changed, which has a status of its own": {func(in *translate.Input) {
			client(in, "images-resource").Generation++
		}, []string{images}},
		"a target that goes": {func(in *translate.Input) {
			in.Objects.ExchangeClients = slices.DeleteFunc(in.Objects.ExchangeClients, func(c v1alpha1.ExchangeClient) bool { return c.Name == "images-resource" })
		}, []string{scope, images, policy}},
		"a client that only a selector by name finds": {func(in *translate.Input) {
			client(in, "app").Generation++
		}, []string{app}},
		"the content of a Secret": {func(in *translate.Input) {
			in.SecretVersions = map[types.NamespacedName]string{{Namespace: "shop", Name: "app-oauth"}: "2"}
		}, []string{app}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			before := digests(mainJob(t))
			in := mainJob(t)
			tc.change(&in)
			got := changed(before, digests(in))
			if !slices.Equal(got, tc.want) {
				t.Errorf("the digests of %v changed, want %v", got, tc.want)
			}
		})
	}
}

// mainJob is a client with a secret, a target with a scope, and the policy between.
func mainJob(t *testing.T) translate.Input {
	t.Helper()
	return parseInput(t, []byte(`apiVersion: exchequer.dev/v1alpha1
kind: TokenService
metadata: {name: default, generation: 1, uid: s}
spec: {issuer: "https://sts.example.com", allowedNamespaces: {names: [shop, media]}}
---
apiVersion: exchequer.dev/v1alpha1
kind: TrustedIssuer
metadata: {name: corp, generation: 1, uid: i}
spec: {jwt: {issuer: {url: "https://login.corp.example"}}}
---
apiVersion: v1
kind: Secret
metadata: {namespace: shop, name: app-oauth}
stringData: {client-secret: 0123456789abcdef0123456789abcdef}
---
apiVersion: exchequer.dev/v1alpha1
kind: ExchangeClient
metadata: {namespace: shop, name: app, generation: 1, uid: a}
spec:
  authentication:
  - clientSecret: {secretRef: {name: app-oauth, key: client-secret}}
---
apiVersion: exchequer.dev/v1alpha1
kind: ExchangeClient
metadata: {namespace: media, name: images-resource, generation: 1, uid: r}
spec: {}
---
apiVersion: exchequer.dev/v1alpha1
kind: ClientScope
metadata: {namespace: media, name: images, generation: 1, uid: c}
spec: {targets: [{name: images-resource}]}
---
apiVersion: exchequer.dev/v1alpha1
kind: ExchangePolicy
metadata: {namespace: media, name: app-gets-images, generation: 1, uid: p}
spec:
  clients: [{namespace: shop, name: app}]
  subject: {issuers: [{name: corp}]}
  target: {clients: [{name: images-resource}], scopes: [images]}
`))
}

func TestAnObjectThatComesIntoForceIsAnotherInput(t *testing.T) {
	t.Parallel()
	refused := mainJob(t)
	refused.Objects.ExchangeClients[1].Spec.Audiences = []string{"https://images.media.example"}
	delegated := mainJob(t)
	delegated.Objects.ExchangeClients[1].Spec.Audiences = []string{"https://images.media.example"}
	delegated.Objects.TokenServices[0].Spec.Names = []v1alpha1.NameDelegation{{
		Namespaces: v1alpha1.NamespaceSet{Names: []string{"media"}}, Audiences: []v1alpha1.NamePattern{"https://images.media.example"},
	}}
	before, after := digests(refused), digests(delegated)
	if got := verdict(translate.Translate(refused), "ExchangeClient media/images-resource"); got != v1alpha1.ReasonNameNotDelegated {
		t.Fatalf("before it was delegated: %s", got)
	}
	if got := changed(before, after); !slices.Contains(got, "ExchangeClient media/images-resource") {
		t.Errorf("what no replica has ever had counts as acknowledged: the digests of %v changed", got)
	}
}

func TestAnObjectThatIsTooLargeIsOut(t *testing.T) {
	t.Parallel()
	labels := func(n, length int) map[string]string {
		out := map[string]string{}
		for i := range n {
			out[strings.Repeat("l", length)+strconv.Itoa(i)] = "v"
		}
		return out
	}
	for name, tc := range map[string]struct {
		labels map[string]string
		want   string
	}{
		"as many labels as there may be": {labels(64, 10), "ok"},
		"one label more":                 {labels(65, 10), v1alpha1.ReasonQuotaExceeded},
		"few labels of a megabyte":       {labels(4, 300_000), v1alpha1.ReasonQuotaExceeded},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := mainJob(t)
			in.Objects.ExchangeClients[1].Labels = tc.labels
			if got := verdict(translate.Translate(in), "ExchangeClient media/images-resource"); got != tc.want {
				t.Errorf("%s, want %s", got, tc.want)
			}
		})
	}
}
