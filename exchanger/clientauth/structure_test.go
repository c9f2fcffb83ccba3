// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package clientauth_test

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"

	"github.com/exchequer-dev/exchequer/exchanger/policy"
	"github.com/exchequer-dev/exchequer/exchanger/subject"
	"github.com/exchequer-dev/exchequer/test/fakes/issuer"
	"github.com/exchequer-dev/exchequer/test/fakes/world"
)

// way is one way in for a token: a key that it believes, claims that it accepts
// from that key, and whom to ask.
type way struct {
	key    *issuer.Key
	claims world.Claims
	ask    func(token string) *policy.Refusal
}

func ways(t *testing.T, w *world.World) map[string]way {
	t.Helper()
	v := subject.New(w.Manager, w.Ring, subject.Options{})
	a := newAuthenticator(w)
	client := func(token string) *policy.Refusal {
		_, ref := a.Authenticate(t.Context(), w.Service(), assertion(token), w.Now())
		return ref
	}
	return map[string]way{
		"subject token": {w.Corp, w.CorpClaims(), func(token string) *policy.Refusal {
			_, ref := v.Verify(t.Context(), w.Service(), token, w.Now())
			return ref
		}},
		"private_key_jwt": {w.Frontend, w.AssertionClaims(frontend), client},
		"service account": {w.East, w.AccountClaims("shop", "frontend"), client},
	}
}

// TestEveryWayInRefusesTheSameStructures runs one table through all ways: a rule
// that one of them forgot shows here.
func TestEveryWayInRefusesTheSameStructures(t *testing.T) {
	t.Parallel()
	w := world.New(t)
	all := ways(t, w)
	header := func(over world.Claims) func(way) string {
		return func(x way) string { return w.Sign(x.key, over, x.claims) }
	}
	payload := func(edit func(string) string) func(way) string {
		return func(x way) string {
			b, err := json.Marshal(x.claims)
			if err != nil {
				t.Fatal(err)
			}
			return w.SignBytes(x.key, []byte(`{"alg":"ES256","kid":"`+x.key.ID+`"}`), []byte(edit(string(b))))
		}
	}
	rawHeader := func(text string) func(way) string {
		return func(x way) string {
			b, err := json.Marshal(x.claims)
			if err != nil {
				t.Fatal(err)
			}
			return w.SignBytes(x.key, []byte(strings.ReplaceAll(text, "KID", x.key.ID)), b)
		}
	}
	whole := func(edit func(string) string) func(way) string {
		return func(x way) string { return edit(w.Sign(x.key, nil, x.claims)) }
	}
	segment := func(n int, edit func(string) string) func(way) string {
		return whole(func(token string) string {
			parts := strings.Split(token, ".")
			parts[n] = edit(parts[n])
			return strings.Join(parts, ".")
		})
	}
	add := func(s string) func(string) string { return func(in string) string { return in + s } }
	set := func(s string) func(string) string { return func(string) string { return s } }
	before := func(s string) func(string) string { return func(in string) string { return s + in } }
	insert := func(s string) func(string) string { return func(in string) string { return "{" + s + "," + in[1:] } }

	for name, forge := range map[string]func(way) string{
		"F81: alg none":                    header(world.Claims{"alg": "none"}),
		"F81: alg nOnE":                    header(world.Claims{"alg": "nOnE"}),
		"F81: alg empty":                   header(world.Claims{"alg": ""}),
		"F81: alg a number":                header(world.Claims{"alg": 1}),
		"F81: alg a list":                  header(world.Claims{"alg": []any{"ES256"}}),
		"F81: no alg":                      header(world.Claims{"alg": nil}),
		"F82: HS256":                       header(world.Claims{"alg": "HS256"}),
		"F85: ES512":                       header(world.Claims{"alg": "ES512"}),
		"F121: RS1":                        header(world.Claims{"alg": "RS1"}),
		"F86: jwk":                         header(world.Claims{"jwk": w.Corp.JWK()}),
		"F86: x5c":                         header(world.Claims{"x5c": []any{"MIIB"}}),
		"F87: jku":                         header(world.Claims{"jku": "https://169.254.169.254/"}),
		"F87: x5u":                         header(world.Claims{"x5u": "https://169.254.169.254/"}),
		"F88: a kid of 10 kB":              header(world.Claims{"kid": strings.Repeat("k", 10<<10)}),
		"F88: a kid with NUL":              header(world.Claims{"kid": "corp-1\x00"}),
		"F88: a kid that is SQL":           header(world.Claims{"kid": "' OR 1=1 --"}),
		"F89: no kid":                      header(world.Claims{"kid": nil}),
		"F89: an empty kid":                header(world.Claims{"kid": ""}),
		"F91: crit":                        header(world.Claims{"crit": []any{"exp"}}),
		"F91: an empty crit":               header(world.Claims{"crit": []any{}}),
		"F92: b64":                         header(world.Claims{"b64": false}),
		"F102: enc":                        header(world.Claims{"enc": "A256GCM"}),
		"F104: zip":                        header(world.Claims{"zip": "DEF"}),
		"F106: cty":                        header(world.Claims{"cty": "JWT"}),
		"F114: typ a number":               header(world.Claims{"typ": 1}),
		"F96: alg twice":                   rawHeader(`{"alg":"ES256","alg":"none","kid":"KID"}`),
		"F96: ALG beside alg":              rawHeader(`{"alg":"ES256","ALG":"none","kid":"KID"}`),
		"F96: alg twice, once escaped":     rawHeader(`{"alg":"ES256","\u0061lg":"none","kid":"KID"}`),
		"F98: the header is a list":        rawHeader(`[]`),
		"F98: the header has a BOM":        rawHeader("\ufeff" + `{"alg":"ES256","kid":"KID"}`),
		"F97: sub twice":                   payload(insert(`"sub":"x"`)),
		"F97: aud twice, once escaped":     payload(insert(`"\u0061ud":"x"`)),
		"F98: the payload is null":         payload(set(`null`)),
		"F98: the payload is a list":       payload(set(`[]`)),
		"F98: something after the payload": payload(add(`{}`)),
		"F98: a BOM":                       payload(before("\ufeff")),
		"F98: NaN":                         payload(insert(`"x":NaN`)),
		"F98: half of a surrogate pair":    payload(insert(`"x":"\ud800"`)),
		"F98: invalid UTF-8":               payload(insert("\"x\":\"\xff\"")),
		"F99: 10,000 levels":               payload(insert(`"x":` + strings.Repeat("[", 5000) + strings.Repeat("]", 5000))),
		"F99: 17 levels":                   payload(insert(`"x":` + strings.Repeat("[", 16) + strings.Repeat("]", 16))),
		"F100: a number beyond float64":    payload(insert(`"x":1e400`)),
		"F101: 16 KiB and a byte":          payload(insert(`"x":"` + strings.Repeat("x", 13<<10) + `"`)),
		"F94: one segment":                 whole(set("abc")),
		"F94: two segments":                segment(2, set("")),
		"F94: four segments":               whole(add(".e30")),
		"F94: an empty middle":             segment(1, set("")),
		"F94: a million dots":              whole(set(strings.Repeat(".", 1e6))),
		"F95: padding":                     segment(1, add("=")),
		"F95: the other alphabet":          segment(1, add("+/")),
		"F95: a space":                     segment(1, add(" ")),
		"F95: a line break":                whole(add("\n")),
		"F93: JSON serialisation": whole(func(token string) string {
			p := strings.Split(token, ".")
			return `{"protected":"` + p[0] + `","payload":"` + p[1] + `","signature":"` + p[2] + `"}`
		}),
		"F102: encrypted":                whole(set("eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIn0..AAAA.AAAA.AAAA")),
		"F107: a signature in DER":       segment(2, func(s string) string { return "MEUCIQ" + s }),
		"F107: r and s are 0":            segment(2, set(strings.Repeat("A", 86))),
		"F107: 63 bytes":                 segment(2, func(s string) string { return s[:84] }),
		"a bit of the payload flipped":   segment(1, flip),
		"a bit of the signature flipped": segment(2, flip),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for where, x := range all {
				if ref := x.ask(forge(x)); ref == nil || ref.Outcome != policy.Denied {
					t.Errorf("%s: %v", where, ref)
				}
			}
		})
	}
	t.Run("and each of them accepts what the others were made from", func(t *testing.T) {
		t.Parallel()
		for where, x := range all {
			if ref := x.ask(w.Sign(x.key, nil, x.claims)); ref != nil {
				t.Errorf("%s: %v", where, ref)
			}
		}
	})
}

// flip changes one bit of a segment, and nothing about its form.
func flip(s string) string {
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		return ""
	}
	b[len(b)/2] ^= 1
	return base64.RawURLEncoding.EncodeToString(b)
}

// TestATokenIsGoodForOnePurpose shows what each way in accepts to the others.
func TestATokenIsGoodForOnePurpose(t *testing.T) {
	t.Parallel()
	w := world.New(t)
	all := ways(t, w)
	for from, to := range map[string]string{"subject token": "private_key_jwt", "private_key_jwt": "subject token"} {
		t.Run("F68: a "+from+" is no "+to, func(t *testing.T) {
			t.Parallel()
			x := all[from]
			if ref := all[to].ask(w.Sign(x.key, nil, x.claims)); ref == nil || ref.Outcome != policy.Denied {
				t.Errorf("refusal: %v", ref)
			}
		})
	}
	t.Run("F68: a service-account token is credential and subject of one request by the same digest", func(t *testing.T) {
		t.Parallel()
		x := all["service account"]
		token := w.Sign(x.key, nil, x.claims)
		auth := accept(t, w, newAuthenticator(w), assertion(token))
		tok, ref := subject.New(w.Manager, w.Ring, subject.Options{}).Verify(t.Context(), w.Service(), token, w.Now())
		if ref != nil {
			t.Fatal(ref)
		}
		if tok.Digest != auth.CredentialDigest || tok.RawIssuer != auth.Issuer || tok.RawSubject != auth.Subject {
			t.Error("policy could not tell that they are one")
		}
	})
}
