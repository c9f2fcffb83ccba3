// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package chart

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/yaml"

	"github.com/exchequer-dev/exchequer/api/v1alpha1"
	"github.com/exchequer-dev/exchequer/test/cluster"
)

// installed brings what everything-on renders into the package's API server,
// once, and waits until its admission policies are in force.
func installed(t *testing.T) *cluster.Plane {
	t.Helper()
	plane := cluster.Shared(t)
	installation.Do(func() { install(t, plane) })
	if t.Failed() {
		t.FailNow()
	}
	return plane
}

var installation sync.Once //nolint:gochecknoglobals // the API server is the package's, too

func install(t *testing.T, plane *cluster.Plane) {
	t.Helper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace, Labels: map[string]string{"pod-security.kubernetes.io/enforce": "restricted"}}}
	if _, err := plane.Client(t).CoreV1().Namespaces().Create(t.Context(), ns, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	args := append(profile("everything-on"), "--set", "crds.install=false,rbac.secretReader.namespaces=null")
	for _, o := range without(render(t, args...), "ServiceMonitor", "PrometheusRule") {
		text.WriteString("---\n" + o.text)
	}
	file := filepath.Join(t.TempDir(), "all.yaml")
	if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := plane.Kubectl(t, "apply", "--server-side", "--validate=strict", "-f", file); err != nil {
		t.Fatalf("the API server does not take what the chart renders: %v\n%s", err, out)
	}
	// The API server compiles policies in the background; the last of them to
	// refuse what it should says that all are there.
	c := writer(t, plane.Admin())
	for _, bad := range []string{
		"kind: ExchangerReplica\nmetadata: {name: probe, namespace: default}\nspec: {revision: 1}",
		"kind: ExchangeClient\nmetadata: {name: probe, namespace: default}\nspec: {clientID: other/probe}",
		"kind: ExchangePolicy\nmetadata: {name: probe, namespace: default}\nspec: {clients: [{namespace: a, name: a}], subject: {issuers: [{name: a}]}, target: {clients: [{namespace: other, name: a}]}}",
		"kind: ExchangePolicy\nmetadata: {name: probe, namespace: default}\nspec: {clients: [{namespace: a, name: a}], subject: {issuers: [{name: a}]}, target: {scopeMode: Grant, clients: [{name: a}]}}",
		"kind: ExchangePolicy\nmetadata: {name: probe, namespace: default}\nspec: {clients: [{all: true}], subject: {issuers: [{name: a}]}, target: {clients: [{name: a}]}}",
		"kind: ExchangePolicy\nmetadata: {name: probe, namespace: default}\nspec: {clients: [{namespace: a, name: a}], subject: {issuers: [{name: a}]}, target: {clients: [{name: a}]}, token: {lifetime: 1h}}",
		"kind: ExchangePolicy\nmetadata: {name: probe, namespace: default}\nspec: {clients: [{namespace: a, name: a}], subject: {issuers: [{name: a}]}, target: {clients: [{name: a}]}, token: {claims: [{name: roles, expression: \"'x'\"}]}}",
		"kind: ClientScope\nmetadata: {name: probe, namespace: default}\nspec: {claims: [{name: roles, expression: \"'x'\"}]}",
		"kind: TokenService\nmetadata: {name: probe}\nspec: {issuer: https://probe.example, allowedNamespaces: {all: true}}",
	} {
		gomega.NewWithT(t).Eventually(func() error { return c.create(t, bad, metav1.DryRunAll) }, 2*time.Minute, 50*time.Millisecond).
			Should(gomega.MatchError(gomega.ContainSubstring("ValidatingAdmissionPolicy")), bad)
	}
}

// user writes our kinds as somebody.
type user struct{ dynamic.Interface }

func writer(t testing.TB, config *rest.Config) user {
	t.Helper()
	c, err := dynamic.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	return user{c}
}

func (u user) of(t testing.TB, o *unstructured.Unstructured) dynamic.ResourceInterface {
	t.Helper()
	kinds := map[string]string{
		"ExchangerReplica": "exchangerreplicas", "ExchangeClient": "exchangeclients", "ExchangePolicy": "exchangepolicies", "ClientScope": "clientscopes",
		"TokenService": "tokenservices", "TrustedIssuer": "trustedissuers", "ImpersonationGrant": "impersonationgrants",
		"ExternalTarget": "externaltargets", "TokenRevocation": "tokenrevocations",
	}
	resource := kinds[o.GetKind()]
	if resource == "" {
		t.Fatalf("what is a %s?", o.GetKind())
	}
	r := u.Resource(v1alpha1.GroupVersion.WithResource(resource))
	if o.GetNamespace() == "" {
		return r
	}
	return r.Namespace(o.GetNamespace())
}

func parse(t testing.TB, text string) *unstructured.Unstructured {
	t.Helper()
	o := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte("apiVersion: exchequer.dev/v1alpha1\n"+text), &o.Object); err != nil {
		t.Fatalf("%v:\n%s", err, text)
	}
	return o
}

func (u user) create(t testing.TB, text string, dryRun ...string) error {
	t.Helper()
	o := parse(t, text)
	_, err := u.of(t, o).Create(t.Context(), o, metav1.CreateOptions{DryRun: dryRun})
	return err
}

// change writes a merge patch to an object, or to a part of it.
func (u user) change(t testing.TB, o *unstructured.Unstructured, patch string, part ...string) error {
	t.Helper()
	_, err := u.of(t, o).Patch(t.Context(), o.GetName(), types.MergePatchType, []byte(patch), metav1.PatchOptions{}, part...)
	return err
}

// refused wants a refusal of one policy, with its words.
func refused(t testing.TB, err error, policy, words string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), "ValidatingAdmissionPolicy '"+policy+"'") || !strings.Contains(err.Error(), words) {
		t.Errorf("expected a refusal of %s that says %q, found: %v", policy, words, err)
	}
}

const (
	policyHead = "kind: ExchangePolicy\nmetadata: {generateName: p-, namespace: default}\nspec: {clients: [{namespace: shop, name: app}], subject: {issuers: [{name: corp}]}, target: {clients: [{name: api}]}"
	clientHead = "kind: ExchangeClient\nmetadata: {generateName: c-, namespace: default}\n"
)

func TestNamesBelongToTheirNamespace(t *testing.T) {
	t.Parallel()
	c := writer(t, installed(t).Admin())
	for name, tc := range map[string]struct{ spec, policy, words string }{
		"the implied client ID":                         {"spec: {}", "", ""},
		"an own client ID":                              {"spec: {clientID: default/app}", "", ""},
		"an empty client ID":                            {`spec: {clientID: ""}`, "", ""},
		"another namespace's client ID":                 {"spec: {clientID: shop/app}", "exchequer-client-names", "begins with default/"},
		"a client ID of nobody":                         {"spec: {clientID: app}", "exchequer-client-names", "begins with default/"},
		"the namespace alone":                           {"spec: {clientID: default/}", "exchequer-client-names", "begins with default/"},
		"a namespace that ours is the beginning of":     {"spec: {clientID: default-2/app}", "exchequer-client-names", "begins with default/"},
		"an own audience":                               {"spec: {audiences: [default/api]}", "", ""},
		"an audience that the platform may delegate":    {"spec: {audiences: [\"https://api.example.com/\", urn:example:api, api]}", "", ""},
		"another namespace's audience":                  {"spec: {audiences: [default/api, shop/api]}", "exchequer-client-names", "shop/api: what begins with"},
		"another namespace's audience of many segments": {"spec: {audiences: [shop/v1/api]}", "exchequer-client-names", "this one is default"},
		"what looks like no namespace":                  {"spec: {audiences: [Shop/api, -shop/api, sh.op/api]}", "", ""},
		"another namespace's entity ID":                 {"spec: {saml: {entityID: shop/sp}}", "exchequer-client-names", "shop/sp"},
		"an own entity ID":                              {"spec: {saml: {entityID: default/sp}}", "", ""},
		"a suspended draft":                             {"spec: {suspend: true, clientID: shop/app}", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := c.create(t, clientHead+tc.spec, metav1.DryRunAll)
			if tc.policy == "" && err != nil {
				t.Errorf("expected no refusal, found %v", err)
			} else if tc.policy != "" {
				refused(t, err, tc.policy, tc.words)
			}
		})
	}
}

func TestF252APolicyGrantsTargetsOfItsOwnNamespace(t *testing.T) {
	t.Parallel()
	c := writer(t, installed(t).Admin())
	if err := c.create(t, policyHead+"}", metav1.DryRunAll); err != nil {
		t.Errorf("a target without namespace: %v", err)
	}
	if err := c.create(t, strings.Replace(policyHead, "{name: api}", "{name: api, namespace: default}", 1)+"}", metav1.DryRunAll); err != nil {
		t.Errorf("a target of the own namespace: %v", err)
	}
	err := c.create(t, strings.Replace(policyHead, "{name: api}", "{name: web}, {name: api, namespace: media}", 1)+"}", metav1.DryRunAll)
	refused(t, err, "exchequer-policy-targets", "only targets of namespace default")
}

func TestGuardrailsRefuseWhatThePlatformForbids(t *testing.T) {
	t.Parallel()
	plane := installed(t)
	c := writer(t, plane.Admin())
	if _, err := plane.Client(t).CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "platform"}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	grants := strings.Replace(policyHead, "target: {", "target: {scopeMode: Grant, ", 1) + "}"
	for name, tc := range map[string]struct{ object, policy, words string }{
		"a policy that adds scopes":          {grants, "scope-mode-grant", "spec.target.scopeMode"},
		"a policy that narrows":              {strings.Replace(grants, "Grant", "Narrow", 1), "", ""},
		"a policy for all clients":           {strings.Replace(policyHead, "{namespace: shop, name: app}", "{all: true}", 1) + "}", "all-clients", "spec.clients"},
		"a policy's reserved claim":          {policyHead + `, token: {claims: [{name: tenant, expression: "'x'"}, {name: admin, expression: "'x'"}]}}`, "policy-claims", "roles, admin"},
		"a policy's own claim":               {policyHead + `, token: {claims: [{name: tenant, expression: "'x'"}]}}`, "", ""},
		"a scope's reserved claim":           {"kind: ClientScope\nmetadata: {generateName: s-, namespace: default}\nspec: {claims: [{name: roles, expression: \"'x'\"}]}", "scope-claims", "spec.claims"},
		"a policy's long lifetime":           {policyHead + ", token: {lifetime: 15m1s}}", "lifetime", "at most 15m"},
		"a policy's lifetime in other units": {policyHead + ", token: {lifetime: 14m59s1000ms}}", "", ""},
		"a client's long lifetime":           {clientHead + "spec: {token: {lifetime: 1h}}", "lifetime", "at most 15m"},
		"a client without a lifetime":        {clientHead + "spec: {token: {format: JWT}}", "", ""},
		"an issuer for every namespace":      {"kind: TrustedIssuer\nmetadata: {generateName: i-}\nspec: {allowedNamespaces: {all: true}, jwt: {issuer: {url: \"https://i.example\", audiences: [a]}}}", "all-namespaces", "spec.allowedNamespaces"},
		"a service for named namespaces":     {"kind: TokenService\nmetadata: {generateName: t-}\nspec: {issuer: \"https://t.example\", allowedNamespaces: {names: [shop]}}", "", ""},
		"an exempt namespace":                {strings.Replace(grants, "namespace: default", "namespace: platform", 1), "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := c.create(t, tc.object, metav1.DryRunAll)
			if tc.policy == "" && err != nil {
				t.Errorf("expected no refusal, found %v", err)
			} else if tc.policy != "" {
				refused(t, err, "exchequer-guardrail-"+tc.policy, tc.words)
			}
		})
	}
}

func TestWhatCameBeforeARuleCanBeRepaired(t *testing.T) {
	t.Parallel()
	plane := installed(t)
	c := writer(t, plane.Admin())
	// It is let in while it is suspended: the way in for what was there before.
	text := "kind: ExchangeClient\nmetadata: {name: old, namespace: default, finalizers: [example.com/hold]}\nspec: {suspend: true, audiences: [shop/api]}"
	if err := c.create(t, text); err != nil {
		t.Fatal(err)
	}
	o := parse(t, text)
	for _, step := range []struct {
		name, patch string
		part        []string
	}{
		{"a label", `{"metadata": {"labels": {"a": "b"}}}`, nil},
		{"its status", `{"status": {"clientID": "default/old"}}`, []string{"status"}},
	} {
		if err := c.change(t, o, step.patch, step.part...); err != nil {
			t.Errorf("writing %s: %v", step.name, err)
		}
	}
	refused(t, c.change(t, o, `{"spec": {"suspend": false}}`), "exchequer-client-names", "shop/api")
	if err := c.of(t, o).Delete(t.Context(), o.GetName(), metav1.DeleteOptions{}); err != nil {
		t.Errorf("deleting it: %v", err)
	}
	if err := c.change(t, o, `{"metadata": {"finalizers": null}}`); err != nil {
		t.Errorf("taking its finalizer away: %v", err)
	}
	if _, err := c.of(t, o).Get(t.Context(), o.GetName(), metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("it is still there: %v", err)
	}
}

func TestF348StatusIsWrittenByOneControllerAlone(t *testing.T) {
	t.Parallel()
	plane := installed(t)
	admin := writer(t, plane.Admin())
	text := "kind: TokenService\nmetadata: {name: status}\nspec: {issuer: https://status.example}"
	if err := admin.create(t, text); err != nil {
		t.Fatal(err)
	}
	o := parse(t, text)
	const patch = `{"status": {"observedGeneration": 1}}`
	bindUser(t, plane, "forger", "exchequer-controller")
	bind(t, plane, "other-controller", "exchequer-controller", "second-system", "exchequer-controller")
	for name, tc := range map[string]struct {
		config *rest.Config
		words  string
	}{
		"F263: a stranger with the right to":        {plane.User(t, "forger", "system:authenticated", "forgers"), "exchequer-controller of namespace exchequer-system"},
		"the controller of a second installation":   {plane.ServiceAccount(t, "second-system", "exchequer-controller"), "one installation"},
		"the installation's own controller":         {plane.ServiceAccount(t, namespace, "exchequer-controller"), ""},
		"whoever holds the administrator's own key": {plane.Admin(), ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := writer(t, tc.config).change(t, o, patch, "status")
			if tc.words == "" && err != nil {
				t.Errorf("expected no refusal, found %v", err)
			} else if tc.words != "" {
				refused(t, err, "exchequer-status", tc.words)
			}
		})
	}
}
