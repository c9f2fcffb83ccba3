// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package mint

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/exchequer-dev/exchequer/exchanger/jose"
	"github.com/exchequer-dev/exchequer/exchanger/keys"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

const (
	service = "main"
	issuer  = "https://sts.example.com"
	images  = "media/images-resource"
)

// start is when every request of these tests is made.
func start() time.Time { return time.Date(2030, 1, 1, 12, 0, 0, 750e6, time.UTC) }

// literals is a compiler of expressions that are names of Go values: what CEL
// could give, without CEL.
type literals map[string]any

func (l literals) Compile(_ policy.Environment, _ policy.ResultType, text string) (policy.Program, error) {
	v, ok := l[text]
	if !ok {
		return nil, errors.New("no such literal")
	}
	return literal{v}, nil
}

type literal struct{ value any }

func (l literal) Eval(*policy.Facts) (any, error) { return l.value, nil }

type claims = map[string]any

// wish is an exchange that the policy allows, and what differs from the usual.
type wish struct {
	// values are the claims that the policy adds.
	values literals
	// subject are put over the subject token's usual claims; nil leaves one out.
	subject claims
	// header are further members of the subject token's header.
	header    claims
	audiences []string
	// issuer and service change what the manifests say.
	issuer  func(*policy.Issuer)
	service func(*policy.Service)
	scopes  []string
	// named is the token service, main by default.
	named string
	// asks is the type of token, an access token by default.
	asks policy.TokenType
}

func (w *wish) name() string {
	if w.named != "" {
		return w.named
	}
	return service
}

func manifests(w *wish) *policy.Spec {
	s := &policy.Spec{
		Format: policy.Format,
		Services: []policy.Service{{
			Name: w.name(), Issuer: issuer, Algorithm: "ES256", DefaultLifetime: 5 * time.Minute, MaxLifetime: time.Hour,
			DelegationDepth: 4, TokenBytes: 8192, AssertionAudiences: []string{issuer},
		}},
		Issuers: []policy.Issuer{{
			Name: "corp", TokenService: w.name(), Kind: policy.IssuerJWT, URL: "https://login.corp.example", ForSubject: true,
			Algorithms: []string{"ES256"}, Classes: []policy.Class{policy.ClassAccessToken}, Prefix: "corp:",
			MaxTokenAge: 24 * time.Hour, ClockSkew: 30 * time.Second,
			Mappings: policy.Mappings{
				Subject: policy.Value{Claim: "sub"}, Username: policy.Value{Claim: "preferred_username"},
				Groups: policy.Value{Claim: "groups"}, Scopes: policy.Value{Claim: "scope"},
				Extra: []policy.ExtraValue{{Key: "tenant", Value: policy.Value{Claim: "tenant"}}},
			},
		}},
		Clients: []policy.Client{
			{
				ID: images, Namespace: "media", Name: "images-resource", TokenService: w.name(),
				Audiences: []string{"media/img"}, Resources: []string{"https://images.media.example/api"},
			},
			{ID: "shop/app", Namespace: "shop", Name: "app", TokenService: w.name(), TokenExchange: true},
		},
		Scopes: []policy.Scope{
			{Namespace: "media", Name: "contacts", TokenService: w.name(), Scope: "contacts", AllTargets: true, InToken: true},
			{Namespace: "media", Name: "images", TokenService: w.name(), Scope: "images", AllTargets: true, InToken: true},
		},
		Policies: []policy.Policy{{
			Namespace: "media", Name: "images", TokenService: w.name(), Clients: []string{"shop/app"}, SubjectIssuers: []string{"corp"},
			SelfOrigins: []string{"corp"}, SubjectClasses: []policy.Class{policy.ClassAccessToken},
			SubjectAudience: policy.AudienceRule{Match: policy.AudienceClient},
			Targets:         []string{images}, Scopes: []string{"contacts", "images"}, DefaultScopesSet: true,
			TokenTypes: []policy.TokenType{policy.TypeAccessToken, policy.TypeIDToken, policy.TypeHandover},
		}},
	}
	for name := range w.values {
		s.Policies[0].Claims = append(s.Policies[0].Claims, policy.Claim{Name: name, Expression: name})
	}
	if w.issuer != nil {
		w.issuer(&s.Issuers[0])
	}
	if w.service != nil {
		w.service(&s.Services[0])
	}
	return s
}

// decide asks the real policy, from the presented token to the decision.
func (w *wish) decide(tb testing.TB) *policy.Decision {
	tb.Helper()
	snapshot, err := policy.Compile(manifests(w), 7, w.values)
	if err != nil {
		tb.Fatal(err)
	}
	svc, _ := snapshot.Service(w.name())
	corp, _ := svc.TrustedIssuer("corp")
	all := claims{
		"iss": "https://login.corp.example", "sub": "alice", "aud": "shop/app", "iat": start().Unix() - 60, "exp": start().Unix() + 3600,
		"jti": "corp-token-1", "scope": "images contacts", "groups": []any{"staff"}, "preferred_username": "alice", "tenant": "acme",
	}
	header := claims{"alg": "ES256", "kid": "corp-1", "typ": "at+jwt"}
	maps.Copy(all, w.subject)
	maps.Copy(header, w.header)
	maps.DeleteFunc(all, func(_ string, v any) bool { return v == nil })
	t, ref := corp.Identify(policy.Presented{Type: "at+jwt", Header: header, Claims: all, Digest: [32]byte{1}})
	if ref != nil {
		tb.Fatal(ref)
	}
	return w.decideFor(tb, snapshot, t)
}

func (w *wish) decideFor(tb testing.TB, snapshot *policy.Snapshot, t *policy.Token) *policy.Decision {
	tb.Helper()
	audiences := w.audiences
	if audiences == nil {
		audiences = []string{images}
	}
	asks := policy.TypeAccessToken
	if w.asks != "" {
		asks = w.asks
	}
	d := snapshot.Decide(&policy.Request{
		Now: start(), TokenService: w.name(), Client: policy.ClientAuth{ID: "shop/app"}, Subject: t, SubjectAs: policy.AsAccessToken,
		Audiences: audiences, Scopes: w.scopes, ScopesGiven: w.scopes != nil, TokenType: asks,
	})
	if d.Outcome != policy.Allowed {
		tb.Fatalf("the policy does not allow: %s: %s", d.Reason, d.Detail)
	}
	return &d
}

// ring is a service's keys.
func ring(tb testing.TB, algorithm string) *keys.Current {
	tb.Helper()
	r := keys.InMemory()
	plan := keys.Plan{Algorithm: algorithm, Rotation: keys.Rotation{Period: 720 * time.Hour, PrePublish: time.Hour}, Retain: time.Hour}
	if err := r.Ensure(service, plan, start()); err != nil {
		tb.Fatal(err)
	}
	c, _ := r.Current(service)
	return c
}

// mint mints what w allows, or fails the test.
func mint(tb testing.TB, w *wish, k *keys.Current) Token {
	tb.Helper()
	t, ref := new(Minter).Mint(tb.Context(), w.decide(tb), k, start)
	if ref != nil {
		tb.Fatal(ref)
	}
	return t
}

// segments are header and payload as a reader gets them who knows base64url
// and nothing of us.
func segments(tb testing.TB, token string) (header, payload []byte) {
	tb.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		tb.Fatalf("the token has %d parts", len(parts))
	}
	header, err := base64.RawURLEncoding.DecodeString(parts[0])
	if err != nil {
		tb.Fatal(err)
	}
	if payload, err = base64.RawURLEncoding.DecodeString(parts[1]); err != nil {
		tb.Fatal(err)
	}
	return header, payload
}

func decoded(tb testing.TB, token string) claims {
	tb.Helper()
	_, payload := segments(tb, token)
	m, err := jose.DecodeStrict(payload, jose.DefaultJSONDepth)
	if err != nil {
		tb.Fatal(err)
	}
	return m
}

// open returns the sealed facts of a token.
func open(tb testing.TB, token string, k *keys.Current) (policy.Sealed, string) {
	tb.Helper()
	sealed, _ := decoded(tb, token)["xqr"].(string)
	plain, err := k.Seals.Open(sealed)
	if err != nil {
		tb.Fatal(err)
	}
	var s policy.Sealed
	if err := json.Unmarshal(plain, &s); err != nil {
		tb.Fatal(err)
	}
	return s, string(plain)
}

// same compares a value that was read with one that was to be written. JSON does
// not tell 3.0 from 3.
func same(got, want any) bool {
	switch w := want.(type) {
	case nil, string, bool, int64:
		return got == want
	case float64:
		n, isInteger := got.(int64)
		return got == w || (isInteger && float64(n) == w)
	case []any:
		list, ok := got.([]any)
		return ok && slices.EqualFunc(list, w, same)
	case map[string]any:
		m, ok := got.(map[string]any)
		if !ok || len(m) != len(w) {
			return false
		}
		for name, v := range w {
			if g, present := m[name]; !present || !same(g, v) {
				return false
			}
		}
		return true
	}
	return false
}
