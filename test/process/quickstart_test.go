// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package process_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The steps of docs/getting-started.md, one after the other.
func TestGettingStartedIsAsItSays(t *testing.T) {
	t.Parallel()
	const quickstart = "../../docs/examples/quickstart"
	w := emptyWorld(t)
	for file, text := range snapshotOf(t, filepath.Join(quickstart, "manifests")) {
		w.write(file, text)
	}
	if out, code := invoke(t, "check", w.dir); code != 0 {
		t.Fatalf("step 2: check ends with %d:\n%s", code, out)
	}
	if out, code := invoke(t, "test", w.dir); code != 0 || !strings.Contains(out, "2 examples passed") {
		t.Fatalf("step 2: test ends with %d:\n%s", code, out)
	}
	s := w.serve("--keys", filepath.Join(t.TempDir(), "keys"))
	token, code := invoke(t, "token", "mint", "--key", quickstart+"/issuer-key.pem", "--issuer", "https://login.corp.example",
		"--aud", "shop-app", "--sub", "alice", "--scope", "images contacts", "--claim", `groups=["staff"]`)
	if code != 0 {
		t.Fatalf("step 4: token mint ends with %d:\n%s", code, token)
	}
	token = strings.TrimSpace(token)
	ask := func(scope string) *reply {
		return s.ask(token).basic("shop/app", "quickstart-only-0123456789abcdefghijkl").with("audience", imagesAPI).with("scope", scope).send()
	}
	d := s.verify(ask("images").allowed())
	if d.text("aud") != imagesAPI || d.text("scope") != "images" || d.text("sub") != "corp:alice" {
		t.Errorf("step 5: %v", d.claims)
	}
	ask("images contacts").refused(http.StatusBadRequest, "invalid_scope", "ScopeUnknown")

	file := filepath.Join(t.TempDir(), "token.jwt")
	if err := os.WriteFile(file, []byte(token), 0o600); err != nil {
		t.Fatal(err)
	}
	for scope, want := range map[string]int{"images": 0, "images contacts": 1} {
		out, code := invoke(t, "explain", "--manifests", w.dir, "--client", "shop/app", "--subject-token", file, "--audience", imagesAPI, "--scope", scope)
		if code != want {
			t.Errorf("step 6: explain of %s ends with %d, want %d:\n%s", scope, code, want, out)
		}
	}

	w.change("media.yaml", "    scopes: [images]\n", "    scopes: [images, contacts]\n")
	s.said("ExchangePolicy/media/app-gets-images  Accepted=True ResolvedRefs=False/RefNotFound")
	if r := ask("images"); r.status == http.StatusOK {
		t.Errorf("step 7: the policy is in force: %s", r.body)
	}
	w.write("more.yaml", "apiVersion: exchequer.dev/v1alpha1\nkind: ClientScope\nmetadata: {namespace: media, name: contacts}\nspec:\n  targets: [{name: images-resource}]\n")
	eventually(t, "step 7: contacts are granted", func() bool { return ask("images contacts").status == http.StatusOK })
	w.remove("more.yaml").change("media.yaml", "    scopes: [images, contacts]\n", "    scopes: [images]\n")
	eventually(t, "step 7: contacts are refused again", func() bool {
		return ask("images contacts").status == http.StatusBadRequest && ask("images").status == http.StatusOK
	})
}

func TestAnExplanationOfARecordSaysWhatTheEndpointSaid(t *testing.T) {
	t.Parallel()
	s := newWorld(t).serve()
	for name, tc := range targetRefusals() {
		r := tc.ask(s).send()
		out, code := invoke(t, "explain", "--correlation-id", r.text("correlation_id"), "--audit", s.audit)
		if code != 1 || !strings.Contains(out, tc.reason) {
			t.Errorf("%s: explain ends with %d and lacks %s:\n%s", name, code, tc.reason, out)
		}
	}
	r := images(s).send()
	r.allowed()
	if out, code := invoke(t, "explain", "--correlation-id", r.header.Get("X-Correlation-Id"), "--audit", s.audit); code != 0 || !strings.Contains(out, "media/images") {
		t.Errorf("explain of an allowed one ends with %d:\n%s", code, out)
	}
	if out, code := invoke(t, "explain", "--correlation-id", "NOSUCHTHING", "--audit", s.audit); code == 0 {
		t.Errorf("explain of no record ends with 0:\n%s", out)
	}
}
