// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"fmt"
	"net/url"
	"reflect"
	"strings"
	"testing"

	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

// good is a request with one value of every kind; tests spoil it.
func good() url.Values {
	return url.Values{
		"grant_type":         {GrantTokenExchange},
		"client_id":          {"shop/frontend"},
		"client_secret":      {"s3cret +%"},
		"subject_token":      {"eyJhbGciOiJFUzI1NiJ9.e30.c2ln"},
		"subject_token_type": {URNAccessToken},
		"audience":           {"media/images-resource"},
		"scope":              {"images contacts"},
	}
}

func with(change func(url.Values)) string {
	v := good()
	change(v)
	return v.Encode()
}

func set(pairs ...string) string {
	return with(func(v url.Values) {
		for i := 0; i < len(pairs); i += 2 {
			v.Set(pairs[i], pairs[i+1])
		}
	})
}

func del(names ...string) string {
	return with(func(v url.Values) {
		for _, n := range names {
			v.Del(n)
		}
	})
}

// grantForm is the form of another grant, with these parameters beside client_id.
func grantForm(pairs ...string) string {
	v := url.Values{"client_id": {"shop/frontend"}}
	for i := 0; i < len(pairs); i += 2 {
		v.Set(pairs[i], pairs[i+1])
	}
	return v.Encode()
}

func TestTheJWTBearerGrantIsRead(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"alone":                           grantForm("grant_type", GrantJWTBearer, "assertion", "a.b.c", "scope", "images"),
		"with an empty subject_token":     grantForm("grant_type", GrantJWTBearer, "assertion", "a.b.c", "scope", "images", "subject_token", ""),
		"with a parameter of nobody's":    grantForm("grant_type", GrantJWTBearer, "assertion", "a.b.c", "scope", "images", "colour", "green"),
		"with an empty parameter of ours": grantForm("grant_type", GrantJWTBearer, "assertion", "a.b.c", "scope", "images", "actor_token", ""),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, ref := ParseForm([]byte(body))
			if ref != nil {
				t.Fatal(ref)
			}
			want := &Params{
				GrantType: GrantJWTBearer, Grant: policy.GrantJWTBearer, ClientID: "shop/frontend", SubjectToken: "a.b.c",
				SubjectAs: policy.AsAssertion, Scopes: []string{"images"}, ScopeGiven: true, TokenType: policy.TypeAccessToken,
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("got  %+v\nwant %+v", got, want)
			}
		})
	}
	t.Run("an empty assertion does not take a subject_token's place", func(t *testing.T) {
		t.Parallel()
		got, ref := ParseForm([]byte(set("assertion", "")))
		if ref != nil || got.SubjectToken != good().Get("subject_token") {
			t.Errorf("%+v %v", got, ref)
		}
	})
}

func TestAFormIsReadWhole(t *testing.T) {
	t.Parallel()
	body := []byte(with(func(v url.Values) {
		v.Set("actor_token", "x.y.z")
		v.Set("actor_token_type", URNJWT)
		v.Set("requested_token_type", URNJWT)
		v.Set("resource", "https://images.media.example/v1?a=b&c=d")
		v.Set("client_assertion", "q.r.s")
		v.Set("client_assertion_type", AssertionTypeJWT)
	}))
	got, ref := ParseForm(body)
	if ref != nil {
		t.Fatal(ref)
	}
	want := &Params{
		GrantType: GrantTokenExchange, ClientID: "shop/frontend", ClientSecret: "s3cret +%",
		ClientAssertionType: AssertionTypeJWT, ClientAssertion: "q.r.s",
		SubjectToken: "eyJhbGciOiJFUzI1NiJ9.e30.c2ln", SubjectAs: policy.AsAccessToken,
		ActorToken: "x.y.z", ActorAs: policy.AsJWT,
		Audiences: []string{"media/images-resource"}, Resources: []string{"https://images.media.example/v1?a=b&c=d"},
		Scopes: []string{"images", "contacts"}, ScopeGiven: true, TokenType: policy.TypeJWT,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	clear(body)
	if !reflect.DeepEqual(got, want) {
		t.Error("the parameters point into the body, which the caller uses again")
	}
}

func TestRefusedForms(t *testing.T) {
	t.Parallel()
	const (
		form    = policy.FormInvalid
		unknown = policy.ParameterUnsupported
		grant   = policy.GrantUnsupported
		scope   = policy.ScopeUnknown
		token   = policy.TokenMalformed
	)
	for name, tc := range map[string]struct {
		body string
		want policy.Reason
	}{
		"an empty body":                                     {"", form},
		"F11: 65 parameters":                                {with(func(v url.Values) { fill(v, 65) }), form},
		"F11: 100,000 tiny parameters":                      {strings.Repeat("a=b&", 100_000), form},
		"F12: a percent sign before no hex":                 {good().Encode() + "&x=%zz", form},
		"F12: a truncated escape":                           {good().Encode() + "&x=%4", form},
		"F12: a lone percent sign":                          {good().Encode() + "&x=%", form},
		"F12: a bad escape in a name":                       {good().Encode() + "&%g0=x", form},
		"F13: a semicolon as separator":                     {strings.ReplaceAll(good().Encode(), "&", ";"), form},
		"F13: one semicolon in a value":                     {good().Encode() + "&x=a;b", form},
		"F14: NUL in a value":                               {set("client_id", "a\x00b"), form},
		"F14: CR in a value":                                {set("client_id", "a\rb"), form},
		"F14: LF in an ignored value":                       {set("foo", "a\nb"), form},
		"F14: LF in a name":                                 {good().Encode() + "&a%0Ab=c", form},
		"F14: invalid UTF-8":                                {set("client_id", "a\xffb"), form},
		"F14: a raw invalid byte":                           {good().Encode() + "&x=\xc3", form},
		"F14: UTF-8 that spans two values":                  {good().Encode() + "&x=\xc3&\xa9=y", form},
		"F26: grant_type missing":                           {del("grant_type"), form},
		"F26: another grant":                                {set("grant_type", "authorization_code", "code", "x"), grant},
		"F26: a grant of nobody":                            {set("grant_type", "urn:example:grant"), grant},
		"F26: the URN in capitals":                          {set("grant_type", strings.ToUpper(GrantTokenExchange)), grant},
		"the refresh grant without refresh_token":           {grantForm("grant_type", GrantRefreshToken), form},
		"the refresh grant with an empty one":               {grantForm("grant_type", GrantRefreshToken, "refresh_token", ""), form},
		"the refresh grant with one in quotes":              {grantForm("grant_type", GrantRefreshToken, "refresh_token", `"x"`), token},
		"a refresh token beside a subject_token":            {set("grant_type", GrantRefreshToken, "refresh_token", "x"), unknown},
		"a refresh_token of another grant":                  {set("refresh_token", "x"), unknown},
		"an actor by a hand-over token":                     {set("actor_token", "x", "actor_token_type", URIHandover), form},
		"KC-47: the jwt-bearer grant without assertion":     {grantForm("grant_type", GrantJWTBearer), form},
		"KC-47: an empty assertion is absent":               {grantForm("grant_type", GrantJWTBearer, "assertion", ""), form},
		"KC-47: an assertion in quotes":                     {grantForm("grant_type", GrantJWTBearer, "assertion", `"a.b.c"`), token},
		"an assertion beside a subject_token":               {set("grant_type", GrantJWTBearer, "assertion", "a.b.c"), unknown},
		"an assertion in an exchange":                       {set("assertion", "a.b.c"), unknown},
		"a requested_token_type beside an assertion":        {grantForm("grant_type", GrantJWTBearer, "assertion", "a.b.c", "requested_token_type", URNJWT), unknown},
		"F28: 17 times the same target":                     {with(func(v url.Values) { v["audience"] = strings.Fields(strings.Repeat("a ", 17)) }), form},
		"F28: 17 targets":                                   {with(func(v url.Values) { v["audience"] = names(9); v["resource"] = names(8) }), form},
		"F29: an empty subject_token is absent":             {set("subject_token", ""), form},
		"F29: an empty grant_type is absent":                {set("grant_type", ""), form},
		"F30, R7: subject_token missing":                    {del("subject_token"), form},
		"F30, R8: subject_token_type missing":               {del("subject_token_type"), form},
		"F31, R9: actor_token without its type":             {set("actor_token", "a.b.c"), form},
		"F31, R10: actor_token_type without an actor_token": {set("actor_token_type", URNJWT), form},
		"F31: an actor_token emptied on the way":            {set("actor_token", "", "actor_token_type", URNJWT), form},
		"F32: an unknown subject_token_type":                {set("subject_token_type", "urn:ietf:params:oauth:token-type:example"), form},
		"F32: subject_token_type in capitals":               {set("subject_token_type", strings.ToUpper(URNJWT)), form},
		"F32: saml1":                                        {set("subject_token_type", "urn:ietf:params:oauth:token-type:saml1"), form},
		"F32: a refresh token":                              {set("subject_token_type", URNRefreshToken), form},
		"F32: an unknown actor_token_type":                  {set("actor_token", "a.b.c", "actor_token_type", "urn:ietf:params:oauth:token-type:example"), form},
		"F34: an unknown requested_token_type":              {set("requested_token_type", "urn:ietf:params:oauth:token-type:example"), form},
		"F34: saml1 requested":                              {set("requested_token_type", "urn:ietf:params:oauth:token-type:saml1"), form},
		"F40: a quote in scope":                             {set("scope", `a"b`), scope},
		"F40: a backslash in scope":                         {set("scope", `a\b`), scope},
		"F40: a letter beyond ASCII in scope":               {set("scope", "café"), scope},
		"F40: two spaces in scope":                          {set("scope", "a  b"), scope},
		"F40: a tab in scope":                               {set("scope", "a\tb"), scope},
		"F40: a space before scope":                         {set("scope", " a"), scope},
		"F40: a space after scope":                          {set("scope", "a "), scope},
		"F40: scope is one space":                           {set("scope", " "), scope},
		"F41: scope of more than 4 KiB":                     {set("scope", strings.Repeat("a", 4097)), form},
		"F41: 65 scopes":                                    {set("scope", strings.Join(names(65), " ")), form},
		"F47: a refresh_token, which nobody would read":     {set("refresh_token", "x"), unknown},
		"F50: a client_id of 254 characters":                {set("client_id", strings.Repeat("a", 254)), policy.ClientUnknown},
		"F51: a token in quotes":                            {set("subject_token", `"a.b.c"`), token},
		"F51: a token after Bearer":                         {set("subject_token", "Bearer a.b.c"), token},
		"F51: a token with a space after it":                {set("subject_token", "a.b.c "), token},
		"F51: a token with a tab before it":                 {set("subject_token", "\ta.b.c"), token},
		"F51: a token with a line break after it":           {set("subject_token", "a.b.c\n"), form},
		"F51: a token with a no-break space":                {set("subject_token", "a.b.c\u00a0"), token},
		"F51: an actor token in quotes":                     {set("actor_token", `'a.b.c'`, "actor_token_type", URNJWT), token},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, ref := ParseForm([]byte(tc.body))
			if p != nil || ref == nil {
				t.Fatalf("got %+v, want a refusal with %s", p, tc.want)
			}
			if ref.Reason != tc.want || ref.Outcome != policy.Denied {
				t.Errorf("got %v, want %s", ref, tc.want)
			}
		})
	}
}

func fill(v url.Values, n int) {
	for i := len(v); i < n; i++ {
		v.Set(fmt.Sprintf("x%d", i), "y")
	}
}

func names(n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("n%d", i)
	}
	return out
}

func TestNoParameterButTargetsIsGivenTwice(t *testing.T) {
	t.Parallel()
	all := []string{
		"grant_type", "client_id", "client_secret", "client_assertion_type", "client_assertion", "subject_token",
		"subject_token_type", "actor_token", "actor_token_type", "scope", "requested_token_type", "foo", "requested_issuer",
	}
	for _, name := range all {
		t.Run("F27, R1: "+name, func(t *testing.T) {
			t.Parallel()
			for what, values := range map[string][]string{
				"the same value": {"x", "x"}, "different values": {"x", "y"}, "the first empty": {"", "x"}, "both empty": {"", ""},
			} {
				_, ref := ParseForm([]byte(with(func(v url.Values) { v[name] = values })))
				if ref == nil || ref.Reason != policy.FormInvalid {
					t.Errorf("%s twice, %s: got %v, want %s", name, what, ref, policy.FormInvalid)
				}
			}
		})
	}
}

func TestParametersOfOtherDialectsAreRefused(t *testing.T) {
	t.Parallel()
	numbers := map[string]string{
		"authorization_details": "F45", "request": "F45", "request_uri": "F45", "assertion": "F45", "dpop_jkt": "F45",
		"code": "F45", "username": "F45", "password": "F45", "claims": "F45",
		"requested_subject": "F46", "requested_issuer": "F46", "subject_issuer": "F46",
		"reason": "F47", "subject_token_proof": "F47", "handover_jkt": "F47", "request_context": "F47", "request_details": "F47",
	}
	for _, name := range refusedParameters {
		t.Run(numbers[name]+": "+name, func(t *testing.T) {
			t.Parallel()
			if numbers[name] == "" {
				t.Fatalf("%s has no case", name)
			}
			_, ref := ParseForm([]byte(set(name, "x")))
			if ref == nil || ref.Reason != policy.ParameterUnsupported {
				t.Errorf("got %v, want %s", ref, policy.ParameterUnsupported)
			}
			if _, ref := ParseForm([]byte(set(name, ""))); ref != nil {
				t.Errorf("sent without a value: got %v; RFC 6749 treats that as absent", ref)
			}
		})
	}
}

func TestAcceptedForms(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		body  string
		check func(*Params) bool
	}{
		"F11: 64 parameters":                   {with(func(v url.Values) { fill(v, 64) }), func(*Params) bool { return true }},
		"F45: unknown names are ignored":       {set("foo", "1", "Scope2", "x"), func(*Params) bool { return true }},
		"F49: names in other case are unknown": {with(func(v url.Values) { v.Set("Audience", "x"); v.Set("SCOPE", "y") }), func(p *Params) bool { return len(p.Audiences) == 1 && len(p.Scopes) == 2 }},
		"F28: a repeated audience is a set":    {with(func(v url.Values) { v["audience"] = []string{"b", "a", "b"} }), func(p *Params) bool { return reflect.DeepEqual(p.Audiences, []string{"b", "a"}) }},
		"F28: 16 targets, one of them twice":   {with(func(v url.Values) { v["audience"] = append(names(8), names(1)...); v["resource"] = names(7) }), func(p *Params) bool { return len(p.Audiences) == 8 && len(p.Resources) == 7 }},
		"F28: 16 targets":                      {with(func(v url.Values) { v["audience"] = names(9); v["resource"] = names(7) }), func(p *Params) bool { return len(p.Audiences) == 9 && len(p.Resources) == 7 }},
		"F29: an empty scope is absent":        {set("scope", ""), func(p *Params) bool { return !p.ScopeGiven && p.Scopes == nil }},
		"F29: an empty audience is absent":     {set("audience", ""), func(p *Params) bool { return p.Audiences == nil }},
		"F29: an empty actor pair is absent":   {set("actor_token", "", "actor_token_type", ""), func(p *Params) bool { return p.ActorToken == "" && p.ActorAs == "" }},
		"F36: a resource is left as it came":   {set("resource", "HTTPS://Example.com:443/%7Ea/"), func(p *Params) bool { return p.Resources[0] == "HTTPS://Example.com:443/%7Ea/" }},
		"F41: 64 scopes":                       {set("scope", strings.Join(names(64), " ")), func(p *Params) bool { return len(p.Scopes) == 64 }},
		"a scope twice is there once":          {set("scope", "a b a"), func(p *Params) bool { return reflect.DeepEqual(p.Scopes, []string{"a", "b"}) }},
		"F50: a client_id of 253 characters":   {set("client_id", strings.Repeat("a", 253)), func(p *Params) bool { return len(p.ClientID) == 253 }},
		"a name without an equals sign":        {good().Encode() + "&foo", func(*Params) bool { return true }},
		"ampersands without anything between":  {"&&" + good().Encode() + "&&", func(*Params) bool { return true }},
		"offline access is no scope": {set("scope", "a offline_access b"), func(p *Params) bool {
			return p.OfflineAccess && p.ScopeGiven && reflect.DeepEqual(p.Scopes, []string{"a", "b"})
		}},
		"offline access alone asks for no scope": {set("scope", "offline_access"), func(p *Params) bool { return p.OfflineAccess && !p.ScopeGiven && len(p.Scopes) == 0 }},
		"a refresh needs nothing but its token": {grantForm("grant_type", GrantRefreshToken, "refresh_token", "x"), func(p *Params) bool {
			return p.Grant == policy.GrantRefresh && p.RefreshToken == "x" && p.TokenType == policy.TypeAccessToken
		}},
		"what was handed over":                   {set("subject_token_type", URIHandover), func(p *Params) bool { return p.SubjectAs == policy.AsHandover }},
		"R6: requested_token_type absent":        {del("requested_token_type"), func(p *Params) bool { return p.TokenType == policy.TypeAccessToken }},
		"R5: scope keeps its case and order":     {set("scope", "b A"), func(p *Params) bool { return reflect.DeepEqual(p.Scopes, []string{"b", "A"}) }},
		"R3, R4: resource and audience together": {set("resource", "https://a.example"), func(p *Params) bool { return len(p.Audiences) == 1 && len(p.Resources) == 1 }},
		"R2: the grant":                          {good().Encode(), func(p *Params) bool { return p.GrantType == GrantTokenExchange }},
		"an encoding that escapes everything":    {escapeAll(good()), func(p *Params) bool { return p.ClientSecret == "s3cret +%" }},
		"lower-case hex digits":                  {strings.ToLower("grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange&subject_token=a.b.c&subject_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Ajwt"), func(p *Params) bool { return p.SubjectAs == policy.AsJWT }},
		"an unescaped URN and plus as the space": {"grant_type=" + GrantTokenExchange + "&subject_token=a.b.c&subject_token_type=" + URNIDToken + "&scope=a+b", func(p *Params) bool { return p.SubjectAs == policy.AsIDToken && len(p.Scopes) == 2 }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, ref := ParseForm([]byte(tc.body))
			if ref != nil {
				t.Fatal(ref)
			}
			if !tc.check(p) {
				t.Errorf("got %+v", p)
			}
		})
	}
}

// escapeAll percent-encodes every byte.
func escapeAll(v url.Values) string {
	var b strings.Builder
	for name, values := range v {
		for _, value := range values {
			if b.Len() > 0 {
				b.WriteByte('&')
			}
			for i := range len(name) {
				fmt.Fprintf(&b, "%%%02x", name[i])
			}
			b.WriteByte('=')
			for i := range len(value) {
				fmt.Fprintf(&b, "%%%02X", value[i])
			}
		}
	}
	return b.String()
}

func TestTypesThatCanBeAskedForAreTyped(t *testing.T) {
	t.Parallel()
	for urn, want := range map[string]policy.TokenType{
		URNAccessToken: policy.TypeAccessToken, URNJWT: policy.TypeJWT, URNIDToken: policy.TypeIDToken,
		URNRefreshToken: policy.TypeRefreshToken, URNSAML2: policy.TypeSAML2, URNTransaction: policy.TypeTransaction,
		URNIDJAG: policy.TypeIDJAG, URIHandover: policy.TypeHandover,
	} {
		t.Run("F34, R25: "+urn, func(t *testing.T) {
			t.Parallel()
			p, ref := ParseForm([]byte(set("requested_token_type", urn)))
			if ref != nil || p.TokenType != want {
				t.Fatalf("got %+v, %v; want %s", p, ref, want)
			}
			if back := TokenTypeURN(want); back != urn && back != "" {
				t.Errorf("TokenTypeURN(%s) = %q", want, back)
			}
		})
	}
}

func TestParametersInTheQueryAreRefused(t *testing.T) {
	t.Parallel()
	for query, want := range map[string]bool{
		"": true, "foo=1": true, "trace": true, "Scope=a": true,
		"subject_token=x": false, "scope=": false, "client_secret=x": false, "foo=1&audience=x": false, "resource": false,
		"requested_subject=x": false, "assertion=x": false, "sc%6fpe=x": false, "%zz": false, "a;b": false, "x=%0a": false,
	} {
		t.Run(fmt.Sprintf("F2: %q", query), func(t *testing.T) {
			t.Parallel()
			ref := CheckQuery(query)
			if (ref == nil) != want {
				t.Errorf("got %v, want accepted = %v", ref, want)
			}
			if ref != nil && ref.Reason != policy.FormInvalid {
				t.Errorf("reason %s", ref.Reason)
			}
		})
	}
}

func TestRefusalsSayNothingOfTheRequest(t *testing.T) {
	t.Parallel()
	const canary = "canary-7f3a"
	for _, name := range append([]string{
		"grant_type", "client_id", "subject_token_type", "actor_token_type", "requested_token_type", "scope", canary,
	}, refusedParameters...) {
		for _, value := range []string{canary, canary + "\n", `"` + canary, canary + strings.Repeat("x", 5000)} {
			if _, ref := ParseForm([]byte(set(name, value))); ref != nil && strings.Contains(ref.Error(), canary) {
				t.Errorf("%s: %v quotes the request", name, ref)
			}
		}
	}
}

func BenchmarkParseForm(b *testing.B) {
	v := good()
	v.Set("subject_token", strings.Repeat("eyJhbGciOiJFUzI1NiJ9", 40))
	body := []byte(v.Encode())
	b.ReportAllocs()
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		if _, ref := ParseForm(body); ref != nil {
			b.Fatal(ref)
		}
	}
}

// The time of a hostile form grows with its length and with nothing else.
func BenchmarkParseFormHostile(b *testing.B) {
	for name, body := range map[string]string{
		"F11, many parameters": strings.Repeat("a=b&", 16<<10),
		"escapes only":         strings.Repeat("%41", 21<<10),
		"pluses only":          strings.Repeat("+", 64<<10),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				ParseForm([]byte(body))
			}
		})
	}
}
