// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"strings"
)

// kindName is how people and the API server call a kind.
type kindName struct {
	kind, plural, short string
	namespaced          bool
}

// kinds are those of the API; a test holds them to the CRDs.
func kinds() []kindName {
	return []kindName{
		{"TokenService", "tokenservices", "xts", false},
		{"TrustedIssuer", "trustedissuers", "xti", false},
		{"ExchangeClient", "exchangeclients", "xc", true},
		{"ClientScope", "clientscopes", "xcs", true},
		{"ExchangePolicy", "exchangepolicies", "xp", true},
		{"ImpersonationGrant", "impersonationgrants", "xig", false},
		{"ExternalTarget", "externaltargets", "xet", false},
		{"TokenRevocation", "tokenrevocations", "xtr", false},
		{"ExchangerReplica", "exchangerreplicas", "xr", true},
	}
}

// objectName is an object that a person named.
type objectName struct {
	kindName
	namespace, name string
}

func (o objectName) String() string {
	if o.namespace == "" {
		return o.kind + "/" + o.name
	}
	return o.kind + "/" + o.namespace + "/" + o.name
}

// parseObject reads KIND/NAMESPACE/NAME, or KIND/NAME for kinds without namespace.
// The kind may be its name, its plural or its short name, in any case.
func parseObject(arg string) (objectName, error) {
	parts := strings.Split(arg, "/")
	known := make([]string, 0, len(kinds()))
	for _, k := range kinds() {
		known = append(known, k.kind)
		if !k.is(parts[0]) {
			continue
		}
		switch {
		case k.namespaced && len(parts) == 3 && parts[1] != "" && parts[2] != "":
			return objectName{k, parts[1], parts[2]}, nil
		case !k.namespaced && len(parts) == 2 && parts[1] != "":
			return objectName{k, "", parts[1]}, nil
		case k.namespaced:
			return objectName{}, fmt.Errorf("%s: expected %s/NAMESPACE/NAME", arg, k.kind)
		}
		return objectName{}, fmt.Errorf("%s: expected %s/NAME: it has no namespace", arg, k.kind)
	}
	return objectName{}, fmt.Errorf("%s: expected KIND/NAMESPACE/NAME, with one of %s", arg, strings.Join(known, ", "))
}

func (k kindName) is(word string) bool {
	return word != "" && (strings.EqualFold(word, k.kind) || strings.EqualFold(word, k.plural) || strings.EqualFold(word, k.short))
}
