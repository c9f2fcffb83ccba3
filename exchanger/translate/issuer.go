// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/exchequer-dev/exchequer/api/v1alpha1"
	"github.com/exchequer-dev/exchequer/exchanger/issuer/egress"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

func (w *world) translateIssuers() {
	for _, i := range w.issuers {
		w.serviceOf(i.object, i.api.Spec.TokenServiceRef)
		if i.absent == "" {
			w.guard(i.object, func() { w.translateIssuer(i) })
		}
	}
}

func (w *world) translateIssuer(i *issuer) {
	spec := &i.api.Spec
	i.spec = policy.Issuer{Name: i.name, Prefix: prefixOf(i.api)}
	if i.service != nil {
		i.spec.TokenService = i.service.name
	}
	if isReservedIssuer(i.name) {
		i.invalid("metadata.name", "%s is a reserved name: choose another", i.name)
	}
	i.uses(spec.Use)
	if spec.AllowedNamespaces != nil {
		i.checkNamespaces("spec.allowedNamespaces", spec.AllowedNamespaces)
	}
	w.issuerMember(i)
	i.checkPrefix()
	i.checkAliases()
	i.spec.MaxTokenAge = i.duration("spec.maxTokenAge", spec.MaxTokenAge, day, time.Second, 8784*time.Hour)
	i.spec.ClockSkew = i.duration("spec.clockSkew", spec.ClockSkew, 30*time.Second, 0, time.Minute)
	w.claimRules(i)
	w.mappings(i)
	i.spec.UserRules = w.rules(i.object, "spec.userValidationRules", policy.EnvUser, spec.UserValidationRules, 32)
	w.directory(i)
	i.spec.RevokeIssuedBefore = w.revocation(i.object, spec.RevokeIssuedBefore)
}

func isReservedIssuer(name string) bool {
	return name == "system" || name == policy.SelfIssuer || name == "userinfo"
}

func (i *issuer) uses(use []v1alpha1.IssuerUse) {
	known := []v1alpha1.IssuerUse{v1alpha1.IssuerUseSubject, v1alpha1.IssuerUseActor, v1alpha1.IssuerUseClient}
	list := manyOf(i.object, "spec.use", use, known[:2], known, known)
	i.spec.ForSubject = slices.Contains(list, v1alpha1.IssuerUseSubject)
	i.spec.ForActor = slices.Contains(list, v1alpha1.IssuerUseActor)
	i.spec.ForClient = slices.Contains(list, v1alpha1.IssuerUseClient)
}

// issuerMember reads the one member that says how the issuer's tokens are read.
func (w *world) issuerMember(i *issuer) {
	spec := &i.api.Spec
	var set members
	set.add("jwt", spec.JWT != nil)
	set.add("kubernetes", spec.Kubernetes != nil)
	set.add("spiffe", spec.SPIFFE != nil)
	set.add("saml", spec.SAML != nil)
	set.add("introspection", spec.Introspection != nil)
	set.add("userInfo", spec.UserInfo != nil)
	set.add("refreshToken", spec.RefreshToken != nil)
	set.add("webhook", spec.Webhook != nil)
	if !i.exactlyOne("spec", set, "jwt, kubernetes, spiffe, saml, introspection, userInfo, refreshToken and webhook") {
		return
	}
	switch {
	case spec.JWT != nil:
		w.jwtIssuer(i, spec.JWT)
	case spec.Kubernetes != nil:
		w.kubernetesIssuer(i, spec.Kubernetes)
	case spec.SAML != nil:
		w.samlIssuer(i, spec.SAML)
	case spec.SPIFFE != nil:
		w.spiffeIssuer(i, spec.SPIFFE)
	case isOpaque(i.api):
		w.opaqueIssuer(i)
	default:
		i.notSupported("spec."+set[0], "issuers of this kind are not served; served: jwt, kubernetes, spiffe, saml, introspection, userInfo, refreshToken, webhook")
	}
}

func algorithms() []v1alpha1.VerificationAlgorithm {
	return []v1alpha1.VerificationAlgorithm{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
}

func usualAlgorithms() []v1alpha1.VerificationAlgorithm {
	return []v1alpha1.VerificationAlgorithm{"RS256", "PS256", "ES256", "ES384", "EdDSA"}
}

func (w *world) jwtIssuer(i *issuer, in *v1alpha1.JWTIssuer) {
	i.spec.Kind = policy.IssuerJWT
	i.spec.URL = string(in.Issuer.URL)
	rules := w.dialRules(i)
	w.parseIssuer(i.object, "spec.jwt.issuer.url", i.spec.URL, rules)
	i.spec.Audiences = i.names("spec.jwt.issuer.audiences", in.Issuer.Audiences, 32)
	w.keys(i, "spec.jwt.keys", "spec.jwt.issuer", &in.Keys, in.Issuer.DiscoveryURL, in.Issuer.CertificateAuthority, rules)
	i.spec.Algorithms = strs(manyOf(i.object, "spec.jwt.algorithms", in.Algorithms, usualAlgorithms(), algorithms(), algorithms()))
	classes := []v1alpha1.JWTClass{"AccessToken", "IDToken", "JWT"}
	for _, c := range manyOf(i.object, "spec.jwt.tokenTypes", in.TokenTypes, classes, classes, classes) {
		i.spec.Classes = append(i.spec.Classes, policy.Class(c))
	}
	if c := in.Classify; c != nil {
		if c.AccessToken != "" {
			i.spec.ClassifyAccess = w.expression(i.object, "spec.jwt.classify.accessToken", policy.EnvClaims, policy.WantBool, c.AccessToken)
		}
		if c.IDToken != "" {
			i.spec.ClassifyID = w.expression(i.object, "spec.jwt.classify.idToken", policy.EnvClaims, policy.WantBool, c.IDToken)
		}
	}
	if i.spec.ForClient {
		i.warn("spec.use: Client has no effect here: clients authenticate with service-account tokens, which only issuers of the member kubernetes have")
	}
}

func strs[T ~string](list []T) []string {
	out := make([]string, len(list))
	for i, v := range list {
		out[i] = string(v)
	}
	return out
}

// kubernetesIssuer reads a cluster's service-account tokens. They have no typ and
// none of the claims of ID tokens: their class is JWT.
func (w *world) kubernetesIssuer(i *issuer, in *v1alpha1.KubernetesIssuer) {
	i.spec.Kind = policy.IssuerKubernetes
	i.spec.Classes = []policy.Class{policy.ClassJWT}
	i.spec.Algorithms = strs(sortedValues(usualAlgorithms()))
	i.spec.Audiences = i.names("spec.kubernetes.audiences", in.Audiences, 32)
	switch oneOf(i.object, "spec.kubernetes.validation", in.Validation, v1alpha1.ValidationJWKS, v1alpha1.ValidationTokenReview) {
	case v1alpha1.ValidationTokenReview:
		i.spec.TokenReview = true
		if in.Cluster.Local == nil {
			i.invalid("spec.kubernetes.validation", "TokenReview needs the local cluster: no other's API server is asked")
		}
	case v1alpha1.ValidationJWKS:
	}
	var set members
	set.add("local", in.Cluster.Local != nil)
	set.add("remote", in.Cluster.Remote != nil)
	if !i.exactlyOne("spec.kubernetes.cluster", set, "local and remote") {
		return
	}
	if in.Cluster.Local != nil {
		w.localIssuer(i)
		return
	}
	remote := in.Cluster.Remote
	rules := w.dialRules(i)
	i.spec.URL = string(remote.Issuer.URL)
	w.parseIssuer(i.object, "spec.kubernetes.cluster.remote.issuer.url", i.spec.URL, rules)
	w.keys(i, "spec.kubernetes.cluster.remote.keys", "spec.kubernetes.cluster.remote.issuer", &remote.Keys,
		remote.Issuer.DiscoveryURL, remote.Issuer.CertificateAuthority, rules)
}

// dialRules reads network.allowedCIDRs.
func (w *world) dialRules(i *issuer) egress.Rules {
	rules, kept := w.ranges(i.object, i.api.Spec.Network)
	i.spec.Keys.AllowedCIDRs = kept
	return rules
}

// ranges reads network.allowedCIDRs of whatever has it.
func (w *world) ranges(o *object, network *v1alpha1.Network) (egress.Rules, []string) {
	rules := egress.Rules{Loopback: w.in.Serve}
	if network == nil {
		return rules, nil
	}
	list := network.AllowedCIDRs
	o.atMost("spec.network.allowedCIDRs", len(list), 32)
	var kept []string
	for n, text := range list {
		at := fmt.Sprintf("spec.network.allowedCIDRs[%d]", n)
		p, err := netip.ParsePrefix(text)
		switch {
		case err != nil || p.Addr().Zone() != "":
			o.invalid(at, "expected an address range such as 10.0.0.0/8")
			continue
		case p != p.Masked():
			o.invalid(at, "expected %s: the bits behind the length must be zero", p.Masked())
			continue
		case p.Bits() == 0:
			o.invalid(at, "%s is every address there is: list the ranges that are meant", p)
			continue
		case p.Addr().IsLinkLocalUnicast() || p.Addr().IsMulticast():
			o.invalid(at, "link-local and multicast addresses are never dialled")
			continue
		case p.Addr().Unmap().IsLoopback() && !w.in.Serve:
			o.notSupported(at, "loopback is for `exchequer serve` only")
			continue
		}
		rules.AllowedCIDRs = append(rules.AllowedCIDRs, p)
		kept = append(kept, p.String())
	}
	return rules, sortedSet(kept)
}

// prefixOf is what is put before the issuer's subjects and groups. The local
// cluster's need none: they begin with system:, which no other issuer's may.
func prefixOf(api *v1alpha1.TrustedIssuer) string {
	if isLocal(api) {
		return ""
	}
	if api.Spec.IdentityPrefix != nil {
		return *api.Spec.IdentityPrefix
	}
	return api.Name + ":"
}

func (i *issuer) checkPrefix() {
	p := i.spec.Prefix
	i.text("spec.identityPrefix", p, 0, v1alpha1.MaxNameLength+1)
	switch {
	case p != "" && !isVisible(p, ""):
		i.invalid("spec.identityPrefix", "expected printable ASCII without spaces")
	case strings.HasPrefix(p, "system:"):
		i.invalid("spec.identityPrefix", "system: is Kubernetes' own: choose another")
	}
}
