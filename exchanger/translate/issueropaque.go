// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"strings"
	"time"

	"github.com/exchequer-dev/exchequer/api/v1alpha1"
	"github.com/exchequer-dev/exchequer/exchanger/issuer/egress"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

// opaqueIssuer reads a member whose tokens say nothing themselves: a server is asked
// about each. Their issuer is the token type URI, which nobody else can have.
func (w *world) opaqueIssuer(i *issuer) {
	spec := &i.api.Spec
	rules, ranges := w.ranges(i.object, spec.Network)
	u := &policy.Upstream{AllowedCIDRs: ranges}
	i.spec.Remote = u
	switch {
	case spec.Introspection != nil:
		in := spec.Introspection
		i.opaque(policy.IssuerIntrospection, policy.ClassOpaque, "spec.introspection", in.TokenTypeURI)
		i.spec.Audiences = i.names("spec.introspection.audiences", in.Audiences, 32)
		w.upstream(i.object, u, "spec.introspection.endpoint", in.Endpoint, "spec.introspection.certificateAuthority", in.CertificateAuthority, rules)
		u.Auth = w.clientAuth(i.object, "spec.introspection.clientAuth", &in.ClientAuth)
	case spec.UserInfo != nil:
		in := spec.UserInfo
		i.opaque(policy.IssuerUserInfo, policy.ClassOpaque, "spec.userInfo", in.TokenTypeURI)
		i.spec.Audiences = []string{policy.UserInfoAudience(i.name)}
		w.upstream(i.object, u, "spec.userInfo.endpoint", in.Endpoint, "spec.userInfo.certificateAuthority", in.CertificateAuthority, rules)
	case spec.RefreshToken != nil:
		in := spec.RefreshToken
		i.opaque(policy.IssuerRefreshToken, policy.ClassRefreshToken, "spec.refreshToken", in.TokenTypeURI)
		w.upstream(i.object, u, "spec.refreshToken.tokenEndpoint", in.TokenEndpoint, "spec.refreshToken.certificateAuthority", in.CertificateAuthority, rules)
		u.Auth = w.clientAuth(i.object, "spec.refreshToken.clientAuth", &in.ClientAuth)
	default:
		in := spec.Webhook
		i.opaque(policy.IssuerWebhook, policy.ClassOpaque, "spec.webhook", in.TokenTypeURI)
		w.upstream(i.object, u, "spec.webhook.url", in.URL, "spec.webhook.caBundle", in.CABundle, rules)
		u.Timeout = i.timeout("spec.webhook.timeout", in.Timeout)
	}
	if i.spec.ForClient {
		i.invalid("spec.use", "Client is not possible here: a token that says nothing itself cannot authenticate a client")
	}
}

// isOpaque says whether the issuer's tokens say nothing themselves.
func isOpaque(api *v1alpha1.TrustedIssuer) bool {
	s := &api.Spec
	return s.Introspection != nil || s.UserInfo != nil || s.RefreshToken != nil || s.Webhook != nil
}

// tokenTypeOf is what selects an opaque issuer, empty for the others.
func tokenTypeOf(api *v1alpha1.TrustedIssuer) string {
	switch s := &api.Spec; {
	case s.Introspection != nil:
		return string(s.Introspection.TokenTypeURI)
	case s.UserInfo != nil:
		return string(s.UserInfo.TokenTypeURI)
	case s.RefreshToken != nil:
		return string(s.RefreshToken.TokenTypeURI)
	case s.Webhook != nil:
		return string(s.Webhook.TokenTypeURI)
	}
	return ""
}

// opaque notes what selects the issuer. The URI stands in for its URL, so that what
// was derived from its tokens ends when it becomes another's.
func (i *issuer) opaque(kind policy.IssuerKind, class policy.Class, field string, uri v1alpha1.TokenTypeURI) {
	i.spec.Kind, i.spec.Classes = kind, []policy.Class{class}
	i.spec.Algorithms = []string{}
	i.spec.TokenTypeURI, i.spec.URL = string(uri), string(uri)
	at := field + ".tokenTypeURI"
	if !i.text(at, string(uri), 1, maxNameBytes) {
		return
	}
	scheme, rest, ok := strings.Cut(string(uri), ":")
	switch {
	case !ok || rest == "" || !isVisible(string(uri), "") || !isScheme(scheme):
		i.invalid(at, "expected an absolute URI without spaces")
	case isKnownTokenType(string(uri)):
		i.invalid(at, "expected a URI of your own: this one has a meaning already")
	}
}

func isKnownTokenType(uri string) bool {
	uri = strings.ToLower(uri)
	return strings.HasPrefix(uri, "urn:ietf:params:oauth:token-type:") || strings.HasPrefix(uri, "https://exchequer.dev/token-type/")
}

// directory reads spec.directory; an empty url means that there is none.
func (w *world) directory(i *issuer) {
	in := i.api.Spec.Directory
	if in == nil || in.URL == "" {
		if in != nil && in.CABundle != "" {
			i.invalid("spec.directory.caBundle", "it has no effect without url")
		}
		return
	}
	// What is wrong with the ranges has been told by whoever reads them for the member.
	rules, ranges := w.ranges(&object{}, i.api.Spec.Network)
	u := &policy.Upstream{AllowedCIDRs: ranges, Timeout: i.timeout("spec.directory.timeout", in.Timeout)}
	w.upstream(i.object, u, "spec.directory.url", in.URL, "spec.directory.caBundle", in.CABundle, rules)
	if isLocal(i.api) {
		i.invalid("spec.directory", "the local cluster's names are Kubernetes' own, which no directory may change")
	}
	i.spec.Directory = u
}

// upstream reads where a server is, and who may sign its certificate.
func (w *world) upstream(o *object, u *policy.Upstream, field string, url v1alpha1.URL, caField string, ca v1alpha1.PEM, rules egress.Rules) {
	u.URL = string(url)
	w.dialled(o, field, url, rules)
	u.CABundle = o.certificates(caField, ca)
}

const (
	// usualTimeout is the schema's default for webhooks.
	usualTimeout = 2 * time.Second
	maxTimeout   = 5 * time.Second
)

func (o *object) timeout(field string, d v1alpha1.Duration) time.Duration {
	return o.duration(field, d, usualTimeout, time.Millisecond, maxTimeout)
}
