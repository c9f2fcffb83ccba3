// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"testing"
)

func TestExplainReadsAnAssertionAsTheEndpointDoes(t *testing.T) {
	t.Parallel()
	const key, story = "../../docs/examples/quickstart/issuer-key.pem", "../../config/samples/saml-session"
	made := func(audience string, more ...string) string {
		args := append([]string{
			"token", "mint", "--saml", "--key", key, "--issuer", "https://login.corp.example/saml", "--sub", "u-4711", "--aud", audience, "--recipient", "https://travel.corp.example/acs", "--claim", `groups=["staff"]`, "--claim", "mail=a@b.example",
		}, more...)
		return strings.TrimSpace(exchequer(t, "", args...).must(t, exitOK).out)
	}
	session := func(more ...string) string { return made("https://travel.corp.example/saml", more...) }
	for name, c := range map[string]struct {
		token, want string
		code        int
	}{
		"genuine":               {session(), "allowed by expenses/from-travel", exitOK},
		"for another recipient": {session("--recipient", "https://x.example"), "SubjectAudience", exitNo},
		"of a stranger":         {session("--issuer", "https://x.example"), "IssuerUnknown", exitNo},
		"with another's key":    {session("--key", corpKey), "TokenSignature", exitNo},
		"for another audience":  {made("https://x.example"), "SubjectAudience", exitNo},
		"no token at all":       {"abc", "TokenMalformed", exitNo},
	} {
		r := exchequer(t, "", "explain", "--manifests", story, "--client", "legacy/travel", "--subject-token", file(t, "t", c.token), "--audience", "expenses/app").must(t, c.code)
		if !strings.Contains(r.out, c.want) {
			t.Errorf("%s: %s", name, r.out)
		}
	}
}
