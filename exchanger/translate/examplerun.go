// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/exchequer-dev/exchequer/api/v1alpha1"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

// ExampleVerdict is how an example went.
type ExampleVerdict string

// How an example went.
const (
	// ExamplePassed gave what it expects.
	ExamplePassed ExampleVerdict = "Passed"
	// ExampleFailed gave something else, or cannot be judged.
	ExampleFailed ExampleVerdict = "Failed"
	// ExampleUnknown names a client or an issuer that is missing, and does not
	// expect to be refused for that.
	ExampleUnknown ExampleVerdict = "Unknown"
)

// ExampleResult tells how one example went. Subject and Actor have the facts that the
// given claims became, nil where they were refused; Decision has the reason and the
// trace. All are for reports, and not part of a status.
type ExampleResult struct {
	Name     string          `json:"name"`
	Verdict  ExampleVerdict  `json:"verdict"`
	Message  string          `json:"message,omitempty"`
	Subject  *policy.Token   `json:"-"`
	Actor    *policy.Token   `json:"-"`
	Decision policy.Decision `json:"-"`
}

// RunExamples asks the snapshot what each example asks, and compares. It runs the
// issuer's own rules and mappings on the given claims; no token and no key is
// needed. service is the TokenService's name; empty means "default", or the only
// one that there is.
//
// The class of the subject token is what the example says, whatever its claims look
// like. Of an issuer of the member kubernetes or spiffe, whose tokens are of class JWT,
// AccessToken means JWT; of our own tokens, which are access tokens, JWT means that.
// With issuer self, the claims are those of our own token, with sub as it was
// mapped; username, groups and extra among them are the sealed facts.
//
// JWTBearer and IDJAG are assertions of the jwt-bearer grant: for the TokenService's
// issuer, and an ID-JAG for the asking client, where the claims do not say it.
//
// An actor token is given as the subject's is; it is for the asking client, too. In a
// token of ours, act and impersonator tell of others as the token does; username,
// groups and extra beside iss and sub are what was sealed of them. No directory is
// asked: a requested subject is one that an ImpersonationGrant knows.
//
// What the endpoint refuses today is refused here, for the same reason: a type of
// token that nothing grants, the parameter reason beside nobody to impersonate.
func RunExamples(snapshot *policy.Snapshot, service string, examples []v1alpha1.Example) []ExampleResult {
	return runExamples(snapshot, service, nil, examples)
}

// sight is what the examples of a policy may see. Those that stand alone are the
// platform's, and see everything.
type sight struct {
	// targets are asked for when an example names neither audience, resource nor
	// scope: the policy's own. Elsewhere that means the asking client itself.
	targets []string
	// issuer says whether the policy's namespace may name a TrustedIssuer, and
	// target whether a name is a target of the namespace. Examples would tell one
	// tenant about another's objects otherwise.
	issuer func(name string) bool
	// origins are those that the policy admits of our own tokens, actors those of our
	// own actors' tokens.
	origins func() []string
	actors  func() []string
	target  func(name string) bool
	// effort is what the examples of the namespace may still cost together.
	effort *int64
}

func runExamples(snapshot *policy.Snapshot, service string, see *sight, examples []v1alpha1.Example) []ExampleResult {
	out := make([]ExampleResult, len(examples))
	svc := serviceNamed(snapshot, service)
	for i := range examples {
		e := &examples[i]
		out[i] = ExampleResult{Name: e.Name}
		r := &out[i]
		if svc == nil {
			r.Verdict, r.Message = ExampleUnknown, "there is no such TokenService in force"
			continue
		}
		if see != nil && !affords(see.effort, e) {
			r.Verdict, r.Message = ExampleFailed, "it was not run: the examples of this namespace cost more than they may together; write fewer of them, or policies whose rules cost less"
			continue
		}
		run(r, snapshot, svc, see, e)
	}
	return out
}

func serviceNamed(snapshot *policy.Snapshot, name string) *policy.TokenService {
	if name == "" {
		if all := snapshot.Services(); len(all) == 1 {
			return all[0]
		}
		name = v1alpha1.DefaultTokenService
	}
	svc, _ := snapshot.Service(name)
	return svc
}

func run(r *ExampleResult, snapshot *policy.Snapshot, svc *policy.TokenService, see *sight, e *v1alpha1.Example) {
	if field := unservedExample(&e.Given); field != "" {
		r.Verdict, r.Message = ExampleFailed, "given."+field+" is not served, so that the example cannot be judged"
		return
	}
	origins, actors := svc.SelfOrigins, svc.ActorOrigins
	if see != nil {
		origins, actors = see.origins, see.actors
	}
	x, err := newExample(e, origins, actors)
	if err != nil {
		r.Verdict, r.Message = ExampleFailed, err.Error()
		return
	}
	refusal := x.form()
	if refusal == nil {
		gone := x.absentParty(svc, see)
		switch {
		case gone == nil:
			if r.Subject, refusal = x.identify(svc); refusal == nil {
				r.Actor, refusal = x.identifyActor(svc)
			}
		case !gone.expectedBy(&e.Expect):
			r.Verdict, r.Message = ExampleUnknown, gone.what+" is not there"
			return
		default:
			refusal = gone.refusal()
		}
	}
	if refusal != nil {
		r.Decision = policy.Refuse(refusal)
	} else {
		r.Decision = see.decide(snapshot, x.request(svc, r.Subject, r.Actor))
	}
	r.Verdict, r.Message = compareResult(&e.Expect, &r.Decision)
	if see != nil && r.Verdict == ExampleFailed && r.Decision.Reason == policy.ImpersonationGrant {
		// Grants are the platform's, and end: that breaks nobody's policy.
		r.Verdict = ExampleUnknown
	}
}

// identify makes the subject token's facts out of the given claims.
func (x *example) identify(svc *policy.TokenService) (*policy.Token, *policy.Refusal) {
	x.assertion(svc)
	x.absent("aud", x.given.Client)
	x.absent("iat", x.now.Unix())
	x.absent("exp", x.now.Add(5*time.Minute).Unix())
	if x.given.Issuer == policy.SelfIssuer {
		return x.own(svc)
	}
	i, _ := svc.TrustedIssuer(x.given.Issuer)
	if i.Spec().Kind.Opaque() {
		return x.opaque(i)
	}
	x.absent("iss", i.Spec().URL)
	if i.Spec().Kind == policy.IssuerSAML {
		return x.samlAssertion(i)
	}
	typ := "jwt"
	switch {
	case i.Spec().Kind == policy.IssuerKubernetes, i.Spec().Kind == policy.IssuerSPIFFE:
		typ = ""
		if x.class == policy.ClassAccessToken {
			x.class = policy.ClassJWT
		}
	case x.class == policy.ClassAccessToken:
		typ = "at+jwt"
	case x.class == policy.ClassIDJAG:
		typ = policy.TypeHeaderIDJAG
	}
	header := map[string]any{"alg": i.Spec().Algorithms[0], "kid": "example"}
	if typ != "" {
		header["typ"] = typ
	}
	t, ref := i.Map(policy.Presented{Type: typ, Header: header, Claims: x.claims, Class: x.class})
	return settled(i, t, ref)
}

// opaque makes facts of what the server of an issuer would say of an opaque token.
func (x *example) opaque(i *policy.TrustedIssuer) (*policy.Token, *policy.Refusal) {
	if only := i.Spec().Classes[0]; x.given.TokenType != "" && policy.Class(x.given.TokenType) != only {
		return nil, &policy.Refusal{Reason: policy.TokenClass, Check: "subjectToken", Detail: "tokens of issuer " + i.Name() + " are of class " + string(only)}
	}
	x.class = i.Spec().Classes[0]
	t, ref := i.MapOpaque(&policy.Said{Claims: x.claims, At: x.now}, x.now)
	return settled(i, t, ref)
}

// settled is a subject of whom a directory, where there is one, had nothing to add:
// an example says in its claims what it is about.
func settled(i *policy.TrustedIssuer, t *policy.Token, ref *policy.Refusal) (*policy.Token, *policy.Refusal) {
	switch {
	case ref != nil:
		return nil, ref
	case i.Spec().Directory != nil:
		return i.Settle(t, &policy.Entry{})
	}
	return i.Settle(t, nil)
}

// assertion fills in what every assertion of the jwt-bearer grant has.
func (x *example) assertion(svc *policy.TokenService) {
	if x.class != policy.ClassJWTBearer && x.class != policy.ClassIDJAG {
		return
	}
	x.absent("aud", svc.Issuer())
	x.absent("jti", "example")
	if x.class == policy.ClassIDJAG {
		x.absent("client_id", x.given.Client)
	}
}

func (x *example) absent(claim string, value any) {
	if _, present := x.claims[claim]; !present {
		x.claims[claim] = value
	}
}

// own makes a token of ours.
func (x *example) own(svc *policy.TokenService) (*policy.Token, *policy.Refusal) {
	if x.class == policy.ClassJWT {
		x.class = policy.ClassAccessToken
	}
	typ := "jwt"
	switch x.class { //nolint:exhaustive // of the rest there are none of ours
	case policy.ClassAccessToken, policy.ClassHandover:
		typ = "at+jwt"
	case policy.ClassTransaction:
		typ = policy.TypeHeaderTransaction
	}
	origin, _ := svc.TrustedIssuer(x.origin)
	facts := map[string]any{"o": x.origin, "r": origin.Spec().URL, "t": x.claims["iat"]}
	if origin, ok := svc.TrustedIssuer(x.given.Origin); ok {
		facts["r"] = origin.Spec().URL
	}
	for claim, member := range map[string]string{"username": "u", "groups": "g", "extra": "e"} {
		if v, present := x.claims[claim]; present {
			facts[member] = v
			delete(x.claims, claim)
		}
	}
	x.sealOthers(svc, facts)
	sealed, err := json.Marshal(facts)
	if err != nil {
		sealed = nil
	}
	x.absent("iss", svc.Issuer())
	t, ref := svc.IdentifyOwn(policy.Presented{Type: typ, Header: map[string]any{"typ": typ}, Claims: x.claims}, sealed)
	if ref == nil && x.class == policy.ClassHandover {
		t = t.AsHandover()
	}
	return t, ref
}

// oauthOffline is the scope that asks for a refresh token, and is none of anybody's.
const oauthOffline = "offline_access"

func (x *example) request(svc *policy.TokenService, token, actor *policy.Token) *policy.Request {
	r := &policy.Request{
		Now: x.now, TokenService: svc.Name(), Client: policy.ClientAuth{ID: x.given.Client}, Subject: token,
		SubjectAs: presentedAs(x.class), Audiences: x.given.Audience, Resources: x.given.Resource,
		TokenType: policy.TokenType(x.given.RequestedTokenType), Actor: actor,
		RequestedSubject: x.given.RequestedSubject, Reason: x.given.Reason,
	}
	if actor != nil {
		r.ActorAs = presentedAs(actor.Class)
	}
	if asking, ok := svc.Client(x.given.Client); ok {
		r.Client.Public = asking.Spec().Public
	}
	if p := x.given.Proof; p != nil {
		r.Proof = policy.Proof{JKT: p.JKT, X5T: p.X5TS256, SubjectJKT: p.Received}
	}
	if r.SubjectAs == policy.AsAssertion {
		r.Grant = policy.GrantJWTBearer
	}
	if r.TokenType == "" {
		r.TokenType = policy.TypeAccessToken
	}
	for _, s := range strings.Fields(x.given.Scope) {
		if s == oauthOffline {
			r.OfflineAccess = true
			continue
		}
		if !slices.Contains(r.Scopes, s) {
			r.Scopes = append(r.Scopes, s)
		}
	}
	r.ScopesGiven = len(r.Scopes) > 0
	return r
}

// decide asks the snapshot. What a policy's example asks of another namespace is
// answered as if it did not exist.
func (see *sight) decide(snapshot *policy.Snapshot, r *policy.Request) policy.Decision {
	if see == nil {
		return snapshot.Decide(r)
	}
	r.Effort = see.effort
	if len(r.Audiences) == 0 && len(r.Resources) == 0 && !r.ScopesGiven {
		r.Audiences = see.targets
	}
	for _, name := range append(slices.Clone(r.Audiences), r.Resources...) {
		if !see.target(name) {
			return elsewhere()
		}
	}
	d := snapshot.Decide(r)
	for i := range d.Trace {
		if !see.target(d.Trace[i].Target) {
			return elsewhere()
		}
	}
	if d.Reason == policy.ImpersonationGrant {
		d.Detail = "no ImpersonationGrant in force allows it"
	}
	if len(d.Trace) == 0 {
		// Targets that scopes implied may lie elsewhere: only the reason is told.
		d.Detail = ""
	}
	return d
}

func elsewhere() policy.Decision {
	return policy.Refuse(&policy.Refusal{
		Reason: policy.TargetUnknown, Check: "targetsKnown",
		Detail: "it asks for something that is no target of this namespace, and an example sees no other's",
	})
}

// compareResult holds what came of an example against what it expects.
func compareResult(want *v1alpha1.ExampleResult, got *policy.Decision) (ExampleVerdict, string) {
	grant, allowed := got.Grant()
	switch {
	case want.Allowed && !allowed:
		return ExampleFailed, "expected allowed, found refused: " + describe(got)
	case !want.Allowed && allowed:
		return ExampleFailed, "expected refused, found allowed by " + policiesOf(grant)
	case !allowed && want.Reason != "" && want.Reason != string(got.Reason):
		return ExampleFailed, "expected reason " + want.Reason + ", found " + describe(got)
	case !allowed:
		return ExamplePassed, ""
	case want.Reason != "":
		return ExampleFailed, "expect.reason needs allowed: false"
	}
	if want.Scope != nil && !slices.Equal(sortedSet(strings.Fields(*want.Scope)), sortedSet(grant.Scopes)) {
		return ExampleFailed, fmt.Sprintf("expected scope %q, found %q", *want.Scope, strings.Join(grant.Scopes, " "))
	}
	if want.Audience != nil && !slices.Equal(sortedSet(want.Audience), sortedSet(grant.Audiences)) {
		return ExampleFailed, fmt.Sprintf("expected audience %s, found %s", strings.Join(want.Audience, " "), strings.Join(grant.Audiences, " "))
	}
	return ExamplePassed, ""
}

func describe(d *policy.Decision) string {
	if d.Detail == "" {
		return string(d.Reason)
	}
	return string(d.Reason) + ", " + d.Detail
}

func policiesOf(g *policy.Grant) string {
	names := make([]string, 0, len(g.Targets))
	for _, t := range g.Targets {
		names = append(names, t.Policy)
	}
	return strings.Join(sortedSet(names), " and ")
}
