// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package expr

import (
	"fmt"
	"testing"
	"time"

	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

func facts() *policy.Facts {
	return &policy.Facts{
		Subject: &policy.Token{
			Issuer: "corp", Origin: "corp", Subject: "corp:alice", Username: "alice",
			Groups: []string{"corp:dev", "corp:oncall", "corp:staff"}, Scopes: []string{"images", "contacts"},
			Audiences: []string{"shop/frontend"}, ClientID: "shop/frontend", Class: policy.ClassAccessToken, TokenID: "t1",
			Extra:    map[string]any{"department": "toys", "tenants": []string{"a", "b"}},
			Claims:   map[string]any{"sub": "alice", "level": int64(3), "score": 2.5, "flag": true, "none": nil, "roles": []any{"x", "y"}, "address": map[string]any{"city": "Ulm"}},
			IssuedAt: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), ExpiresAt: time.Date(2026, 1, 2, 4, 4, 5, 0, time.UTC),
		},
		Client:  &policy.Party{ID: "shop/frontend", Namespace: "shop", Name: "frontend", Labels: map[string]string{"app": "web"}},
		Target:  &policy.Party{ID: "media/images", Namespace: "media", Name: "images"},
		Request: &policy.RequestFacts{Audiences: []string{"media/images"}, Scopes: []string{"images"}, RequestedTokenType: "access_token", Time: time.Date(2026, 1, 2, 3, 5, 0, 0, time.UTC)},
	}
}

func BenchmarkEval(b *testing.B) {
	for _, text := range []string{
		`'corp:staff' in subject.groups`,
		`subject.extra.department == 'toys'`,
		`subject.username == 'alice' && client.namespace == 'shop' && 'images' in request.scopes`,
		`subject.groups.exists(g, g.startsWith('corp:st'))`,
		`subject.subject.fullMatch('corp:[a-z]+')`,
		`request.time.getHours('Europe/Berlin') < 18`,
		`subject.claims.address.city == 'Ulm'`,
	} {
		p, err := New().Compile(policy.EnvPolicy, policy.WantBool, text)
		if err != nil {
			b.Fatal(err)
		}
		f := facts()
		if v, err := p.Eval(f); v != true {
			b.Fatal(v, err)
		}
		b.Run(text, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _ = p.Eval(f)
			}
		})
	}
}

func BenchmarkCompile(b *testing.B) {
	b.Run("cold", func(b *testing.B) {
		c := New()
		n := 0
		b.ReportAllocs()
		for b.Loop() {
			n++
			if _, err := c.Compile(policy.EnvPolicy, policy.WantBool, fmt.Sprintf("'corp:staff%d' in subject.groups", n)); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("checked", func(b *testing.B) {
		c := New()
		n := 0
		b.ReportAllocs()
		for b.Loop() {
			n++
			if _, err := c.Check(policy.EnvPolicy, policy.WantBool, fmt.Sprintf("'corp:staff%d' in subject.groups", n)); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("again", func(b *testing.B) {
		c := New()
		b.ReportAllocs()
		for b.Loop() {
			if _, err := c.Compile(policy.EnvPolicy, policy.WantBool, "'corp:staff' in subject.groups"); err != nil {
				b.Fatal(err)
			}
		}
	})
}
