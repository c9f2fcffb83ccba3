// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package schema

const (
	between60sAnd24h = "must be between 60s and 24h"
	longName         = `"` + aLongName + `"`
	aLongName        = "a123456789b123456789c123456789d123456789e123456789f123456789g123456789h123456789i123456789j123456789k123456789l123456789m123456789n123456789o123456789p123456789q123456789r123456789s123456789"
	tooLongName      = "the name must have at most 189 characters, so that <namespace>/<name> fits the 253 of a client ID"
	fixedService     = "tokenServiceRef cannot be changed: delete the object and create it for the other TokenService"
	somePEM          = `"-----BEGIN CERTIFICATE-----\nAA\n-----END CERTIFICATE-----\n"`
)

func tokenServiceChanges() map[string]change {
	const object = "TokenService default"
	return map[string]change{
		"TokenService: a name that leaves no room for the namespace": {
			object: object, set: map[string]string{"metadata.name": longName},
			message: tooLongName,
		},
		"TokenService: an issuer that changes": {
			object: object, set: map[string]string{"spec.issuer": "https://other.example.com"}, update: true,
			path: "spec", message: "issuer cannot be changed: tokens carry it, and verifiers compare it exactly; create another TokenService",
		},
		"TokenService: an issuer that ends with a slash": {
			object: object, set: map[string]string{"spec.issuer": "https://sts.example.com/"},
			path: "spec.issuer", message: "must not end with a slash: the endpoints are the issuer, a slash and a name",
		},
		"TokenService: no issuer": {
			object: object, set: map[string]string{"spec.issuer": "-"},
			path: "spec.issuer", message: "is required",
		},
		"TokenService: a symmetric signing algorithm": {
			object: object, set: map[string]string{"spec.signing.algorithm": "HS256"},
			path: "spec.signing.algorithm", message: `unsupported value, found "HS256"; supported values: "ES256", "ES384", "EdDSA", "RS256", "PS256"`,
		},
		"TokenService: a key from a Secret that is not named": {
			object: object, set: map[string]string{"spec.signing.source": "SecretRef"},
			path: "spec.signing", message: "secretRef is required when source is SecretRef, and must be absent otherwise",
		},
		"TokenService: an external signer that is not named": {
			object: object, set: map[string]string{"spec.signing.source": "External"},
			path: "spec.signing", message: "external is required when source is External, and must be absent otherwise",
		},
		"TokenService: a signer at a strange address": {
			object: object, set: map[string]string{"spec.signing.source": "External", "spec.signing.external": "{address: 'unix:signer', caBundle: " + somePEM + "}"},
			path: "spec.signing.external", message: "address must be unix:///path or host:port",
		},
		"TokenService: a signer over the network without mutual TLS": {
			object: object, set: map[string]string{"spec.signing.source": "External", "spec.signing.external": "{address: 'signer.kms:443'}"},
			path: "spec.signing.external", message: "a signer at host:port needs caBundle and clientCertificateRef: it is reached by mutual TLS only",
		},
		"TokenService: a key that never gets its turn": {
			object: object, set: map[string]string{"spec.signing.rotation": "{period: 1h, prePublish: 1h}"},
			path: "spec.signing.rotation", message: "prePublish must be shorter than period, or the next key would be due before its turn",
		},
		"TokenService: a rotation that never ends": {
			object: object, set: map[string]string{"spec.signing.rotation": "{period: 20000h, prePublish: 1h}"},
			path: "spec.signing.rotation.period", message: "must be between 1s and 17520h, which is two years",
		},
		"F220: TokenService: a lifetime of zero": {
			object: object, set: map[string]string{"spec.lifetimes.accessToken.default": "0s"},
			path: "spec.lifetimes.accessToken.default", message: between60sAnd24h,
		},
		"F220: TokenService: a lifetime of ten years": {
			object: object, set: map[string]string{"spec.lifetimes.accessToken.max": "87600h"},
			path: "spec.lifetimes.accessToken.max", message: between60sAnd24h,
		},
		"TokenService: a refresh token that lives for ever": {
			object: object, set: map[string]string{"spec.lifetimes.refreshToken.offlineMax": "99999h"},
			path: "spec.lifetimes.refreshToken.offlineMax", message: "must be between 60s and 8760h, which is a year",
		},
		"TokenService: chains without end": {
			object: object, set: map[string]string{"spec.limits.delegationDepth": "9"},
			path: "spec.limits.delegationDepth", message: "should be less than or equal to 8",
		},
		"F198: TokenService: a wildcard as an audience of assertions": {
			object: object, set: map[string]string{"spec.clientAssertionAudiences": "['*']"},
			path: "spec.clientAssertionAudiences[0]", message: "must not contain spaces, control characters or *: audiences are compared exactly",
		},
		"TokenService: something else than a certificate": {
			object: object, set: map[string]string{"spec.clientCertificateAuthorities": "[hello]"},
			path: "spec.clientCertificateAuthorities[0]", message: "must be one or more certificates in PEM form",
		},
		"TokenService: a private key among the certificates": {
			object: object, set: map[string]string{"spec.clientCertificateAuthorities": `["-----BEGIN CERTIFICATE-----\n-----BEGIN EC PRIVATE KEY-----"]`},
			path: "spec.clientCertificateAuthorities[0]", message: "must not contain a private key: this object can be read by many",
		},
		"TokenService: namespaces by name and all at once": {
			object: object, set: map[string]string{"spec.allowedNamespaces.all": "true"},
			path: "spec.allowedNamespaces", message: "exactly one of names, selector and all: true must be set",
		},
		"TokenService: an empty list of namespaces": {
			object: object, set: map[string]string{"spec.allowedNamespaces.names": "[]"},
			path: "spec.allowedNamespaces.names", message: "should have at least 1 items",
		},
		"TokenService: all: false, which is nobody": {
			object: object, set: map[string]string{"spec.allowedNamespaces": "{all: false}"},
			path: "spec.allowedNamespaces", message: "exactly one of names, selector and all: true must be set",
		},
		"TokenService: a label with no key": {
			object: object, set: map[string]string{"spec.allowedNamespaces": "{selector: {matchLabels: {'': x}}}"},
			path: "spec.allowedNamespaces.selector.matchLabels", message: "the key of a label has between 1 and 317 characters",
		},
		"TokenService: a label that must be in nothing": {
			object: object, set: map[string]string{"spec.allowedNamespaces": "{selector: {matchExpressions: [{key: a, operator: In}]}}"},
			path: "spec.allowedNamespaces.selector.matchExpressions[0]", message: "values are required with In and NotIn, and must be absent with Exists and DoesNotExist",
		},
		"F198: TokenService: a wildcard where no prefix ends": {
			object: object, set: map[string]string{"spec.names[0].scopes[0]": "'images*'"},
			path: "spec.names[0].scopes[0]", message: "must be a name without spaces, or a prefix: * is possible at the end only, after / or : or .",
		},
		"F198: TokenService: a wildcard in the middle": {
			object: object, set: map[string]string{"spec.names[0].resources[0]": "'https://*/images'"},
			path: "spec.names[0].resources[0]", message: "must be a name without spaces, or a prefix: * is possible at the end only, after / or : or .",
		},
		"F198: TokenService: a bare wildcard": {
			object: object, set: map[string]string{"spec.names[0].audiences": "['*']"},
			path: "spec.names[0].audiences[0]", message: "must be a name without spaces, or a prefix: * is possible at the end only, after / or : or .",
		},
		"TokenService: an identity of no known sort": {
			object: object, set: map[string]string{"spec.names[1].identities[0]": "frontend.shop.svc"},
			path: "spec.names[1].identities[0]", message: "must begin with spiffe://, dns:, uri: or dn:",
		},
		"TokenService: the same name delegated twice in one entry": {
			object: object, set: map[string]string{"spec.names[0].scopes": "[images, images]"},
			path: "spec.names[0].scopes[1]", message: "occurs more than once in a list that must not repeat it",
		},
		"TokenService: a time that is none": {
			object: object, set: map[string]string{"spec.revokeIssuedBefore": "'2027-02-30T00:00:00Z'"},
			path: "spec.revokeIssuedBefore", message: "must be an RFC 3339 time such as 2027-01-31T00:00:00Z",
		},
	}
}

func tokenRevocationChanges() map[string]change {
	const object = "TokenRevocation stolen-laptop"
	return map[string]change{
		"TokenRevocation: of nothing": {
			object: object, set: map[string]string{"spec.subject": `""`},
			path: "spec", message: "at least one of subject, client and tokenID must be set",
		},
		"TokenRevocation: of whatever a subject will ever get": {
			object: object, set: map[string]string{"spec.issuedBefore": `""`},
			path: "spec", message: "issuedBefore is required with subject or client: without it, new tokens would be refused, too",
		},
		"TokenRevocation: without an end": {
			object: object, set: map[string]string{"spec.expiresAt": "-"},
			path: "spec.expiresAt", message: "is required",
		},
		"TokenRevocation: with an empty end": {
			object: object, set: map[string]string{"spec.expiresAt": `""`},
			path: "spec.expiresAt", message: "should be at least 1 chars long",
		},
		"TokenRevocation: that moves to another TokenService": {
			object: object, set: map[string]string{"spec.tokenServiceRef": "{name: other}"}, update: true,
			path: "spec", message: fixedService,
		},
		"TokenRevocation: a name that is too long": {
			object: object, set: map[string]string{"metadata.name": longName},
			message: tooLongName,
		},
	}
}
