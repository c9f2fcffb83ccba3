// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package mint

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/exchequer-dev/exchequer/exchanger/jose"
	"github.com/exchequer-dev/exchequer/exchanger/keys"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

// everything is an exchange whose token has every claim that there is.
func everything() *wish {
	return &wish{
		values: literals{
			"text": "acme", "empty": "", "number": int64(7), "fraction": 1.5, "yes": true, "list": []any{"a", "b"}, "object": claims{"a": claims{"b": int64(1)}},
		},
		subject: claims{
			"acr": "urn:mfa", "amr": []any{"pwd", "otp"}, "auth_time": int64(1893490000),
			"may_act": claims{"iss": issuer, "sub": "shop/app"},
		},
		issuer: func(i *policy.Issuer) {
			i.Mappings.ACR, i.Mappings.AMR, i.Mappings.AuthTime = policy.Value{Claim: "acr"}, policy.Value{Claim: "amr"}, policy.Value{Claim: "auth_time"}
		},
		audiences: []string{images, "media/img"},
		scopes:    []string{"images", "contacts"},
	}
}

// resigned is the token with other claims, signed by the right key.
func resigned(t *testing.T, token Token, c claims, k *keys.Current) Token {
	t.Helper()
	payload, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	return resignedBytes(t, token, payload, k)
}

func resignedBytes(t *testing.T, token Token, payload []byte, k *keys.Current) Token {
	t.Helper()
	value, err := k.AccessToken.Sign(payload)
	if err != nil {
		t.Fatal(err)
	}
	token.Value = value
	return token
}

// variants are values that a claim could turn into by a fault.
func variants(v any) []any {
	out := []any{nil, "", "other", int64(0), int64(1), -1.5, true, false, []any{}, []any{"x"}, claims{}, claims{"x": "y"}}
	switch x := v.(type) {
	case string:
		out = append(out, x+" ", " "+x, x+"x", strings.ToUpper(x)+"Z", x[:max(0, len(x)-1)], []any{x})
	case int64:
		out = append(out, x+1, x-1, -x-1, float64(x)+0.5, fmt.Sprint(x))
	case []any:
		out = append(out, append([]any{"more"}, x...), x[1:], x[0], append(append([]any{}, x[1:]...), x[1:]...))
	case claims:
		more := maps.Clone(x)
		more["more"] = "member"
		out = append(out, more)
	}
	return out
}

// workOf is the making of an access token.
func workOf(t *testing.T, g *policy.Grant, k *keys.Current, sealed string) *work {
	t.Helper()
	form, _ := shapeOf(policy.TypeAccessToken)
	return &work{shape: form, grant: g, keys: k, signer: k.AccessToken, sealed: sealed, facts: facts(t, g)}
}

// facts are the sealed facts in the clear.
func facts(t *testing.T, g *policy.Grant) []byte {
	t.Helper()
	b, err := json.Marshal(&g.Sealed)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestF309ATokenThatDiffersFromTheDecisionIsNotReleased(t *testing.T) {
	t.Parallel()
	k, w := ring(t, "EdDSA"), everything()
	d := w.decide(t)
	grant, _ := d.Grant()
	m := new(Minter)
	token, ref := m.Mint(t.Context(), d, k, start)
	if ref != nil {
		t.Fatal(ref)
	}
	whole := decoded(t, token.Value)
	sealed := whole["xqr"].(string)
	check := func(altered Token) string { return m.selfCheck(&altered, workOf(t, grant, k, sealed)) }
	if what := check(resigned(t, token, whole, k)); what != "" {
		t.Fatalf("the very same claims differ: %s", what)
	}
	for name, value := range whole {
		t.Run("F309: claim "+name, func(t *testing.T) {
			t.Parallel()
			without := maps.Clone(whole)
			delete(without, name)
			if check(resigned(t, token, without, k)) == "" {
				t.Error("it was removed, and nobody noticed")
			}
			for _, v := range variants(value) {
				if same(value, v) {
					continue
				}
				altered := maps.Clone(whole)
				altered[name] = v
				if check(resigned(t, token, altered, k)) == "" {
					t.Errorf("it became %#v, and nobody noticed", v)
				}
			}
		})
	}
	for _, name := range []string{"act", "cnf", "impersonator", "sid", "groups", "email", "ISS", "Scope", "roles", "scp", "admin", "xqr2"} {
		t.Run("F309: a claim "+name+" that was not granted", func(t *testing.T) {
			t.Parallel()
			for _, v := range variants("x") {
				more := maps.Clone(whole)
				more[name] = v
				if check(resigned(t, token, more, k)) == "" {
					t.Errorf("%#v was added, and nobody noticed", v)
				}
			}
		})
	}
	t.Run("F309: a claim that stands twice", func(t *testing.T) {
		t.Parallel()
		_, payload := segments(t, token.Value)
		for _, more := range []string{`"sub":"root",`, fmt.Sprintf(`"sub":%q,`, whole["sub"])} {
			twice := strings.Replace(string(payload), `"sub":`, more+`"sub":`, 1)
			if check(resignedBytes(t, token, []byte(twice), k)) == "" {
				t.Errorf("%s was added, and nobody noticed", more)
			}
		}
	})
	t.Run("F309: no JSON at all", func(t *testing.T) {
		t.Parallel()
		if check(resignedBytes(t, token, []byte("null"), k)) == "" {
			t.Error("nobody noticed")
		}
	})
	t.Run("F309: another jti or txn than the record will say", func(t *testing.T) {
		t.Parallel()
		other, txn := token, token
		other.TokenID, txn.Transaction = identifiers()
		if check(other) == "" || check(txn) == "" {
			t.Error("nobody noticed")
		}
	})
}

// A claim that the decision leaves out must not be there, whatever its value:
// also the zero values, which are what the decision holds for "none".
func TestF309AClaimThatWasNotGrantedIsNoticedWhateverItsValue(t *testing.T) {
	t.Parallel()
	k := ring(t, "EdDSA")
	d := (&wish{}).decide(t)
	grant, _ := d.Grant()
	m := new(Minter)
	token, ref := m.Mint(t.Context(), d, k, start)
	if ref != nil {
		t.Fatal(ref)
	}
	whole := decoded(t, token.Value)
	for _, name := range []string{"scope", "acr", "amr", "auth_time", "may_act", "tenant"} {
		t.Run("F309: claim "+name, func(t *testing.T) {
			t.Parallel()
			for _, v := range variants("x") {
				more := maps.Clone(whole)
				more[name] = v
				altered := resigned(t, token, more, k)
				if m.selfCheck(&altered, workOf(t, grant, k, whole["xqr"].(string))) == "" {
					t.Errorf("%#v was added, and nobody noticed", v)
				}
			}
		})
	}
}

func TestF308ASignatureThatNobodyCanVerifyIsNotReleased(t *testing.T) {
	t.Parallel()
	d := (&wish{}).decide(t)
	mine, other, third := ring(t, "ES256"), ring(t, "ES256"), ring(t, "ES384")
	// impostor publishes another key under the name of mine.
	jwk, err := json.Marshal(other.Public)
	if err != nil {
		t.Fatal(err)
	}
	renamed := strings.ReplaceAll(string(jwk), other.Signing.KeyID(), mine.Signing.KeyID())
	impostor, _, err := jose.ParseKeySet([]byte(renamed), jose.KeySetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	with := func(change func(*keys.Current)) *keys.Current {
		k := *mine
		change(&k)
		return &k
	}
	for name, k := range map[string]*keys.Current{
		"F308: a key that is not published signs":                   with(func(k *keys.Current) { k.AccessToken = other.AccessToken }),
		"F308: a key of another algorithm signs":                    with(func(k *keys.Current) { k.AccessToken = third.AccessToken }),
		"F308: another key is published under the signing key's ID": with(func(k *keys.Current) { k.Public = impostor }),
		"F308: nothing is published":                                with(func(k *keys.Current) { k.Public = nil }),
		"F308: nobody could open the sealed facts":                  with(func(k *keys.Current) { k.Seal = other.Seal }),
	} {
		for _, proved := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, after tokens that were right: %v", name, proved), func(t *testing.T) {
				t.Parallel()
				m := new(Minter)
				if proved {
					if _, ref := m.Mint(t.Context(), d, mine, start); ref != nil {
						t.Fatal(ref)
					}
				}
				token, ref := m.Mint(t.Context(), d, k, start)
				wantRefusal(t, ref, policy.Unable, policy.Internal)
				if token != (Token{}) {
					t.Error("something of a token came out")
				}
				// What failed has proved nothing: the next is looked at as closely.
				_, ref = m.Mint(t.Context(), d, k, start)
				wantRefusal(t, ref, policy.Unable, policy.Internal)
			})
		}
	}
}

func TestAnyClaimThatJSONCanSayIsReadBackAsItWasGranted(t *testing.T) {
	t.Parallel()
	k := ring(t, "EdDSA")
	scalar := rapid.OneOf(
		rapid.Map(rapid.String(), func(s string) any { return s }), rapid.Map(rapid.Int64(), func(n int64) any { return n }),
		rapid.Map(rapid.Float64Range(-1e308, 1e308), func(f float64) any { return f }), rapid.Map(rapid.Bool(), func(b bool) any { return b }),
	)
	var value func(depth int) *rapid.Generator[any]
	value = func(depth int) *rapid.Generator[any] {
		if depth == 0 {
			return scalar
		}
		return rapid.OneOf(scalar,
			rapid.Map(rapid.SliceOfN(value(depth-1), 0, 3), func(l []any) any { return l }),
			rapid.Map(rapid.MapOfN(rapid.String(), value(depth-1), 0, 3), func(m map[string]any) any { return m }))
	}
	rapid.Check(t, func(rt *rapid.T) {
		want := value(3).Draw(rt, "claim")
		d := (&wish{values: literals{"claim": want}}).decide(t)
		token, ref := new(Minter).Mint(t.Context(), d, k, start)
		if ref != nil {
			rt.Fatalf("refused: %v", ref)
		}
		got := decoded(t, token.Value)["claim"]
		a, errA := json.Marshal(got)
		b, errB := json.Marshal(want)
		if errA != nil || errB != nil || string(a) != string(b) && !same(got, want) {
			rt.Fatalf("got %s, want %s", a, b)
		}
	})
}
