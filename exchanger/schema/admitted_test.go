// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package schema

import "testing"

func TestWhatIsMerelyShortOrEmptyIsAdmitted(t *testing.T) {
	t.Parallel()
	const frontend, service = "ExchangePolicy frontend-gets-images", "TokenService default"
	validator, good := newValidator(t), contract(t)
	for name, test := range map[string]struct {
		object string
		set    map[string]string
	}{
		"no authorized parties are as absent ones":            {"ExchangePolicy gateway", map[string]string{"spec.subject.audience.authorizedParties": "[]"}},
		"no authorized parties belong to any match":           {frontend, map[string]string{"spec.subject.audience": "{match: Client, authorizedParties: []}"}},
		"no authorized parties of an actor are as absent too": {frontend, map[string]string{"spec.actor.audience": "{match: Client, authorizedParties: []}"}},
		"scopes with a prefix and no claim":                   {"TrustedIssuer corp", map[string]string{"spec.claimMappings.scopes": "{prefix: 'api:'}"}},
		"scopes with a map and no claim":                      {"TrustedIssuer corp", map[string]string{"spec.claimMappings.scopes": "{map: [{from: a, to: b}]}"}},
		"scopes with nothing at all":                          {"TrustedIssuer corp", map[string]string{"spec.claimMappings.scopes": "{}"}},
		"actors without issuers, which translation judges":    {frontend, map[string]string{"spec.actor": "{use: Required}"}},
		"an optional actor, and nothing else":                 {frontend, map[string]string{"spec.actor": "{use: Optional}"}},
		"a max below the default of default":                  {service, map[string]string{"spec.lifetimes.accessToken": "{max: 2m}"}},
		"a default above max, which cuts it":                  {service, map[string]string{"spec.lifetimes.accessToken": "{default: 2h, max: 1h}"}},
		"a refresh token's max below the default of idle":     {service, map[string]string{"spec.lifetimes.refreshToken": "{max: 12h}"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			base, ok := good[test.object]
			if !ok {
				t.Fatalf("there is no %s in testdata/contract.yaml", test.object)
			}
			_, problems := validator.Admit(changed(t, base, test.set), nil)
			for _, problem := range problems {
				t.Error(problem)
			}
		})
	}
}
