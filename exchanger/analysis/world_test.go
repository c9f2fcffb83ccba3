// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package analysis

import (
	"fmt"
	"slices"
	"time"

	"pgregory.net/rapid"

	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

// sooner or later every test needs a time.
func now() time.Time { return time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC) }

// yes is a compiler for which every rule is true and every claim absent: what is
// refused then is refused whatever the rules say.
type yes struct{}

func (yes) Compile(_ policy.Environment, want policy.ResultType, _ string) (policy.Program, error) {
	return yesProgram{want}, nil
}

type yesProgram struct{ want policy.ResultType }

func (p yesProgram) Eval(*policy.Facts) (any, error) {
	if p.want == policy.WantBool {
		return true, nil
	}
	return nil, nil
}

func classes() []policy.Class {
	return []policy.Class{policy.ClassAccessToken, policy.ClassIDToken, policy.ClassJWT}
}

// world is a small installation: a shop that asks, a gateway in media, two APIs
// behind it, and one in hr.
func smallWorld() *policy.Spec {
	client := func(namespace, name string, more ...string) policy.Client {
		return policy.Client{ID: namespace + "/" + name, Namespace: namespace, Name: name, TokenService: "default", TokenExchange: true, Audiences: more}
	}
	return &policy.Spec{
		Format: policy.Format,
		Services: []policy.Service{{
			Name: "default", Issuer: "https://sts.example", Algorithm: "ES256", DefaultLifetime: 5 * time.Minute, MaxLifetime: time.Hour,
			DelegationDepth: 4, TokenBytes: 8192, AssertionAudiences: []string{"https://sts.example"},
		}},
		Issuers: []policy.Issuer{
			{
				Name: "corp", TokenService: "default", Kind: policy.IssuerJWT, URL: "https://corp.example", ForSubject: true,
				Audiences: []string{"https://sts.example/corp"}, Algorithms: []string{"ES256"}, Classes: classes(), Prefix: "corp:",
				MaxTokenAge: 24 * time.Hour, Mappings: policy.Mappings{Subject: policy.Value{Claim: "sub"}, Scopes: policy.Value{Claim: "scope"}},
			},
			{
				Name: "plain", TokenService: "default", Kind: policy.IssuerJWT, URL: "https://plain.example", ForSubject: true,
				Algorithms: []string{"ES256"}, Classes: []policy.Class{policy.ClassJWT}, Prefix: "plain:",
				MaxTokenAge: 24 * time.Hour, Mappings: policy.Mappings{Subject: policy.Value{Claim: "sub"}},
			},
			{
				Name: "agents", TokenService: "default", Kind: policy.IssuerJWT, URL: "https://agents.example", ForActor: true,
				Algorithms: []string{"ES256"}, Classes: []policy.Class{policy.ClassJWT}, Prefix: "agents:", MaxTokenAge: 24 * time.Hour,
				Mappings: policy.Mappings{Subject: policy.Value{Claim: "sub"}},
			},
		},
		Clients: []policy.Client{
			client("hr", "api"), client("media", "gateway", "media/gw"), client("media", "images"), client("shop", "frontend"), client("shop", "other"),
		},
		Scopes: []policy.Scope{
			{Namespace: "hr", Name: "read", TokenService: "default", Scope: "read", AllTargets: true, InToken: true},
			{Namespace: "media", Name: "images", TokenService: "default", Scope: "images", Targets: []string{"media/images"}, InToken: true},
			{Namespace: "media", Name: "read", TokenService: "default", Scope: "read", AllTargets: true, InToken: true},
		},
		Policies: []policy.Policy{
			grant("media", "frontend-gets-gateway", "shop/frontend", "media/gateway", "read"),
			own(grant("media", "gateway-gets-images", "media/gateway", "media/images", "read")),
			own(grant("hr", "images-gets-hr", "media/images", "hr/api", "read")),
		},
	}
}

func grant(namespace, name, client, target string, scopes ...string) policy.Policy {
	return policy.Policy{
		Namespace: namespace, Name: name, TokenService: "default", Clients: []string{client}, SubjectIssuers: []string{"corp"},
		SubjectClasses: classes(), SubjectAudience: policy.AudienceRule{Match: policy.AudienceClient}, Targets: []string{target},
		Scopes: scopes, TokenTypes: []policy.TokenType{policy.TypeAccessToken},
	}
}

// own makes a policy take tokens of ours instead.
func own(p policy.Policy) policy.Policy {
	p.SubjectIssuers, p.SelfOrigins = nil, []string{"corp"}
	return p
}

// drawWorld draws an installation in which much is allowed, and chains are found.
func drawWorld(t *rapid.T) *policy.Spec {
	pick := func(label string, from ...string) string { return rapid.SampledFrom(from).Draw(t, label) }
	some := func(label string, from ...string) []string {
		return rapid.SliceOfNDistinct(rapid.SampledFrom(from), 0, 2, rapid.ID[string]).Draw(t, label)
	}
	rare := func(label string) bool { return rapid.IntRange(0, 11).Draw(t, label) == 7 }
	spec := smallWorld()
	for i := range spec.Clients {
		c := &spec.Clients[i]
		c.Suspended, c.TokenExchange = rare("suspended"), !rare("noGrant")
		c.JWTBearer = rapid.Bool().Draw(t, "jwtBearer")
		if rare("lifetime") {
			c.Lifetime = 5 * time.Second
		}
	}
	for i := range spec.Issuers[:2] {
		spec.Issuers[i].Suspended, spec.Issuers[i].ForSubject = rare("issuerSuspended"), !rare("notForSubjects")
	}
	spec.Issuers[2].Suspended, spec.Issuers[2].ForActor = rare("agentsSuspended"), !rare("notForActors")
	for i := range spec.Scopes {
		s := &spec.Scopes[i]
		if rare("all") {
			s.AllTargets, s.Targets = true, nil
		}
		s.InToken = !rare("silent")
		if rare("rule") {
			s.Rules = []policy.Rule{{Expression: "any"}}
		}
	}
	targets := map[string][]string{"media": {"media/gateway", "media/images"}, "hr": {"hr/api"}}
	spec.Policies = nil
	for n := range rapid.IntRange(1, 6).Draw(t, "policies") {
		ns := pick("namespace", "media", "media", "hr")
		p := policy.Policy{
			Namespace: ns, Name: fmt.Sprintf("p%d", n), TokenService: "default", AuditOnly: rare("audit"), AllClients: rare("allClients"),
			Clients:        some("clients", "shop/frontend", "shop/other", "media/gateway", "media/images", "hr/api"),
			SubjectIssuers: some("issuers", "corp", "plain"), SubjectClasses: classes(),
			SubjectAudience: policy.AudienceRule{Match: policy.AudienceClient}, Targets: targets[ns], Scopes: some("scopes", "read", "images"),
			AddScopes: rapid.IntRange(0, 3).Draw(t, "add") == 2, NarrowExcess: rare("narrow"), DefaultScopesSet: rare("scopeless"),
			TokenTypes: []policy.TokenType{policy.TypeAccessToken},
		}
		if rapid.Bool().Draw(t, "self") {
			p.SelfOrigins = []string{"corp"}
		}
		if rare("oneTarget") {
			p.Targets = p.Targets[:1]
		}
		if rare("class") {
			p.SubjectClasses = []policy.Class{policy.ClassJWT}
		}
		if rapid.IntRange(0, 3).Draw(t, "assertions") == 2 {
			p.SubjectClasses = []policy.Class{policy.ClassIDJAG, policy.ClassJWTBearer, policy.ClassJWT}
		}
		if rare("type") {
			p.TokenTypes = []policy.TokenType{policy.TypeJWT}
		}
		if rare("short") {
			p.Lifetime = 9 * time.Second
		}
		if rare("ruled") {
			p.Rules = []policy.Rule{{Expression: "some rule", Message: "only some"}}
		}
		if use := policy.ActorUse(pick("actors", "", "", "Optional", "Required")); use != policy.ActorsForbidden {
			p.Actor = policy.ActorPolicy{Use: use, Issuers: []string{"agents"}, Audience: policy.AudienceRule{Match: policy.AudienceClient}, MaxDepth: 8}
			if rare("noActors") {
				p.Actor.Issuers = nil
			}
		}
		switch pick("match", "Client", "Client", "AnyOf", "Issuer") {
		case "AnyOf":
			p.SubjectAudience = policy.AudienceRule{Match: policy.AudienceAnyOf, AnyOf: some("anyOf", "media/gw", "media/images", "gateway-of-corp"), AuthorizedParties: some("party", "shop/frontend", "media/gateway")}
		case "Issuer":
			p.SubjectAudience = policy.AudienceRule{Match: policy.AudienceIssuer}
		}
		slices.Sort(p.Clients)
		spec.Policies = append(spec.Policies, p)
	}
	return spec
}
