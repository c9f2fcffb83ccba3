// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/exchequer-dev/exchequer/api/v1alpha1"
	"github.com/exchequer-dev/exchequer/exchanger/translate"
)

// steps builds one state of the manifests after the other, as a directory would.
type steps struct {
	t       *testing.T
	builder *Builder
	former  map[string]*Object
}

func newSteps(t *testing.T) *steps {
	t.Helper()
	b, err := NewBuilder("exchequer-system", time.Now, nil)
	if err != nil {
		t.Fatal(err)
	}
	return &steps{t: t, builder: b}
}

func (s *steps) build(manifests ...string) *Build {
	s.t.Helper()
	objects, problems := ParseManifests("x.yaml", []byte(strings.Join(manifests, "\n---\n")))
	if len(problems) > 0 {
		s.t.Fatal(problems)
	}
	build, err := s.builder.Build(objects, s.former, 1)
	if err != nil {
		s.t.Fatal(err)
	}
	s.former = build.inForce()
	return build
}

func told(b *Build) string {
	var all []string
	for _, p := range b.Problems {
		all = append(all, p.String())
	}
	return strings.Join(all, "\n")
}

const (
	sts = `
apiVersion: exchequer.dev/v1alpha1
kind: TokenService
metadata: {name: default}
spec: {issuer: "https://sts.example.com", allowedNamespaces: {names: [shop]}}`
	app = `
apiVersion: exchequer.dev/v1alpha1
kind: ExchangeClient
metadata: {namespace: shop, name: app}
spec: {}`
)

func TestAChangeThatTheAPIServerWouldRefuseLeavesWhatWasThere(t *testing.T) {
	t.Parallel()
	s := newSteps(t)
	if b := s.build(sts, app); len(b.Problems) != 0 || b.Spec.Services[0].Issuer != "https://sts.example.com" {
		t.Fatal(told(b))
	}
	moved := strings.Replace(sts, "sts.example.com", "other.example.com", 1)
	for range 2 { // and it goes on being refused
		b := s.build(moved, app)
		if len(b.Spec.Services) != 1 || b.Spec.Services[0].Issuer != "https://sts.example.com" {
			t.Fatalf("the issuer was changed: %+v", b.Spec.Services)
		}
		if !strings.Contains(told(b), "x.yaml:5: TokenService/default: spec: issuer cannot be changed") {
			t.Errorf("told %q, want what was changed, and its line", told(b))
		}
		if o, ok := b.Find(&b.Statuses[slices.IndexFunc(b.Statuses, isKind("TokenService"))]); !ok || !strings.Contains(o.Content["spec"].(map[string]any)["issuer"].(string), "sts.example.com") {
			t.Error("the status is not of the object in force")
		}
	}
	if b := s.build(app); len(b.Spec.Services) != 0 {
		t.Fatal("it was removed, and is there")
	}
	if b := s.build(moved, app); len(b.Spec.Services) != 1 || b.Spec.Services[0].Issuer != "https://other.example.com" {
		t.Errorf("removed and made anew, it may be another one: %s", told(b))
	}
}

// An object that was refused never was in force: what comes after it is not a
// change of it.
func TestAnObjectThatWasRefusedIsNotWhatTheNextIsComparedWith(t *testing.T) {
	t.Parallel()
	s := newSteps(t)
	broken := strings.Replace(sts, "allowedNamespaces", "alowedNamespaces", 1)
	if b := s.build(broken, app); len(b.Spec.Services) != 0 || len(b.Problems) == 0 {
		t.Fatalf("a field that there is not was taken: %s", told(b))
	}
	fixed := strings.Replace(sts, "sts.example.com", "fixed.example.com", 1)
	if b := s.build(fixed, app); len(b.Spec.Services) != 1 || b.Spec.Services[0].Issuer != "https://fixed.example.com" || len(b.Problems) != 0 {
		t.Errorf("the mended object is refused: %s", told(b))
	}
}

func TestOfTwoCopiesNoneIsWhatTheNextIsComparedWith(t *testing.T) {
	t.Parallel()
	s := newSteps(t)
	other := strings.Replace(sts, "sts.example.com", "other.example.com", 1)
	b := s.build(sts, other, app)
	if len(b.Spec.Services) != 0 || !b.Broken || !strings.Contains(told(b), "x.yaml:10: TokenService/default: metadata.name: stands here twice; first at x.yaml:2: keep one") {
		t.Errorf("services %+v, broken %v: %s", b.Spec.Services, b.Broken, told(b))
	}
	if b := s.build(other, app); len(b.Spec.Services) != 1 || b.Broken {
		t.Errorf("one of the copies alone is refused: %s", told(b))
	}
}

func TestAnInvalidObjectDropsOutAndNoOther(t *testing.T) {
	t.Parallel()
	s := newSteps(t)
	s.build(sts, app)
	b := s.build(sts, strings.Replace(app, "spec: {}", "spec: {lifetime: forever, nonsense: 1}", 1))
	if len(b.Spec.Services) != 1 || len(b.Spec.Clients) != 0 {
		t.Errorf("services %d, clients %d, want 1 and 0", len(b.Spec.Services), len(b.Spec.Clients))
	}
	i := slices.IndexFunc(b.Statuses, isKind("ExchangeClient"))
	if c := b.Statuses[i].Condition(v1alpha1.ConditionAccepted); c == nil || c.Status != "False" {
		t.Errorf("the invalid object's condition is %+v", c)
	}
	if b := s.build(sts, app); len(b.Spec.Clients) != 1 {
		t.Errorf("mended, it is not there: %s", told(b))
	}
}

func TestObjectsOfOtherGroupsTouchNothingOfOurs(t *testing.T) {
	t.Parallel()
	foreign := "apiVersion: keycloak.example/v1\nkind: ExchangeClient\nmetadata: {namespace: shop, name: app}\nspec: {theirs: true}"
	for name, manifests := range map[string][]string{
		"before ours": {foreign, sts, app}, "after ours": {sts, app, foreign}, "around ours": {foreign, sts, app, foreign},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSteps(t)
			for range 2 { // also as what the next is compared with
				b := s.build(manifests...)
				if len(b.Spec.Clients) != 1 || b.Broken || len(b.Problems) != 0 {
					t.Fatalf("clients %d, broken %v: %s", len(b.Spec.Clients), b.Broken, told(b))
				}
				o, ok := b.Find(&b.Statuses[slices.IndexFunc(b.Statuses, isKind("ExchangeClient"))])
				if !ok || o.APIVersion() != v1alpha1.GroupVersion.String() {
					t.Errorf("the status is found at %+v", o)
				}
			}
		})
	}
}

func TestWhatIsWrongWithAnObjectsPlaceIsAboutTheFiles(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ manifest, want string }{
		"a client without namespace": {
			"apiVersion: exchequer.dev/v1alpha1\nkind: ExchangeClient\nmetadata: {name: a}\nspec: {}",
			"x.yaml:3: ExchangeClient/a: metadata.namespace is missing: ExchangeClient is namespaced, and nothing here chooses a namespace for it",
		},
		"a token service in a namespace": {
			"apiVersion: exchequer.dev/v1alpha1\nkind: TokenService\nmetadata:\n  name: a\n  namespace: shop\nspec: {issuer: \"https://a.example\"}",
			"x.yaml:5: TokenService/shop/a: metadata.namespace: TokenService is cluster-scoped: remove metadata.namespace",
		},
		"a Secret without namespace":    {"apiVersion: v1\nkind: Secret\nmetadata: {name: a}", "x.yaml:3: Secret/a: metadata.namespace is missing: a Secret is namespaced"},
		"a ConfigMap without namespace": {"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}", "x.yaml:3: ConfigMap/a: metadata.namespace is missing: a ConfigMap is namespaced"},
		"a Secret without name":         {"apiVersion: v1\nkind: Secret\nmetadata: {namespace: shop}", "x.yaml:3: Secret/shop/: metadata.name is missing: it must be a string that is not empty"},
		"a name that is a boolean": {
			"apiVersion: exchequer.dev/v1alpha1\nkind: ExchangeClient\nmetadata: {namespace: shop, name: no}\nspec: {}",
			"x.yaml:3: ExchangeClient/shop/: metadata.name is missing: it must be a string that is not empty",
		},
		"nothing but a kind": {"apiVersion: exchequer.dev/v1alpha1\nkind: TokenService", "x.yaml:1: TokenService/: metadata.name is missing: it must be a string that is not empty"},
		"the same Namespace twice": {
			"apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n---\napiVersion: v1\nkind: Namespace\nmetadata: {name: shop, labels: {a: b}}",
			"x.yaml:7: Namespace/shop: metadata.name: stands here twice; first at x.yaml:1: keep one",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newSteps(t).build(c.manifest)
			if !b.Broken || told(b) != c.want {
				t.Errorf("broken %v\ngot  %s\nwant %s", b.Broken, told(b), c.want)
			}
		})
	}
}

func TestSecretsAndConfigMapsAreReadAsTheAPIServerWould(t *testing.T) {
	t.Parallel()
	const secret = "0123456789abcdef0123456789abcdef"
	client := `
apiVersion: exchequer.dev/v1alpha1
kind: ExchangeClient
metadata: {namespace: shop, name: app}
spec: {authentication: [{clientSecret: {secretRef: {name: s, key: k}}}]}`
	of := func(body string) string {
		return "apiVersion: v1\nkind: Secret\nmetadata: {namespace: shop, name: s}\n" + body
	}
	for name, c := range map[string]struct {
		secret string
		ok     bool
		want   string
	}{
		"plain text":                {of("stringData: {k: " + secret + "}"), true, ""},
		"base64":                    {of("data: {k: MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=}"), true, ""},
		"base64 in several lines":   {of("data:\n  k: |\n    MDEyMzQ1Njc4OWFiY2Rl\n    ZjAxMjM0NTY3ODlhYmNkZWY=\n"), true, ""},
		"stringData goes first":     {of("data: {k: YQ==}\nstringData: {k: " + secret + "}"), true, ""},
		"no base64":                 {of("data: {k: \"" + secret + "!\"}"), false, "x.yaml:4: Secret/shop/s: data[k]: is not base64: put plain text under stringData"},
		"a number":                  {of("stringData:\n  k: 12345678901234567"), false, "x.yaml:5: Secret/shop/s: stringData[k]: expected a string: put it in quotes"},
		"a number among the others": {of("stringData: {k: " + secret + ", port: 8080}"), false, "x.yaml:4: Secret/shop/s: stringData[port]: expected a string: put it in quotes"},
		"a list":                    {of("data: [a]"), false, "x.yaml:4: Secret/shop/s: data: expected a map of strings"},
		"nothing":                   {of(""), false, ""},
		"null":                      {of("data: {k: null}"), false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newSteps(t).build(c.secret, sts, client)
			if got := len(b.Spec.Clients) == 1 && len(b.Spec.Clients[0].SecretDigests) == 1; got != c.ok {
				t.Errorf("the client has a secret: %v, want %v: %s", got, c.ok, told(b))
			}
			if !strings.Contains(told(b), c.want) {
				t.Errorf("got %s, want %s", told(b), c.want)
			}
			if strings.Contains(told(b), secret[:16]) {
				t.Errorf("the secret is told: %s", told(b))
			}
		})
	}
}

func isKind(kind string) func(s translate.ObjectStatus) bool {
	return func(s translate.ObjectStatus) bool { return s.Kind == kind }
}
