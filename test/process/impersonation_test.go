// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package process_test

import (
	"net/http"
	"reflect"
	"testing"
)

// impersonation lets support, at the app, be members of staff towards the images API.
const impersonation = `
apiVersion: exchequer.dev/v1alpha1
kind: ExchangePolicy
metadata: {namespace: media, name: impersonated-images}
spec:
  clients: [{namespace: shop, name: app}]
  subject: {issuers: [{name: corp}], rules: [{expression: "'corp:staff' in subject.groups", message: staff only}]}
  impersonation: Allowed
  target: {clients: [{name: images-resource}], scopes: [images]}
  examples:
  - name: support may be a clerk
    given: {client: shop/app, issuer: corp, scope: images, requestedSubject: "corp:clerk", reason: ticket 7, claims: {sub: sam, groups: [support], scope: images}}
    expect: {allowed: true, scope: images}
---
apiVersion: exchequer.dev/v1alpha1
kind: ExchangePolicy
metadata: {namespace: media, name: impersonated-onwards}
spec:
  clients: [{namespace: media, name: images-resource}]
  subject: {issuers: [{self: true, origins: [corp]}]}
  impersonation: Allowed
  target: {clients: [{name: contacts-resource}], scopes: []}
`

const grant = `
apiVersion: exchequer.dev/v1alpha1
kind: ImpersonationGrant
metadata: {name: support-as-staff}
spec:
  impersonators: {clients: [{namespace: shop, name: app}], groups: ["corp:support"]}
  subjects: {groups: ["corp:staff"], excludeGroups: ["corp:admins"]}
  subjectFrom: [SubjectToken, RequestedSubject]
  requestedSubjects:
  - {subject: "corp:clerk", username: clerk, groups: ["corp:staff"]}
  - {subject: "corp:root", groups: ["corp:staff", "corp:admins"]}
  targets: {clients: [{namespace: media, name: images-resource}, {namespace: media, name: contacts-resource}], scopes: [images]}
  notAfter: "2100-01-01T00:00:00Z"
  maxTokenLifetime: 2m
`

// supporter is a token of corp for sam, who may impersonate.
func (w *world) supporter(over ...claims) string {
	return w.user(append([]claims{{"sub": "sam", "groups": []string{"support"}}}, over...)...)
}

func (a *asking) asSomebody(subject string) *asking {
	return a.with("requested_subject", subject).with("reason", "ticket 7")
}

func TestBeingSomebodyElse(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.write("impersonation.yaml", impersonation).write("grant.yaml", grant)
	s := w.serve()
	made := s.ask(s.supporter()).app().images().asSomebody("corp:clerk").send()
	token := made.allowed()
	one := s.verify(token)
	by := map[string]any{"iss": w.corp.URL(), "sub": "sam", "client_id": "shop/app", "grant": "support-as-staff"}

	t.Run("F46, R30, KC-52: the token says only whom they are; impersonator tells who it was", func(t *testing.T) {
		if one.text("sub") != "corp:clerk" || one.claims["act"] != nil || !reflect.DeepEqual(one.claims["impersonator"], by) {
			t.Errorf("sub %q, act %v, impersonator %v", one.text("sub"), one.claims["act"], one.claims["impersonator"])
		}
		if life := one.number("exp") - one.number("iat"); life > 120 {
			t.Errorf("it lives %d seconds, the grant gives 120", life)
		}
	})
	t.Run("the record has who it was, why, and whom they are", func(t *testing.T) {
		r := made.record()
		if !reflect.DeepEqual(r["impersonator"], by) || r["statedReason"] != "ticket 7" || r["requestedSubject"] != "corp:clerk" ||
			!reflect.DeepEqual(r["subject"], map[string]any{"issuer": "corp", "sub": "corp:clerk"}) {
			t.Errorf("record %v", r)
		}
	})
	t.Run("KC-52: introspection tells it, too", func(t *testing.T) {
		s := s.in(t)
		if r := s.introspect(token).active(); !reflect.DeepEqual(r.members["impersonator"], by) || r.members["act"] != nil {
			t.Errorf("impersonator %v, act %v", r.members["impersonator"], r.members["act"])
		}
	})
	t.Run("a subject's token and the impersonator's beside it", func(t *testing.T) {
		s := s.in(t)
		got := s.verify(s.ask(s.user()).app().images().actor(s.supporter()).with("reason", "ticket 8").send().allowed())
		if got.text("sub") != "corp:alice" || got.claims["act"] != nil || !reflect.DeepEqual(got.claims["impersonator"], by) {
			t.Errorf("sub %q, act %v, impersonator %v", got.text("sub"), got.claims["act"], got.claims["impersonator"])
		}
	})
	for name, c := range map[string]struct {
		ask    func(s *server) *asking
		reason string
	}{
		"KC-52: somebody who may not":         {func(s *server) *asking { return s.ask(s.user()).app().images().asSomebody("corp:clerk") }, "ImpersonationGrant"},
		"F202: a member of an excluded group": {func(s *server) *asking { return s.ask(s.supporter()).app().images().asSomebody("corp:root") }, "ImpersonationGrant"},
		"KC-52: somebody who does not exist":  {func(s *server) *asking { return s.ask(s.supporter()).app().images().asSomebody("corp:nobody") }, "ImpersonationGrant"},
		"F202: one of Kubernetes' own":        {func(s *server) *asking { return s.ask(s.supporter()).app().images().asSomebody("system:admin") }, "ImpersonationGrant"},
		"without a reason": {func(s *server) *asking {
			return s.ask(s.supporter()).app().images().with("requested_subject", "corp:clerk")
		}, "ImpersonationReason"},
		"F201: where the policy says nothing": {func(s *server) *asking {
			return s.ask(s.supporter(claims{"aud": "shop-signer"})).assertion(s.assertion()).images().asSomebody("corp:clerk")
		}, "ImpersonationForbidden"},
		"who is impersonated impersonates": {func(s *server) *asking { return s.ask(token).app().images().asSomebody("corp:clerk") }, "SubjectIssuer"},
		"requested_subject and actor_token": {func(s *server) *asking {
			return s.ask(s.supporter()).app().images().asSomebody("corp:clerk").actor(s.agent())
		}, "FormInvalid"},
		"a reason that nobody asked for": {func(s *server) *asking { return s.ask(s.user()).app().images().with("reason", "ticket 7") }, "FormInvalid"},
		"F46: requested_subject twice": {func(s *server) *asking {
			return s.ask(s.supporter()).app().images().with("requested_subject", "corp:clerk", "corp:root")
		}, "FormInvalid"},
		"a scope that the grant does not give": {func(s *server) *asking {
			return s.ask(s.supporter()).app().with("audience", imagesAPI, contactsAPI).with("scope", "contacts").asSomebody("corp:clerk")
		}, ""},
		"an expired token of the impersonator's": {func(s *server) *asking {
			return s.ask(s.supporter(claims{"iat": 1, "exp": 2})).app().images().asSomebody("corp:clerk")
		}, "TokenExpired"},
	} {
		t.Run(name, func(t *testing.T) {
			s := s.in(t)
			r := c.ask(s).send()
			if c.reason == "" {
				if r.status != http.StatusBadRequest {
					t.Errorf("%d %s", r.status, r.body)
				}
				return
			}
			r.refused(http.StatusBadRequest, "invalid_request", c.reason)
		})
	}
	t.Run("unknown and forbidden subjects are answered in the same words", func(t *testing.T) {
		s := s.in(t)
		unknown := s.ask(s.supporter()).app().images().asSomebody("corp:nobody").send()
		forbidden := s.ask(s.supporter()).app().images().asSomebody("corp:root").send()
		if unknown.text("error") != forbidden.text("error") || unknown.text("error_description") != forbidden.text("error_description") || unknown.status != forbidden.status {
			t.Errorf("%s\n%s", unknown.body, forbidden.body)
		}
	})
	t.Run("no refresh token", func(t *testing.T) {
		s := s.in(t)
		if r := s.ask(s.supporter()).app().images().asSomebody("corp:clerk").with("requested_token_type", typeRefresh).send(); r.status != http.StatusBadRequest {
			t.Errorf("%d %s", r.status, r.body)
		}
	})
	t.Run("the next hop asks the grant again", func(t *testing.T) {
		s := s.in(t)
		next := s.verify(onwardsAs(s, token).allowed())
		if next.text("sub") != "corp:clerk" || !reflect.DeepEqual(next.claims["impersonator"], by) {
			t.Errorf("sub %q, impersonator %v", next.text("sub"), next.claims["impersonator"])
		}
		w.change("grant.yaml", "spec:\n", "spec:\n  suspend: true\n")
		eventually(t, "the chain is refused", func() bool { return onwardsAs(s, token).status == http.StatusBadRequest })
		onwardsAs(s, token).refused(http.StatusBadRequest, "invalid_request", "ImpersonationGrant")
		s.ask(s.supporter()).app().images().asSomebody("corp:clerk").send().refused(http.StatusBadRequest, "invalid_request", "ImpersonationGrant")
		s.ask(s.user()).app().images().send().allowed() // nothing else hangs on the grant
	})
}

func onwardsAs(s *server, token string) *reply {
	s.t.Helper()
	return s.ask(token).basic(imagesAPI, imagesSecret).with("audience", contactsAPI).send()
}
