// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package process_test

import (
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"
)

// delegation lets people of corp in the group agents, and the workers of the cluster,
// act for others at the images API, two deep, and at the contacts API once more.
const delegation = `
apiVersion: exchequer.dev/v1alpha1
kind: ExchangePolicy
metadata: {namespace: media, name: acted-images}
spec:
  clients: [{namespace: shop, name: app}, {namespace: shop, name: signer}]
  subject: {issuers: [{name: corp}, {self: true, origins: [corp]}]}
  actor:
    use: Required
    issuers: [{name: corp}, {name: east-actors}]
    rules: [{expression: "actor.issuer == 'east-actors' || 'corp:agents' in actor.groups", message: agents only}]
  target: {clients: [{name: images-resource}], scopes: [images]}
  token: {types: [AccessToken, JWT]}
---
apiVersion: exchequer.dev/v1alpha1
kind: TrustedIssuer
metadata: {name: east-actors}
spec:
  use: [Actor]
  allowedNamespaces: {all: true}
  jwt: {issuer: {url: "https://actors.cluster.example"}, keys: {inline: $CLUSTERKEYS}}
---
apiVersion: exchequer.dev/v1alpha1
kind: ExchangePolicy
metadata: {namespace: media, name: acted-contacts}
spec:
  clients: [{namespace: media, name: images-resource}]
  subject: {issuers: [{self: true, origins: [corp]}]}
  actor:
    use: Optional
    issuers: [{name: corp}, {name: east-actors}]
    rules: [{expression: "'corp:agents' in actor.groups"}]
    maxDepth: 1
  target: {clients: [{name: contacts-resource}], scopes: []}
`

// agent is a token of corp for bob, who may act.
func (w *world) agent(over ...claims) string {
	return w.user(append([]claims{{"sub": "bob", "groups": []string{"agents"}}}, over...)...)
}

// worker is a token for a worker of the cluster, who may act.
func (w *world) worker() string {
	now := time.Now()
	return w.sign(w.eastKey, nil, claims{
		"iss": "https://actors.cluster.example", "sub": "worker", "aud": "shop/app", "iat": now.Unix(), "exp": now.Add(time.Hour).Unix(), "jti": random(),
	})
}

func (a *asking) actor(token string) *asking {
	return a.with("actor_token", token).with("actor_token_type", typeAccess)
}

func TestActingForSomebody(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.write("delegation.yaml", delegation)
	w.write("media.yaml", withoutPolicy(t, media))
	s := w.serve()
	first := s.ask(s.user()).app().images().actor(s.agent()).send().allowed()
	one := s.verify(first)
	act := map[string]any{"iss": w.corp.URL(), "sub": "bob", "client_id": "shop/app"}

	t.Run("R27, KC-39: the token is the subject's, and act says who acts", func(t *testing.T) {
		if one.text("sub") != "corp:alice" || !reflect.DeepEqual(one.claims["act"], act) {
			t.Errorf("sub %q, act %v", one.text("sub"), one.claims["act"])
		}
	})
	t.Run("R34: introspection says the same", func(t *testing.T) {
		s := s.in(t)
		if r := s.introspect(first).active(); !reflect.DeepEqual(r.members["act"], act) {
			t.Errorf("act %v", r.members["act"])
		}
	})
	t.Run("the record has the actor", func(t *testing.T) {
		s := s.in(t)
		r := s.ask(s.user()).app().images().actor(s.agent()).send()
		r.allowed()
		if want := map[string]any{"issuer": "corp", "sub": "corp:bob"}; !reflect.DeepEqual(r.record()["actor"], want) {
			t.Errorf("actor %v", r.record()["actor"])
		}
	})
	t.Run("a workload acts, by its own token", func(t *testing.T) {
		s := s.in(t)
		got := s.verify(s.ask(s.user()).app().images().actor(s.worker()).send().allowed())
		want := map[string]any{"iss": "https://actors.cluster.example", "sub": "worker", "client_id": "shop/app"}
		if !reflect.DeepEqual(got.claims["act"], want) {
			t.Errorf("act %v", got.claims["act"])
		}
	})
	t.Run("KC-43: at the next hop the actor is judged by what was sealed, and stays", func(t *testing.T) {
		s := s.in(t)
		next := s.verify(onwards(s, first).allowed())
		if !reflect.DeepEqual(next.claims["act"], act) || next.text("sub") != "corp:alice" {
			t.Errorf("sub %q, act %v", next.text("sub"), next.claims["act"])
		}
		workers := s.ask(s.user()).app().images().actor(s.worker()).send().allowed()
		onwards(s, workers).refused(http.StatusBadRequest, "invalid_request", "ActorRule")
	})
	t.Run("F205: a chain that would be too long is refused", func(t *testing.T) {
		s := s.in(t)
		s.ask(first).basic(imagesAPI, imagesSecret).with("audience", contactsAPI).actor(s.user(claims{"sub": "carol", "aud": imagesAPI, "groups": []string{"agents"}})).send().
			refused(http.StatusBadRequest, "invalid_request", "ActorDepth")
	})
	t.Run("a second actor nests the first", func(t *testing.T) {
		s := s.in(t)
		two := s.verify(s.ask(first).app().images().actor(s.worker()).send().allowed())
		want := map[string]any{"iss": "https://actors.cluster.example", "sub": "worker", "client_id": "shop/app", "act": act}
		if !reflect.DeepEqual(two.claims["act"], want) {
			t.Errorf("act %v", two.claims["act"])
		}
	})
	for name, c := range map[string]struct {
		subject, actor func() string
		reason         string
	}{
		"KC-37: no actor where one is required":      {s2(s.user), nil, "ActorRequired"},
		"KC-36: an actor of another kind":            {s2(s.user), func() string { return s.user(claims{"sub": "dan"}) }, "ActorRule"},
		"KC-43: an actor's token for another client": {s2(s.user), func() string { return s.agent(claims{"aud": "shop-signer"}) }, "ActorAudience"},
		"F206: an expired actor token": {s2(s.user), func() string {
			return s.agent(claims{"exp": time.Now().Add(-time.Hour).Unix(), "iat": time.Now().Add(-2 * time.Hour).Unix()})
		}, "TokenExpired"},
		"F206: an issuer that is not for actors":            {s2(s.user), func() string { return s.account("shop", "worker", claims{"aud": "shop/app"}) }, "IssuerUnknown"},
		"F205, KC-43: the subject acts for itself":          {func() string { return s.agent() }, func() string { return s.agent() }, "ActorLoop"},
		"F205, KC-43: an actor twice in a chain":            {func() string { return first }, func() string { return s.agent() }, "ActorLoop"},
		"F204: an actor for whom somebody acts":             {s2(s.user), func() string { return s.agent(claims{"act": claims{"iss": "x", "sub": "y"}}) }, "ActorDepth"},
		"F204: a token of ours with act as actor token":     {s2(s.user), func() string { return first }, "ActorDepth"},
		"F143, KC-36: may_act names somebody else":          {func() string { return s.user(claims{"may_act": claims{"sub": "carol"}}) }, func() string { return s.agent() }, "MayAct"},
		"F207, KC-43: may_act allows what the policy won't": {func() string { return s.user(claims{"may_act": claims{"sub": "dan"}}) }, func() string { return s.user(claims{"sub": "dan", "aud": "shop-signer"}) }, "ActorAudience"},
		"F141: act that is no object":                       {func() string { return s.user(claims{"act": "bob"}) }, func() string { return s.agent() }, "TokenMalformed"},
		"F141: act without iss":                             {func() string { return s.user(claims{"act": claims{"sub": "bob"}}) }, nil, "TokenMalformed"},
	} {
		t.Run(name, func(t *testing.T) {
			s := s.in(t)
			a := s.ask(c.subject()).app().images()
			if c.actor != nil {
				a.actor(c.actor())
			}
			a.send().refused(http.StatusBadRequest, "invalid_request", c.reason)
		})
	}
	t.Run("F48: one token as subject and actor", func(t *testing.T) {
		s := s.in(t)
		both := s.agent()
		s.ask(both).app().images().actor(both).send().refused(http.StatusBadRequest, "invalid_request", "ActorLoop")
	})
	t.Run("F207, KC-43: may_act that names the actor stands in for the rules, and stays", func(t *testing.T) {
		s := s.in(t)
		got := s.verify(s.ask(s.user(claims{"may_act": claims{"sub": "dan"}})).app().images().actor(s.user(claims{"sub": "dan"})).send().allowed())
		if may, _ := got.claims["may_act"].(map[string]any); may["sub"] != "dan" || may["iss"] != w.corp.URL() {
			t.Errorf("may_act %v", got.claims["may_act"])
		}
	})
	t.Run("R37: the token ends with the actor token", func(t *testing.T) {
		s := s.in(t)
		end := time.Now().Add(90 * time.Second).Unix()
		if got := s.verify(s.ask(s.user()).app().images().actor(s.agent(claims{"exp": end})).send().allowed()); got.number("exp") > end {
			t.Errorf("exp %d, the actor's %d", got.number("exp"), end)
		}
	})
	t.Run("KC-33, KC-41: when the rule goes, the chain ends", func(t *testing.T) {
		s := s.in(t)
		s.change("delegation.yaml", "rules: [{expression: \"'corp:agents' in actor.groups\"}]", "rules: [{expression: \"'corp:nobody' in actor.groups\"}]")
		eventually(t, "the chain is refused", func() bool { return onwards(s, first).status == http.StatusBadRequest })
	})
}

// s2 makes a source of tokens of one.
func s2(user func(...claims) string) func() string { return func() string { return user() } }

// withoutPolicy is manifests with the plain policy for images suspended: it admits no
// actor, and a request without one.
func withoutPolicy(t *testing.T, text string) string {
	t.Helper()
	const from = "name: images}\nspec:\n  clients:"
	if strings.Count(text, from) != 1 {
		t.Fatal("the plain policy for images has changed")
	}
	return strings.Replace(text, from, "name: images}\nspec:\n  suspend: true\n  clients:", 1)
}
