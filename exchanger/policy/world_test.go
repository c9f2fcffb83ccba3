// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// now is the time of every request in these tests.
func now() time.Time { return time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC) }

var errExpression = errors.New("no such key")

// words is a compiler for tests of the decision itself: an expression is one of a
// few words, so that no test here depends on CEL.
type words struct{}

type word func(*Facts) (any, error)

func (w word) Eval(f *Facts) (any, error) { return w(f) }

func (words) Compile(_ Environment, _ ResultType, text string) (Program, error) {
	op, arg, _ := strings.Cut(text, " ")
	switch op {
	case "true", "false":
		return word(func(*Facts) (any, error) { return op == "true", nil }), nil
	case "error":
		return word(func(*Facts) (any, error) { return nil, errExpression }), nil
	case "null":
		return word(func(*Facts) (any, error) { return nil, nil }), nil
	case "text":
		return word(func(*Facts) (any, error) { return arg, nil }), nil
	case "long":
		return word(func(*Facts) (any, error) { return strings.Repeat("x", maxClaimBytes), nil }), nil
	case "number":
		return word(func(*Facts) (any, error) { return int64(len(arg)), nil }), nil
	case "group":
		return word(func(f *Facts) (any, error) {
			if f.Subject == nil || f.Subject.Groups == nil {
				return nil, errExpression
			}
			return slices.Contains(f.Subject.Groups, arg), nil
		}), nil
	case "actor":
		return word(func(f *Facts) (any, error) {
			if f.Actor == nil || f.Actor.Subject == "" {
				return nil, errExpression
			}
			return f.Actor.Subject == arg, nil
		}), nil
	case "actorGroup":
		return word(func(f *Facts) (any, error) {
			if f.Actor == nil || f.Actor.Groups == nil {
				return nil, errExpression
			}
			return slices.Contains(f.Actor.Groups, arg), nil
		}), nil
	case "claim":
		return word(func(f *Facts) (any, error) {
			v, ok := f.Claims[arg]
			if !ok {
				return nil, errExpression
			}
			return v, nil
		}), nil
	case "typ":
		return word(func(f *Facts) (any, error) { return f.Header["typ"] == arg, nil }), nil
	case "parameter":
		return word(func(f *Facts) (any, error) { return f.Parameter == arg, nil }), nil
	case "client":
		return word(func(f *Facts) (any, error) { return f.Client.ID == arg, nil }), nil
	case "target":
		return word(func(f *Facts) (any, error) { return f.Target.ID, nil }), nil
	}
	return nil, fmt.Errorf("unknown word %q", op)
}

// world is a small installation: a corporate issuer, a cluster, a shop that asks,
// and two APIs in namespace media.
func world() *Spec {
	claims := Mappings{
		Subject: Value{Claim: "sub"}, Username: Value{Claim: "preferred_username"},
		Groups: Value{Claim: "groups"}, Scopes: Value{Claim: "scope"},
	}
	all := []Class{ClassAccessToken, ClassIDToken, ClassJWT}
	return &Spec{
		Format: Format,
		Services: []Service{{
			Name: "default", Issuer: "https://sts.example", Algorithm: "ES256",
			DefaultLifetime: 5 * time.Minute, MaxLifetime: time.Hour, DelegationDepth: 4, TokenBytes: 8192,
			AssertionAudiences: []string{"https://sts.example"},
			ScopeOwners:        []ScopeOwner{{"contacts", "media"}, {"images", "media"}, {"wide", "media"}},
		}},
		Issuers: []Issuer{
			{
				Name: "corp", TokenService: "default", Kind: IssuerJWT, URL: "https://corp.example", ForSubject: true, ForActor: true,
				Audiences: []string{"https://sts.example/corp"}, Algorithms: []string{"ES256"}, Classes: all, Prefix: "corp:",
				MaxTokenAge: 24 * time.Hour, ClockSkew: 30 * time.Second, Mappings: claims,
				ClientAliases: []Alias{{ID: "corp-shop", Client: "shop/frontend"}},
			},
			{
				Name: "k8s", TokenService: "default", Kind: IssuerKubernetes, URL: "https://k8s.example", ForSubject: true, ForActor: true, ForClient: true,
				Algorithms: []string{"RS256"}, Classes: all, Prefix: "k8s:", MaxTokenAge: 24 * time.Hour, ClockSkew: 30 * time.Second, Mappings: claims,
			},
		},
		Clients: []Client{
			{ID: "hr/api", Namespace: "hr", Name: "api", TokenService: "default"},
			{ID: "media/contacts-resource", Namespace: "media", Name: "contacts-resource", TokenService: "default"},
			{
				ID: "media/images-resource", Namespace: "media", Name: "images-resource", TokenService: "default",
				Audiences: []string{"media/img"}, Resources: []string{"https://images.media.example/api"},
			},
			{
				ID: "shop/frontend", Namespace: "shop", Name: "frontend", TokenService: "default", TokenExchange: true,
				Audiences: []string{"shop/web"},
			},
			{ID: "shop/other", Namespace: "shop", Name: "other", TokenService: "default", TokenExchange: true},
		},
		Scopes: []Scope{
			{Namespace: "media", Name: "contacts", TokenService: "default", Scope: "contacts", Targets: []string{"media/contacts-resource"}, InToken: true},
			{Namespace: "media", Name: "images", TokenService: "default", Scope: "images", Targets: []string{"media/images-resource"}, InToken: true},
			{Namespace: "media", Name: "org", TokenService: "default", Scope: "org", Parameter: "parameter acme", AllTargets: true, InToken: true},
			{Namespace: "media", Name: "silent", TokenService: "default", Scope: "silent", AllTargets: true},
			{Namespace: "media", Name: "wide", TokenService: "default", Scope: "wide", AllTargets: true, InToken: true},
		},
		Policies: []Policy{
			{
				Namespace: "media", Name: "contacts", TokenService: "default", Clients: []string{"shop/frontend"}, SubjectIssuers: []string{"corp"},
				SubjectClasses: all, SubjectAudience: AudienceRule{Match: AudienceClient}, Targets: []string{"media/contacts-resource"},
				Scopes: []string{"contacts", "wide"}, TokenTypes: []TokenType{TypeAccessToken},
			},
			{
				Namespace: "media", Name: "images", TokenService: "default", Clients: []string{"shop/frontend"}, SubjectIssuers: []string{"corp"},
				SelfOrigins: []string{"corp"}, SubjectClasses: all, SubjectAudience: AudienceRule{Match: AudienceClient}, Targets: []string{"media/images-resource"},
				Scopes: []string{"images", "org", "silent", "wide"}, TokenTypes: []TokenType{TypeAccessToken},
			},
		},
	}
}

// ask is shop/frontend's request for images, which world allows.
func ask() *Request {
	return &Request{
		Now: now(), TokenService: "default", Client: ClientAuth{ID: "shop/frontend", Method: "client_secret_basic"},
		Subject: alice(), SubjectAs: AsAccessToken, Audiences: []string{"media/images-resource"},
		Scopes: []string{"images"}, ScopesGiven: true, TokenType: TypeAccessToken,
	}
}

// alice is a verified token of the corporate issuer, for shop/frontend.
func alice() *Token {
	return &Token{
		Issuer: "corp", Origin: "corp", RawIssuer: "https://corp.example", RawSubject: "alice", Subject: "corp:alice",
		Groups: []string{"corp:staff"}, Scopes: []string{"images", "contacts"}, Audiences: []string{"shop/frontend"},
		Class: ClassAccessToken, TokenID: "t1", IssuedAt: now().Add(-time.Minute), ExpiresAt: now().Add(time.Hour),
		Claims: map[string]any{}, Digest: [32]byte{1},
	}
}

// own is a token of this token service, derived from one of alice's.
func own() *Token {
	t := alice()
	t.Issuer, t.RawIssuer, t.RawSubject = SelfIssuer, "https://sts.example", "corp:alice"
	t.OriginIssuedAt, t.OriginURL = now().Add(-2*time.Minute), "https://corp.example"
	t.ClientID = "shop/frontend"
	t.Audiences = []string{"shop/web"}
	t.Lineage = []Ancestor{{Issuer: "corp", TokenID: "t0"}}
	return t
}

// bot is a verified token of a service account of the cluster, for shop/frontend.
func bot() *Token {
	return &Token{
		Issuer: "k8s", Origin: "k8s", RawIssuer: "https://k8s.example", RawSubject: "system:serviceaccount:agents:bot",
		Subject: "k8s:system:serviceaccount:agents:bot", Groups: []string{"k8s:agents"}, Audiences: []string{"shop/frontend"},
		Class: ClassJWT, TokenID: "b1", IssuedAt: now().Add(-time.Minute), ExpiresAt: now().Add(time.Hour), Claims: map[string]any{}, Digest: [32]byte{2},
	}
}

func policyNamed(s *Spec, name string) *Policy {
	i := slices.IndexFunc(s.Policies, func(p Policy) bool { return p.Name == name })
	return &s.Policies[i]
}

func scopeNamed(s *Spec, name string) *Scope {
	i := slices.IndexFunc(s.Scopes, func(p Scope) bool { return p.Name == name })
	return &s.Scopes[i]
}

func clientNamed(s *Spec, id string) *Client {
	i := slices.IndexFunc(s.Clients, func(c Client) bool { return c.ID == id })
	return &s.Clients[i]
}

func issuerNamed(s *Spec, name string) *Issuer {
	i := slices.IndexFunc(s.Issuers, func(c Issuer) bool { return c.Name == name })
	return &s.Issuers[i]
}
