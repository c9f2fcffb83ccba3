// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package schema

func exchangeClientChanges() map[string]change {
	const object = "ExchangeClient frontend"
	return map[string]change{
		"ExchangeClient: a name that is too long": {
			object: object, set: map[string]string{"metadata.name": longName},
			message: tooLongName,
		},
		"ExchangeClient: a client ID with a space": {
			object: object, set: map[string]string{"spec.clientID": "shop/my app"},
			path: "spec.clientID", message: "must consist of letters, digits, dots, underscores, hyphens and slashes, and begin with the namespace and a slash",
		},
		"ExchangeClient: a client ID that changes": {
			object: object, set: map[string]string{"spec.clientID": "shop/other"}, update: true,
			path: "spec", message: "clientID cannot be changed: create another ExchangeClient",
		},
		"ExchangeClient: an entity ID that changes": {
			object: object, set: map[string]string{"spec.saml.entityID": "https://other"}, update: true,
			path: "spec", message: "saml.entityID cannot be changed or taken away: create another ExchangeClient",
		},
		"ExchangeClient: an entity ID that goes, so that it may come back changed": {
			object: object, set: map[string]string{"spec.saml": "-"}, update: true,
			path: "spec", message: "saml.entityID cannot be changed or taken away: create another ExchangeClient",
		},
		"ExchangeClient: a TokenService that changes": {
			object: object, set: map[string]string{"spec.tokenServiceRef": "{name: other}"}, update: true,
			path: "spec", message: fixedService,
		},
		"ExchangeClient: an empty list of grants": {
			object: object, set: map[string]string{"spec.grants": "[]"},
			path: "spec.grants", message: "should have at least 1 items",
		},
		"ExchangeClient: public beside a secret": {
			object: object, set: map[string]string{"spec.authentication": "[{public: {}}, {clientSecret: {secretRef: {name: a, key: b}}}]"},
			path: "spec.authentication", message: "public stands alone: a client that can keep a secret is not public",
		},
		"ExchangeClient: three secrets": {
			object: object, set: map[string]string{"spec.authentication": "[{clientSecret: {secretRef: {name: a, key: b}}}, {clientSecret: {secretRef: {name: a, key: c}}}, {clientSecret: {secretRef: {name: a, key: d}}}]"},
			path: "spec.authentication", message: "at most two client secrets: the old one and the new one",
		},
		"ExchangeClient: nine methods": {
			object: object, set: map[string]string{"spec.authentication": "[{public: {}}, {public: {}}, {public: {}}, {public: {}}, {public: {}}, {public: {}}, {public: {}}, {public: {}}, {public: {}}]"},
			path: "spec.authentication", message: "must have at most 8 items",
		},
		"ExchangeClient: two methods in one entry": {
			object: object, set: map[string]string{"spec.authentication[0].mutualTLS": "{sanDNS: frontend.shop.svc}"},
			path: "spec.authentication[0]", message: "exactly one of kubernetesServiceAccount, privateKeyJWT, clientSecret, mutualTLS, spiffe and public must be set",
		},
		"ExchangeClient: keys from two places": {
			object: object, set: map[string]string{"spec.authentication[1].privateKeyJWT.configMapRef": "{name: a, key: b}"},
			path: "spec.authentication[1].privateKeyJWT", message: "exactly one of inline and configMapRef must be set",
		},
		"ExchangeClient: a secret and its hash": {
			object: object, set: map[string]string{"spec.authentication[4].clientSecret.secretRef": "{name: a, key: b}"},
			path: "spec.authentication[4].clientSecret", message: "exactly one of secretRef and sha256 must be set",
		},
		"F74: ExchangeClient: a secret where its hash belongs": {
			object: object, set: map[string]string{"spec.authentication[4].clientSecret.sha256": "correct-horse-battery-staple"},
			path: "spec.authentication[4].clientSecret.sha256", message: "must be the SHA-256 of the secret as 64 lower-case hexadecimal digits; the secret itself must not stand here",
		},
		"ExchangeClient: two names in a certificate": {
			object: object, set: map[string]string{"spec.authentication[5].mutualTLS.sanURI": "'spiffe://example.org/a'"},
			path: "spec.authentication[5].mutualTLS", message: "exactly one of sanDNS, sanURI, subjectDN and thumbprints must be set",
		},
		"F198: ExchangeClient: a certificate of any host": {
			object: object, set: map[string]string{"spec.authentication[5].mutualTLS.sanDNS": "'*.shop.svc'"},
			path: "spec.authentication[5].mutualTLS.sanDNS", message: "must be a DNS name in lower case, without *",
		},
		"ExchangeClient: a thumbprint of another hash": {
			object: object, set: map[string]string{"spec.authentication[5].mutualTLS": "{thumbprints: [da39a3ee5e6b4b0d3255bfef95601890afd80709aaaa]}"},
			path: "spec.authentication[5].mutualTLS.thumbprints[0]", message: "must be a SHA-256 hash: 64 lower-case hexadecimal digits or 43 base64url characters",
		},
		"ExchangeClient: a SPIFFE ID without path": {
			object: object, set: map[string]string{"spec.authentication[6].spiffe.id": "'spiffe://example.org'"},
			path: "spec.authentication[6].spiffe.id", message: "must be a SPIFFE ID: spiffe://, the trust domain and a path",
		},
		"F198: ExchangeClient: a wildcard as an audience": {
			object: object, set: map[string]string{"spec.audiences": "['*']"},
			path: "spec.audiences[0]", message: "must not contain spaces, control characters or *: audiences are compared exactly",
		},
		"F198: ExchangeClient: a wildcard as a resource": {
			object: object, set: map[string]string{"spec.resources[0]": "'https://shop.example.com/*'"},
			path: "spec.resources[0]", message: "must not contain *: resources are compared exactly",
		},
		"ExchangeClient: a resource that is relative": {
			object: object, set: map[string]string{"spec.resources[0]": "/api"},
			path: "spec.resources[0]", message: "must be an absolute URI without spaces",
		},
		"ExchangeClient: a resource with a fragment": {
			object: object, set: map[string]string{"spec.resources[0]": "'https://shop.example.com/api#a'"},
			path: "spec.resources[0]", message: "must not have a fragment (RFC 8707, section 2)",
		},
		"ExchangeClient: a resource with a user": {
			object: object, set: map[string]string{"spec.resources[0]": "'https://me@shop.example.com/api'"},
			path: "spec.resources[0]", message: "must not contain a user name or password",
		},
		"F220: ExchangeClient: a lifetime of one second": {
			object: object, set: map[string]string{"spec.token.lifetime": "1s"},
			path: "spec.token.lifetime", message: between60sAnd24h,
		},
		"F220: ExchangeClient: a negative lifetime": {
			object: object, set: map[string]string{"spec.token.lifetime": "'-5m'"},
			path: "spec.token.lifetime", message: "must be a duration such as 5m, 1h30m or 500ms",
		},
	}
}

func keyChanges() map[string]change {
	const (
		object  = "ExchangeClient frontend"
		key     = "spec.authentication[1].privateKeyJWT.inline.keys[0]"
		private = "is a private key: take out d, p, q, dp, dq, qi, oth and k, and replace the key, because it has been written down here"
		shape   = "an RSA key has n and e, an EC key crv, x and y, an OKP key crv and x"
	)
	changes := map[string]change{
		"ExchangeClient: an EC key without y": {
			object: object, set: map[string]string{key + ".y": "-"}, path: key, message: shape,
		},
		"ExchangeClient: an RSA key without modulus": {
			object: object, set: map[string]string{key: "{kty: RSA, e: AQAB}"}, path: key, message: shape,
		},
		"ExchangeClient: a symmetric key": {
			object: object, set: map[string]string{key: "{kty: oct}"},
			path: key + ".kty", message: `unsupported value, found "oct"; supported values: "RSA", "EC", "OKP"`,
		},
		"ExchangeClient: no key at all": {
			object: object, set: map[string]string{"spec.authentication[1].privateKeyJWT.inline.keys": "[]"},
			path: "spec.authentication[1].privateKeyJWT.inline.keys", message: "should have at least 1 items",
		},
	}
	for _, member := range []string{"d", "p", "q", "dp", "dq", "qi", "k"} {
		changes["ExchangeClient: the private member "+member+" of a key"] = change{
			object: object, set: map[string]string{key + "." + member: "AA"}, path: key, message: private,
		}
	}
	changes["ExchangeClient: the private member oth of a key"] = change{
		object: object, set: map[string]string{key + ".oth": "[{}]"}, path: key, message: private,
	}
	return changes
}

func clientScopeChanges() map[string]change {
	const object = "ClientScope images"
	return map[string]change{
		"ClientScope: a name that is too long": {
			object: object, set: map[string]string{"metadata.name": longName},
			message: tooLongName,
		},
		"ClientScope: a scope that changes": {
			object: object, set: map[string]string{"spec.scope": "pictures"}, update: true,
			message: "scope cannot be changed: make another ClientScope and move its users",
		},
		"ClientScope: a TokenService that changes": {
			object: object, set: map[string]string{"spec.tokenServiceRef": "{name: other}"}, update: true,
			path: "spec", message: fixedService,
		},
		"F198: ClientScope: a wildcard": {
			object: object, set: map[string]string{"spec.scope": "'*'"},
			path: "spec.scope", message: "must be printable ASCII without spaces, quotes, backslashes or *",
		},
		"ClientScope: a reserved scope": {
			object: object, set: map[string]string{"spec.scope": "offline_access"},
			path: "spec.scope", message: "offline_access is reserved: it asks for a refresh token",
		},
		"ClientScope: an empty list of targets": {
			object: object, set: map[string]string{"spec.targets": "[]"},
			path: "spec.targets", message: "should have at least 1 items",
		},
		"ClientScope: a reserved claim": {
			object: object, set: map[string]string{"spec.claims[0].name": "sub"},
			path: "spec.claims[0].name", message: "is a reserved claim: the protocol gives it its meaning, so no policy or scope can set it",
		},
		"ClientScope: the same claim twice": {
			object: object, set: map[string]string{"spec.claims[1]": "{name: img_quota, expression: '1'}"},
			path: "spec.claims[1]", message: "occurs more than once in a list that must not repeat it",
		},
	}
}
