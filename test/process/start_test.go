// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package process_test

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"
)

func TestManifestsThatAreNotUsableEndTheStartWithCodeOne(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		text string
		want []string
	}{
		"a file that is no YAML":                  {"kind: [ExchangePolicy\n", []string{"broken.yaml:1"}},
		"a key that stands twice":                 {"apiVersion: exchequer.dev/v1alpha1\nkind: TokenService\nkind: TrustedIssuer\n", []string{"broken.yaml:3", "kind"}},
		"the same object in two files":            {imagesPolicy, []string{"broken.yaml", "media.yaml", "ExchangePolicy/media/images", "twice"}},
		"the same object twice in one file":       {twice, []string{"broken.yaml:7", "ClientScope/media/extra", "twice"}},
		"a namespaced object without a namespace": {"apiVersion: exchequer.dev/v1alpha1\nkind: ClientScope\nmetadata: {name: lost}\nspec: {}\n", []string{"broken.yaml", "ClientScope/lost", "metadata.namespace"}},
		"a Secret without a namespace":            {"apiVersion: v1\nkind: Secret\nmetadata: {name: lost}\n", []string{"broken.yaml", "Secret/lost", "metadata.namespace"}},
		"a cluster-scoped object in a namespace":  {"apiVersion: exchequer.dev/v1alpha1\nkind: TrustedIssuer\nmetadata: {namespace: media, name: mine}\nspec: {jwt: {issuer: {url: \"https://login.example\"}}}\n", []string{"broken.yaml", "TrustedIssuer/media/mine", "cluster-scoped"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t).write("broken.yaml", tc.text)
			s := w.spawn()
			if code := s.ended(); code != 1 {
				t.Errorf("exit code %d, want 1", code)
			}
			for _, want := range tc.want {
				if !strings.Contains(s.errs.String(), want) {
					t.Errorf("it does not say %q:\n%s", want, s.errs.String())
				}
			}
			if strings.Contains(s.errs.String(), "listening on") {
				t.Error("it listened")
			}
		})
	}
}

const twice = `apiVersion: exchequer.dev/v1alpha1
kind: ClientScope
metadata: {namespace: media, name: extra}
---
apiVersion: exchequer.dev/v1alpha1
kind: ClientScope
metadata: {namespace: media, name: extra}
`

func TestF345AWrongInvocationEndsWithCodeTwo(t *testing.T) {
	t.Parallel()
	for name, args := range map[string][]string{
		"an unknown flag":           {"serve", "--manifests", ".", "--colour"},
		"a flag that is missing":    {"serve"},
		"a value that is none":      {"serve", "--manifests", ".", "--drain-delay", "soon"},
		"a directory that is none":  {"serve", "--manifests", "/does/not/exist"},
		"an argument too many":      {"serve", "--manifests", ".", "more"},
		"an address that is none":   {"serve", "--manifests", ".", "--listen", "nowhere:nothing"},
		"a certificate that is not": {"serve", "--manifests", ".", "--tls-cert", "/does/not/exist", "--tls-key", "/does/not/exist"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out, code := invoke(t, args...)
			if code != 2 || out == "" {
				t.Errorf("exit code %d, want 2; it said:\n%s", code, out)
			}
		})
	}
}

// notServed are things of the API that need a cluster.
var notServed = map[string]struct{ object, text string }{
	"the local cluster": {"TrustedIssuer/x", `
kind: TrustedIssuer
metadata: {name: x}
spec: {use: [Client], kubernetes: {cluster: {local: {}}}}`},
	"an external signer": {"TokenService/x", `
kind: TokenService
metadata: {name: x}
spec:
  issuer: https://other.example.com
  signing: {source: External, external: {address: "unix:///run/signer.sock"}}`},
}

func TestWhatNeedsAClusterIsRefusedAndNamed(t *testing.T) {
	t.Parallel()
	for name, tc := range notServed {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newWorld(t).write("x.yaml", "apiVersion: exchequer.dev/v1alpha1"+tc.text+"\n").serve()
			line := ""
			for l := range strings.Lines(s.errs.String()) {
				if strings.HasPrefix(l, tc.object+" ") {
					line = l
				}
			}
			if !strings.Contains(line, "Accepted=False/NotSupported") || !strings.Contains(line, "Ready=False") {
				t.Errorf("its conditions are %q, want Accepted=False/NotSupported", line)
			}
			if !strings.Contains(s.errs.String(), filepath.Join(s.dir, "x.yaml")+":") {
				t.Errorf("the problem is not shown with file and line:\n%s", s.errs.String())
			}
			s.ask(s.user()).app().images().send().allowed()
			if r := s.ask(s.user()).app().with("audience", contactsAPI).send(); r.status == http.StatusOK {
				t.Errorf("it was served: %s", r.body)
			}
		})
	}
}
