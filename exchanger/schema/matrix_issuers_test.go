// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package schema

const oneOfClaimAndExpression = "exactly one of claim and expression must be set"

func trustedIssuerChanges() map[string]change {
	const object = "TrustedIssuer corp"
	return map[string]change{
		"TrustedIssuer: a reserved name": {
			object: object, set: map[string]string{"metadata.name": "self"},
			message: "the names system, self and userinfo are reserved: choose another name",
		},
		"TrustedIssuer: two kinds at once": {
			object: object, set: map[string]string{"spec.kubernetes": "{cluster: {local: {}}}"},
			path: "spec", message: "exactly one of jwt, kubernetes, spiffe, saml, introspection, userInfo, refreshToken and webhook must be set",
		},
		"TrustedIssuer: no kind": {
			object: object, set: map[string]string{"spec.jwt": "-"},
			path: "spec", message: "exactly one of jwt, kubernetes, spiffe, saml, introspection, userInfo, refreshToken and webhook must be set",
		},
		"TrustedIssuer: a kind that changes": {
			object: object, set: map[string]string{"spec.jwt": "-", "spec.kubernetes": "{cluster: {local: {}}}"}, update: true,
			path: "spec", message: "the kind of issuer cannot be changed: create another TrustedIssuer",
		},
		"TrustedIssuer: a URL that changes": {
			object: object, set: map[string]string{"spec.jwt.issuer.url": "https://other.corp.example"}, update: true,
			path: "spec", message: "jwt.issuer.url cannot be changed: create another TrustedIssuer",
		},
		"TrustedIssuer: an entity ID that changes": {
			object: "TrustedIssuer adfs", set: map[string]string{"spec.saml.entityID": "https://other"}, update: true,
			path: "spec", message: "saml.entityID cannot be changed: create another TrustedIssuer",
		},
		"TrustedIssuer: a TokenService that changes": {
			object: object, set: map[string]string{"spec.tokenServiceRef": "{name: other}"}, update: true,
			path: "spec", message: fixedService,
		},
		"TrustedIssuer: good for nothing": {
			object: object, set: map[string]string{"spec.use": "[]"},
			path: "spec.use", message: "should have at least 1 items",
		},
		"TrustedIssuer: a symmetric algorithm": {
			object: object, set: map[string]string{"spec.jwt.algorithms": "[HS256]"},
			path: "spec.jwt.algorithms[0]", message: `unsupported value, found "HS256"; supported values: "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"`,
		},
		"TrustedIssuer: no algorithm at all": {
			object: object, set: map[string]string{"spec.jwt.algorithms": "[none]"},
			path: "spec.jwt.algorithms[0]", message: `unsupported value, found "none"; supported values: "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"`,
		},
		"TrustedIssuer: an empty list of algorithms": {
			object: object, set: map[string]string{"spec.jwt.algorithms": "[]"},
			path: "spec.jwt.algorithms", message: "should have at least 1 items",
		},
		"TrustedIssuer: an empty list of token types": {
			object: object, set: map[string]string{"spec.jwt.tokenTypes": "[]"},
			path: "spec.jwt.tokenTypes", message: "should have at least 1 items",
		},
		"F184: TrustedIssuer: inline keys and discovery": {
			object: object, set: map[string]string{"spec.jwt.keys.inline": "{keys: [{kty: OKP, crv: Ed25519, x: AA}]}"},
			path: "spec.jwt.keys", message: "exactly one of discovery, jwksURL, inline and configMapRef must be set",
		},
		"F184: TrustedIssuer: inline keys and a URL": {
			object: object, set: map[string]string{"spec.jwt.keys": "{jwksURL: 'https://login.corp.example/keys', inline: {keys: [{kty: OKP, crv: Ed25519, x: AA}]}}"},
			path: "spec.jwt.keys", message: "exactly one of discovery, jwksURL, inline and configMapRef must be set",
		},
		"TrustedIssuer: keys from nowhere": {
			object: object, set: map[string]string{"spec.jwt.keys": "{jwksURL: ''}"},
			path: "spec.jwt.keys", message: "exactly one of discovery, jwksURL, inline and configMapRef must be set",
		},
		"TrustedIssuer: clocks that differ by an hour": {
			object: object, set: map[string]string{"spec.clockSkew": "1h"},
			path: "spec.clockSkew", message: "must be at most 60s",
		},
		"TrustedIssuer: tokens that never age": {
			object: object, set: map[string]string{"spec.maxTokenAge": "99999h"},
			path: "spec.maxTokenAge", message: "must be between 1s and 8784h, which is a year",
		},
		"TrustedIssuer: a duration that is none": {
			object: object, set: map[string]string{"spec.maxTokenAge": "1d"},
			path: "spec.maxTokenAge", message: "must be a duration such as 5m, 1h30m or 500ms",
		},
		"TrustedIssuer: subjects that could be Kubernetes'": {
			object: object, set: map[string]string{"spec.identityPrefix": "'system:corp:'"},
			path: "spec.identityPrefix", message: "must not begin with system:, which is Kubernetes' own",
		},
		"TrustedIssuer: a range that is none": {
			object: object, set: map[string]string{"spec.network.allowedCIDRs": "[10.0.0.0]"},
			path: "spec.network.allowedCIDRs[0]", message: "must be an address range such as 10.0.0.0/8",
		},
		"TrustedIssuer: the same client ID twice": {
			object: object, set: map[string]string{"spec.clients[1]": "{id: hr-portal, client: {namespace: shop, name: frontend}}"},
			path: "spec.clients[1]", message: "occurs more than once in a list that must not repeat it",
		},
		"TrustedIssuer: a subject from a claim and an expression": {
			object: object, set: map[string]string{"spec.claimMappings.subject": "{claim: sub, expression: claims.sub}"},
			path: "spec.claimMappings.subject", message: oneOfClaimAndExpression,
		},
		"TrustedIssuer: groups from nothing": {
			object: object, set: map[string]string{"spec.claimMappings.groups": "{}"},
			path: "spec.claimMappings.groups", message: oneOfClaimAndExpression,
		},
		"TrustedIssuer: scopes from two places": {
			object: object, set: map[string]string{"spec.claimMappings.scopes": "{claim: scp, expression: claims.scp}"},
			path: "spec.claimMappings.scopes", message: "at most one of claim and expression can be set",
		},
		"TrustedIssuer: an extra value from nothing": {
			object: object, set: map[string]string{"spec.claimMappings.extra[0]": "{key: department}"},
			path: "spec.claimMappings.extra[0]", message: oneOfClaimAndExpression,
		},
		"TrustedIssuer: a scope with a space": {
			object: object, set: map[string]string{"spec.claimMappings.scopes.map": "[{from: 'a b', to: c}]"},
			path: "spec.claimMappings.scopes.map[0].from", message: "must be printable ASCII without spaces, quotes or backslashes",
		},
		"TrustedIssuer: a rule that is nothing": {
			object: object, set: map[string]string{"spec.claimValidationRules[0]": "{message: nothing}"},
			path: "spec.claimValidationRules[0]", message: oneOfClaimAndExpression,
		},
		"TrustedIssuer: a claim that must have no value": {
			object: object, set: map[string]string{"spec.claimValidationRules[0]": "{claim: hd}"},
			path: "spec.claimValidationRules[0]", message: "requiredValue belongs to claim: set both or neither",
		},
		"TrustedIssuer: a rule without expression": {
			object: object, set: map[string]string{"spec.userValidationRules[0].expression": `""`},
			path: "spec.userValidationRules[0].expression", message: "should be at least 1 chars long",
		},
	}
}

func issuerMemberChanges() map[string]change {
	return map[string]change{
		"TrustedIssuer: a cluster that is here and elsewhere": {
			object: "TrustedIssuer remote", set: map[string]string{"spec.kubernetes.cluster.local": "{}"},
			path: "spec.kubernetes.cluster", message: "exactly one of local and remote must be set",
		},
		"TrustedIssuer: another cluster that is asked to review": {
			object: "TrustedIssuer remote", set: map[string]string{"spec.kubernetes.validation": "TokenReview"},
			path: "spec.kubernetes", message: "validation TokenReview needs the local cluster: no other API server is asked",
		},
		"TrustedIssuer: a bundle from two places": {
			object: "TrustedIssuer mesh", set: map[string]string{"spec.spiffe.bundle.configMapRef": "{name: a, key: b}"},
			path: "spec.spiffe.bundle", message: "exactly one of inline, configMapRef and url must be set",
		},
		"TrustedIssuer: SAML certificates from two places": {
			object: "TrustedIssuer adfs", set: map[string]string{"spec.saml.certificates": "[" + somePEM + "]"},
			path: "spec.saml", message: "exactly one of certificates and metadataURL must be set",
		},
		"TrustedIssuer: opaque tokens under a relative URI": {
			object: "TrustedIssuer opaque", set: map[string]string{"spec.introspection.tokenTypeURI": "opaque"},
			path: "spec.introspection.tokenTypeURI", message: "must be an absolute URI without spaces",
		},
		"TrustedIssuer: opaque tokens under a URI that has a meaning": {
			object: "TrustedIssuer opaque", set: map[string]string{"spec.introspection.tokenTypeURI": "'urn:ietf:params:oauth:token-type:access_token'"},
			path: "spec.introspection.tokenTypeURI", message: "must be a URI of your own: this one has a meaning already",
		},
		"TrustedIssuer: two ways to authenticate there": {
			object: "TrustedIssuer opaque", set: map[string]string{"spec.introspection.clientAuth.privateKeyJWT": "{}"},
			path: "spec.introspection.clientAuth", message: "exactly one of secretRef, privateKeyJWT and mutualTLS must be set",
		},
		"TrustedIssuer: a place for a secret that there is not": {
			object: "TrustedIssuer legacy", set: map[string]string{"spec.refreshToken.clientAuth.method": "Post"},
			path: "spec.refreshToken.clientAuth", message: "method says where a client secret is sent: it needs secretRef",
		},
		"TrustedIssuer: a webhook that takes its time": {
			object: "TrustedIssuer hook", set: map[string]string{"spec.webhook.timeout": "6s"},
			path: "spec.webhook.timeout", message: "must be more than nothing and at most 5s",
		},
		"TrustedIssuer: a directory that has no time": {
			object: "TrustedIssuer corp", set: map[string]string{"spec.directory.timeout": "0s"},
			path: "spec.directory.timeout", message: "must be more than nothing and at most 5s",
		},
	}
}

func urlChanges() map[string]change {
	const (
		scheme   = "must be an https URL; http is possible on a loopback host only: localhost, 127.x.x.x or [::1]"
		host     = "must have a host, which is a DNS name without trailing dot or a complete IP address, then perhaps a port and a path, and no spaces"
		reserved = "must not be a link-local, multicast or unspecified address"
	)
	urls := map[string][2]string{
		"F154: plain http":                           {"http://login.corp.example", scheme},
		"F154: http to a host that begins loopback":  {"http://localhost.corp.example", scheme},
		"F154: a user and a password":                {"https://admin:secret@login.corp.example", "must not contain a user name or password"},
		"F154: a query":                              {"https://login.corp.example/?a=b", "must not have a query or a fragment"},
		"F154: a fragment":                           {"https://login.corp.example/#a", "must not have a query or a fragment"},
		"F154: an address of the cloud's metadata":   {"https://169.254.169.254", reserved},
		"F154: a link-local IPv6 address":            {"https://[fe80::1]", reserved},
		"F154: an IPv4 address in IPv6":              {"https://[::ffff:169.254.169.254]", reserved},
		"F154: no address":                           {"https://0.0.0.0", reserved},
		"F154: a multicast address":                  {"https://224.0.0.1", reserved},
		"F162: an address as one number":             {"https://2130706433", host},
		"F162: an address in hexadecimal":            {"https://0x7f.1", host},
		"F162: an address with too few parts":        {"https://127.1", host},
		"F162: an address with zeros in front":       {"https://010.0.0.1", host},
		"F162: a host that ends with a dot":          {"https://login.corp.example.", host},
		"F162: a host with an ideographic full stop": {"https://login。corp.example", host},
		"F154: a space":                              {"https://login.corp.example/a b", host},
		"F154: no host":                              {"https:///keys", host},
	}
	changes := map[string]change{}
	for name, url := range urls {
		changes["TrustedIssuer: "+name] = change{
			object: "TrustedIssuer corp", set: map[string]string{"spec.jwt.issuer.url": `"` + url[0] + `"`},
			path: "spec.jwt.issuer.url", message: url[1],
		}
	}
	return changes
}
