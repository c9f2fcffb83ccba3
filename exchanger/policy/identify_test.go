// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

type identifyCase struct {
	issuer func(*Issuer)
	typ    string
	claims map[string]any // merged over good; nil removes
	want   Reason
	unable bool
	check  func(*Token) string
}

func goodClaims() map[string]any {
	return map[string]any{
		"iss": "https://corp.example", "sub": "alice", "aud": "shop/frontend", "exp": int64(1893499200 + 3600), "iat": int64(1893499200),
		"scope": "images contacts", "groups": []any{"staff"}, "preferred_username": "alice.smith", "jti": "t1",
	}
}

func without1(names ...string) map[string]any {
	out := map[string]any{}
	for _, n := range names {
		out[n] = nil
	}
	return out
}

func class(c Class) func(*Token) string {
	return func(t *Token) string {
		if t.Class != c {
			return "class " + string(t.Class)
		}
		return ""
	}
}

func scopesAre(want ...string) func(*Token) string {
	return func(t *Token) string {
		if !slices.Equal(t.Scopes, want) {
			return fmt.Sprint("scopes ", t.Scopes)
		}
		return ""
	}
}

func identifyCases() map[string]identifyCase {
	long := strings.Repeat("x", 256)
	many := make([]any, 10_000)
	for i := range many {
		many[i] = fmt.Sprint("g", i)
	}
	nothing := map[string]any{}
	return map[string]identifyCase{
		"a good token gives prefixed facts": {claims: nothing, check: func(t *Token) string {
			if t.Subject != "corp:alice" || !slices.Equal(t.Groups, []string{"corp:staff"}) || t.Username != "alice.smith" || t.Origin != "corp" || t.TokenID != "t1" {
				return fmt.Sprintf("%+v", t)
			}
			return ""
		}},
		"F126: iss missing":                    {claims: without1("iss"), want: IssuerUnknown},
		"F126: iss with a trailing slash":      {claims: map[string]any{"iss": "https://corp.example/"}, want: IssuerUnknown},
		"F126: iss in other letter case":       {claims: map[string]any{"iss": "https://CORP.example"}, want: IssuerUnknown},
		"F126: iss is a number":                {claims: map[string]any{"iss": int64(1)}, want: IssuerUnknown},
		"F127: iss with the issuer as prefix":  {claims: map[string]any{"iss": "https://corp.example.evil.com"}, want: IssuerUnknown},
		"F129: sub missing":                    {claims: without1("sub"), want: TokenMalformed},
		"F129: sub empty":                      {claims: map[string]any{"sub": ""}, want: TokenMalformed},
		"F129: sub is a number":                {claims: map[string]any{"sub": int64(5)}, want: TokenMalformed},
		"F129: sub is a list":                  {claims: map[string]any{"sub": []any{"a"}}, want: TokenMalformed},
		"F129: sub is too long":                {claims: map[string]any{"sub": long}, want: TokenMalformed},
		"F129: sub has a control character":    {claims: map[string]any{"sub": "a\nb"}, want: TokenMalformed},
		"F123: exp missing":                    {claims: without1("exp"), want: TokenMalformed},
		"F123: iat missing":                    {claims: without1("iat"), want: TokenMalformed},
		"F100: exp is a string":                {claims: map[string]any{"exp": "1893500000"}, want: TokenMalformed},
		"F100: exp is true":                    {claims: map[string]any{"exp": true}, want: TokenMalformed},
		"F100: exp is beyond the year 9999":    {claims: map[string]any{"exp": int64(1) << 53}, want: TokenMalformed},
		"F100: exp is negative":                {claims: map[string]any{"exp": int64(-1)}, want: TokenMalformed},
		"F100: exp may have a fraction":        {claims: map[string]any{"exp": 1893502800.75}},
		"F131: aud is an empty list":           {claims: map[string]any{"aud": []any{}}, want: TokenMalformed},
		"F131: aud has an empty name":          {claims: map[string]any{"aud": []any{""}}, want: TokenMalformed},
		"F131: aud has a number":               {claims: map[string]any{"aud": []any{"a", int64(1)}}, want: TokenMalformed},
		"F131: aud is nested":                  {claims: map[string]any{"aud": []any{[]any{"a"}}}, want: TokenMalformed},
		"F131: aud is one name with a space":   {claims: map[string]any{"aud": "a b"}, check: func(t *Token) string { return same(t.Audiences, "a b") }},
		"F131: aud is a list of one":           {claims: map[string]any{"aud": []any{"a"}}, check: func(t *Token) string { return same(t.Audiences, "a") }},
		"F136: azp is a list":                  {claims: map[string]any{"azp": []any{"a"}}, want: SubjectAudience},
		"F137: azp and client_id differ":       {claims: map[string]any{"azp": "a", "client_id": "b"}, want: SubjectAudience},
		"azp and client_id that agree are one": {claims: map[string]any{"azp": "a", "client_id": "a"}, check: func(t *Token) string { return same([]string{t.ClientID}, "a") }},
		"jti is a number":                      {claims: map[string]any{"jti": int64(7)}, want: TokenMalformed},
		"F141: act is not an object":           {claims: map[string]any{"act": "bob"}, want: TokenMalformed},
		"may_act is not an object":             {claims: map[string]any{"may_act": []any{}}, want: TokenMalformed},
		"impersonator is not an object":        {claims: map[string]any{"impersonator": "x"}, want: TokenMalformed},
		"F114: typ at+jwt is an access token":  {typ: "at+jwt", claims: nothing, check: class(ClassAccessToken)},
		"F114: no typ is a JWT":                {claims: nothing, check: class(ClassJWT)},
		"F114: typ JWT is a JWT":               {typ: "jwt", claims: nothing, check: class(ClassJWT)},
		"F33: typ dpop+jwt is refused":         {typ: "dpop+jwt", claims: nothing, want: TokenClass},
		"F33: typ secevent+jwt is refused":     {typ: "secevent+jwt", claims: nothing, want: TokenClass},
		"F152: a logout token is refused":      {claims: map[string]any{"events": map[string]any{}}, want: TokenClass},
		"F152: a token with nonce and no scope is an ID token": {
			claims: map[string]any{"nonce": "n", "scope": nil}, check: class(ClassIDToken),
		},
		"a token with nonce and scope is a JWT":     {claims: map[string]any{"nonce": "n"}, check: class(ClassJWT)},
		"a class that the issuer may not present":   {issuer: func(i *Issuer) { i.Classes = []Class{ClassIDToken} }, claims: nothing, want: TokenClass},
		"classify names an access token":            {issuer: func(i *Issuer) { i.ClassifyAccess = "typ JWT" }, typ: "jwt", claims: nothing, check: class(ClassAccessToken)},
		"classify names an ID token":                {issuer: func(i *Issuer) { i.ClassifyID = "true" }, claims: nothing, check: class(ClassIDToken)},
		"classify that says both refuses":           {issuer: func(i *Issuer) { i.ClassifyAccess, i.ClassifyID = "true", "true" }, claims: nothing, want: TokenClass},
		"classify that errs refuses":                {issuer: func(i *Issuer) { i.ClassifyID = "error" }, claims: nothing, want: TokenClass, unable: true},
		"a claim rule that is true":                 {issuer: func(i *Issuer) { i.ClaimRules = []ClaimRule{{Expression: "true"}} }, claims: nothing},
		"a claim rule that is false":                {issuer: func(i *Issuer) { i.ClaimRules = []ClaimRule{{Expression: "false"}} }, claims: nothing, want: IssuerRule},
		"F212: a claim rule that errs":              {issuer: func(i *Issuer) { i.ClaimRules = []ClaimRule{{Expression: "claim missing"}} }, claims: nothing, want: IssuerRule, unable: true},
		"a required claim that is there":            {issuer: func(i *Issuer) { i.ClaimRules = []ClaimRule{{Claim: "tenant", Required: "acme"}} }, claims: map[string]any{"tenant": "acme"}},
		"a required claim that differs":             {issuer: func(i *Issuer) { i.ClaimRules = []ClaimRule{{Claim: "tenant", Required: "acme"}} }, claims: map[string]any{"tenant": "evil"}, want: IssuerRule},
		"a required claim that is missing":          {issuer: func(i *Issuer) { i.ClaimRules = []ClaimRule{{Claim: "tenant", Required: "acme"}} }, claims: nothing, want: IssuerRule},
		"F138: a required claim that is no string":  {issuer: func(i *Issuer) { i.ClaimRules = []ClaimRule{{Claim: "tenant", Required: "true"}} }, claims: map[string]any{"tenant": true}, want: IssuerRule},
		"a user rule that is false":                 {issuer: func(i *Issuer) { i.UserRules = []Rule{{Expression: "group corp:boss"}} }, claims: nothing, want: UserRule},
		"a user rule over groups that are unknown":  {issuer: func(i *Issuer) { i.UserRules = []Rule{{Expression: "group corp:boss"}} }, claims: without1("groups"), want: UserRule, unable: true},
		"F138: a mapped subject that is no string":  {issuer: mapSubjectTo("employee"), claims: map[string]any{"employee": int64(4)}, want: SubjectMapping},
		"a mapped subject that is missing":          {issuer: mapSubjectTo("employee"), claims: nothing, want: SubjectMapping},
		"F139: an e-mail that is not verified":      {issuer: mapSubjectTo("email"), claims: map[string]any{"email": "a@b.example"}, want: SubjectMapping},
		"F139: an e-mail that is verified in words": {issuer: mapSubjectTo("email"), claims: map[string]any{"email": "a@b.example", "email_verified": "true"}, want: SubjectMapping},
		"F139: an e-mail that is verified":          {issuer: mapSubjectTo("email"), claims: map[string]any{"email": "a@b.example", "email_verified": true}},
		"F140: ten thousand groups":                 {claims: map[string]any{"groups": many}, want: SubjectMapping},
		"groups that are objects":                   {claims: map[string]any{"groups": []any{map[string]any{}}}, want: SubjectMapping},
		"groups that are missing are not known":     {claims: without1("groups"), check: func(t *Token) string { return nilness(t.Groups) }},
		"F145: scope as a list":                     {claims: map[string]any{"scope": []any{"a", "b"}}, check: scopesAre("a", "b")},
		"F145: scp alone":                           {claims: map[string]any{"scope": nil, "scp": []any{"a"}}, check: scopesAre("a")},
		"F145: scope and scp that differ":           {claims: map[string]any{"scp": "a"}, want: SubjectMapping},
		"F145: scope and scp that agree":            {claims: map[string]any{"scp": []any{"contacts", "images"}}, check: scopesAre("images", "contacts")},
		"F145: scope is a number":                   {claims: map[string]any{"scope": int64(3)}, want: SubjectMapping},
		"no scope is the empty set":                 {claims: without1("scope"), check: scopesAre()},
		"a scope prefix is stripped, and what lacks it means nothing": {
			issuer: func(i *Issuer) { i.Mappings.ScopePrefix = "api/" }, claims: map[string]any{"scope": "api/images contacts api/"}, check: scopesAre("images"),
		},
		"a scope map renames": {
			issuer: func(i *Issuer) { i.Mappings.ScopeMap = []FromTo{{"pictures", "images"}} }, claims: map[string]any{"scope": "pictures images"}, check: scopesAre("images"),
		},
		"extra that is no string refuses": {
			issuer: func(i *Issuer) { i.Mappings.Extra = []ExtraValue{{"n", Value{Claim: "n"}}} }, claims: map[string]any{"n": int64(3)}, want: SubjectMapping,
		},
		"extra that is missing is absent": {
			issuer: func(i *Issuer) { i.Mappings.Extra = []ExtraValue{{"n", Value{Claim: "n"}}} }, claims: nothing,
			check: func(t *Token) string { return strings.Repeat("extra is there", len(t.Extra)) },
		},
		"extra whose expression errs refuses": {
			issuer: func(i *Issuer) { i.Mappings.Extra = []ExtraValue{{"n", Value{Expression: "claim n"}}} }, claims: nothing, want: SubjectMapping, unable: true,
		},
		"extra may be a list of strings": {
			issuer: func(i *Issuer) { i.Mappings.Extra = []ExtraValue{{"n", Value{Claim: "n"}}} }, claims: map[string]any{"n": []any{"a", "b"}},
			check: func(t *Token) string {
				if !reflect.DeepEqual(t.Extra["n"], []string{"a", "b"}) {
					return fmt.Sprint(t.Extra)
				}
				return ""
			},
		},
		"F202: nobody becomes system: through an issuer without prefix": {
			issuer: func(i *Issuer) { i.Prefix = "" }, claims: map[string]any{"sub": "system:admin"}, want: SubjectMapping,
		},
		"an issuer without prefix cannot yield another's subject": {
			issuer: func(i *Issuer) { i.Prefix, i.ForeignPrefixes = "", []string{"k8s:"} }, claims: map[string]any{"sub": "k8s:bob"}, want: SubjectMapping,
		},
		"an issuer without prefix cannot yield another's group": {
			issuer: func(i *Issuer) { i.Prefix, i.ForeignPrefixes = "", []string{"k8s:"} }, claims: map[string]any{"groups": []any{"k8s:admins"}}, want: SubjectMapping,
		},
		"cnf is noticed whatever it holds": {claims: map[string]any{"cnf": "odd"}, check: func(t *Token) string {
			if !t.Confirmed {
				return "not confirmed"
			}
			return ""
		}},
	}
}

func mapSubjectTo(claim string) func(*Issuer) {
	return func(i *Issuer) { i.Mappings.Subject = Value{Claim: claim} }
}

func same(got []string, want ...string) string {
	if !slices.Equal(got, want) {
		return fmt.Sprint("got ", got)
	}
	return ""
}

func nilness(list []string) string {
	if list != nil {
		return "known"
	}
	return ""
}

func TestIdentifyReadsATokenByItsIssuersRules(t *testing.T) {
	t.Parallel()
	for name, c := range identifyCases() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			claims := goodClaims()
			maps.Copy(claims, c.claims)
			maps.DeleteFunc(claims, func(_ string, v any) bool { return v == nil })
			got, ref := identify(t, c.issuer, Presented{Type: c.typ, Header: map[string]any{"typ": strings.ToUpper(c.typ)}, Claims: claims})
			switch {
			case c.want == "" && ref != nil:
				t.Fatalf("refused: %s", ref.Error())
			case c.want != "" && (ref == nil || ref.Reason != c.want || (ref.Outcome == Unable) != c.unable || ref.Outcome == Allowed):
				t.Fatalf("got %v, want %s", ref, c.want)
			case c.check != nil && c.check(got) != "":
				t.Fatal(c.check(got))
			}
		})
	}
}

func identify(t testing.TB, change func(*Issuer), p Presented) (*Token, *Refusal) {
	t.Helper()
	spec := world()
	if change != nil {
		change(issuerNamed(spec, "corp"))
	}
	snap, err := Compile(spec, 1, words{})
	if err != nil {
		t.Fatal(err)
	}
	svc, _ := snap.Service("default")
	i, _ := svc.TrustedIssuer("corp")
	return i.Identify(p)
}

func TestAServiceAccountTokenNamesOneAccount(t *testing.T) {
	t.Parallel()
	good := func() map[string]any {
		return map[string]any{
			"iss": "https://k8s.example", "sub": "system:serviceaccount:shop:frontend", "aud": []any{"https://sts.example"},
			"exp": int64(1893502800), "iat": int64(1893499200),
			"kubernetes.io": map[string]any{
				"namespace": "shop", "serviceaccount": map[string]any{"name": "frontend", "uid": "u1"},
				"pod": map[string]any{"name": "frontend-1", "uid": "u2"}, "node": map[string]any{"name": "n1", "uid": "u3"},
			},
		}
	}
	cases := map[string]struct {
		change func(map[string]any)
		ok     bool
	}{
		"a projected token":                             {func(map[string]any) {}, true},
		"F71: a legacy token without the claim and exp": {func(c map[string]any) { delete(c, "kubernetes.io"); delete(c, "exp") }, false},
		"the private claim is no object":                {func(c map[string]any) { c["kubernetes.io"] = "shop" }, false},
		"sub names another account":                     {func(c map[string]any) { c["sub"] = "system:serviceaccount:shop:other" }, false},
		"F73: sub names another namespace":              {func(c map[string]any) { c["sub"] = "system:serviceaccount:evil:frontend" }, false},
		"sub is no service account":                     {func(c map[string]any) { c["sub"] = "system:node:n1" }, false},
		"the private claim names other things":          {func(c map[string]any) { c["kubernetes.io"] = map[string]any{"namespace": "shop"} }, false},
		"a name with a colon is no service account":     {func(c map[string]any) { c["sub"] = "system:serviceaccount:shop:frontend:x" }, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			claims := good()
			c.change(claims)
			svc, _ := mustCompile(t, world()).Service("default")
			i, _ := svc.TrustedIssuer("k8s")
			got, ref := i.Identify(Presented{Claims: claims})
			if (ref == nil) != c.ok {
				t.Fatalf("got %v", ref)
			}
			if !c.ok {
				return
			}
			want := map[string]any{"namespace": "shop", "name": "frontend", "uids": []string{"u1", "u2", "u3"}, "pod": "frontend-1", "node": "n1"}
			if got.Subject != "k8s:system:serviceaccount:shop:frontend" || !reflect.DeepEqual(got.Extra, want) {
				t.Fatalf("%+v", got)
			}
		})
	}
}

func TestASubjectAloneNamesAServiceAccountWithoutUID(t *testing.T) {
	t.Parallel()
	claims := map[string]any{"sub": "system:serviceaccount:shop:frontend"}
	namespace, name, uid, ok := ServiceAccountOf(claims)
	if namespace != "shop" || name != "frontend" || uid != "" || !ok {
		t.Error(namespace, name, uid, ok)
	}
	client := &AskingClient{spec: &Client{ServiceAccounts: []ServiceAccount{{"k8s", "shop", "frontend", "u1"}}}}
	if client.HasUID("k8s", namespace, name, uid) {
		t.Error("a client that wants a UID takes a token that has none")
	}
}

func TestTheFactsOfTheFirstVerificationTravelSealed(t *testing.T) {
	t.Parallel()
	first := alice()
	first.Username, first.Extra = "alice.smith", map[string]any{"tenant": "acme", "teams": []string{"a", "b"}}
	for _, groups := range [][]string{nil, {}, {"corp:staff"}} {
		first.Groups = groups
		sealed, err := json.Marshal(first.seal())
		if err != nil {
			t.Fatal(err)
		}
		svc, _ := mustCompile(t, world()).Service("default")
		claims := map[string]any{
			"iss": "https://sts.example", "sub": "corp:alice", "aud": "media/images-resource", "client_id": "shop/frontend", "azp": "shop/frontend",
			"exp": int64(1893502800), "iat": int64(1893499200), "jti": "t2", "scope": "images", "txn": "x1", "acr": "2",
		}
		got, ref := svc.IdentifyOwn(Presented{Type: "at+jwt", Claims: claims}, sealed)
		if ref != nil {
			t.Fatal(ref)
		}
		if got.Origin != "corp" || got.Username != first.Username || !reflect.DeepEqual(got.Groups, groups) || !reflect.DeepEqual(got.Extra, first.Extra) ||
			!got.OriginIssuedAt.Equal(first.IssuedAt) || got.Transaction != "x1" || got.ACR != "2" || got.Issuer != SelfIssuer {
			t.Fatalf("%+v", got)
		}
		next := got.seal()
		if next.IssuedAt != first.IssuedAt.Unix() || !slices.Equal(next.Lineage, []Ancestor{
			{Issuer: "corp", TokenID: "t1", ClientID: first.ClientID, IssuedAt: first.IssuedAt.Unix(), Subject: "corp:alice"},
			{Issuer: SelfIssuer, TokenID: "t2", ClientID: "shop/frontend", IssuedAt: 1893499200, Subject: "corp:alice"},
		}) {
			t.Fatalf("%+v", next)
		}
	}
}

func TestATokenOfOursWithoutReadableFactsIsRefused(t *testing.T) {
	t.Parallel()
	svc, _ := mustCompile(t, world()).Service("default")
	claims := map[string]any{"iss": "https://sts.example", "sub": "corp:alice", "exp": int64(1893502800), "iat": int64(1893499200)}
	for name, c := range map[string]struct {
		typ, sealed string
		want        Reason
	}{
		"not JSON":                       {"at+jwt", "no", TokenMalformed},
		"without origin":                 {"at+jwt", "{}", TokenMalformed},
		"not an access token":            {"", `{"o":"corp"}`, TokenClass},
		"an access token with an origin": {"at+jwt", `{"o":"corp"}`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, ref := svc.IdentifyOwn(Presented{Type: c.typ, Claims: claims}, []byte(c.sealed))
			if (ref == nil) != (c.want == "") || (ref != nil && ref.Reason != c.want) {
				t.Fatalf("got %v", ref)
			}
		})
	}
}

// Nothing that Identify gives can come from anywhere but the claims it maps.
func FuzzIdentify(f *testing.F) {
	for _, c := range identifyCases() {
		claims := goodClaims()
		maps.Copy(claims, c.claims)
		b, err := json.Marshal(claims)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(c.typ, b)
	}
	// That exp is before iat is for Decide to say, which knows the time.
	f.Add("", []byte(`{"exp":0,"iat":10,"iss":"https://corp.example","sub":"0"}`))
	f.Fuzz(func(t *testing.T, typ string, claims []byte) {
		var m map[string]any
		if json.Unmarshal(claims, &m) != nil {
			return
		}
		for k, v := range m {
			if n, ok := v.(float64); ok && n == float64(int64(n)) {
				m[k] = int64(n)
			}
		}
		got, ref := identify(t, nil, Presented{Type: typ, Claims: m})
		if (got == nil) == (ref == nil) {
			t.Fatal("neither facts nor a refusal")
		}
		if ref != nil {
			if ref.Outcome == Allowed || ref.Reason == "" {
				t.Fatalf("%+v", ref)
			}
			return
		}
		if got.Subject != "corp:"+m["sub"].(string) || got.ExpiresAt.Before(time.Unix(0, 0)) || got.IssuedAt.Before(time.Unix(0, 0)) {
			t.Fatalf("%+v", got)
		}
	})
}

// A tenant that gives its own callers a scope with another tenant's word must not
// give them the other tenant's scope.
func TestAScopeIsTheNamespacesThatAddedItOnEveryHop(t *testing.T) {
	t.Parallel()
	spec := world()
	policyNamed(spec, "images").AddScopes = true
	r := ask()
	r.Subject.Scopes = []string{"contacts"}
	d := mustCompile(t, spec).Decide(r)
	g, ok := d.Grant()
	if !ok || !slices.Equal(g.Sealed.Added, []AddedScope{{"images", "media"}}) {
		t.Fatalf("%v %+v", d.Reason, g)
	}
	r.Subject.Scopes = []string{"images"}
	d = mustCompile(t, spec).Decide(r)
	if g, _ := d.Grant(); len(g.Sealed.Added) != 0 {
		t.Errorf("a scope of the first token counts as added: %+v", g.Sealed.Added)
	}
	next := own()
	next.Added = []AddedScope{{"images", "shop"}}
	r.Subject = next
	d = mustCompile(t, spec).Decide(r)
	if g, _ := d.Grant(); !slices.Equal(g.Sealed.Added, []AddedScope{{"images", "media"}}) {
		t.Errorf("who added it is forgotten: %+v", g.Sealed.Added)
	}
}
