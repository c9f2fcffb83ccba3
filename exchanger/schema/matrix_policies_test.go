// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package schema

const (
	clientsByName = "audience match Issuer and AnyOf need clients by name, or token.binding: Require"
	anyOfNeeded   = "anyOf belongs to match: AnyOf, which needs at least one"
	oneClient     = "exactly one of name, selector and all: true must be set"
	aWildcardName = "must be the name of an object: lower-case letters, digits, hyphens and dots"
)

func exchangePolicyChanges() map[string]change {
	const object = "ExchangePolicy frontend-gets-images"
	changes := map[string]change{
		"ExchangePolicy: a name that is too long":      {object: object, set: map[string]string{"metadata.name": longName}, message: tooLongName},
		"ExchangePolicy: a TokenService that changes":  {object: object, set: map[string]string{"spec.tokenServiceRef": "{name: other}"}, update: true, path: "spec", message: fixedService},
		"ExchangePolicy: no clients":                   {object: object, set: map[string]string{"spec.clients": "[]"}, path: "spec.clients", message: "should have at least 1 items"},
		"ExchangePolicy: clients left out":             {object: object, set: map[string]string{"spec.clients": "-"}, path: "spec.clients", message: "is required"},
		"ExchangePolicy: a client that is nobody":      {object: object, set: map[string]string{"spec.clients[0]": "{}"}, path: "spec.clients[0]", message: oneClient},
		"ExchangePolicy: all: false":                   {object: object, set: map[string]string{"spec.clients[0]": "{all: false}"}, path: "spec.clients[0]", message: oneClient},
		"ExchangePolicy: a name and all":               {object: object, set: map[string]string{"spec.clients[0].all": "true"}, path: "spec.clients[0]", message: oneClient},
		"ExchangePolicy: a namespace without name":     {object: object, set: map[string]string{"spec.clients[1].namespace": "shop"}, path: "spec.clients[1]", message: "namespace belongs to name; use namespaceSelector beside selector"},
		"ExchangePolicy: namespaces without selector":  {object: object, set: map[string]string{"spec.clients[0].namespaceSelector": "{}"}, path: "spec.clients[0]", message: "namespaceSelector belongs to selector"},
		"ExchangePolicy: public clients by selector":   {object: object, set: map[string]string{"spec.clients[1].public": "true"}, path: "spec.clients[1]", message: "public clients are admitted by name only"},
		"ExchangePolicy: public clients altogether":    {object: object, set: map[string]string{"spec.clients[3].public": "true"}, path: "spec.clients[3]", message: "public clients are admitted by name only"},
		"ExchangePolicy: no issuers":                   {object: object, set: map[string]string{"spec.subject.issuers": "[]"}, path: "spec.subject.issuers", message: "should have at least 1 items"},
		"ExchangePolicy: an issuer and ourselves":      {object: object, set: map[string]string{"spec.subject.issuers[1].name": "corp"}, path: "spec.subject.issuers[1]", message: "exactly one of name and self: true must be set"},
		"ExchangePolicy: own tokens of any origin":     {object: object, set: map[string]string{"spec.subject.issuers[1]": "{self: true}"}, path: "spec.subject.issuers[1]", message: "origins belong to self: true, which needs at least one"},
		"ExchangePolicy: an empty list of origins":     {object: object, set: map[string]string{"spec.subject.issuers[1].origins": "[]"}, path: "spec.subject.issuers[1]", message: "origins belong to self: true, which needs at least one"},
		"ExchangePolicy: an empty list of token types": {object: object, set: map[string]string{"spec.subject.tokenTypes": "[]"}, path: "spec.subject.tokenTypes", message: "should have at least 1 items"},
		"ExchangePolicy: any of no audiences":          {object: object, set: map[string]string{"spec.clients": "[{name: a}]", "spec.subject.audience": "{match: AnyOf}"}, path: "spec.subject.audience", message: anyOfNeeded},
		"ExchangePolicy: audiences that nobody reads":  {object: object, set: map[string]string{"spec.subject.audience": "{match: Client, anyOf: [a]}"}, path: "spec.subject.audience", message: anyOfNeeded},
		"ExchangePolicy: parties that nobody reads":    {object: object, set: map[string]string{"spec.subject.audience": "{match: Client, authorizedParties: [a]}"}, path: "spec.subject.audience", message: "authorizedParties belong to match: AnyOf"},
		"ExchangePolicy: anybody with any audience":    {object: object, set: map[string]string{"spec.subject.audience.match": "Issuer"}, path: "spec", message: clientsByName},
		"ExchangePolicy: anybody with any actor":       {object: object, set: map[string]string{"spec.actor.audience.match": "Issuer"}, path: "spec", message: clientsByName},
		"ExchangePolicy: a chain of no actors":         {object: object, set: map[string]string{"spec.actor.maxDepth": "0"}, path: "spec.actor.maxDepth", message: "should be greater than or equal to 1"},
		"ExchangePolicy: a chain of nine actors":       {object: object, set: map[string]string{"spec.actor.maxDepth": "9"}, path: "spec.actor.maxDepth", message: "should be less than or equal to 8"},
		"ExchangePolicy: half an actor":                {object: object, set: map[string]string{"spec.actor.maxDepth": "1.5"}, path: "spec.actor.maxDepth", message: "expected an integer, found a number"},
		"ExchangePolicy: no targets":                   {object: object, set: map[string]string{"spec.target.clients": "[]"}, path: "spec.target.clients", message: "should have at least 1 items"},
		"F198: ExchangePolicy: a wildcard as a target": {object: object, set: map[string]string{"spec.target.clients[0].name": "'*'"}, path: "spec.target.clients[0].name", message: aWildcardName},
		"F198: ExchangePolicy: a wildcard as a client": {object: object, set: map[string]string{"spec.clients[0].name": "'*'"}, path: "spec.clients[0].name", message: aWildcardName},
		"F198: ExchangePolicy: a wildcard as a scope":  {object: object, set: map[string]string{"spec.target.scopes": "['*']"}, path: "spec.target.scopes[0]", message: "must be printable ASCII without spaces, quotes, backslashes or *: scopes are compared exactly"},
		"ExchangePolicy: defaults that are not given":  {object: object, set: map[string]string{"spec.target.defaultScopes": "[contacts]"}, path: "spec.target", message: "defaultScopes must be among scopes"},
		"ExchangePolicy: the same target twice":        {object: object, set: map[string]string{"spec.target.clients[1]": "{name: images-resource}"}, path: "spec.target.clients[1]", message: "occurs more than once in a list that must not repeat it"},
		"ExchangePolicy: an empty list of types":       {object: object, set: map[string]string{"spec.token.types": "[]"}, path: "spec.token.types", message: "should have at least 1 items"},
		"F220: ExchangePolicy: a lifetime of zero":     {object: object, set: map[string]string{"spec.token.lifetime": "0s"}, path: "spec.token.lifetime", message: between60sAnd24h},
		"F220: ExchangePolicy: a negative lifetime":    {object: object, set: map[string]string{"spec.token.lifetime": "'-60s'"}, path: "spec.token.lifetime", message: "must be a duration such as 5m, 1h30m or 500ms"},
		"F220: ExchangePolicy: one second":             {object: object, set: map[string]string{"spec.token.lifetime": "1s"}, path: "spec.token.lifetime", message: between60sAnd24h},
		"F220: ExchangePolicy: ten years":              {object: object, set: map[string]string{"spec.token.lifetime": "87600h"}, path: "spec.token.lifetime", message: between60sAnd24h},
		"ExchangePolicy: a sentence as a mode":         {object: object, set: map[string]string{"spec.mode": "enforce"}, path: "spec.mode", message: `unsupported value, found "enforce"; supported values: "Enforce", "Audit"`},
	}
	for _, claim := range reservedClaims() {
		changes["ExchangePolicy: the reserved claim "+claim] = change{
			object: object, set: map[string]string{"spec.token.claims[0].name": claim},
			path: "spec.token.claims[0].name", message: "is a reserved claim: the protocol gives it its meaning, so no policy or scope can set it",
		}
	}
	return changes
}

func reservedClaims() []string {
	return []string{
		"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "client_id", "azp", "scope", "scp", "act", "may_act",
		"cnf", "txn", "impersonator", "auth_time", "acr", "amr", "sid", "nonce", "at_hash", "c_hash", "events",
		"typ", "token_use", "email_verified", "xqr",
	}
}

func exampleChanges() map[string]change {
	const (
		object  = "ExchangePolicy frontend-gets-images"
		example = "spec.examples[0]"
	)
	return map[string]change{
		"Example: two under one name":            {object: object, set: map[string]string{"spec.examples[1].name": "staff may read images"}, path: "spec.examples[1]", message: "occurs more than once in a list that must not repeat it"},
		"Example: allowed for a reason":          {object: object, set: map[string]string{example + ".expect.reason": "SubjectRule"}, path: example + ".expect", message: "reason is why an exchange is refused: it needs allowed: false"},
		"Example: the scope of a refusal":        {object: object, set: map[string]string{example + ".expect.allowed": "false"}, path: example + ".expect", message: "scope and audience are of the token: they need allowed: true"},
		"Example: nothing expected":              {object: object, set: map[string]string{example + ".expect": "{}"}, path: example + ".expect.allowed", message: "is required"},
		"Example: a received proof alone":        {object: object, set: map[string]string{example + ".given.proof": "{received: a}"}, path: example + ".given.proof", message: "received stands beside jkt: a key that replaces another one"},
		"Example: claims that are not an object": {object: object, set: map[string]string{example + ".given.claims": "[sub]"}, path: example + ".given.claims", message: "expected an object, found a list"},
	}
}
