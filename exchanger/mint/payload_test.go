// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package mint

import (
	"fmt"
	"strconv"
	"testing"

	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

func TestWhatAPolicyAddsComesThroughUnchanged(t *testing.T) {
	t.Parallel()
	k := ring(t, "ES256")
	values := literals{
		"quotes":   `say "hi" \ and / </script> & more`,
		"controls": "tab\tnewline\nreturn\rbell\x07nul\x00delete\x7f",
		"unicode":  "Zoë 日本語 \U0001F600 \u2028\u2029 \u202e \ufeff \ufffd",
		"empty":    "",
		"true":     true, "false": false,
		"zero": int64(0), "large": int64(1<<53 + 1), "least": int64(-1 << 63), "most": int64(1<<63 - 1),
		"half": 0.5, "huge": 1e300, "tiny": 5e-324, "whole": 3.0, "beyond integers": 1e19, "minus zero": negativeZero(),
		"list": []any{"a", int64(1), 1.5, nil, true, []any{}, claims{}}, "nested": claims{"a": claims{"b": []any{claims{"c": "d"}}}},
		"https://claims.example/tenant": "by URL", `na"me`: "quoted name", "naïve": "unicode name",
	}
	got := decoded(t, mint(t, &wish{values: values}, k).Value)
	for name, want := range values {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if !same(got[name], want) {
				t.Errorf("got %#v, want %#v", got[name], want)
			}
		})
	}
}

func negativeZero() float64 {
	f, err := strconv.ParseFloat("-0", 64)
	if err != nil {
		panic(err)
	}
	return f
}

func TestAClaimThatNoTokenCanCarryIsRefused(t *testing.T) {
	t.Parallel()
	k := ring(t, "ES256")
	deep := any("bottom")
	for range 16 {
		deep = []any{deep}
	}
	fits := any("bottom")
	for range 15 {
		fits = claims{"n": fits}
	}
	inf, err := strconv.ParseFloat("1e400", 64)
	if err == nil {
		t.Fatal("1e400 is a number")
	}
	for name, value := range map[string]any{
		"an infinite number":             inf,
		"not a number":                   inf - inf,
		"text that is no UTF-8":          "caf\xe9",
		"such text within":               []any{claims{"a": "caf\xe9"}},
		"a name that is no UTF-8":        claims{"caf\xe9": true},
		"F99: sixteen levels of its own": deep,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, ref := new(Minter).Mint(t.Context(), (&wish{values: literals{"claim": value}}).decide(t), k, start)
			wantRefusal(t, ref, policy.Denied, policy.ClaimInvalid)
		})
	}
	t.Run("the deepest that a token can be read with", func(t *testing.T) {
		t.Parallel()
		if got := decoded(t, mint(t, &wish{values: literals{"claim": fits}}, k).Value); !same(got["claim"], fits) {
			t.Errorf("got %v", got["claim"])
		}
	})
}

func TestMintingDoesNotChangeTheDecision(t *testing.T) {
	t.Parallel()
	k := ring(t, "ES256")
	d := (&wish{values: literals{"list": []any{"a"}}, scopes: []string{"images"}}).decide(t)
	grant, _ := d.Grant()
	before := fmt.Sprintf("%+v %+v", *grant, *grant.Subject)
	for range 2 {
		if _, ref := new(Minter).Mint(t.Context(), d, k, start); ref != nil {
			t.Fatal(ref)
		}
	}
	if after := fmt.Sprintf("%+v %+v", *grant, *grant.Subject); after != before {
		t.Errorf("the decision was changed:\n%s\n%s", before, after)
	}
}
