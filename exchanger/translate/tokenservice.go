// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/exchequer-dev/exchequer/api/v1alpha1"
	"github.com/exchequer-dev/exchequer/exchanger/issuer/egress"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

// minPrePublish is how long a key must be published before it signs: verifiers
// cache the key set for 5 minutes (its max-age), and clocks may differ by 60 s.
const minPrePublish = 5*time.Minute + 60*time.Second

// year bounds what lives long; two of them are the longest key rotation.
const year = 8760 * time.Hour

func (w *world) translateServices() {
	for _, s := range w.services {
		if s.absent == "" {
			w.guard(s.object, func() { w.translateService(s) })
		}
	}
}

func (w *world) translateService(s *service) {
	spec := &s.api.Spec
	s.spec = policy.Service{Name: s.name, Issuer: string(spec.Issuer)}
	w.serviceIssuer(s)
	w.serviceSigning(s)
	s.lifetimes(&spec.Lifetimes)
	s.limits(&spec.Limits)
	audiences := s.names("spec.clientAssertionAudiences", spec.ClientAssertionAudiences, 16)
	s.spec.AssertionAudiences = append([]string{s.spec.Issuer}, without(audiences, s.spec.Issuer)...)
	s.atMost("spec.clientCertificateAuthorities", len(spec.ClientCertificateAuthorities), 16)
	for i, ca := range spec.ClientCertificateAuthorities {
		s.spec.ClientCAs = append(s.spec.ClientCAs, s.certificates(fmt.Sprintf("spec.clientCertificateAuthorities[%d]", i), ca))
	}
	s.spec.ClientCAs = without(sortedSet(s.spec.ClientCAs), "")
	if spec.AllowedNamespaces != nil {
		s.checkNamespaces("spec.allowedNamespaces", spec.AllowedNamespaces)
	}
	s.atMost("spec.names", len(spec.Names), 256)
	for i := range spec.Names {
		s.checkDelegation(fmt.Sprintf("spec.names[%d]", i), &spec.Names[i])
	}
	s.spec.RevokeIssuedBefore = w.revocation(s.object, spec.RevokeIssuedBefore)
}

func without(list []string, s string) []string {
	var out []string
	for _, v := range list {
		if v != s {
			out = append(out, v)
		}
	}
	return out
}

// anywhere lets a TokenService have any address: it is our own, and not dialled.
func anywhere(serve bool) egress.Rules {
	return egress.Rules{Loopback: serve, AllowedCIDRs: []netip.Prefix{
		netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128"),
		netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0"),
	}}
}

func (w *world) serviceIssuer(s *service) {
	raw := string(s.api.Spec.Issuer)
	u := w.parseIssuer(s.object, "spec.issuer", raw, anywhere(w.in.Serve))
	if u != nil && strings.HasSuffix(raw, "/") {
		s.invalid("spec.issuer", "expected no slash at the end: the endpoints are the issuer, a slash and a name")
	}
	if u != nil {
		s.path = u.EscapedPath()
		s.hosts = append(s.hosts, hostOf(u.Host))
	}
	hosts := s.api.Spec.Hosts
	s.atMost("spec.hosts", len(hosts), 16)
	for i, h := range hosts {
		at := fmt.Sprintf("spec.hosts[%d]", i)
		name, port, hasPort := strings.Cut(h, ":")
		if len(h) > 261 || !isSubdomain(name) || (hasPort && !isPort(port)) {
			s.invalid(at, "expected a host name, with its port where that is not 443")
			continue
		}
		s.hosts = append(s.hosts, hostOf(h))
	}
	s.spec.Hosts = sortedSet(hosts)
}

func isPort(s string) bool {
	n, err := strconv.ParseUint(s, 10, 16)
	return err == nil && n > 0 && strconv.FormatUint(n, 10) == s
}

// parseIssuer reads the URL of an issuer. What cannot be served here, http on a
// loopback host outside of `serve`, is told apart from what never can.
func (w *world) parseIssuer(o *object, field, raw string, rules egress.Rules) *url.URL {
	if raw == "" || len(raw) > 1024 {
		o.invalid(field, "expected a URL of 1 to 1024 bytes")
		return nil
	}
	u, err := rules.ParseIssuer(raw)
	if err == nil {
		return u
	}
	if !w.in.Serve && strings.HasPrefix(raw, "http://") {
		served := egress.Rules{Loopback: true, AllowedCIDRs: anywhere(true).AllowedCIDRs}
		if _, err := served.ParseIssuer(raw); err == nil {
			o.notSupported(field, "http on a loopback host is for `exchequer serve` only: expected https")
			return nil
		}
	}
	o.invalid(field, "%s", plain(err))
	return nil
}

// plain takes the dialler's preface from an error about a URL.
func plain(err error) string {
	return strings.TrimPrefix(err.Error(), "url "+egress.ErrAddress.Error()+": ")
}

// hostOf makes two ways to write one host one.
func hostOf(host string) string {
	return strings.TrimSuffix(strings.ToLower(host), ":443")
}

func (w *world) serviceSigning(s *service) {
	in := &s.api.Spec.Signing
	s.spec.Algorithm = string(oneOf(s.object, "spec.signing.algorithm", in.Algorithm, "ES256", "ES384", "EdDSA", "RS256", "PS256"))
	source := oneOf(s.object, "spec.signing.source", in.Source, v1alpha1.KeySourceManaged, v1alpha1.KeySourceSecretRef, v1alpha1.KeySourceExternal)
	w.serviceKeys(s, source, in)
	r := policy.Rotation{
		Period:      s.duration("spec.signing.rotation.period", in.Rotation.Period, 720*time.Hour, time.Second, 2*year),
		PrePublish:  s.duration("spec.signing.rotation.prePublish", in.Rotation.PrePublish, time.Hour, time.Second, 2*year),
		RotateAfter: s.moment("spec.signing.rotateAfter", in.RotateAfter),
	}
	switch {
	case r.PrePublish < minPrePublish:
		s.invalid("spec.signing.rotation.prePublish", "expected at least %s, for which verifiers cache the key set (5m) and clocks differ (60s)", short(minPrePublish))
	case r.Period <= r.PrePublish:
		s.invalid("spec.signing.rotation.period", "expected longer than prePublish, or the next key would be due before its turn")
	}
	s.spec.Rotation = r
	s.atMost("spec.signing.revokedKeyIDs", len(in.RevokedKeyIDs), 64)
	for i, kid := range in.RevokedKeyIDs {
		s.text(fmt.Sprintf("spec.signing.revokedKeyIDs[%d]", i), kid, 1, 256)
	}
	s.spec.RevokedKeyIDs = sortedSet(in.RevokedKeyIDs)
	oneOf(s.object, "spec.signing.keyRetention", in.KeyRetention, v1alpha1.KeyRetentionRetain, v1alpha1.KeyRetentionDelete)
}

func (s *service) lifetimes(in *v1alpha1.Lifetimes) {
	s.spec.DefaultLifetime, s.spec.MaxLifetime = s.lifetime("spec.lifetimes.accessToken", &in.AccessToken)
	if usual, most := s.spec.DefaultLifetime, s.spec.MaxLifetime; usual > most {
		// Whoever lowers max alone means it, also where the default was never written.
		s.warn("spec.lifetimes.accessToken.default is %s, longer than max, so that tokens live %s: write a default that is no longer than max", short(usual), short(most))
		s.spec.DefaultLifetime = most
	}
	s.spec.SAML2.Default, s.spec.SAML2.Max = s.lifetime("spec.lifetimes.saml2", &in.SAML2)
	s.spec.IDToken.Default, s.spec.IDToken.Max = s.lifetime("spec.lifetimes.idToken", &in.IDToken)
	s.refreshLifetimes(&in.RefreshToken)
}

// refreshLifetimes reads how long refresh tokens last.
func (s *service) refreshLifetimes(in *v1alpha1.RefreshLifetime) {
	const field = "spec.lifetimes.refreshToken"
	s.spec.RefreshIdle = s.duration(field+".idle", in.Idle, 24*time.Hour, time.Minute, year)
	s.spec.RefreshMax = s.duration(field+".max", in.Max, 720*time.Hour, time.Minute, year)
	s.spec.OfflineMax = s.duration(field+".offlineMax", in.OfflineMax, 2160*time.Hour, time.Minute, year)
	if s.spec.RefreshIdle > max(s.spec.RefreshMax, s.spec.OfflineMax) {
		s.warn("%s.idle is longer than max and offlineMax, which end it before", field)
	}
}

func (o *object) lifetime(field string, in *v1alpha1.TokenLifetime) (usual, most time.Duration) {
	usual = o.duration(field+".default", in.Default, 5*time.Minute, minLifetime, maxLifetime)
	most = o.duration(field+".max", in.Max, time.Hour, minLifetime, maxLifetime)
	return usual, most
}

// The bounds of what an access token may live: F220.
const (
	minLifetime = time.Minute
	maxLifetime = day
)

func (s *service) limits(in *v1alpha1.Limits) {
	s.spec.DelegationDepth = 4
	if in.DelegationDepth != nil {
		s.spec.DelegationDepth = s.number("spec.limits.delegationDepth", *in.DelegationDepth, 0, 8)
	}
	s.spec.TokenBytes = 8192
	if in.TokenBytes != 0 {
		s.spec.TokenBytes = s.number("spec.limits.tokenBytes", in.TokenBytes, 1024, 65536)
	}
	s.spec.ClientRate = s.number("spec.limits.requestsPerSecond.perClient", in.RequestsPerSecond.PerClient, 0, 100_000)
	s.spec.ClientBurst = s.number("spec.limits.requestsPerSecond.burst", in.RequestsPerSecond.Burst, 0, 1_000_000)
}

func (o *object) number(field string, n, least, most int32) int {
	if n < least || n > most {
		o.invalid(field, "expected %d to %d, found %d", least, most, n)
	}
	return int(n)
}

// serviceConflicts finds TokenServices that claim the same addresses: the same
// host, and paths of which one is the other or extends it. Both are out, since
// which of them a request is for would be anybody's guess.
func (w *world) serviceConflicts() {
	var list []*service
	for _, s := range w.services {
		if s.valid() {
			list = append(list, s)
		}
	}
	for i, a := range list {
		for _, b := range list[i+1:] {
			if host := sharedHost(a, b); host != "" {
				both(a.object, b.object, "spec.issuer", "on host %s their paths are the same, or one extends the other: no issuer may extend another's", host)
			}
			for _, pair := range [...][2]*service{{a, b}, {b, a}} {
				if contains(pair[0].spec.AssertionAudiences[1:], pair[1].spec.Issuer) {
					pair[0].problem(v1alpha1.ReasonConflicted, "spec.clientAssertionAudiences", "%s is the issuer of TokenService %s", pair[1].spec.Issuer, pair[1].name)
				}
			}
		}
	}
	for _, s := range list {
		if s.inForce() {
			w.serviceByName[s.name] = s
		}
	}
}

// both refuses two objects that claim the same thing: removing one of them never
// lets the other, perhaps laxer, in unnoticed.
func both(a, b *object, field, format string, args ...any) {
	why := fmt.Sprintf(format, args...)
	a.problem(v1alpha1.ReasonConflicted, field, "conflicts with %s %s: %s", b.kind, b.ref(), why)
	b.problem(v1alpha1.ReasonConflicted, field, "conflicts with %s %s: %s", a.kind, a.ref(), why)
}

func sharedHost(a, b *service) string {
	if !extends(a.path, b.path) && !extends(b.path, a.path) {
		return ""
	}
	for _, h := range a.hosts {
		if contains(b.hosts, h) {
			return h
		}
	}
	return ""
}

func extends(path, base string) bool {
	return path == base || strings.HasPrefix(path, base+"/")
}

func contains(list []string, s string) bool {
	for _, v := range list {
		if v == s {
			return true
		}
	}
	return false
}

// serviceOf resolves tokenServiceRef, and asks whether the object's namespace may
// belong to that TokenService.
func (w *world) serviceOf(o *object, ref *v1alpha1.TokenServiceReference) *service {
	name := v1alpha1.DefaultTokenService
	if ref != nil {
		name = ref.Name
	}
	s, ok := w.serviceByName[name]
	o.hangsOn(kindService, "", name, s.objectOf())
	if !ok {
		if o.absent == "" {
			o.unresolved(v1alpha1.ReasonRefNotFound, "spec.tokenServiceRef", "%s", w.notInForce(kindService, "", name))
		}
		return nil
	}
	if o.namespace != "" && !w.admits(s, o.namespace) {
		if o.absent == "" {
			o.problem(v1alpha1.ReasonNamespaceNotAllowed, "spec.tokenServiceRef",
				"allowedNamespaces of TokenService %s does not admit namespace %s; ask the platform to add it", name, o.namespace)
		}
		return nil
	}
	o.service = s
	return s
}

// admits says whether objects of the namespace may belong to the TokenService.
func (w *world) admits(s *service, namespace string) bool {
	if s.api.Spec.AllowedNamespaces == nil {
		return namespace == w.in.OperatorNamespace
	}
	return w.holds(s.api.Spec.AllowedNamespaces, namespace)
}
