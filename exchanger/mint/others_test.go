// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package mint

import (
	"strings"
	"testing"
	"time"

	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

// What a token says of others is compared like everything else: none of it gets lost,
// and none comes in.
func TestTheSelfCheckNoticesWhoIsMissing(t *testing.T) {
	t.Parallel()
	full := func() *policy.Grant {
		return &policy.Grant{
			Issuer: "https://sts.example.com", Subject: &policy.Token{Subject: "corp:alice"}, ClientID: "shop/app", Audiences: []string{"media/images"},
			IssuedAt: time.Unix(1893499200, 0), ExpiresAt: time.Unix(1893499500, 0),
			Act: map[string]any{
				"iss": "https://corp.example", "sub": "bob", "client_id": "shop/app", "act": map[string]any{"iss": "https://corp.example", "sub": "carol", "exp": int64(1)},
			},
			Impersonator: &policy.Impersonator{Issuer: "https://corp.example", Subject: "sam", ClientID: "helpdesk/console", Grant: "support"},
		}
	}
	token := &Token{TokenID: "j1", Transaction: "t1"}
	payload, err := appendPayload(nil, full(), token, "sealed")
	if err != nil {
		t.Fatal(err)
	}
	if what := compare(payload, full(), token, "sealed"); what != "" {
		t.Fatalf("%s: %s", what, payload)
	}
	for name, change := range map[string]func(*policy.Grant){
		"R27: no act was granted":         func(g *policy.Grant) { g.Act = nil },
		"R27: another actor was granted":  func(g *policy.Grant) { g.Act["sub"] = "dan" },
		"R28: another history":            func(g *policy.Grant) { delete(g.Act, "act") },
		"R30: no impersonator":            func(g *policy.Grant) { g.Impersonator = nil },
		"another impersonator":            func(g *policy.Grant) { g.Impersonator.Subject = "dan" },
		"an impersonator by other grants": func(g *policy.Grant) { g.Impersonator.Grant = "other" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := full()
			change(g)
			if compare(payload, g, token, "sealed") == "" {
				t.Error("not noticed")
			}
		})
	}
	for name, cut := range map[string]string{
		"act is lost":              `"act":{"act":{"exp":1,"iss":"https://corp.example","sub":"carol"},"client_id":"shop/app","iss":"https://corp.example","sub":"bob"},`,
		"the impersonator is lost": `"impersonator":{"iss":"https://corp.example","sub":"sam","client_id":"helpdesk/console","grant":"support"},`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			less := strings.Replace(string(payload), cut, "", 1)
			if less == string(payload) {
				t.Fatalf("the token does not have %s: %s", cut, payload)
			}
			if compare([]byte(less), full(), token, "sealed") == "" {
				t.Error("not noticed")
			}
		})
	}
}
