// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package jose

import (
	"encoding/base64"
	"strings"
	"testing"
)

func TestAGoodTokenIsReadAndVerified(t *testing.T) {
	t.Parallel()
	for _, alg := range Algorithms() {
		t.Run(alg, func(t *testing.T) {
			t.Parallel()
			key := keyFor(t, alg)
			signer, err := NewSigner(key, "at+jwt")
			if err != nil {
				t.Fatal(err)
			}
			token, err := signer.Sign([]byte(claims))
			if err != nil {
				t.Fatal(err)
			}
			c, err := Parse(token, Limits{})
			if err != nil {
				t.Fatal(err)
			}
			if iss, ok := c.UnverifiedIssuer(); !ok || iss != "https://issuer.example" {
				t.Errorf("issuer %q", iss)
			}
			if c.Alg() != alg || c.KeyID() != key.KeyID() || c.Type() != "at+jwt" || len(c.Header()) != 3 {
				t.Errorf("header %v", c.Header())
			}
			v, err := c.Verify(key.Public(), []string{alg})
			if err != nil {
				t.Fatal(err)
			}
			if !v.Valid() || v.Claims["sub"] != "jane" || v.Claims["exp"] != int64(1893456000) ||
				v.Algorithm != alg || v.KeyID != key.KeyID() || v.Type != "at+jwt" || v.Header["typ"] != "at+jwt" {
				t.Errorf("facts %+v", v)
			}
		})
	}
	if (Verified{}).Valid() || (Verified{Claims: map[string]any{"sub": "jane"}}).Valid() {
		t.Error("facts that nobody verified are valid")
	}
}

func TestHeadersThatAreRefused(t *testing.T) {
	t.Parallel()
	key := keyFor(t, ES256)
	h := func(change map[string]any) string { return header(t, key, change) }
	alg := func(v any) string { return h(map[string]any{"alg": v}) }
	kid := `"kid":"` + key.KeyID() + `"`
	for name, tc := range map[string]struct {
		header string
		want   Code
	}{
		"F81: alg none":                       {alg("none"), BadAlgorithm},
		"F81: alg None":                       {alg("None"), BadAlgorithm},
		"F81: alg NONE":                       {alg("NONE"), BadAlgorithm},
		"F81: alg nOnE":                       {alg("nOnE"), BadAlgorithm},
		"F81: alg noNE":                       {alg("noNE"), BadAlgorithm},
		"F81: alg empty":                      {alg(""), BadAlgorithm},
		"F81: alg missing":                    {alg(nil), BadAlgorithm},
		"F81: alg a number":                   {alg(256), BadAlgorithm},
		"F81: alg a list":                     {alg([]string{ES256}), BadAlgorithm},
		"F81: alg with a space":               {alg("ES256 "), BadAlgorithm},
		"F81: alg in lower case":              {alg("es256"), BadAlgorithm},
		"F82: alg HS256":                      {alg("HS256"), BadAlgorithm},
		"F82: alg HS512":                      {alg("HS512"), BadAlgorithm},
		"F85: alg ES512":                      {alg("ES512"), BadAlgorithm},
		"F85: alg ES256K":                     {alg("ES256K"), BadAlgorithm},
		"F121: alg RS1":                       {alg("RS1"), BadAlgorithm},
		"F121: alg PS512":                     {alg("PS512"), BadAlgorithm},
		"F86: jwk embedded":                   {h(map[string]any{"jwk": jwk(t, key.Public(), nil)}), EmbeddedKey},
		"F86: x5c chain":                      {h(map[string]any{"x5c": []string{"MIIB"}}), EmbeddedKey},
		"F86: jku":                            {h(map[string]any{"jku": "https://evil.example/jwks"}), EmbeddedKey},
		"F86: x5u":                            {h(map[string]any{"x5u": "https://evil.example/cert"}), EmbeddedKey},
		"F86: jwk null":                       {`{"alg":"ES256",` + kid + `,"jwk":null}`, EmbeddedKey},
		"F88: kid of 10 kB":                   {h(map[string]any{"kid": strings.Repeat("k", 10000)}), TooLarge},
		"F88: kid of 257 bytes":               {h(map[string]any{"kid": strings.Repeat("k", 257)}), BadKeyID},
		"F88: kid a number":                   {h(map[string]any{"kid": 1}), BadKeyID},
		"F89: kid missing":                    {h(map[string]any{"kid": nil}), BadKeyID},
		"F89: kid empty":                      {h(map[string]any{"kid": ""}), BadKeyID},
		"F91: crit with an unknown name":      {h(map[string]any{"crit": []string{"x"}, "x": 1}), BadCritical},
		"F91: crit of a name that is absent":  {h(map[string]any{"crit": []string{"x"}}), BadCritical},
		"F91: crit empty":                     {h(map[string]any{"crit": []string{}}), BadCritical},
		"F91: crit twice the same name":       {h(map[string]any{"crit": []string{"x", "x"}, "x": 1}), BadCritical},
		"F91: crit of a registered name":      {h(map[string]any{"crit": []string{"alg"}}), BadCritical},
		"F91: crit null":                      {`{"alg":"ES256",` + kid + `,"crit":null}`, BadCritical},
		"F92: b64 false with crit":            {h(map[string]any{"b64": false, "crit": []string{"b64"}}), BadCritical},
		"F92: b64 false without crit":         {h(map[string]any{"b64": false}), BadCritical},
		"F92: b64 true":                       {h(map[string]any{"b64": true}), BadCritical},
		"F96: alg twice":                      {`{"alg":"ES256","alg":"none",` + kid + `}`, BadHeader},
		"F96: alg twice, once escaped":        {`{"alg":"ES256","\u0061lg":"ES256",` + kid + `}`, BadHeader},
		"F96: ALG beside alg":                 {`{"alg":"ES256","ALG":"none",` + kid + `}`, BadHeader},
		"F96: ALG alone":                      {`{"ALG":"ES256",` + kid + `}`, BadHeader},
		"F96: Kid with the Kelvin sign":       {"{\"alg\":\"ES256\",\"\u212aid\":\"x\"," + kid + "}", BadHeader},
		"F96: Crit":                           {h(map[string]any{"Crit": []string{"x"}}), BadHeader},
		"F98: header a list":                  {`["ES256"]`, BadHeader},
		"F98: header a string":                {`"ES256"`, BadHeader},
		"F98: header null":                    {`null`, BadHeader},
		"F98: header with trailing data":      {h(nil) + "{}", BadHeader},
		"F98: header with a byte order mark":  {"\ufeff" + h(nil), BadHeader},
		"F98: header with NaN":                {`{"alg":"ES256","x":NaN,` + kid + `}`, BadHeader},
		"F98: header with invalid UTF-8":      {"{\"alg\":\"ES256\",\"x\":\"\xff\"," + kid + "}", BadHeader},
		"F98: header with a lone surrogate":   {`{"alg":"ES256","x":"\ud800",` + kid + `}`, BadHeader},
		"F99: header of 17 levels":            {`{"alg":"ES256","x":` + strings.Repeat("[", 16) + strings.Repeat("]", 16) + `,` + kid + `}`, BadHeader},
		"F104: zip":                           {h(map[string]any{"zip": "DEF"}), BadHeader},
		"F102: enc in three segments":         {h(map[string]any{"enc": "A256GCM"}), Encrypted},
		"F106: cty JWT":                       {h(map[string]any{"cty": "JWT"}), BadType},
		"F114: typ empty":                     {h(map[string]any{"typ": ""}), BadType},
		"F114: typ a number":                  {h(map[string]any{"typ": 1}), BadType},
		"F114: typ with a Unicode look-alike": {h(map[string]any{"typ": "\u0430t+jwt"}), BadType},
		"F114: typ nothing but the prefix":    {h(map[string]any{"typ": "application/"}), BadType},
		"a header above its limit":            {h(map[string]any{"x": strings.Repeat("x", 4096)}), TooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := verifyWith(forge(t, key, tc.header, claims), key.Public())
			wantCode(t, err, tc.want)
		})
	}
}

func TestHeadersThatAreAccepted(t *testing.T) {
	t.Parallel()
	key := keyFor(t, ES256)
	for name, tc := range map[string]struct {
		change map[string]any
		typ    string
	}{
		"F114: typ absent":                    {map[string]any{"typ": nil}, ""},
		"F114: typ JWT":                       {map[string]any{"typ": "JWT"}, "jwt"},
		"F114: typ at+jwt":                    {map[string]any{"typ": "at+jwt"}, "at+jwt"},
		"F114: typ application/at+jwt":        {map[string]any{"typ": "application/at+jwt"}, "at+jwt"},
		"F114: typ AT+JWT":                    {map[string]any{"typ": "AT+JWT"}, "at+jwt"},
		"F114: typ Application/AT+JWT":        {map[string]any{"typ": "Application/AT+JWT"}, "at+jwt"},
		"F114: the prefix is taken away once": {map[string]any{"typ": "application/application/jwt"}, "application/jwt"},
		"thumbprints are ignored":             {map[string]any{"x5t": "abc", "x5t#S256": "def"}, "jwt"},
		"unknown members are ignored":         {map[string]any{"nonce": "n", "ver": 2}, "jwt"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v, err := verifyWith(forge(t, key, header(t, key, tc.change), claims), key.Public())
			if err != nil {
				t.Fatal(err)
			}
			if v.Type != tc.typ {
				t.Errorf("type %q, want %q", v.Type, tc.typ)
			}
		})
	}
}

func TestPayloadsThatAreRefused(t *testing.T) {
	t.Parallel()
	key := keyFor(t, ES256)
	inner := forge(t, key, header(t, key, nil), claims)
	for name, payload := range map[string]string{
		"F97: sub twice":                        `{"sub":"a","sub":"b"}`,
		"F97: aud twice":                        `{"aud":"a","aud":["b"]}`,
		"F97: sub twice, once escaped":          `{"sub":"a","s\u0075b":"b"}`,
		"F97: a nested member twice":            `{"act":{"sub":"a","sub":"b"}}`,
		"F98: a list":                           `[{"sub":"a"}]`,
		"F98: a string":                         `"sub"`,
		"F98: null":                             `null`,
		"F98: nothing":                          ` `,
		"F98: two objects":                      `{"sub":"a"}{"sub":"b"}`,
		"F98: a NUL after the object":           "{\"sub\":\"a\"}\x00",
		"F98: a byte order mark":                "\ufeff" + claims,
		"F98: NaN":                              `{"exp":NaN}`,
		"F98: Infinity":                         `{"exp":-Infinity}`,
		"F98: invalid UTF-8":                    "{\"sub\":\"\xc0\xaf\"}",
		"F98: a lone high surrogate":            `{"sub":"\ud83d"}`,
		"F98: a lone low surrogate":             `{"sub":"\ude00"}`,
		"F98: a surrogate pair the wrong way":   `{"sub":"\ude00\ud83d"}`,
		"F98: a high surrogate before a letter": `{"sub":"\ud83d\u0041"}`,
		"F99: 10,000 levels":                    strings.Repeat("[", 5000) + strings.Repeat("]", 5000),
		"F99: 10,000 levels inside an object":   `{"a":` + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + `}`,
		"F99: 11 KiB of opening brackets":       `{"a":` + strings.Repeat("[", 11<<10),
		"F99: 17 levels":                        `{"a":` + strings.Repeat(`{"a":`, 15) + `[]` + strings.Repeat("}", 16),
		"F100: 1e400":                           `{"exp":1e400}`,
		"F106: a token in a token":              inner,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := verifyWith(forge(t, key, header(t, key, nil), payload), key.Public())
			wantCode(t, err, BadPayload)
		})
	}
	t.Run("16 levels are accepted", func(t *testing.T) {
		t.Parallel()
		payload := `{"a":` + strings.Repeat(`{"a":`, 14) + `[]` + strings.Repeat("}", 15)
		if _, err := verifyWith(forge(t, key, header(t, key, nil), payload), key.Public()); err != nil {
			t.Error(err)
		}
	})
}

func TestFormsThatAreRefused(t *testing.T) {
	t.Parallel()
	key := keyFor(t, ES256)
	good := forge(t, key, header(t, key, nil), claims)
	parts := strings.Split(good, ".")
	h, p, s := parts[0], parts[1], parts[2]
	// p of 3n+1 bytes, so that the last character has unused bits.
	odd := base64.RawURLEncoding.EncodeToString([]byte(`{"sub":"ab"}` + " "))
	if len(odd)%4 != 2 {
		t.Fatalf("%d characters: the payload must leave unused bits", len(odd))
	}
	trailing := odd[:len(odd)-1] + string(odd[len(odd)-1]+1)
	for name, tc := range map[string]struct {
		token string
		want  Code
	}{
		"F92: detached payload":                  {h + ".." + s, BadPayload},
		"F93: flattened JSON":                    {`{"protected":"` + h + `","payload":"` + p + `","signature":"` + s + `"}`, NotCompact},
		"F93: general JSON":                      {`{"payload":"` + p + `","signatures":[{"protected":"` + h + `","signature":"` + s + `"}]}`, NotCompact},
		"F93: general JSON without signatures":   {`{"payload":"` + p + `","signatures":[]}`, NotCompact},
		"F93: compact inside JSON":               {`{"` + good + `":1,"protected":"` + h + `"}`, NotCompact},
		"F93: compact inside JSON after a space": {` {"` + good + `":1}`, BadBase64},
		"F94: nothing":                           {"", NotCompact},
		"F94: one segment":                       {h, NotCompact},
		"F94: two segments":                      {h + "." + p, NotCompact},
		"F94: four segments":                     {good + "." + s, NotCompact},
		"F94: five segments":                     {good + "." + s + "." + s, Encrypted},
		"F94: six segments":                      {good + "." + s + "." + s + "." + s, NotCompact},
		"F94: a dot in front":                    {"." + good, NotCompact},
		"F94: a dot at the end":                  {good + ".", NotCompact},
		"F94: empty header":                      {"." + p + "." + s, NotCompact},
		"F94: empty signature":                   {h + "." + p + ".", BadSignature},
		"F94: dots up to the limit":              {strings.Repeat(".", DefaultTokenBytes), NotCompact},
		"F94: a million dots":                    {strings.Repeat(".", 1_000_000), TooLarge},
		"F95: padding":                           {forgeRaw(t, key, h+"."+odd+"=="), BadBase64},
		"F95: standard alphabet, plus":           {h + "." + "+" + p[1:] + "." + s, BadBase64},
		"F95: standard alphabet, slash":          {h + "." + "/" + p[1:] + "." + s, BadBase64},
		"F95: a space inside":                    {forgeRaw(t, key, h+"."+p[:4]+" "+p[4:]), BadBase64},
		"F95: a line feed inside":                {forgeRaw(t, key, h+"."+p[:4]+"\n"+p[4:]), BadBase64},
		"F95: a carriage return in the header":   {forgeRaw(t, key, h[:4]+"\r"+h[4:]+"."+p), BadBase64},
		"F95: a line feed in the signature":      {good[:len(good)-2] + "\n" + good[len(good)-2:], BadBase64},
		"F95: a space in front":                  {" " + good, BadBase64},
		"F95: a line feed at the end":            {good + "\n", BadBase64},
		"F95: a NUL at the end":                  {good + "\x00", BadBase64},
		"F95: trailing bits in the payload":      {forgeRaw(t, key, h+"."+trailing), BadBase64},
		"F95: a quarter of a byte":               {h + "." + p + "." + s + "A" + strings.Repeat("A", (4-(len(s)+1)%4)%4+1), BadBase64},
		"F102: a JWE":                            {sealed(t), Encrypted},
		"F103: PBES2 with a count of 2^31":       {b64(`{"alg":"PBES2-HS256+A128KW","enc":"A128GCM","p2s":"AAAAAAAAAAA","p2c":2147483648}`) + ".AAAA.AAAA.AAAA.AAAA", Encrypted},
		"F104: a compressed JWE":                 {b64(`{"alg":"dir","enc":"A128GCM","zip":"DEF"}`) + "..AAAA.AAAA.AAAA", Encrypted},
		"F105: RSA1_5":                           {b64(`{"alg":"RSA1_5","enc":"A128GCM"}`) + ".AAAA.AAAA.AAAA.AAAA", Encrypted},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := verifyWith(tc.token, key.Public())
			wantCode(t, err, tc.want)
		})
	}
}

func TestATokenWithoutASignatureIsNotParsed(t *testing.T) {
	t.Parallel()
	key := keyFor(t, ES256)
	good := forge(t, key, header(t, key, nil), claims)
	c, err := Parse(good[:strings.LastIndexByte(good, '.')+1], Limits{})
	wantCode(t, err, BadSignature)
	if c != nil {
		t.Error("a refusal brought a token")
	}
}

func sealed(t *testing.T) string {
	t.Helper()
	key, err := GenerateSealKey("k")
	if err != nil {
		t.Fatal(err)
	}
	jwe, err := key.Seal([]byte(claims))
	if err != nil {
		t.Fatal(err)
	}
	return jwe
}

func TestTokensAtTheLimit(t *testing.T) {
	t.Parallel()
	key := keyFor(t, EdDSA)
	// A token of exactly n bytes: header and signature have fixed lengths, the
	// payload is filled up. Base64 has no length 4k+1, so one spare byte of
	// header moves the sum.
	exactly := func(n int) string {
		for pad := range 4 {
			h := b64(header(t, key, map[string]any{"x": strings.Repeat("x", pad)}))
			room := n - len(h) - 2 - 86
			if payload := base64.RawURLEncoding.DecodedLen(room); base64.RawURLEncoding.EncodedLen(payload) == room {
				body := `{"a":"` + strings.Repeat("a", payload-8) + `"}`
				return forgeRaw(t, key, h+"."+b64(body))
			}
		}
		t.Fatal("no such length")
		return ""
	}
	for name, tc := range map[string]struct {
		bytes int
		want  Code
	}{
		"F101: exactly the limit": {DefaultTokenBytes, 0},
		"F101: one byte more":     {DefaultTokenBytes + 1, TooLarge},
		"F101: 250 kB":            {250_000, TooLarge},
		"F101: 10 MB":             {10_000_000, TooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			token := exactly(tc.bytes)
			if len(token) != tc.bytes {
				t.Fatalf("%d bytes, want %d", len(token), tc.bytes)
			}
			_, err := verifyWith(token, key.Public())
			if got := codeOf(err); got != tc.want {
				t.Errorf("%v, want %s", err, tc.want)
			}
		})
	}
}

func TestRefusingCostsLittle(t *testing.T) {
	// Not parallel: AllocsPerRun counts every goroutine's.
	dots := strings.Repeat(".", 1_000_000)
	brackets := b64(`{"alg":"ES256","kid":"k"}`) + "." + b64(strings.Repeat(`{"a":`, 2000)) + ".AAAA"
	many := b64(`{"alg":"ES256","kid":"k"}`) + "." + b64(`{"a":[`+strings.Repeat(`0,`, 5000)+`0]}`) + ".AAAA"
	for name, tc := range map[string]struct {
		token  string
		allocs float64
	}{
		"F94: a million dots take no memory":         {dots, 2},
		"F118: deep nesting stops at 16 levels":      {brackets, 60},
		"F118: 5,000 numbers grow one list, no more": {many, 5100},
	} {
		t.Run(name, func(t *testing.T) {
			if got := testing.AllocsPerRun(10, func() { _, _ = Parse(tc.token, Limits{}) }); got > tc.allocs {
				t.Errorf("%.0f allocations, at most %.0f are expected", got, tc.allocs)
			}
		})
	}
}

func TestIssuersThatAreNone(t *testing.T) {
	t.Parallel()
	key := keyFor(t, ES256)
	for name, payload := range map[string]string{
		"iss missing":  `{}`,
		"iss empty":    `{"iss":""}`,
		"iss a number": `{"iss":1}`,
		"iss a list":   `{"iss":["https://issuer.example"]}`,
		"iss null":     `{"iss":null}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, err := Parse(forge(t, key, header(t, key, nil), payload), Limits{})
			if err != nil {
				t.Fatal(err)
			}
			if iss, ok := c.UnverifiedIssuer(); ok || iss != "" {
				t.Errorf("issuer %q", iss)
			}
		})
	}
}
