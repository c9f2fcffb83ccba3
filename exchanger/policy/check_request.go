// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"crypto/sha256"
	"slices"
	"strings"
)

func (d *deciding) tokenService() *Refusal {
	svc, ok := d.snapshot.services[d.request.TokenService]
	if !ok {
		return deny(TargetUnknown, "no such token service")
	}
	d.service = svc
	return nil
}

func (d *deciding) clientKnown() *Refusal {
	c, ok := d.service.clients[d.request.Client.ID]
	if !ok {
		return deny(ClientUnknown, "no ExchangeClient in force has this client_id")
	}
	if c.spec.Suspended {
		return deny(ClientSuspended, "ExchangeClient "+c.spec.Namespace+"/"+c.spec.Name+" is suspended")
	}
	d.client = c
	return nil
}

func (d *deciding) clientGrant() *Refusal {
	switch d.request.Grant {
	case GrantTokenExchange:
		if !d.client.spec.TokenExchange {
			return deny(ClientGrant, "grants of "+d.client.spec.ID+" do not include TokenExchange")
		}
	case GrantJWTBearer:
		if !d.client.spec.JWTBearer {
			return deny(ClientGrant, "grants of "+d.client.spec.ID+" do not include JWTBearer")
		}
	case GrantRefresh:
		// It renews what another grant gave.
	}
	return nil
}

func (d *deciding) subjectIssuer() *Refusal {
	if d.request.Subject == nil {
		return deny(TokenMalformed, "no subject token")
	}
	var ref *Refusal
	d.issuer, ref = d.trusted(d.request.Subject.Origin, d.originURL(d.request.Subject), forSubject)
	return ref
}

// use is what a trusted issuer's tokens are presented for.
type use struct {
	name string
	of   func(*Issuer) bool
}

var (
	forSubject = use{"Subject", func(i *Issuer) bool { return i.ForSubject }} //nolint:gochecknoglobals // a constant
	forActor   = use{"Actor", func(i *Issuer) bool { return i.ForActor }}     //nolint:gochecknoglobals // a constant
)

// trusted finds the issuer that a token, or the first token of its chain, came from,
// and holds it against what the token is presented for. One of the same name that
// was made anew for another issuer is not it.
func (d *deciding) trusted(name, url string, u use) (*TrustedIssuer, *Refusal) {
	i, ok := d.service.issuers[name]
	switch {
	case !ok:
		return nil, deny(IssuerUnknown, "no TrustedIssuer of that name")
	case i.spec.Suspended:
		return nil, deny(IssuerSuspended, "TrustedIssuer "+i.spec.Name+" is suspended")
	case url != "" && i.spec.URL != url:
		return nil, deny(IssuerUnknown, "TrustedIssuer "+i.spec.Name+" is for another issuer than the one that the first token came from")
	case !u.of(i.spec):
		return nil, deny(IssuerUnknown, "use of TrustedIssuer "+i.spec.Name+" does not include "+u.name)
	}
	return i, nil
}

// originURL is what the URL of a presented token's origin must be, empty where nobody
// needs to ask: the token was verified as that issuer's just now. One that a refresh
// token stands for was verified when its family began.
func (d *deciding) originURL(t *Token) string {
	switch {
	case t.Issuer == SelfIssuer:
		return t.OriginURL
	case d.request.Family != nil:
		return t.RawIssuer
	}
	return ""
}

// subjectClass holds what the caller says of the token against what it is.
func (d *deciding) subjectClass() *Refusal {
	return presentedAs(d.request.Subject.Class, d.request.SubjectAs)
}

func presentedAs(class Class, as PresentedAs) *Refusal {
	switch as {
	case AsAccessToken, AsJWT:
		if class == ClassAccessToken || class == ClassJWT {
			return nil
		}
	case AsIDToken:
		if class == ClassIDToken {
			return nil
		}
	case AsOpaque:
		if class == ClassOpaque || class == ClassRefreshToken {
			return nil
		}
	case AsHandover:
		if class == ClassHandover {
			return nil
		}
	case AsTransaction:
		if class == ClassTransaction {
			return nil
		}
	case AsSAML2:
		if class == ClassSAML2 {
			return nil
		}
	case AsAssertion:
		if class.IsAssertion() {
			return nil
		}
	}
	return deny(TokenClass, "a token of class "+string(class)+" was presented as "+string(as))
}

func (d *deciding) subjectTime() *Refusal { return d.inTime(d.request.Subject, d.issuer) }

func (d *deciding) inTime(t *Token, issuer *TrustedIssuer) *Refusal {
	if d.request.Family != nil {
		return nil // It was in time then; until when it may be renewed is the family's.
	}
	now := d.request.Now
	skew, age := issuer.spec.ClockSkew, issuer.spec.MaxTokenAge
	if t.Issuer == SelfIssuer {
		// Our own clock made it, and its lifetime bounds its age.
		age = 0
	}
	switch {
	case t.ExpiresAt.IsZero() || t.IssuedAt.IsZero():
		return deny(TokenMalformed, "exp or iat is missing")
	case !now.Before(t.ExpiresAt.Add(skew)):
		return deny(TokenExpired, "exp has passed")
	case t.NotBefore.After(now.Add(skew)):
		return deny(TokenNotYetValid, "nbf is in the future")
	case t.IssuedAt.After(now.Add(skew)):
		return deny(TokenNotYetValid, "iat is in the future")
	case t.ExpiresAt.Before(t.IssuedAt) || t.NotBefore.After(t.ExpiresAt):
		// Clocks that differ let it come this far. What has expired has expired,
		// whatever else is wrong with it: that is what people look for.
		return deny(TokenMalformed, "exp is before iat or nbf")
	case age > 0 && t.IssuedAt.Before(now.Add(-age)):
		return deny(TokenTooOld, "iat is longer ago than maxTokenAge of TrustedIssuer "+issuer.spec.Name)
	}
	return nil
}

// subjectNoCredential keeps client credentials from being laundered into
// subjects: of an issuer whose tokens authenticate clients, a token for a
// credential audience is a subject only when the same bytes authenticated the
// client in this request.
func (d *deciding) subjectNoCredential() *Refusal { return d.noCredential(d.request.Subject, d.issuer) }

func (d *deciding) noCredential(t *Token, issuer *TrustedIssuer) *Refusal {
	if t.Issuer == SelfIssuer || !issuer.spec.ForClient || d.ownCredential(t) || d.request.Family != nil {
		return nil
	}
	if slices.ContainsFunc(t.Audiences, d.service.IsCredentialAudience) {
		return deny(TokenClass, "the token is a client credential: its aud is a client-assertion audience")
	}
	return nil
}

// ownCredential says whether a token is the very credential that authenticated the
// client in this request.
func (d *deciding) ownCredential(t *Token) bool {
	c, f := d.request.Client, d.request.Family
	if f != nil && t == d.request.Subject {
		return f.OwnCredential // It was then.
	}
	return c.CredentialDigest != [sha256.Size]byte{} && c.CredentialDigest == t.Digest
}

// subjectAddressed refuses a token of which nobody can say whom it was for.
func (d *deciding) subjectAddressed() *Refusal {
	return saysWhomFor(d.request.Subject, SubjectAudience)
}

func saysWhomFor(t *Token, reason Reason) *Refusal {
	if len(t.Audiences) == 0 && t.ClientID == "" {
		return deny(reason, "the token has no aud, azp or client_id: it does not say whom it was for")
	}
	return nil
}

// targetsKnown finds the targets that the request names, or implies: by scopes
// that have an owner, else, when it asks for nothing at all, the client itself.
func (d *deciding) targetsKnown() *Refusal {
	r := d.request
	granted, ref := d.withinAssertion()
	if ref != nil {
		return ref
	}
	for _, name := range granted {
		t, ok := d.service.byResource[name]
		if !ok {
			t, ok = d.service.byAudience[name]
		}
		if !ok {
			return deny(TargetUnknown, "a resource that the ID-JAG names is nobody's name")
		}
		d.addTarget(t, name)
	}
	for _, list := range [...]struct {
		names []string
		index map[string]*target
		kind  string
	}{{r.Audiences, d.service.byAudience, "audience"}, {r.Resources, d.service.byResource, "resource"}} {
		for _, name := range list.names {
			t, ok := list.index[name]
			if !ok && list.kind == "resource" && d.elsewhere() {
				continue
			}
			if !ok {
				return deny(TargetUnknown, "a requested "+list.kind+" is nobody's name")
			}
			d.addTarget(t, name)
		}
	}
	switch {
	case len(d.targets) > 0:
		return nil
	case len(r.Scopes) > 0:
		return d.targetsOfScopes()
	}
	d.addTarget(d.service.byAudience[d.client.spec.ID], d.client.spec.ID)
	return nil
}

func (d *deciding) addTarget(t *target, name string) {
	for i := range d.targets {
		if d.targets[i].target == t {
			if !slices.Contains(d.targets[i].names, name) {
				d.targets[i].names = append(d.targets[i].names, name)
			}
			return
		}
	}
	d.targets = append(d.targets, askedTarget{target: t, names: []string{name}})
}

// targetsOfScopes finds the targets of those scopes that the platform delegated
// to one namespace. A scope for every target of its namespace implies none.
func (d *deciding) targetsOfScopes() *Refusal {
	for _, s := range d.request.Scopes {
		for _, namespace := range d.service.ownersOf(s) {
			found, ok := d.service.scopeIn(namespace, s)
			if !ok {
				continue
			}
			for _, id := range found.scope.spec.Targets {
				t, ok := d.service.byAudience[id]
				if !ok || t.client.Namespace != namespace {
					continue
				}
				d.addTarget(t, t.client.ID)
			}
		}
	}
	if len(d.targets) == 0 {
		return deny(TargetUnknown, "neither audience nor resource was given, and no requested scope names a target by itself")
	}
	return nil
}

// ownersOf returns the namespaces whose scope of that name may be asked for
// without an audience. Who was given "org" was given "org:a" as a value of it,
// never as another scope that happens to be spelt so.
func (t *TokenService) ownersOf(scope string) []string {
	base, _, _ := cutParameter(scope)
	owners := t.scopeOwner[scope]
	if base != "" {
		owners = slices.Clone(owners)
		for _, namespace := range t.scopeOwner[base] {
			if s, ok := t.scopeIn(namespace, scope); ok && s.parameter != "" {
				owners = append(owners, namespace)
			}
		}
	}
	for _, o := range t.scopeStars {
		if strings.HasPrefix(scope, strings.TrimSuffix(o.Scope, "*")) && !slices.Contains(owners, o.Namespace) {
			owners = append(slices.Clone(owners), o.Namespace)
		}
	}
	return owners
}

func (d *deciding) targetsTogether() *Refusal {
	if ref := d.externalAlone(); ref != nil {
		return ref
	}
	for i := range d.targets[1:] {
		if d.targets[i+1].client.Namespace != d.targets[0].client.Namespace {
			return deny(TargetsMixed, "the targets lie in more than one namespace")
		}
	}
	return nil
}

// scopesKnown finds every requested scope in the targets' namespace. One that
// belongs to none of the targets is unknown here.
func (d *deciding) scopesKnown() *Refusal {
	if d.external() != nil {
		return nil // They are the other server's.
	}
	namespace := d.targets[0].client.Namespace
	for _, s := range d.request.Scopes {
		found, ok := d.service.scopeIn(namespace, s)
		if !ok {
			return deny(ScopeUnknown, d.service.noScope(namespace, s))
		}
		belongs := slices.ContainsFunc(d.targets, func(t askedTarget) bool { return found.scope.belongsTo(t.client.ID) })
		if !belongs {
			return deny(ScopeUnknown, "scope "+found.text+" belongs to none of the targets")
		}
		if found.parameter != "" && slices.ContainsFunc(d.asked, func(o askedScope) bool { return o.scope == found.scope && o.parameter != found.parameter }) {
			return deny(ScopeRule, "parametric scope "+found.scope.spec.Scope+" was asked for with two values")
		}
		d.asked = append(d.asked, found)
	}
	return nil
}

// noScope says why a scope cannot be asked for in a namespace.
func (t *TokenService) noScope(namespace, scope string) string {
	base, _, _ := strings.Cut(scope, ":")
	if g, ok := t.scopes[scopeKey{namespace, base}]; ok && g.parameter != nil {
		return "scope " + base + " of namespace " + namespace + " takes a value: " + base + ":<value>, of 1 to 64 letters, digits, dots, _ and -"
	}
	return "namespace " + namespace + " has no ClientScope in force for scope " + clipped(scope)
}

// clipped is the beginning of what a client wrote.
func clipped(s string) string {
	if len(s) > 64 {
		return s[:64] + "..."
	}
	return s
}

// scopeIn finds a scope of a namespace: by its name, or, when parametric, by the
// name before its last colon.
func (t *TokenService) scopeIn(namespace, scope string) (askedScope, bool) {
	if g, ok := t.scopes[scopeKey{namespace, scope}]; ok && g.parameter == nil {
		return askedScope{text: scope, scope: g}, true
	}
	base, value, ok := cutParameter(scope)
	if !ok {
		return askedScope{}, false
	}
	g, ok := t.scopes[scopeKey{namespace, base}]
	if !ok || g.parameter == nil {
		return askedScope{}, false
	}
	return askedScope{text: scope, parameter: value, scope: g}, true
}

// cutParameter splits "<scope>:<value>"; a value has 1 to 64 of A-Z a-z 0-9 . _ -
func cutParameter(scope string) (base, value string, ok bool) {
	i := strings.LastIndexByte(scope, ':')
	if i <= 0 {
		return "", "", false
	}
	base, value = scope[:i], scope[i+1:]
	if value == "" || len(value) > 64 {
		return "", "", false
	}
	for _, c := range []byte(value) {
		if !(c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '.' || c == '_' || c == '-') {
			return "", "", false
		}
	}
	return base, value, true
}
