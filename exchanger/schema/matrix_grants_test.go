// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package schema

func impersonationGrantChanges() map[string]change {
	const (
		object = "ImpersonationGrant support-as-customer"
		nobody = "at least one entry in groups or subjects is required: an empty list is nobody"
	)
	return map[string]change{
		"ImpersonationGrant: a name that is too long":     {object: object, set: map[string]string{"metadata.name": longName}, message: tooLongName},
		"ImpersonationGrant: a TokenService that changes": {object: object, set: map[string]string{"spec.tokenServiceRef": "{name: other}"}, update: true, path: "spec", message: fixedService},
		"ImpersonationGrant: no clients":                  {object: object, set: map[string]string{"spec.impersonators.clients": "[]"}, path: "spec.impersonators.clients", message: "should have at least 1 items"},
		"ImpersonationGrant: no impersonators":            {object: object, set: map[string]string{"spec.impersonators.groups": "[]"}, path: "spec.impersonators", message: nobody},
		"ImpersonationGrant: no impersonated":             {object: object, set: map[string]string{"spec.subjects": "{expression: 'true'}"}, path: "spec.subjects", message: nobody},
		"ImpersonationGrant: subjects from nowhere":       {object: object, set: map[string]string{"spec.subjectFrom": "[]"}, path: "spec.subjectFrom", message: "should have at least 1 items"},
		"ImpersonationGrant: subjects left out":           {object: object, set: map[string]string{"spec.subjectFrom": "-"}, path: "spec.subjectFrom", message: "is required"},
		"ImpersonationGrant: no end":                      {object: object, set: map[string]string{"spec.notAfter": "-"}, path: "spec.notAfter", message: "is required"},
		"ImpersonationGrant: an end before its beginning": {object: object, set: map[string]string{"spec.notBefore": "'2028-01-01T00:00:00Z'"}, path: "spec", message: "notBefore must be before notAfter"},
		"F220: ImpersonationGrant: a token for a second":  {object: object, set: map[string]string{"spec.maxTokenLifetime": "1s"}, path: "spec.maxTokenLifetime", message: between60sAnd24h},
		"ImpersonationGrant: no targets":                  {object: object, set: map[string]string{"spec.targets.clients": "[]"}, path: "spec.targets.clients", message: "should have at least 1 items"},
	}
}

func externalTargetChanges() map[string]change {
	const (
		object = "ExternalTarget partner-api"
		oneWay = "exactly one of tokenExchange, jwtBearer, idJAG, clientCredentials, linkedToken and webhook must be set"
	)
	return map[string]change{
		"ExternalTarget: a name that is too long":        {object: object, set: map[string]string{"metadata.name": longName}, message: tooLongName},
		"ExternalTarget: a TokenService that changes":    {object: object, set: map[string]string{"spec.tokenServiceRef": "{name: other}"}, update: true, path: "spec", message: fixedService},
		"ExternalTarget: two ways at once":               {object: object, set: map[string]string{"spec.linkedToken": "{provider: a}"}, path: "spec", message: oneWay},
		"ExternalTarget: no way":                         {object: object, set: map[string]string{"spec.tokenExchange": "-"}, path: "spec", message: oneWay},
		"ExternalTarget: a way that changes":             {object: object, set: map[string]string{"spec.tokenExchange": "-", "spec.linkedToken": "{provider: a}"}, update: true, path: "spec", message: "the kind of target cannot be changed: create another ExternalTarget"},
		"ExternalTarget: no audiences":                   {object: object, set: map[string]string{"spec.audiences": "[]"}, path: "spec.audiences", message: "should have at least 1 items"},
		"ExternalTarget: a client by name and namespace": {object: object, set: map[string]string{"spec.clients[0].namespaceSelector": "{}"}, path: "spec.clients[0]", message: "exactly one of name and namespaceSelector must be set"},
		"ExternalTarget: a client of no namespace":       {object: object, set: map[string]string{"spec.clients[0].namespace": "-"}, path: "spec.clients[0]", message: "a client by name needs its namespace, and namespace needs name"},
		"ExternalTarget: anybody with any audience":      {object: "ExternalTarget chained", set: map[string]string{"spec.subject.audience": "{match: Issuer}"}, path: "spec", message: "audience match Issuer and AnyOf need clients by name"},
		"F220: ExternalTarget: a lifetime of two days":   {object: object, set: map[string]string{"spec.token": "{lifetime: 48h}"}, path: "spec.token.lifetime", message: between60sAnd24h},
		"ExternalTarget: an endpoint in the clear":       {object: object, set: map[string]string{"spec.tokenExchange.tokenEndpoint": "'http://login.partner.example/token'"}, path: "spec.tokenExchange.tokenEndpoint", message: "must be an https URL; http is possible on a loopback host only: localhost, 127.x.x.x or [::1]"},
	}
}
