// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package translate_test

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/exchequer-dev/exchequer/api/v1alpha1"
	"github.com/exchequer-dev/exchequer/exchanger/translate"
)

// reaching are all fields of the API through which an object can name a namespace
// that is not its own, each with what keeps it in bounds. A new one fails the test
// until somebody has said here what does, and the cases below try it.
var reaching = map[string]string{
	"PolicyClient.namespace":                 "selector by name: it lets a client in, and takes nothing from that namespace",
	"PolicyClient.namespaceSelector":         "the same, by labels that only the platform sets",
	"TargetClient.namespace":                 "refused unless it is the policy's own",
	"NamespacedReference.namespace":          "cluster-scoped kinds only, which are the platform's",
	"ExternalTargetClient.namespace":         "cluster-scoped kind, which is the platform's",
	"ExternalTargetClient.namespaceSelector": "the same",
	"NameDelegation.namespaces":              "cluster-scoped kind, which is the platform's",
}

func TestF247EveryReferenceIntoAnotherNamespaceIsKnownAndInBounds(t *testing.T) {
	t.Parallel()
	found := map[string]bool{}
	for _, root := range []any{
		v1alpha1.TokenServiceSpec{},
		v1alpha1.TrustedIssuerSpec{},
		v1alpha1.ExchangeClientSpec{},
		v1alpha1.ClientScopeSpec{},
		v1alpha1.ExchangePolicySpec{},
		v1alpha1.ImpersonationGrantSpec{},
		v1alpha1.ExternalTargetSpec{},
		v1alpha1.TokenRevocationSpec{},
	} {
		namespaceFields(reflect.TypeOf(root), map[reflect.Type]bool{}, found)
	}
	for _, field := range slices.Sorted(maps.Keys(found)) {
		if reaching[field] == "" {
			t.Errorf("%s can name another namespace, and nobody has said what keeps it in bounds", field)
		}
	}
	for field := range reaching {
		if !found[field] {
			t.Errorf("%s is not in the API", field)
		}
	}
	// References that are not of the platform's kinds: the object of another namespace
	// is there, and is not reached.
	r := translate.Translate(parseInput(t, []byte(foreignReferences)))
	for object, want := range map[string]string{
		"ExchangePolicy hr/names-a-foreign-target": "RefNotPermitted", "ExchangePolicy hr/names-a-foreign-scope": "RefNotFound",
		"ClientScope hr/names-a-foreign-target": "RefNotFound", "ExchangeClient hr/names-a-foreign-secret": "SecretNotFound",
		"ExchangeClient hr/names-foreign-keys": "RefNotFound", "ExchangeClient shop/api": "ok",
	} {
		if got := verdict(r, object); got != want {
			t.Errorf("%s: %s, want %s", object, got, want)
		}
	}
}

// namespaceFields collects "Type.field" of what names namespaces, through every type
// below.
func namespaceFields(of reflect.Type, seen map[reflect.Type]bool, found map[string]bool) {
	for of.Kind() == reflect.Pointer || of.Kind() == reflect.Slice || of.Kind() == reflect.Map {
		of = of.Elem()
	}
	if of.Kind() != reflect.Struct || seen[of] || !strings.HasSuffix(of.PkgPath(), "api/v1alpha1") {
		return
	}
	seen[of] = true
	for i := range of.NumField() {
		f := of.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "namespace" || name == "namespaces" || name == "namespaceSelector" {
			found[fmt.Sprintf("%s.%s", of.Name(), name)] = true
		}
		namespaceFields(f.Type, seen, found)
	}
}

const foreignReferences = `apiVersion: exchequer.dev/v1alpha1
kind: TokenService
metadata: {name: default, generation: 1}
spec: {issuer: "https://sts.example.com", allowedNamespaces: {names: [shop, hr]}}
---
apiVersion: exchequer.dev/v1alpha1
kind: TrustedIssuer
metadata: {name: corp, generation: 1}
spec: {jwt: {issuer: {url: "https://login.corp.example"}}}
---
apiVersion: v1
kind: Secret
metadata: {namespace: shop, name: oauth}
stringData: {client-secret: 0123456789abcdef0123456789abcdef}
---
apiVersion: v1
kind: ConfigMap
metadata: {namespace: shop, name: keys}
data: {jwks: "{}"}
---
apiVersion: exchequer.dev/v1alpha1
kind: ExchangeClient
metadata: {namespace: shop, name: api, generation: 1}
spec: {}
---
apiVersion: exchequer.dev/v1alpha1
kind: ClientScope
metadata: {namespace: shop, name: orders, generation: 1}
spec: {}
---
apiVersion: exchequer.dev/v1alpha1
kind: ExchangeClient
metadata: {namespace: hr, name: portal, generation: 1}
spec: {}
---
apiVersion: exchequer.dev/v1alpha1
kind: ExchangeClient
metadata: {namespace: hr, name: names-a-foreign-secret, generation: 1}
spec:
  authentication:
  - clientSecret: {secretRef: {name: oauth, key: client-secret}}
---
apiVersion: exchequer.dev/v1alpha1
kind: ExchangeClient
metadata: {namespace: hr, name: names-foreign-keys, generation: 1}
spec:
  authentication:
  - privateKeyJWT: {configMapRef: {name: keys, key: jwks}}
---
apiVersion: exchequer.dev/v1alpha1
kind: ClientScope
metadata: {namespace: hr, name: names-a-foreign-target, generation: 1}
spec: {targets: [{name: api}]}
---
apiVersion: exchequer.dev/v1alpha1
kind: ExchangePolicy
metadata: {namespace: hr, name: names-a-foreign-target, generation: 1}
spec:
  clients: [{name: portal}]
  subject: {issuers: [{name: corp}]}
  target: {clients: [{namespace: shop, name: api}], scopes: []}
---
apiVersion: exchequer.dev/v1alpha1
kind: ExchangePolicy
metadata: {namespace: hr, name: names-a-foreign-scope, generation: 1}
spec:
  clients: [{name: portal}]
  subject: {issuers: [{name: corp}]}
  target: {clients: [{name: portal}], scopes: [orders]}
`

func TestF248ANamespaceThatIsMadeAgainIsAnotherOne(t *testing.T) {
	t.Parallel()
	before := digests(mainJob(t))
	// Gone: nothing of it is left in the policy.
	gone := mainJob(t)
	gone.Objects.ExchangeClients = slices.DeleteFunc(gone.Objects.ExchangeClients, func(c v1alpha1.ExchangeClient) bool { return c.Namespace == "media" })
	gone.Objects.ClientScopes, gone.Objects.ExchangePolicies = nil, nil
	if text := fmt.Sprint(*translate.Translate(gone).Spec); strings.Contains(text, "media") {
		t.Errorf("the namespace is gone, and the policy still speaks of it: %s", text)
	}
	// Again, with the same names and texts: other objects, of which nothing has been
	// acknowledged.
	again := mainJob(t)
	for i := range again.Objects.ExchangeClients {
		if c := &again.Objects.ExchangeClients[i]; c.Namespace == "media" {
			c.UID += "-again"
		}
	}
	again.Objects.ClientScopes[0].UID, again.Objects.ExchangePolicies[0].UID = "c-again", "p-again"
	want := []string{"ClientScope media/images", "ExchangeClient media/images-resource", "ExchangePolicy media/app-gets-images"}
	if got := changed(before, digests(again)); !slices.Equal(got, want) {
		t.Errorf("the digests of %v changed, want %v", got, want)
	}
}

func TestF250ATenantGetsNothingFromAClusterScopedObjectThatIsNotForIt(t *testing.T) {
	t.Parallel()
	policy := func(issuer string) translate.ObjectStatus {
		t.Helper()
		in := parseInput(t, []byte(strings.ReplaceAll(clusterScoped, "$ISSUER", issuer)))
		r := translate.Translate(in)
		for i := range r.Spec.Policies {
			if n := len(r.Spec.Policies[i].SubjectIssuers); n != 0 {
				t.Errorf("%s: the policy takes tokens of %d issuers", issuer, n)
			}
		}
		for _, s := range r.Statuses {
			if s.Kind == "ExchangePolicy" && s.Name == "self-service" {
				return s
			}
		}
		t.Fatal("the policy has no status")
		return translate.ObjectStatus{}
	}
	forbidden, missing := policy("payroll"), policy("nowhere")
	words := func(s translate.ObjectStatus, name string) string {
		return strings.ReplaceAll(fmt.Sprint(s.Unmatched, s.Warnings, s.Problems, s.Conditions), name, "X")
	}
	if a, b := words(forbidden, "payroll"), words(missing, "nowhere"); a != b {
		t.Errorf("an issuer that is not for this namespace can be told from one that is not there:\n%s\n%s", a, b)
	}
	in := parseInput(t, []byte(strings.ReplaceAll(clusterScoped, "$ISSUER", "payroll")))
	if got := verdict(translate.Translate(in), "ExchangePolicy guest/self-service"); got != v1alpha1.ReasonNamespaceNotAllowed {
		t.Errorf("a namespace that the TokenService does not admit: %s", got)
	}
}

const clusterScoped = `apiVersion: exchequer.dev/v1alpha1
kind: TokenService
metadata: {name: default, generation: 1}
spec: {issuer: "https://sts.example.com", allowedNamespaces: {names: [shop, hr]}}
---
apiVersion: exchequer.dev/v1alpha1
kind: TrustedIssuer
metadata: {name: payroll, generation: 1}
spec: {jwt: {issuer: {url: "https://payroll.corp.example"}}, allowedNamespaces: {names: [hr]}}
---
apiVersion: exchequer.dev/v1alpha1
kind: ExchangeClient
metadata: {namespace: shop, name: api, generation: 1}
spec: {}
---
apiVersion: exchequer.dev/v1alpha1
kind: ExchangePolicy
metadata: {namespace: shop, name: self-service, generation: 1}
spec:
  clients: [{name: api}]
  subject: {issuers: [{name: $ISSUER}]}
  target: {clients: [{name: api}], scopes: []}
---
apiVersion: exchequer.dev/v1alpha1
kind: ExchangePolicy
metadata: {namespace: guest, name: self-service, generation: 1}
spec:
  clients: [{name: api}]
  subject: {issuers: [{name: $ISSUER}]}
  target: {clients: [{name: api}], scopes: []}
`
