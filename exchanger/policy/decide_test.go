// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// verdict is what a case expects: allowed with scope and aud, or a reason.
type verdict struct {
	reason  Reason
	check   string
	unable  bool
	scope   string
	aud     string
	policy  string
	seconds int
	claims  string
	// act and by are the claims act and impersonator, as JSON.
	act, by string
}

type decideCase struct {
	change func(*Spec, *Request)
	want   verdict
}

func refusedBy(check string, reason Reason) verdict { return verdict{reason: reason, check: check} }

func unableBy(check string, reason Reason) verdict {
	return verdict{reason: reason, check: check, unable: true}
}

func granted(scope string) verdict { return verdict{scope: scope, aud: "media/images-resource"} }

// decideCases are all cases, by sentence. The mutation test runs them too.
func decideCases() map[string]decideCase {
	all := map[string]decideCase{}
	for _, part := range []map[string]decideCase{
		requestCases(), subjectCases(), audienceCases(), chainCases(), scopeCases(), manyTargetCases(), choiceCases(), claimCases(),
		typeCases(), assertionCases(), transactionCases(), actorTokenCases(), actorChainCases(), mayActCases(), impersonationCases(),
		grantCases(), madeUnderCases(),
	} {
		for name, c := range part {
			if _, dup := all[name]; dup {
				panic("case twice: " + name)
			}
			all[name] = c
		}
	}
	return all
}

func requestCases() map[string]decideCase {
	return map[string]decideCase{
		"a request that one policy allows is allowed":                {func(*Spec, *Request) {}, granted("images")},
		"F190: an empty snapshot denies everything":                  {func(s *Spec, _ *Request) { *s = Spec{Format: Format} }, refusedBy("tokenService", TargetUnknown)},
		"F190: without any policy the target is not granted":         {func(s *Spec, _ *Request) { s.Policies = nil }, refusedBy("targetGranted", TargetNotGranted)},
		"an undeclared client is unknown":                            {func(_ *Spec, r *Request) { r.Client.ID = "shop/nobody" }, refusedBy("clientKnown", ClientUnknown)},
		"F226: a suspended client is as if absent":                   {func(s *Spec, _ *Request) { clientNamed(s, "shop/frontend").Suspended = true }, refusedBy("clientKnown", ClientSuspended)},
		"F78: a client without the grant may not use it":             {func(s *Spec, _ *Request) { clientNamed(s, "shop/frontend").TokenExchange = false }, refusedBy("clientGrant", ClientGrant)},
		"an audience that is nobody's name is unknown":               {func(_ *Spec, r *Request) { r.Audiences = []string{"media/nothing"} }, refusedBy("targetsKnown", TargetUnknown)},
		"F134, F210: an audience is compared exactly, not by prefix": {func(_ *Spec, r *Request) { r.Audiences = []string{"media/images-resource/"} }, refusedBy("targetsKnown", TargetUnknown)},
		"F200: an audience is compared by bytes, not by letter case": {func(_ *Spec, r *Request) { r.Audiences = []string{"media/Images-resource"} }, refusedBy("targetsKnown", TargetUnknown)},
		"F36: a resource is compared exactly": {func(_ *Spec, r *Request) {
			r.Audiences, r.Resources = nil, []string{"https://images.media.example/api/"}
		}, refusedBy("targetsKnown", TargetUnknown)},
		"a resource names its target": {func(_ *Spec, r *Request) {
			r.Audiences, r.Resources = nil, []string{"https://images.media.example/api"}
		}, verdict{scope: "images", aud: "https://images.media.example/api"}},
		"a further audience names its target, and stands in aud as it was asked": {func(_ *Spec, r *Request) { r.Audiences = []string{"media/img"} }, verdict{scope: "images", aud: "media/img"}},
		"an audience and a resource of one target give one token for both names": {func(_ *Spec, r *Request) { r.Resources = []string{"https://images.media.example/api"} }, verdict{scope: "images", aud: "media/images-resource https://images.media.example/api"}},
		"F35: a resource that is relative is nobody's":                           {func(_ *Spec, r *Request) { r.Audiences, r.Resources = nil, []string{"/api"} }, refusedBy("targetsKnown", TargetUnknown)},
		"F35: a resource with a fragment is nobody's": {func(_ *Spec, r *Request) {
			r.Audiences, r.Resources = nil, []string{"https://images.media.example/api#x"}
		}, refusedBy("targetsKnown", TargetUnknown)},
		"F35: a resource with userinfo is nobody's": {func(_ *Spec, r *Request) {
			r.Audiences, r.Resources = nil, []string{"https://a@images.media.example/api"}
		}, refusedBy("targetsKnown", TargetUnknown)},
		"F37: an audience with a wildcard is nobody's":           {func(_ *Spec, r *Request) { r.Audiences = []string{"media/*"} }, refusedBy("targetsKnown", TargetUnknown)},
		"F37: a list of audiences in one value is nobody's":      {func(_ *Spec, r *Request) { r.Audiences = []string{"media/images-resource,media/contacts-resource"} }, refusedBy("targetsKnown", TargetUnknown)},
		"F37: an audience with a space is nobody's":              {func(_ *Spec, r *Request) { r.Audiences = []string{"media/images-resource "} }, refusedBy("targetsKnown", TargetUnknown)},
		"F209: our own issuer is nobody's audience":              {func(_ *Spec, r *Request) { r.Audiences = []string{"https://sts.example"} }, refusedBy("targetsKnown", TargetUnknown)},
		"targets in two namespaces are mixed":                    {func(_ *Spec, r *Request) { r.Audiences = append(r.Audiences, "hr/api") }, refusedBy("targetsTogether", TargetsMixed)},
		"a delegated scope alone names its target":               {func(_ *Spec, r *Request) { r.Audiences = nil }, granted("images")},
		"a scope that is not delegated names no target":          {func(s *Spec, r *Request) { r.Audiences, s.Services[0].ScopeOwners = nil, nil }, refusedBy("targetsKnown", TargetUnknown)},
		"a scope for every target of its namespace implies none": {func(_ *Spec, r *Request) { r.Audiences, r.Scopes = nil, []string{"wide"} }, refusedBy("targetsKnown", TargetUnknown)},
		"a family of scopes that is delegated names its targets": {func(s *Spec, r *Request) {
			r.Audiences, s.Services[0].ScopeOwners = nil, []ScopeOwner{{"ima*", "media"}}
		}, granted("images")},
		"asking for nothing means the asking client, when no policy allows that it is refused": {func(_ *Spec, r *Request) { r.Audiences, r.Scopes, r.ScopesGiven = nil, nil, false }, refusedBy("targetGranted", TargetNotGranted)},
		"asking for nothing means the asking client, when a policy allows that": {func(s *Spec, r *Request) {
			r.Audiences, r.Scopes, r.ScopesGiven = nil, nil, false
			p := *policyNamed(s, "images")
			p.Namespace, p.Targets, p.Scopes = "shop", []string{"shop/frontend"}, nil
			s.Policies = append(s.Policies, p)
		}, verdict{aud: "shop/frontend"}},
		"a policy cannot grant another namespace's target": {func(s *Spec, _ *Request) { policyNamed(s, "images").Namespace = "shop" }, refusedBy("targetGranted", TargetNotGranted)},
	}
}

func subjectCases() map[string]decideCase {
	subject := func(change func(*Token)) func(*Spec, *Request) {
		return func(_ *Spec, r *Request) { change(r.Subject) }
	}
	return map[string]decideCase{
		"no subject is malformed":                                   {func(_ *Spec, r *Request) { r.Subject = nil }, refusedBy("subjectIssuer", TokenMalformed)},
		"F267: a subject whose issuer is gone is unknown":           {func(s *Spec, _ *Request) { s.Issuers = s.Issuers[1:] }, refusedBy("subjectIssuer", IssuerUnknown)},
		"F226: a suspended issuer is as if absent":                  {func(s *Spec, _ *Request) { issuerNamed(s, "corp").Suspended = true }, refusedBy("subjectIssuer", IssuerSuspended)},
		"an issuer that is not for subjects gives none":             {func(s *Spec, _ *Request) { issuerNamed(s, "corp").ForSubject = false }, refusedBy("subjectIssuer", IssuerUnknown)},
		"F33: an ID token is not an access token":                   {subject(func(t *Token) { t.Class = ClassIDToken }), refusedBy("subjectClass", TokenClass)},
		"an access token is not an ID token":                        {func(_ *Spec, r *Request) { r.SubjectAs = AsIDToken }, refusedBy("subjectClass", TokenClass)},
		"an access token may be presented as a JWT":                 {func(_ *Spec, r *Request) { r.SubjectAs = AsJWT }, granted("images")},
		"an ID token presented as one is allowed":                   {func(_ *Spec, r *Request) { r.SubjectAs, r.Subject.Class = AsIDToken, ClassIDToken }, granted("images")},
		"a class that the policy does not accept is refused":        {func(s *Spec, _ *Request) { policyNamed(s, "images").SubjectClasses = []Class{ClassIDToken} }, refusedBy("class", SubjectTokenType)},
		"F123: a token past exp and skew has expired":               {subject(func(t *Token) { t.ExpiresAt = now().Add(-30 * time.Second) }), refusedBy("subjectTime", TokenExpired)},
		"F123: a token past exp within the skew leaves no lifetime": {subject(func(t *Token) { t.ExpiresAt = now().Add(-29 * time.Second) }), refusedBy("lifetime", LifetimeTooShort)},
		"F123: a token without exp is refused":                      {subject(func(t *Token) { t.ExpiresAt = time.Time{} }), refusedBy("subjectTime", TokenMalformed)},
		"F124: a token from the future is not yet valid":            {subject(func(t *Token) { t.IssuedAt = now().Add(31 * time.Second) }), refusedBy("subjectTime", TokenNotYetValid)},
		"F124: nbf in the future is not yet valid":                  {subject(func(t *Token) { t.NotBefore = now().Add(31 * time.Second) }), refusedBy("subjectTime", TokenNotYetValid)},
		"F125: exp before iat":                                      {subject(func(t *Token) { t.ExpiresAt, t.IssuedAt = now().Add(-time.Second), now() }), refusedBy("subjectTime", TokenMalformed)},
		"F125: nbf after exp":                                       {subject(func(t *Token) { t.ExpiresAt, t.NotBefore = now().Add(20*time.Second), now().Add(21*time.Second) }), refusedBy("subjectTime", TokenMalformed)},
		"F123: a token that was made expired has expired":           {subject(func(t *Token) { t.ExpiresAt, t.IssuedAt, t.NotBefore = now().Add(-time.Hour), now(), now() }), refusedBy("subjectTime", TokenExpired)},
		"nbf within the skew is valid":                              {subject(func(t *Token) { t.NotBefore = now().Add(30 * time.Second) }), granted("images")},
		"F124: a token older than its issuer's bound is too old":    {subject(func(t *Token) { t.IssuedAt = now().Add(-24*time.Hour - time.Second) }), refusedBy("subjectTime", TokenTooOld)},
		"a token issued before revokeIssuedBefore is revoked":       {func(s *Spec, _ *Request) { issuerNamed(s, "corp").RevokeIssuedBefore = now() }, refusedBy("subjectNotRevoked", TokenRevoked)},
		"F150: less than ten seconds left is too short":             {subject(func(t *Token) { t.ExpiresAt = now().Add(9 * time.Second) }), refusedBy("lifetime", LifetimeTooShort)},
		"ten seconds left are enough":                               {subject(func(t *Token) { t.ExpiresAt = now().Add(10 * time.Second) }), verdict{scope: "images", aud: "media/images-resource", seconds: 10}},
		"R37: the token never outlives the subject token":           {subject(func(t *Token) { t.ExpiresAt = now().Add(100 * time.Second) }), verdict{scope: "images", aud: "media/images-resource", seconds: 100}},
		"the policy's lifetime bounds":                              {func(s *Spec, _ *Request) { policyNamed(s, "images").Lifetime = time.Minute }, verdict{scope: "images", aud: "media/images-resource", seconds: 60}},
		"the target's lifetime bounds":                              {func(s *Spec, _ *Request) { clientNamed(s, "media/images-resource").Lifetime = 2 * time.Minute }, verdict{scope: "images", aud: "media/images-resource", seconds: 120}},
		"the token service's maximum bounds": {func(s *Spec, _ *Request) {
			s.Services[0].MaxLifetime = 90 * time.Second
			policyNamed(s, "images").Lifetime, clientNamed(s, "media/images-resource").Lifetime = time.Hour, time.Hour
		}, verdict{scope: "images", aud: "media/images-resource", seconds: 90}},
		"an issuer that the policy does not name is refused": {func(s *Spec, _ *Request) { policyNamed(s, "images").SubjectIssuers = []string{"k8s"} }, refusedBy("issuer", SubjectIssuer)},
		"F197: a policy that names no issuer accepts none":   {func(s *Spec, _ *Request) { policyNamed(s, "images").SubjectIssuers = nil }, refusedBy("issuer", SubjectIssuer)},
		"a rule over the subject that is true lets pass": {func(s *Spec, _ *Request) {
			policyNamed(s, "images").SubjectRules = []Rule{{Expression: "group corp:staff"}}
		}, granted("images")},
		"a rule over the subject that is false refuses": {func(s *Spec, _ *Request) {
			policyNamed(s, "images").SubjectRules = []Rule{{Expression: "group corp:boss"}}
		}, refusedBy("subjectRules", SubjectRule)},
		"F212: a rule over what is not known cannot tell, and refuses": {func(s *Spec, r *Request) {
			policyNamed(s, "images").SubjectRules, r.Subject.Groups = []Rule{{Expression: "group corp:staff"}}, nil
		}, unableBy("subjectRules", SubjectRule)},
		"a further rule that is false refuses":       {func(s *Spec, _ *Request) { policyNamed(s, "images").Rules = []Rule{{Expression: "client shop/other"}} }, refusedBy("rules", PolicyRule)},
		"F212: a further rule that errs refuses":     {func(s *Spec, _ *Request) { policyNamed(s, "images").Rules = []Rule{{Expression: "error"}} }, unableBy("rules", PolicyRule)},
		"F211: a rule that gives no boolean refuses": {func(s *Spec, _ *Request) { policyNamed(s, "images").Rules = []Rule{{Expression: "text yes"}} }, unableBy("rules", PolicyRule)},
		"F68: a client credential is no subject": {func(s *Spec, r *Request) {
			issuerNamed(s, "corp").ForClient, r.Subject.Audiences = true, []string{"https://sts.example", "shop/frontend"}
		}, refusedBy("subjectNoCredential", TokenClass)},
		"F68: the very credential of this request may be its subject": {func(s *Spec, r *Request) {
			issuerNamed(s, "corp").ForClient, r.Subject.Audiences = true, []string{"https://sts.example"}
			r.Client.CredentialDigest = r.Subject.Digest
		}, granted("images")},
		"F34: a token type that the policy does not grant is refused": {func(_ *Spec, r *Request) { r.TokenType = TypeJWT }, refusedBy("tokenType", TokenTypeNotGranted)},
	}
}

func audienceCases() map[string]decideCase {
	subject := func(change func(*Token)) func(*Spec, *Request) {
		return func(_ *Spec, r *Request) { change(r.Subject) }
	}
	anyOf := func(rule AudienceRule, change func(*Token)) func(*Spec, *Request) {
		return func(s *Spec, r *Request) { policyNamed(s, "images").SubjectAudience = rule; change(r.Subject) }
	}
	return map[string]decideCase{
		"F130, F137: a token that does not say whom it was for is refused": {subject(func(t *Token) { t.Audiences = nil }), refusedBy("subjectAddressed", SubjectAudience)},
		"F130: without aud, azp may name the client":                       {subject(func(t *Token) { t.Audiences, t.ClientID = nil, "shop/frontend" }), granted("images")},
		"F135: a token that leaked to another client is refused": {func(s *Spec, r *Request) {
			r.Client.ID, policyNamed(s, "images").AllClients = "shop/other", true
		}, refusedBy("audience", SubjectAudience)},
		"F135, KC-51: azp of another client does not help":                               {subject(func(t *Token) { t.Audiences, t.ClientID = []string{"elsewhere"}, "shop/other" }), refusedBy("audience", SubjectAudience)},
		"F132: one of several audiences is enough":                                       {subject(func(t *Token) { t.Audiences = []string{"elsewhere", "shop/frontend"} }), granted("images")},
		"the issuer's own name for the client is enough":                                 {subject(func(t *Token) { t.Audiences = []string{"corp-shop"} }), granted("images")},
		"the issuer's own name for the client may stand in azp":                          {subject(func(t *Token) { t.Audiences, t.ClientID = []string{"elsewhere"}, "corp-shop" }), granted("images")},
		"a further name of the client as a target does not make a foreign token its own": {subject(func(t *Token) { t.Audiences = []string{"shop/web"} }), refusedBy("audience", SubjectAudience)},
		"audience Issuer wants one of the issuer's audiences":                            {anyOf(AudienceRule{Match: AudienceIssuer}, func(t *Token) { t.Audiences = []string{"https://sts.example/corp"} }), granted("images")},
		"audience Issuer does not take the client's ID":                                  {anyOf(AudienceRule{Match: AudienceIssuer}, func(*Token) {}), refusedBy("audience", SubjectAudience)},
		"audience AnyOf wants one of its list":                                           {anyOf(AudienceRule{Match: AudienceAnyOf, AnyOf: []string{"gateway"}}, func(t *Token) { t.Audiences = []string{"gateway"} }), granted("images")},
		"audience AnyOf does not take the client's ID":                                   {anyOf(AudienceRule{Match: AudienceAnyOf, AnyOf: []string{"gateway"}}, func(*Token) {}), refusedBy("audience", SubjectAudience)},
		"F197: audience AnyOf of nothing takes nothing":                                  {anyOf(AudienceRule{Match: AudienceAnyOf}, func(*Token) {}), refusedBy("audience", SubjectAudience)},
		"audience AnyOf with authorized parties wants one of them": {anyOf(AudienceRule{Match: AudienceAnyOf, AnyOf: []string{"gateway"}, AuthorizedParties: []string{"gw"}}, func(t *Token) {
			t.Audiences, t.ClientID = []string{"gateway"}, "other"
		}), refusedBy("audience", SubjectAudience)},
		"audience AnyOf with the authorized party lets pass": {anyOf(AudienceRule{Match: AudienceAnyOf, AnyOf: []string{"gateway"}, AuthorizedParties: []string{"gw"}}, func(t *Token) {
			t.Audiences, t.ClientID = []string{"gateway"}, "gw"
		}), granted("images")},
		"F133: an audience rule that nobody knows refuses": {anyOf(AudienceRule{Match: "Any"}, func(*Token) {}), refusedBy("audience", SubjectAudience)},
	}
}

func chainCases() map[string]decideCase {
	ownToken := func(change func(*Spec, *Request)) func(*Spec, *Request) {
		return func(s *Spec, r *Request) { r.Subject = own(); change(s, r) }
	}
	subject := func(change func(*Token)) func(*Spec, *Request) {
		return func(_ *Spec, r *Request) { change(r.Subject) }
	}
	mayAct := func(m map[string]any) func(*Spec, *Request) {
		return subject(func(t *Token) { t.MayAct = withIssuer(m, t.RawIssuer) })
	}
	return map[string]decideCase{
		"F122: a token of ours is taken where a policy says self with its origin": {ownToken(func(*Spec, *Request) {}), granted("images")},
		"F122: a token of ours is refused where no policy says self":              {ownToken(func(s *Spec, _ *Request) { policyNamed(s, "images").SelfOrigins = nil }), refusedBy("issuer", SubjectIssuer)},
		"a token of ours from another origin is refused":                          {ownToken(func(_ *Spec, r *Request) { r.Subject.Origin, r.Subject.OriginURL = "k8s", "https://k8s.example" }), refusedBy("issuer", SubjectIssuer)},
		"a token of ours whose origin is another issuer by now is refused":        {ownToken(func(s *Spec, _ *Request) { issuerNamed(s, "corp").URL = "https://other.example" }), refusedBy("subjectIssuer", IssuerUnknown)},
		"F203, F223: a scope that another namespace added is not held here":       {ownToken(func(_ *Spec, r *Request) { r.Subject.Added = []AddedScope{{"images", "shop"}} }), refusedBy("scopes", ScopeNotHeld)},
		"a scope that this namespace added is held here":                          {ownToken(func(_ *Spec, r *Request) { r.Subject.Added = []AddedScope{{"images", "media"}} }), granted("images")},
		"a token of ours whose origin is suspended is refused":                    {ownToken(func(s *Spec, _ *Request) { issuerNamed(s, "corp").Suspended = true }), refusedBy("subjectIssuer", IssuerSuspended)},
		"a token of ours for another client is refused":                           {ownToken(func(_ *Spec, r *Request) { r.Subject.Audiences, r.Subject.ClientID = []string{"hr/api"}, "shop/other" }), refusedBy("audience", SubjectAudience)},
		"a token of ours does not satisfy the audience of an issuer": {ownToken(func(s *Spec, r *Request) {
			policyNamed(s, "images").SubjectAudience, r.Subject.Audiences = AudienceRule{Match: AudienceIssuer}, []string{"https://sts.example/corp"}
		}), refusedBy("audience", SubjectAudience)},
		"a token of ours from before the service's revocation is revoked": {ownToken(func(s *Spec, _ *Request) { s.Services[0].RevokeIssuedBefore = now() }), refusedBy("subjectNotRevoked", TokenRevoked)},
		"a token of ours from before its client's revocation is revoked":  {ownToken(func(s *Spec, _ *Request) { clientNamed(s, "shop/frontend").RevokeIssuedBefore = now() }), refusedBy("subjectNotRevoked", TokenRevoked)},
		"a token of ours whose first token was revoked is revoked":        {ownToken(func(s *Spec, _ *Request) { issuerNamed(s, "corp").RevokeIssuedBefore = now().Add(-90 * time.Second) }), refusedBy("subjectNotRevoked", TokenRevoked)},
		"an actor token is refused where actors are forbidden":            {func(_ *Spec, r *Request) { r.Actor, r.ActorAs = bot(), AsJWT }, refusedBy("actor", ActorForbidden)},
		"R28: a token with act is refused where actors are forbidden":     {subject(func(t *Token) { t.Act = map[string]any{"sub": "x"} }), refusedBy("actor", ActorForbidden)},
		"a token made under an impersonation is refused":                  {subject(func(t *Token) { t.Impersonator = map[string]any{"sub": "x"} }), refusedBy("impersonation", ImpersonationForbidden)},
		"F144: a bound token without proof is refused":                    {subject(func(t *Token) { t.Confirmed = true }), refusedBy("binding", SubjectBinding)},
		"R33, F143: may_act that names another refuses":                   {mayAct(map[string]any{"sub": "somebody"}), refusedBy("mayAct", MayAct)},
		"R33: may_act that names the client by its ID lets pass":          {mayAct(map[string]any{"client_id": "shop/frontend"}), granted("images")},
		"may_act that names the client as its issuer does lets pass":      {mayAct(map[string]any{"sub": "corp-shop"}), granted("images")},
		"may_act of the first issuer means the same on the next hop": {func(_ *Spec, r *Request) {
			first := alice()
			r.Subject = own()
			r.Subject.MayAct = withIssuer(map[string]any{"sub": "corp-shop"}, first.RawIssuer)
		}, granted("images")},
		"may_act of the first issuer does not mean our own names on the next hop": {func(s *Spec, r *Request) {
			issuerNamed(s, "corp").ClientAliases, r.Subject = nil, own()
			r.Subject.MayAct = withIssuer(map[string]any{"sub": "corp-shop"}, "https://corp.example")
		}, refusedBy("mayAct", MayAct)},
		"may_act that names the client at this token service lets pass": {mayAct(map[string]any{"iss": "https://sts.example", "sub": "shop/frontend"}), granted("images")},
		"may_act that names the client at a third issuer refuses":       {mayAct(map[string]any{"iss": "https://evil.example", "sub": "shop/frontend"}), refusedBy("mayAct", MayAct)},
		"may_act that names the identity of the client's credential lets pass": {func(_ *Spec, r *Request) {
			r.Client.Issuer, r.Client.Subject = "https://k8s.example", "system:serviceaccount:shop:frontend"
			r.Subject.MayAct = map[string]any{"iss": "https://k8s.example", "sub": "system:serviceaccount:shop:frontend"}
		}, granted("images")},
		"may_act that names the client by its ID here lets pass":          {mayAct(map[string]any{"iss": "https://corp.example", "client_id": "corp-shop"}), granted("images")},
		"may_act that names a client by its ID at a third issuer refuses": {mayAct(map[string]any{"iss": "https://evil.example", "client_id": "shop/frontend"}), refusedBy("mayAct", MayAct)},
		"may_act with a member that nobody knows refuses":                 {mayAct(map[string]any{"sub": "corp-shop", "tenant": "x"}), refusedBy("mayAct", MayAct)},
		"may_act that names nobody refuses":                               {mayAct(map[string]any{"iss": "https://corp.example"}), refusedBy("mayAct", MayAct)},
		"may_act with something other than strings refuses":               {mayAct(map[string]any{"sub": true}), refusedBy("mayAct", MayAct)},
	}
}

func TestDecideGivesTheVerdictOfEveryCase(t *testing.T) {
	t.Parallel()
	for name, c := range decideCases() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if problem := runCase(c, requestChecks[:], policyChecks[:]); problem != "" {
				t.Error(problem)
			}
		})
	}
}

// runCase returns what differs from what the case wants, or nothing.
func runCase(c decideCase, request []check[*deciding], policy []check[*judging]) (problem string) {
	defer func() {
		if p := recover(); p != nil {
			problem = "panic: a check that later checks rely on is gone"
		}
	}()
	spec, r := world(), ask()
	c.change(spec, r)
	snap, err := Compile(spec, 1, words{})
	if err != nil {
		return err.Error()
	}
	d := snap.decide(r, request, policy)
	if c.want.reason != "" {
		want := Denied
		if c.want.unable {
			want = Unable
		}
		if d.Outcome != want || d.Reason != c.want.reason || d.Check != c.want.check {
			return "got " + d.Outcome.String() + " " + string(d.Reason) + " by " + d.Check + ": " + d.Detail
		}
		if _, ok := d.Grant(); ok {
			return "a refusal has a grant"
		}
		return ""
	}
	return compareGrant(&d, c.want, r)
}

func compareGrant(d *Decision, want verdict, r *Request) string {
	g, ok := d.Grant()
	if !ok {
		return "got " + string(d.Reason) + " by " + d.Check + ": " + d.Detail
	}
	seconds := want.seconds
	if seconds == 0 {
		seconds = 300
	}
	var claims []string
	for _, c := range g.Claims {
		claims = append(claims, c.Name)
	}
	switch {
	case strings.Join(g.Scopes, " ") != want.scope:
		return "scope " + strings.Join(g.Scopes, " ")
	case strings.Join(g.Audiences, " ") != want.aud:
		return "aud " + strings.Join(g.Audiences, " ")
	case g.ExpiresAt.Sub(g.IssuedAt) != time.Duration(seconds)*time.Second:
		return "lifetime " + g.ExpiresAt.Sub(g.IssuedAt).String()
	case r.Family == nil && g.ExpiresAt.After(r.Subject.ExpiresAt):
		return "outlives the subject token"
	case want.policy != "" && !slices.ContainsFunc(g.Targets, func(t TargetPolicy) bool { return t.Policy == want.policy }):
		return "not by policy " + want.policy
	case strings.Join(claims, " ") != want.claims:
		return "claims " + strings.Join(claims, " ")
	case claimText(g.Act) != want.act:
		return "act " + claimText(g.Act)
	case claimText(g.Impersonator) != want.by:
		return "impersonator " + claimText(g.Impersonator)
	}
	return ""
}

// claimText is a claim as JSON, empty for none.
func claimText(v any) string {
	b, err := json.Marshal(v)
	if err != nil || string(b) == "null" {
		return ""
	}
	return string(b)
}

// update rewrites the golden file.
var update = flag.Bool("update", false, "rewrite the golden file")

const goldenFile = "testdata/decisions.golden.yaml"

// golden is the verdict of every case as YAML, so that a change of what is decided
// is a change that a reviewer reads.
func golden(request []check[*deciding], policy []check[*judging]) string {
	cases := decideCases()
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(cases)) {
		fmt.Fprintf(&b, "%q: %s\n", name, verdictOf(cases[name], request, policy))
	}
	return b.String()
}

func verdictOf(c decideCase, request []check[*deciding], policy []check[*judging]) (text string) {
	defer func() {
		if recover() != nil {
			text = "panic"
		}
	}()
	spec, r := world(), ask()
	c.change(spec, r)
	snap, err := Compile(spec, 1, words{})
	if err != nil {
		return "does not compile"
	}
	d := snap.decide(r, request, policy)
	g, ok := d.Grant()
	if !ok {
		return fmt.Sprintf("{outcome: %s, reason: %s, check: %s}", d.Outcome, d.Reason, d.Check)
	}
	var claims []string
	for _, claim := range g.Claims {
		claims = append(claims, fmt.Sprintf("%s: %v", claim.Name, claim.Value))
	}
	var by []string
	for _, t := range g.Targets {
		by = append(by, t.Policy)
	}
	others := ""
	if g.Act != nil || g.Impersonator != nil {
		others = fmt.Sprintf(", sub: %s, act: %s, impersonator: %s", g.Subject.Subject, claimText(g.Act), claimText(g.Impersonator))
	}
	return fmt.Sprintf("{outcome: %s, scope: %q, aud: %v, seconds: %.0f, policies: %v, claims: {%s}%s}", d.Outcome,
		strings.Join(g.Scopes, " "), g.Audiences, g.ExpiresAt.Sub(g.IssuedAt).Seconds(), by, strings.Join(claims, ", "), others)
}

func TestTheVerdictsAreThoseOfTheGoldenFile(t *testing.T) {
	t.Parallel()
	got := golden(requestChecks[:], policyChecks[:])
	if *update {
		if err := os.WriteFile(goldenFile, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(goldenFile)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("decisions differ from %s; look at them with -update and git diff", goldenFile)
	}
}

// Without any one check, the golden file must come out differently: a check that
// no golden decision notices is a check that somebody can lose.
func TestF221EveryCheckOfTheDecisionIsNoticedWhenItIsGone(t *testing.T) {
	t.Parallel()
	want, err := os.ReadFile(goldenFile)
	if err != nil {
		t.Fatal(err)
	}
	for i := range requestChecks {
		if golden(slices.Delete(slices.Clone(requestChecks[:]), i, i+1), policyChecks[:]) == string(want) {
			t.Errorf("nobody notices that request check %s is gone", requestChecks[i].name)
		}
	}
	for i := range policyChecks {
		if golden(requestChecks[:], slices.Delete(slices.Clone(policyChecks[:]), i, i+1)) == string(want) {
			t.Errorf("nobody notices that policy check %s is gone", policyChecks[i].name)
		}
	}
}
