// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package mint

import (
	"encoding/hex"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/exchequer-dev/exchequer/exchanger/keys"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

func TestATokenSaysWhatTheDecisionAllowsAndNothingElse(t *testing.T) {
	t.Parallel()
	k := ring(t, "ES256")
	xqr := regexp.MustCompile(`"xqr":"[A-Za-z0-9_.-]+"`)
	random := regexp.MustCompile(`"(jti|txn)":"[0-9a-f]{32}"`)
	for name, c := range map[string]struct {
		wish wish
		want string
	}{
		"F312: the claims of RFC 9068 in a fixed order, none of the subject token's other claims": {
			wish{scopes: []string{"images"}, subject: claims{"email": "alice@corp.example", "groups": []any{"staff"}, "act_as": "root", "nonce2": "n"}},
			`{"iss":"https://sts.example.com","sub":"corp:alice","aud":"media/images-resource","client_id":"shop/app","azp":"shop/app",` +
				`"exp":1893499500,"iat":1893499200,"nbf":1893499200,"jti":"?","txn":"?","scope":"images","xqr":"?"}`,
		},
		"without scopes there is no claim scope": {
			wish{}, `{"iss":"https://sts.example.com","sub":"corp:alice","aud":"media/images-resource","client_id":"shop/app","azp":"shop/app",` +
				`"exp":1893499500,"iat":1893499200,"nbf":1893499200,"jti":"?","txn":"?","xqr":"?"}`,
		},
		"R31: scope is one string with single spaces": {
			wish{scopes: []string{"images", "contacts"}},
			`{"iss":"https://sts.example.com","sub":"corp:alice","aud":"media/images-resource","client_id":"shop/app","azp":"shop/app",` +
				`"exp":1893499500,"iat":1893499200,"nbf":1893499200,"jti":"?","txn":"?","scope":"images contacts","xqr":"?"}`,
		},
		"several audiences are an array in the order in which they were asked": {
			wish{audiences: []string{"media/img", images}},
			`{"iss":"https://sts.example.com","sub":"corp:alice","aud":["media/img","media/images-resource"],"client_id":"shop/app","azp":"shop/app",` +
				`"exp":1893499500,"iat":1893499200,"nbf":1893499200,"jti":"?","txn":"?","xqr":"?"}`,
		},
		"authentication travels where it is mapped": {
			wish{
				issuer: func(i *policy.Issuer) {
					i.Mappings.ACR, i.Mappings.AMR, i.Mappings.AuthTime = policy.Value{Claim: "acr"}, policy.Value{Claim: "amr"}, policy.Value{Claim: "auth_time"}
				},
				subject: claims{"acr": "urn:mfa", "amr": []any{"pwd", "otp"}, "auth_time": int64(1893490000)},
			},
			`{"iss":"https://sts.example.com","sub":"corp:alice","aud":"media/images-resource","client_id":"shop/app","azp":"shop/app",` +
				`"exp":1893499500,"iat":1893499200,"nbf":1893499200,"jti":"?","txn":"?","acr":"urn:mfa","amr":["pwd","otp"],"auth_time":1893490000,"xqr":"?"}`,
		},
		"authentication stays behind where it is not mapped": {
			wish{subject: claims{"acr": "urn:mfa", "amr": []any{"pwd", "otp"}, "auth_time": int64(1893490000)}},
			`{"iss":"https://sts.example.com","sub":"corp:alice","aud":"media/images-resource","client_id":"shop/app","azp":"shop/app",` +
				`"exp":1893499500,"iat":1893499200,"nbf":1893499200,"jti":"?","txn":"?","xqr":"?"}`,
		},
		"may_act travels as it came": {
			wish{subject: claims{"may_act": claims{"sub": "shop/app", "iss": "https://sts.example.com"}}},
			`{"iss":"https://sts.example.com","sub":"corp:alice","aud":"media/images-resource","client_id":"shop/app","azp":"shop/app",` +
				`"exp":1893499500,"iat":1893499200,"nbf":1893499200,"jti":"?","txn":"?","may_act":{"iss":"https://sts.example.com","sub":"shop/app"},"xqr":"?"}`,
		},
		"the policy's claims stand sorted by name; null leaves one out": {
			wish{values: literals{"tenant": "acme", "limits": claims{"b": int64(2), "a": []any{true, nil}}, "gone": nil}},
			`{"iss":"https://sts.example.com","sub":"corp:alice","aud":"media/images-resource","client_id":"shop/app","azp":"shop/app",` +
				`"exp":1893499500,"iat":1893499200,"nbf":1893499200,"jti":"?","txn":"?","limits":{"a":[true,null],"b":2},"tenant":"acme","xqr":"?"}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			token := mint(t, &c.wish, k)
			header, payload := segments(t, token.Value)
			if want := `{"alg":"ES256","kid":"` + k.Signing.KeyID() + `","typ":"at+jwt"}`; string(header) != want {
				t.Errorf("header\n got %s\nwant %s", header, want)
			}
			got := random.ReplaceAllString(xqr.ReplaceAllString(string(payload), `"xqr":"?"`), `"$1":"?"`)
			if got != c.want {
				t.Errorf("claims\n got %s\nwant %s", got, c.want)
			}
			if token.ExpiresIn != 300 {
				t.Errorf("expires_in is %d, want 300", token.ExpiresIn)
			}
		})
	}
}

func TestR32TheClientThatAskedIsNamed(t *testing.T) {
	t.Parallel()
	got := decoded(t, mint(t, &wish{}, ring(t, "ES256")).Value)
	if got["client_id"] != "shop/app" || got["azp"] != "shop/app" {
		t.Errorf("client_id %v, azp %v, want shop/app", got["client_id"], got["azp"])
	}
}

func TestEveryAlgorithmSignsAndIsVerified(t *testing.T) {
	t.Parallel()
	for _, algorithm := range []string{"ES256", "ES384", "EdDSA", "RS256", "PS256"} {
		t.Run(algorithm, func(t *testing.T) {
			t.Parallel()
			k := ring(t, algorithm)
			header, _ := segments(t, mint(t, &wish{}, k).Value)
			if want := `{"alg":"` + algorithm + `","kid":"` + k.Signing.KeyID() + `","typ":"at+jwt"}`; string(header) != want {
				t.Errorf("header %s, want %s", header, want)
			}
		})
	}
}

func TestF316OnlyADecisionThatAllowsIsMinted(t *testing.T) {
	t.Parallel()
	k := ring(t, "ES256")
	w := &wish{}
	allowed := w.decide(t)
	snapshot, err := policy.Compile(manifests(w), 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	denied := snapshot.Decide(&policy.Request{Now: start(), TokenService: service, Client: policy.ClientAuth{ID: "shop/app"}})
	refused := policy.Refuse(&policy.Refusal{Outcome: policy.Allowed})
	taken := *allowed
	taken.Outcome = policy.Denied
	unable := *allowed
	unable.Outcome = policy.Unable
	for name, d := range map[string]*policy.Decision{
		"the zero value": {},
		"one that says allowed and was never made": {Outcome: policy.Allowed},
		"a denial": &denied,
		"a refusal made by hand that says allowed":     &refused,
		"one that allowed, and was turned into denial": &taken,
		"one that allowed, and was turned into unable": &unable,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			token, ref := new(Minter).Mint(t.Context(), d, k, start)
			wantRefusal(t, ref, policy.Denied, policy.Internal)
			if token != (Token{}) {
				t.Errorf("something of a token came out: %+v", token)
			}
		})
	}
}

func wantRefusal(t *testing.T, got *policy.Refusal, outcome policy.Outcome, reason policy.Reason) {
	t.Helper()
	switch {
	case got == nil:
		t.Fatalf("not refused, want %s %s", outcome, reason)
	case got.Outcome != outcome || got.Reason != reason:
		t.Fatalf("refused with %s %s (%s), want %s %s", got.Outcome, got.Reason, got.Detail, outcome, reason)
	}
}

func TestF306WithoutAnActiveKeyNothingIsSigned(t *testing.T) {
	t.Parallel()
	whole := ring(t, "ES256")
	without := func(change func(*keys.Current)) *keys.Current {
		k := *whole
		change(&k)
		return &k
	}
	for name, k := range map[string]*keys.Current{
		"no keys at all":     nil,
		"keys of the future": {Public: whole.Public, Seals: whole.Seals},
		"no signer":          without(func(k *keys.Current) { k.AccessToken = nil }),
		"no sealing key":     without(func(k *keys.Current) { k.Seal = nil }),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, ref := new(Minter).Mint(t.Context(), (&wish{}).decide(t), k, start)
			wantRefusal(t, ref, policy.Unable, policy.SignerUnavailable)
		})
	}
}

func TestF313WhatIsTooLargeIsRefusedAndNeverCut(t *testing.T) {
	t.Parallel()
	k := ring(t, "ES256")
	w := &wish{values: literals{"note": strings.Repeat("x", 1000)}}
	size := len(mint(t, w, k).Value)
	t.Run("F313: a token of exactly the limit passes", func(t *testing.T) {
		t.Parallel()
		exact := *w
		exact.service = func(s *policy.Service) { s.TokenBytes = size }
		if got := mint(t, &exact, k); len(got.Value) != size {
			t.Errorf("the token has %d bytes, want %d", len(got.Value), size)
		}
	})
	for name, c := range map[string]struct {
		limit  int
		values literals
		groups int
	}{
		"F313: one byte above the limit":        {limit: size - 1, values: w.values},
		"a limit of nothing lets nothing pass":  {limit: 0},
		"sealed facts beyond what can be read":  {limit: 1 << 20, groups: 900},
		"many groups that the seal has to hold": {limit: 8192, groups: 300},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			large := &wish{values: c.values, service: func(s *policy.Service) { s.TokenBytes = c.limit }}
			if c.groups > 0 {
				groups := make([]any, c.groups)
				for i := range groups {
					groups[i] = fmt.Sprintf("group-%03d-%s", i, strings.Repeat("g", 20))
				}
				large.subject = claims{"groups": groups}
			}
			token, ref := new(Minter).Mint(t.Context(), large.decide(t), k, start)
			wantRefusal(t, ref, policy.Denied, policy.TokenTooLarge)
			if token != (Token{}) {
				t.Errorf("something of a token came out: %+v", token)
			}
		})
	}
}

func TestF149AnExpiryThatHasPassedMeanwhileIsRefused(t *testing.T) {
	t.Parallel()
	k := ring(t, "ES256")
	d := (&wish{}).decide(t)
	expires := time.Unix(1893499500, 0)
	for name, c := range map[string]struct {
		at   []time.Time // of each look at the clock
		pass bool
	}{
		"F149: a second is left":                           {[]time.Time{expires.Add(-time.Second)}, true},
		"F149: the request waited until exp before it":     {[]time.Time{expires}, false},
		"F149: the request waited for long":                {[]time.Time{expires.Add(time.Hour)}, false},
		"F149: the signature took until exp":               {[]time.Time{start(), expires}, false},
		"F149: the signature took until just before it":    {[]time.Time{start(), expires.Add(-time.Nanosecond)}, true},
		"F149: the clock was set back while it was signed": {[]time.Time{start(), start().Add(-time.Hour)}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			looks := 0
			now := func() time.Time {
				looks++
				return c.at[min(looks, len(c.at))-1]
			}
			token, ref := new(Minter).Mint(t.Context(), d, k, now)
			if c.pass {
				if ref != nil {
					t.Fatal(ref)
				}
				return
			}
			wantRefusal(t, ref, policy.Denied, policy.LifetimeTooShort)
			if token != (Token{}) {
				t.Error("something of a token came out")
			}
		})
	}
}

func TestF311IdentifiersAre128RandomBits(t *testing.T) {
	t.Parallel()
	const n = 2000
	k, d, m := ring(t, "EdDSA"), (&wish{}).decide(t), new(Minter)
	seen := map[string]bool{}
	var ones [128]int
	for range n {
		token, ref := m.Mint(t.Context(), d, k, start)
		if ref != nil {
			t.Fatal(ref)
		}
		for _, id := range []string{token.TokenID, token.Transaction} {
			b, err := hex.DecodeString(id)
			if err != nil || len(b) != 16 || seen[id] {
				t.Fatalf("%q: not 16 bytes in hex, or given twice", id)
			}
			seen[id] = true
			for bit := range ones {
				ones[bit] += int(b[bit/8] >> (bit % 8) & 1)
			}
		}
	}
	// 4,000 draws: 2,000 ± 32 (one standard deviation). Eight of them are missed
	// by chance once in 10^13 runs.
	for bit, count := range ones {
		if count < n-256 || count > n+256 {
			t.Errorf("bit %d is set in %d of %d identifiers", bit, count, 2*n)
		}
	}
}

func TestOneTransactionRunsThroughAChain(t *testing.T) {
	t.Parallel()
	k := ring(t, "ES256")
	w := &wish{service: func(*policy.Service) {}}
	snapshot, err := policy.Compile(manifests(w), 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	svc, _ := snapshot.Service(service)
	first := mint(t, w, k)
	facts, plain := open(t, first.Value, k)
	if facts.Origin != "corp" || !slices.Equal(facts.Groups, []string{"corp:staff"}) || len(facts.Lineage) != 1 {
		t.Errorf("the sealed facts are not those of the first verification: %s", plain)
	}
	token, ref := svc.IdentifyOwn(policy.Presented{Type: "at+jwt", Claims: decoded(t, first.Value)}, []byte(plain))
	if ref != nil {
		t.Fatal(ref)
	}
	second, ref := new(Minter).Mint(t.Context(), w.decideFor(t, snapshot, token), k, start)
	if ref != nil {
		t.Fatal(ref)
	}
	if second.Transaction != first.Transaction || second.TokenID == first.TokenID {
		t.Errorf("txn %s then %s, jti %s then %s: want one transaction, two tokens", first.Transaction, second.Transaction, first.TokenID, second.TokenID)
	}
	facts, plain = open(t, second.Value, k)
	if len(facts.Lineage) != 2 || facts.Lineage[1].TokenID != first.TokenID {
		t.Errorf("the lineage does not have both tokens: %s", plain)
	}
}

func TestF148NothingOfASubjectTokenPassesUnlessItIsMapped(t *testing.T) {
	t.Parallel()
	k := ring(t, "ES256")
	const marker = "taint-7f3a91-"
	tainted := &wish{
		subject: claims{
			"email": marker + "email", "name": marker + "name", "roles": []any{marker + "role"}, "realm": claims{marker + "key": marker + "value"},
			"sid": marker + "sid", "nonce": marker + "nonce", "at_hash": marker + "hash", "scp": nil, "iss2": marker + "iss",
			"acr": marker + "acr", "amr": []any{marker + "amr"}, "client_name": marker + "client", "xqr": marker + "xqr", "txn": marker + "txn",
			"azp": "shop/app", "tenant_id": marker + "tenant", marker + "claim": true, "preferred_username": "alice",
		},
		header: claims{"x5t": marker + "x5t", "cty": marker + "cty", "jku": "https://" + marker + ".example", marker + "header": 1},
		scopes: []string{"images"},
	}
	token := mint(t, tainted, k)
	header, payload := segments(t, token.Value)
	_, sealed := open(t, token.Value, k)
	for what, text := range map[string]string{
		"F148: header": string(header), "F148: payload": string(payload), "F148: sealed facts": sealed,
		"F148: what the audit record says": fmt.Sprintf("%s %s %s", token.KeyID, token.TokenID, token.Transaction),
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			if strings.Contains(text, marker) {
				t.Errorf("an unmapped claim came through: %s", text)
			}
		})
	}
}

func TestAKeyIsProvedOncePerTokenServiceAndSampledAfterwards(t *testing.T) {
	t.Parallel()
	m := new(Minter)
	d := (&wish{}).decide(t)
	k := ring(t, "EdDSA")
	for range 3 {
		if _, ref := m.Mint(t.Context(), d, k, start); ref != nil {
			t.Fatal(ref)
		}
	}
	if got := m.verified.Load(); got != 1 {
		t.Errorf("%d of three signatures were verified, want the first alone", got)
	}
	for range 2 * sampleEvery {
		if _, ref := m.Mint(t.Context(), d, k, start); ref != nil {
			t.Fatal(ref)
		}
	}
	if got := m.verified.Load(); got != 3 {
		t.Errorf("%d signatures were verified after %d tokens, want the first and one in %d", got, m.minted.Load(), sampleEvery)
	}
	next, side, sideKeys := ring(t, "EdDSA"), (&wish{named: "side"}).decide(t), ring(t, "EdDSA")
	for range 10 {
		for _, pair := range []struct {
			d *policy.Decision
			k *keys.Current
		}{{d, next}, {side, sideKeys}} {
			if _, ref := m.Mint(t.Context(), pair.d, pair.k, start); ref != nil {
				t.Fatal(ref)
			}
		}
	}
	if got := m.verified.Load(); got != 5 {
		t.Errorf("%d signatures were verified; want the first of the new key and the first of the other service, no matter how they take turns", got-3)
	}
}

func TestAMinterServesManyAtOnce(t *testing.T) {
	t.Parallel()
	var m Minter
	rings := []*keys.Current{ring(t, "ES256"), ring(t, "EdDSA")}
	d := (&wish{values: literals{"tenant": "acme"}}).decide(t)
	var all sync.Map
	var group sync.WaitGroup
	for worker := range 8 {
		group.Go(func() {
			for n := range 50 {
				token, ref := m.Mint(t.Context(), d, rings[(worker+n)%2], start)
				if ref != nil {
					t.Error(ref)
					return
				}
				if _, twice := all.LoadOrStore(token.TokenID, true); twice {
					t.Error("a jti was given twice")
				}
			}
		})
	}
	group.Wait()
}
