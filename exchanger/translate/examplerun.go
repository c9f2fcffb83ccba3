// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"encoding/json"
	"errors"
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
	// ExampleUnknown names a client or an issuer that is missing.
	ExampleUnknown ExampleVerdict = "Unknown"
)

// ExampleResult tells how one example went. Subject has the facts that the given
// claims became, nil where they were refused; Decision has the reason and the
// trace. Both are for reports, and not part of a status.
type ExampleResult struct {
	Name     string          `json:"name"`
	Verdict  ExampleVerdict  `json:"verdict"`
	Message  string          `json:"message,omitempty"`
	Subject  *policy.Token   `json:"-"`
	Decision policy.Decision `json:"-"`
}

// RunExamples asks the snapshot what each example asks, and compares. It runs the
// issuer's own rules and mappings on the given claims; no token and no key is
// needed. service is the TokenService's name; empty means "default", or the only
// one that there is.
//
// The class of the subject token comes from the token, as always: AccessToken is
// a header with typ at+jwt, the others one with typ JWT, where claims and classify
// tell; an ID token is given a nonce when nothing else marks it. Of an issuer of
// the member kubernetes, whose tokens are of class JWT, AccessToken means JWT.
// With issuer self, the claims are those of our own token, with sub as it was
// mapped; username, groups and extra among them are the sealed facts.
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
	target func(name string) bool
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
		r.Verdict, r.Message = ExampleFailed, "given."+field+" is not served yet, so that the example cannot be judged"
		return
	}
	x, err := newExample(e)
	if err != nil {
		r.Verdict, r.Message = ExampleFailed, err.Error()
		return
	}
	if missing := x.missing(svc, see); missing != "" {
		r.Verdict, r.Message = ExampleUnknown, missing
		return
	}
	token, refusal := x.identify(svc)
	r.Subject = token
	if refusal != nil {
		r.Decision = policy.Refuse(refusal)
	} else {
		if x.class != token.Class {
			r.Verdict, r.Message = ExampleFailed, fmt.Sprintf("given.tokenType is %s, but a token with these claims is of class %s", x.class, token.Class)
			return
		}
		r.Decision = see.decide(snapshot, x.request(svc, token))
	}
	r.Verdict, r.Message = compareResult(&e.Expect, &r.Decision)
}

// unservedExample names the first part of an example that this build does not
// serve.
func unservedExample(g *v1alpha1.ExampleRequest) string {
	switch {
	case g.Actor != nil:
		return "actor"
	case g.RequestedSubject != "":
		return "requestedSubject"
	case g.Proof != nil:
		return "proof"
	case g.RequestedTokenType != "" && g.RequestedTokenType != v1alpha1.IssuedAccessToken && g.RequestedTokenType != v1alpha1.IssuedJWT:
		return "requestedTokenType"
	case g.TokenType != "" && g.TokenType != v1alpha1.TokenClassAccessToken && g.TokenType != v1alpha1.TokenClassIDToken && g.TokenType != v1alpha1.TokenClassJWT:
		return "tokenType"
	}
	return ""
}

// example is an example that was read.
type example struct {
	given  *v1alpha1.ExampleRequest
	claims map[string]any
	class  policy.Class
	now    time.Time
}

// defaultTime is when an example takes place that does not say when: far enough
// from today that nothing in it hangs on today.
const defaultTime v1alpha1.Time = "2030-01-01T12:00:00Z"

func newExample(e *v1alpha1.Example) (*example, error) {
	g := &e.Given
	x := &example{given: g, class: policy.Class(g.TokenType)}
	if x.class == "" {
		x.class = policy.ClassAccessToken
	}
	at := g.Time
	if at == "" {
		at = defaultTime
	}
	now, err := at.Parse()
	if err != nil {
		return nil, fmt.Errorf("given.time: %w", err)
	}
	x.now = now.UTC()
	switch {
	case g.Client == "" || g.Issuer == "":
		return nil, errors.New("given needs client and issuer")
	case len(g.Client) > 253 || !isVisible(g.Client, `*`):
		return nil, errors.New("given.client: expected a client ID")
	case !isSubdomain(g.Issuer) || len(g.Issuer) > v1alpha1.MaxNameLength:
		return nil, errors.New("given.issuer: expected the name of a TrustedIssuer, or self")
	}
	if (g.Issuer == policy.SelfIssuer) != (g.Origin != "") {
		return nil, errors.New("given.origin belongs to issuer: self, which needs it")
	}
	if n := len(g.Audience) + len(g.Resource); n > maxTargets {
		return nil, fmt.Errorf("given.audience and given.resource: expected at most %d together, found %d", maxTargets, n)
	}
	if x.claims, err = exampleClaims(g.Claims.Raw); err != nil {
		return nil, fmt.Errorf("given.claims: %w", err)
	}
	return x, nil
}

// maxTargets is what a request may name, audiences and resources together.
const maxTargets = 16

// missing says which client or issuer is not there.
func (x *example) missing(svc *policy.TokenService, see *sight) string {
	if c, ok := svc.Client(x.given.Client); !ok || c.Spec().Suspended {
		return "client " + x.given.Client + " is not there"
	}
	name := x.given.Issuer
	if name == policy.SelfIssuer {
		name = x.given.Origin
	}
	if i, ok := svc.TrustedIssuer(name); !ok || i.Spec().Suspended || (see != nil && !see.issuer(name)) {
		return "issuer " + name + " is not there"
	}
	return ""
}

// identify makes the subject token's facts out of the given claims.
func (x *example) identify(svc *policy.TokenService) (*policy.Token, *policy.Refusal) {
	x.absent("aud", x.given.Client)
	x.absent("iat", x.now.Unix())
	x.absent("exp", x.now.Add(5*time.Minute).Unix())
	if x.given.Issuer == policy.SelfIssuer {
		return x.own(svc)
	}
	i, _ := svc.TrustedIssuer(x.given.Issuer)
	x.absent("iss", i.Spec().URL)
	typ := "jwt"
	switch {
	case i.Spec().Kind == policy.IssuerKubernetes:
		typ = ""
		if x.class == policy.ClassAccessToken {
			x.class = policy.ClassJWT
		}
	case x.class == policy.ClassAccessToken:
		typ = "at+jwt"
	case x.class == policy.ClassIDToken && i.Spec().ClassifyID == "":
		x.absent("nonce", "example")
	}
	header := map[string]any{"alg": i.Spec().Algorithms[0], "kid": "example"}
	if typ != "" {
		header["typ"] = typ
	}
	return i.Identify(policy.Presented{Type: typ, Header: header, Claims: x.claims})
}

func (x *example) absent(claim string, value any) {
	if _, present := x.claims[claim]; !present {
		x.claims[claim] = value
	}
}

// own makes a token of ours.
func (x *example) own(svc *policy.TokenService) (*policy.Token, *policy.Refusal) {
	origin, _ := svc.TrustedIssuer(x.given.Origin)
	facts := map[string]any{"o": x.given.Origin, "r": origin.Spec().URL, "t": x.claims["iat"]}
	if origin, ok := svc.TrustedIssuer(x.given.Origin); ok {
		facts["r"] = origin.Spec().URL
	}
	for claim, member := range map[string]string{"username": "u", "groups": "g", "extra": "e"} {
		if v, present := x.claims[claim]; present {
			facts[member] = v
			delete(x.claims, claim)
		}
	}
	sealed, err := json.Marshal(facts)
	if err != nil {
		sealed = nil
	}
	x.absent("iss", svc.Issuer())
	return svc.IdentifyOwn(policy.Presented{Type: "at+jwt", Header: map[string]any{"typ": "at+jwt"}, Claims: x.claims}, sealed)
}

func (x *example) request(svc *policy.TokenService, token *policy.Token) *policy.Request {
	r := &policy.Request{
		Now: x.now, TokenService: svc.Name(), Client: policy.ClientAuth{ID: x.given.Client}, Subject: token,
		SubjectAs: policy.AsAccessToken, Audiences: x.given.Audience, Resources: x.given.Resource,
		TokenType: policy.TokenType(x.given.RequestedTokenType), Reason: x.given.Reason,
	}
	switch x.class {
	case policy.ClassIDToken:
		r.SubjectAs = policy.AsIDToken
	case policy.ClassJWT:
		r.SubjectAs = policy.AsJWT
	case policy.ClassAccessToken:
	}
	if r.TokenType == "" {
		r.TokenType = policy.TypeAccessToken
	}
	for _, s := range strings.Fields(x.given.Scope) {
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
