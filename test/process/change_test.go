// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package process_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/exchequer-dev/exchequer/test/fakes/issuer"
)

func TestAChangedFileIsInForceWithoutARestart(t *testing.T) {
	t.Parallel()
	const spec = "\nspec:"
	suspended := func(file, meta string) func(*world) {
		return func(w *world) { w.change(file, meta+spec, meta+"\nspec:\n  suspend: true") }
	}
	for name, tc := range map[string]struct {
		change func(*world)
		status int
		code   string
		reason string
	}{
		"a suspended client":     {suspended("clients.yaml", "metadata: {namespace: shop, name: app}"), http.StatusUnauthorized, "invalid_client", "ClientSuspended"},
		"a suspended issuer":     {suspended("platform.yaml", "metadata: {name: corp}"), http.StatusBadRequest, "invalid_request", "IssuerSuspended"},
		"a suspended policy":     {func(w *world) { w.policy("suspend: true") }, http.StatusBadRequest, "invalid_target", "TargetNotGranted"},
		"a policy in Audit mode": {func(w *world) { w.policy("mode: Audit") }, http.StatusBadRequest, "invalid_target", "TargetNotGranted"},
		"a deleted policy":       {func(w *world) { w.change("media.yaml", imagesPolicy, "\n") }, http.StatusBadRequest, "invalid_target", "TargetNotGranted"},
		"a deleted scope": {func(w *world) {
			w.change("media.yaml", "metadata: {namespace: media, name: images}\nspec: {targets", "metadata: {namespace: media, name: others}\nspec: {targets")
		}, http.StatusBadRequest, "", ""},
		"deleted clients": {func(w *world) { w.remove("clients.yaml") }, http.StatusUnauthorized, "invalid_client", "ClientUnknown"},
		"a deleted issuer": {func(w *world) {
			w.change("platform.yaml", "metadata: {name: corp}", "metadata: {name: corp, annotations: {}}").cut("platform.yaml", "name: corp,")
		}, http.StatusBadRequest, "invalid_request", "IssuerUnknown"},
		"a policy without the app": {func(w *world) { w.change("media.yaml", "  - {namespace: shop, name: app}\n", "") }, http.StatusBadRequest, "", ""},
		"a new rule": {func(w *world) {
			w.policy("rules: [{expression: \"size(request.audiences) == 0\", message: name none}]")
		}, http.StatusBadRequest, "invalid_request", "PolicyRule"},
		"everything issued is void": {func(w *world) {
			w.change("platform.yaml", "jwt: {issuer: {url", "revokeIssuedBefore: \"2200-01-01T00:00:00Z\"\n  jwt: {issuer: {url")
		}, http.StatusBadRequest, "invalid_request", "TokenRevoked"},
		"an expression that is none": {func(w *world) { w.policy("rules: [{expression: \"request.nothing.like.this\", message: no}]") }, http.StatusBadRequest, "invalid_target", "TargetNotGranted"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			before := snapshotOf(t, w.dir)
			s := w.serve()
			try := func() *reply { return s.ask(s.user()).app().images().send() }
			try().allowed()
			s.applied(func() { tc.change(w) })
			r := try()
			if r.status == http.StatusOK {
				t.Fatalf("it took no effect: %s", r.body)
			}
			if tc.code != "" {
				r.refused(tc.status, tc.code, tc.reason)
			}
			s.applied(func() {
				for file, text := range before {
					w.write(file, text)
				}
			})
			eventually(t, "taken back, it is as before", func() bool { return try().status == http.StatusOK })
		})
	}
}

// policy adds a line to the spec of the policy of images.
func (w *world) policy(line string) {
	w.change("media.yaml", "metadata: {namespace: media, name: images}\nspec:\n  clients:", "metadata: {namespace: media, name: images}\nspec:\n  "+line+"\n  clients:")
}

// cut takes the document out that has a text.
func (w *world) cut(file, text string) {
	w.t.Helper()
	b, err := os.ReadFile(filepath.Join(w.dir, file))
	if err != nil {
		w.t.Fatal(err)
	}
	var keep []string
	for _, doc := range strings.Split(string(b), "\n---\n") {
		if !strings.Contains(doc, text) {
			keep = append(keep, doc)
		}
	}
	w.write(file, strings.Join(keep, "\n---\n"))
}

// snapshotOf reads the files of a directory.
func snapshotOf(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		files[e.Name()] = string(b)
	}
	return files
}

func TestAFileThatCannotBeParsedKeepsItsLastObjects(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.serve()
	good := snapshotOf(t, w.dir)["media.yaml"]
	try := func() *reply { return s.ask(s.user()).app().images().send() }
	try().allowed()
	w.write("media.yaml", "kind: [ExchangePolicy\n")
	s.said("media.yaml:1")
	s.said("stay in force")
	try().allowed()

	t.Run("F329: what another file takes away is gone all the same", func(t *testing.T) {
		s := s.in(t)
		s.applied(func() {
			w.change("clients.yaml", "metadata: {namespace: shop, name: app}\nspec:", "metadata: {namespace: shop, name: app}\nspec:\n  suspend: true")
		})
		try().refused(http.StatusUnauthorized, "invalid_client", "ClientSuspended")
		s.applied(func() { w.change("clients.yaml", "\n  suspend: true", "") })
		try().allowed()
	})
	t.Run("mended, the file counts again", func(t *testing.T) {
		w.write("media.yaml", strings.Replace(good, "'corp:staff' in subject.groups\", message: staff only}]\n  target:\n    clients: [{name: images", "false\", message: nobody}]\n  target:\n    clients: [{name: images", 1))
		eventually(t, "the mended file is in force", func() bool { return try().status == http.StatusBadRequest })
	})
}

func TestADirectoryThatIsSwappedByALink(t *testing.T) {
	t.Parallel()
	// As a kubelet mounts a ConfigMap: files are links through ..data, which is a
	// link to a folder of its own for each version.
	w := newWorld(t)
	files := snapshotOf(t, w.dir)
	mount := t.TempDir()
	version := func(name string, change func(string, string) string) {
		folder := filepath.Join(mount, "..2026_"+name)
		if err := os.Mkdir(folder, 0o700); err != nil {
			t.Fatal(err)
		}
		for file, text := range files {
			if err := os.WriteFile(filepath.Join(folder, file), []byte(change(file, text)), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		next := filepath.Join(mount, "..data_tmp")
		if err := os.Symlink("..2026_"+name, next); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(next, filepath.Join(mount, "..data")); err != nil {
			t.Fatal(err)
		}
	}
	same := func(_, text string) string { return text }
	version("1", same)
	for file := range files {
		if err := os.Symlink(filepath.Join("..data", file), filepath.Join(mount, file)); err != nil {
			t.Fatal(err)
		}
	}
	w.dir = mount
	s := w.serve()
	try := func() int { return s.ask(s.user()).app().images().send().status }
	if got := try(); got != http.StatusOK {
		t.Fatalf("got %d", got)
	}
	s.applied(func() {
		version("2", func(file, text string) string {
			if file == "clients.yaml" {
				return strings.Replace(text, "metadata: {namespace: shop, name: app}\nspec:", "metadata: {namespace: shop, name: app}\nspec:\n  suspend: true", 1)
			}
			return text
		})
	})
	if err := os.RemoveAll(filepath.Join(mount, "..2026_1")); err != nil {
		t.Fatal(err)
	}
	if got := try(); got != http.StatusUnauthorized {
		t.Errorf("the second version: got %d", got)
	}
	s.applied(func() { version("3", same) })
	if got := try(); got != http.StatusOK {
		t.Errorf("the third version: got %d", got)
	}
}

func TestAnInvalidObjectDropsOutAndTheOthersStay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.serve()
	images := func() *reply { return s.ask(s.user()).app().images().send() }
	onwards := func(token string) *reply {
		return s.ask(token).basic(imagesAPI, imagesSecret).with("audience", contactsAPI).send()
	}
	token := images().allowed()
	onwards(token).allowed()
	for name, tc := range map[string]struct{ from, to string }{
		"a value of the wrong type":     {"scopes: [images]\n", "scopes: images\n"},
		"a field that nobody knows":     {"scopes: [images]\n", "scopes: [images]\n    scope: [contacts]\n"},
		"a reference to nothing":        {"scopes: [images]\n", "scopes: [images, nothing]\n"},
		"an example that does not hold": {"expect: {allowed: true, scope: images,", "expect: {allowed: true, scope: contacts,"},
		"an expression that is none":    {"\"'corp:staff' in subject.groups\", message: staff only}]\n  target:\n    clients: [{name: images", "\"'corp:staff' in\", message: staff only}]\n  target:\n    clients: [{name: images"},
		"a target of another namespace": {"clients: [{name: images-resource}]\n    scopes: [images]", "clients: [{namespace: shop, name: app}]\n    scopes: [images]"},
		"a field that would do nothing": {"scopes: [images]\n", "scopes: [images]\n  actor: {use: Forbidden, issuers: [{name: corp}]}\n"},
	} {
		good := snapshotOf(t, w.dir)["media.yaml"]
		w.change("media.yaml", tc.from, tc.to)
		eventually(t, name+": the policy drops out", func() bool { return images().status == http.StatusBadRequest })
		if r := images(); r.text("error") != "invalid_target" {
			t.Errorf("%s: %s", name, r.body)
		}
		if r := onwards(token); r.status != http.StatusOK {
			t.Errorf("%s: the other policy of the file: %d %s", name, r.status, r.body)
		}
		w.write("media.yaml", good)
		eventually(t, name+": mended", func() bool { return images().status == http.StatusOK })
	}
}

func TestNothingIsGainedByTheSameObjectTwice(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.serve()
	guest := func() *reply { return s.ask(s.user(claims{"groups": []string{}})).app().images().send() }
	staff := func() *reply { return s.ask(s.user()).app().images().send() }
	guest().refused(http.StatusBadRequest, "invalid_request", "SubjectRule")
	lax := strings.Replace(imagesPolicy, "'corp:staff' in subject.groups", "true", 1)
	for _, file := range []string{"a-copy.yaml", "z-copy.yaml"} {
		w.write(file, lax)
		s.said("stands here twice")
		w.write("marker-"+file, strings.NewReplacer("name: images}", "name: marker-"+file[:1]+"}", "clients: [{name: images", "clients: [{name: contacts", "[images]\n  token", "[contacts]\n  token", "examples", "# examples").
			Replace(imagesPolicy[:strings.Index(imagesPolicy, "  examples")]))
		eventually(t, "the change was read", func() bool {
			return s.ask(s.user()).app().with("audience", contactsAPI).with("scope", "contacts").send().status == http.StatusOK
		})
		if r := guest(); r.status == http.StatusOK {
			t.Fatalf("%s: the laxer twin is in force: %s", file, r.body)
		}
		if r := staff(); r.status != http.StatusOK {
			t.Logf("%s: while it stands there twice, the policy is out of force: %s", file, r.body)
		}
		w.remove(file)
		w.remove("marker-" + file)
		eventually(t, "all as before", func() bool {
			return staff().status == http.StatusOK && s.ask(s.user()).app().with("audience", contactsAPI).with("scope", "contacts").send().status != http.StatusOK
		})
	}
}

func TestAnIssuerThatIsAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.corp.Break(issuer.JWKS, issuer.Status(http.StatusServiceUnavailable))
	s := w.serve()
	r := s.ask(s.user()).app().images().send().refused(http.StatusServiceUnavailable, "temporarily_unavailable", "KeysUnavailable")
	if r.header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	if r.record()["outcome"] != "unable" {
		t.Errorf("outcome %v: that is no denial", r.record()["outcome"])
	}
	w.corp.Fix()
	eventually(t, "it comes back by itself", func() bool { return s.ask(s.user()).app().images().send().status == http.StatusOK })

	t.Run("its last good keys go on", func(t *testing.T) {
		s := s.in(t)
		w.corp.Break(issuer.JWKS, issuer.Drop())
		s.ask(s.user()).app().images().send().allowed()
		w.corp.Fix()
	})
}

func TestF172AKeyThatIsNewAtTheIssuerIsFoundWhenATokenNamesIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.serve()
	old := s.user()
	if _, err := w.corp.Rotate(); err != nil {
		t.Fatal(err)
	}
	s.ask(s.user()).app().images().send().allowed()
	s.ask(old).app().images().send().allowed()
}

func TestF330ARevocationTakesSecondsNotMinutes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.serve()
	s.ask(s.user()).app().images().send().allowed()
	start := time.Now()
	w.cut("platform.yaml", "name: corp")
	eventually(t, "the issuer's tokens are refused", func() bool { return s.ask(s.user()).app().images().send().status != http.StatusOK })
	t.Logf("a deleted TrustedIssuer was refused after %s", time.Since(start).Round(time.Millisecond))
}
