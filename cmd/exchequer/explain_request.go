// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/exchequer-dev/exchequer/api/v1alpha1"
	"github.com/exchequer-dev/exchequer/exchanger/jose"
	"github.com/exchequer-dev/exchequer/exchanger/oauth"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
	"github.com/exchequer-dev/exchequer/exchanger/translate"
)

// explainRequest decides what the flags describe.
func explainRequest(ctx context.Context, stdin io.Reader, f *explainFlags, now func() time.Time) (*explanation, error) {
	at := now().UTC()
	if f.at != "" {
		var err error
		if at, err = time.Parse(time.RFC3339, f.at); err != nil {
			return nil, usage("--time: expected RFC 3339, for example 2030-01-01T12:00:00Z")
		}
	}
	x := &explainer{explainFlags: f, now: at.UTC()}
	if err := x.parse(stdin); err != nil {
		return nil, err
	}
	m, err := x.load(ctx, now)
	if err != nil {
		return nil, err
	}
	if f.recorded != nil {
		f.audience, f.resource = apart(f.audience, m.Spec.Clients, f.tokenService)
		if err := sameToken(f.recorded, x.token); err != nil {
			return nil, err
		}
	}
	x.report = &explanation{
		Time: x.now, Client: f.client,
		Asked: asked{Audience: f.audience, Resource: f.resource, Scope: x.scopes, TokenType: x.wanted, Subject: x.requestedSubject, Reason: x.reason},
	}
	x.report.Notes = append(x.report.Notes, m.unseen...)
	if n := len(m.Problems); n > 0 {
		x.report.Notes = append(x.report.Notes, fmt.Sprintf("the manifests have %s, first %s; `exchequer check` shows all", count(n, "problem"), m.Problems[0]))
	}
	if err := x.findService(m.Snapshot); err != nil {
		return nil, err
	}
	x.report.TokenService = x.service.Name()
	d, err := x.decide(m.Snapshot)
	if err != nil {
		return nil, err
	}
	x.report.decide(d)
	return x.report, nil
}

func (f *explainFlags) load(ctx context.Context, now func() time.Time) (*manifests, error) {
	if f.cluster {
		return f.api.load(ctx, f.namespace, now, true)
	}
	return loadManifests([]string{f.manifests}, f.namespace, now)
}

// explainer is one explanation in the making.
type explainer struct {
	*explainFlags
	now    time.Time
	class  policy.Class
	as     policy.PresentedAs
	wanted policy.TokenType
	scopes []string
	claims []byte
	token  string
	// actorClaims or actorToken are what --actor has.
	actorClaims []byte
	actorToken  string
	service     *policy.TokenService
	report      *explanation
}

// parse reads what the flags hold and point to, by the endpoint's own rules.
func (x *explainer) parse(stdin io.Reader) error {
	switch x.class = policy.Class(x.tokenType); x.class { //nolint:exhaustive // other classes cannot be explained by claims alone
	case policy.ClassAccessToken:
		x.as = policy.AsAccessToken
	case policy.ClassIDToken:
		x.as = policy.AsIDToken
	case policy.ClassJWT:
		x.as = policy.AsJWT
	case policy.ClassTransaction:
		x.as = policy.AsTransaction
	case policy.ClassJWTBearer, policy.ClassIDJAG:
		x.as = policy.AsAssertion
	default:
		return usage("--token-type: expected AccessToken, IDToken, JWT, TransactionToken, JWTBearer or IDJAG")
	}
	if err := x.parseWanted(); err != nil {
		return err
	}
	scopes, ref := oauth.ParseScope(x.scope)
	if ref != nil {
		return usage("--scope: %s", ref.Detail)
	}
	x.scopes = scopes
	var err error
	if x.subjectClaims != "" {
		x.claims, err = readObject(stdin, x.subjectClaims, "--subject-claims")
	} else {
		x.token, err = readToken(stdin, x.subjectToken, "--subject-token")
	}
	if err != nil || x.actor == "" {
		return err
	}
	return x.parseActor(stdin)
}

// parseWanted takes the kinds' words and the protocol's.
func (x *explainer) parseWanted() error {
	switch x.requestedTokenType {
	case "", "AccessToken":
		x.wanted = policy.TypeAccessToken
	case "JWT":
		x.wanted = policy.TypeJWT
	default:
		t, ref := oauth.ParseTokenType(x.requestedTokenType)
		if ref != nil {
			return usage("--requested-token-type: expected AccessToken, JWT or a token type's URN")
		}
		x.wanted = t
	}
	return nil
}

// findService finds the TokenService that is asked: the one named, or the one
// that has the client.
func (x *explainer) findService(snapshot *policy.Snapshot) error {
	all := snapshot.Services()
	if x.tokenService != "" {
		svc, ok := snapshot.Service(x.tokenService)
		if !ok {
			return usage("--token-service: no TokenService %s is in force; `exchequer check` says why", x.tokenService)
		}
		x.service = svc
		return nil
	}
	var with []*policy.TokenService
	for _, svc := range all {
		if _, ok := svc.Client(x.client); ok {
			with = append(with, svc)
		}
	}
	switch {
	case len(with) == 1:
		x.service = with[0]
	case len(with) > 1:
		return usage("--token-service is missing: several have client %s", x.client)
	case len(all) == 0:
		return usage("no TokenService is in force in these manifests; `exchequer check` says why")
	default:
		// Nobody has the client: whichever is asked will say so.
		x.service = all[0]
		if svc, ok := snapshot.Service(v1alpha1.DefaultTokenService); ok {
			x.service = svc
		}
	}
	return nil
}

func (x *explainer) decide(snapshot *policy.Snapshot) (*policy.Decision, error) {
	c, ok := x.service.Client(x.client)
	if ref := clientRefusal(x.client, c, ok); ref != nil {
		d := policy.Refuse(ref)
		return &d, nil
	}
	if x.token != "" {
		return x.decideToken(snapshot)
	}
	return x.decideClaims(snapshot)
}

// clientRefusal is what client authentication would answer before any token is
// looked at.
func clientRefusal(id string, c *policy.AskingClient, known bool) *policy.Refusal {
	switch {
	case !known:
		return &policy.Refusal{Reason: policy.ClientUnknown, Check: checkClientKnown, Detail: "no ExchangeClient in force has the ID " + id}
	case c.Spec().Suspended:
		return &policy.Refusal{Reason: policy.ClientSuspended, Check: checkClientKnown, Detail: "ExchangeClient " + c.Spec().Namespace + "/" + c.Spec().Name + " is suspended"}
	}
	return nil
}

// decideClaims asks what an example of a policy asks, by the same code.
func (x *explainer) decideClaims(snapshot *policy.Snapshot) (*policy.Decision, error) {
	e := v1alpha1.Example{Name: "explain", Given: v1alpha1.ExampleRequest{
		Client: x.client, Issuer: x.issuer, Origin: x.origin, Claims: v1alpha1.JSON{Raw: x.claims},
		TokenType: v1alpha1.TokenClass(x.class), Audience: x.audience, Resource: x.resource, Scope: x.scope,
		RequestedTokenType: v1alpha1.RequestedTokenType(x.wanted), Time: v1alpha1.Time(x.now.Format(time.RFC3339)),
		RequestedSubject: x.requestedSubject, Reason: x.reason,
	}}
	if x.actorClaims != nil {
		e.Given.Actor = &v1alpha1.ExampleActor{Issuer: x.actorIssuer, Claims: v1alpha1.JSON{Raw: x.actorClaims}}
	}
	r := translate.RunExamples(snapshot, x.service.Name(), []v1alpha1.Example{e})[0]
	switch {
	case r.Verdict == translate.ExampleUnknown:
		return nil, usage("--issuer, --actor-issuer: %s in TokenService %s; `exchequer check` says what is in force", r.Message, x.service.Name())
	case r.Decision.Outcome != policy.Allowed && r.Decision.Reason == policy.ReasonNone:
		// It was never decided: what was given makes no request.
		return nil, usage("%s", flagWords.Replace(r.Message))
	}
	if r.Subject != nil {
		x.report.Subject = subjectOf(r.Subject)
	}
	if r.Actor != nil {
		x.report.Actor = subjectOf(r.Actor)
	}
	if r.Decision.Outcome != policy.Allowed && r.Decision.Check == "" {
		r.Decision.Check = checkSubjectToken
	}
	return &r.Decision, nil
}

// flagWords puts the fields of an example into the words of the flags.
var flagWords = strings.NewReplacer(
	"given.tokenType", "--token-type", "given.claims", "--subject-claims", "given.origin", "--origin", "given.audience", "--audience",
	"given.actor.issuer", "--actor-issuer", "given.actor.claims", "--actor", "given.requestedSubject", "--requested-subject",
	"given.resource", "--resource", "given.requestedTokenType", "--requested-token-type", "given.", "--", "the example", "it",
)

// decideToken reads the token as the endpoint does, save that a signature whose
// key is not at hand is taken on trust, and reported so.
func (x *explainer) decideToken(snapshot *policy.Snapshot) (*policy.Decision, error) {
	t, ref, err := x.identify(x.token)
	if err != nil {
		return nil, err
	}
	if ref != nil {
		ref.Check = checkSubjectToken
		d := policy.Refuse(ref)
		return &d, nil
	}
	if t.Class == policy.ClassSAML2 {
		x.as = policy.AsSAML2
	}
	if x.as == policy.AsAssertion {
		t = t.AsAssertion()
	}
	signature := x.report.signature()
	x.report.Subject = subjectOf(t)
	x.report.Subject.Signature = signature
	actor, ref, err := x.decideActor()
	if err != nil {
		return nil, err
	}
	if ref != nil {
		d := policy.Refuse(ref)
		return &d, nil
	}
	r := &policy.Request{
		Now: x.now, TokenService: x.service.Name(), Client: policy.ClientAuth{ID: x.client}, Subject: t, SubjectAs: x.as, Actor: actor,
		Audiences: x.audience, Resources: x.resource, Scopes: x.scopes, ScopesGiven: len(x.scopes) > 0, TokenType: x.wanted,
		RequestedSubject: x.requestedSubject, Reason: x.reason,
	}
	if x.as == policy.AsAssertion {
		r.Grant = policy.GrantJWTBearer
	}
	if actor != nil {
		r.ActorAs = presentedAs(actor.Class)
	}
	r.Proof = policy.Proof{JKT: x.proofJKT, X5T: x.proofX5T, SubjectJKT: x.receivedJKT}
	if asking, ok := x.service.Client(x.client); ok {
		r.Client.Public = asking.Spec().Public
	}
	d := snapshot.Decide(r)
	return &d, nil
}

func (r *explanation) signature() string {
	if r.Subject == nil {
		return ""
	}
	return r.Subject.Signature
}

func (x *explainer) identify(token string) (*policy.Token, *policy.Refusal, error) {
	if !strings.Contains(token, ".") {
		t, ref := x.identifyAssertion(token)
		return t, ref, nil
	}
	c, err := jose.Parse(token, jose.Limits{})
	if err != nil {
		return nil, &policy.Refusal{Reason: policy.TokenMalformed, Detail: err.Error()}, nil
	}
	i, ref, err := x.findIssuer(c)
	if ref != nil || err != nil {
		return nil, ref, err
	}
	if ref := x.verify(i, c); ref != nil {
		return nil, ref, nil
	}
	t, ref := i.Map(policy.Presented{Type: c.Type(), Header: c.Header(), Claims: c.UnverifiedClaims(), Digest: sha256.Sum256([]byte(token))})
	if ref != nil {
		return nil, ref, nil
	}
	t, ref = x.settle(i, t)
	return t, ref, nil
}

// settle makes a mapped token a subject, without asking a directory.
func (x *explainer) settle(i *policy.TrustedIssuer, t *policy.Token) (*policy.Token, *policy.Refusal) {
	var said *policy.Entry
	if i.Spec().Directory != nil {
		said = &policy.Entry{}
		x.report.Notes = append(x.report.Notes, "the directory of TrustedIssuer "+i.Name()+" was NOT asked: what follows is what the endpoint would say if it had nothing to add")
	}
	return i.Settle(t, said)
}

// findIssuer finds the TrustedIssuer by the token's iss, and by --issuer where
// several share one.
func (x *explainer) findIssuer(c *jose.Compact) (*policy.TrustedIssuer, *policy.Refusal, error) {
	iss, _ := c.UnverifiedIssuer()
	if iss == x.service.Issuer() {
		return nil, nil, usage("the token is one of TokenService %s itself: its facts are sealed with keys that explain does not have; "+
			"give them with --issuer self --origin NAME --subject-claims F, or ask the endpoint and use --correlation-id", x.service.Name())
	}
	candidates := x.service.IssuersByURL(iss)
	if x.issuer != "" {
		candidates = slices.DeleteFunc(slices.Clone(candidates), func(i *policy.TrustedIssuer) bool { return i.Name() != x.issuer })
	}
	switch {
	case len(candidates) == 1 && candidates[0].Spec().Suspended:
		return nil, &policy.Refusal{Reason: policy.IssuerSuspended, Detail: "TrustedIssuer " + candidates[0].Name() + " is suspended"}, nil
	case len(candidates) == 1:
		return candidates[0], nil, nil
	case len(candidates) > 1:
		return nil, nil, usage("--issuer is missing: several TrustedIssuers have the token's iss")
	case x.issuer != "":
		return nil, &policy.Refusal{Reason: policy.IssuerUnknown, Detail: "the token's iss is not, byte for byte, the URL of TrustedIssuer " + x.issuer}, nil
	}
	return nil, &policy.Refusal{Reason: policy.IssuerUnknown, Detail: "no TrustedIssuer has the token's iss, byte for byte"}, nil
}

// verify verifies the signature where the issuer's keys are at hand.
func (x *explainer) verify(i *policy.TrustedIssuer, c *jose.Compact) *policy.Refusal {
	if !slices.Contains(i.Spec().Algorithms, c.Alg()) {
		return &policy.Refusal{Reason: policy.TokenSignature, Detail: "the token's algorithm is not one of TrustedIssuer " + i.Name()}
	}
	keys := cmp.Or(i.Spec().Keys.Inline, i.Spec().Keys.Carried)
	if keys == "" {
		x.notVerified(i)
		return nil
	}
	set, _, err := jose.ParseKeySet([]byte(keys), jose.KeySetOptions{})
	if err != nil {
		return &policy.Refusal{Outcome: policy.Unable, Reason: policy.KeysUnavailable, Detail: "the keys of TrustedIssuer " + i.Name() + " cannot be read"}
	}
	key, ok := set.Key(c.KeyID())
	if !ok {
		return &policy.Refusal{Reason: policy.TokenSignature, Detail: "TrustedIssuer " + i.Name() + " has no key with the token's kid"}
	}
	if _, err := c.Verify(key, i.Spec().Algorithms); err != nil {
		return &policy.Refusal{Reason: policy.TokenSignature, Detail: "TrustedIssuer " + i.Name() + ": " + err.Error()}
	}
	x.report.Subject = &explainedSubject{Signature: "verified with key " + c.KeyID()}
	return nil
}

// notVerified says that the keys of an issuer are not at hand.
func (x *explainer) notVerified(i *policy.TrustedIssuer) {
	x.report.Subject = &explainedSubject{Signature: "NOT verified: the keys of TrustedIssuer " + i.Name() + " are not in the manifests"}
	x.report.Notes = append(x.report.Notes, "the token's signature was NOT verified: what follows is what the endpoint would say if it is genuine")
}
