// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// opaqueIssuer is corp as an issuer whose tokens say nothing themselves.
func opaqueIssuer(t *testing.T, kind IssuerKind, change func(*Issuer)) *TrustedIssuer {
	t.Helper()
	s := world()
	i := issuerNamed(s, "corp")
	i.Kind, i.URL, i.TokenTypeURI, i.Algorithms, i.Classes = kind, "urn:corp:session", "urn:corp:session", nil, []Class{ClassOpaque}
	if kind == IssuerRefreshToken {
		i.Classes = []Class{ClassRefreshToken}
	}
	if change != nil {
		change(i)
	}
	service, _ := mustCompile(t, s).Service("default")
	found, ok := service.IssuerByTokenType("urn:corp:session")
	if !ok {
		t.Fatal("its token type URI does not select it")
	}
	return found
}

func answer(change map[string]any) *Said {
	claims := map[string]any{
		"sub": "alice", "aud": "shop/frontend", "groups": []any{"staff"},
		"iat": float64(now().Add(-time.Minute).Unix()), "exp": float64(now().Add(time.Hour).Unix()),
	}
	for name, value := range change {
		if value == nil {
			delete(claims, name)
		} else {
			claims[name] = value
		}
	}
	return &Said{Claims: claims, At: now().Add(-2 * time.Second)}
}

func TestWhatIsSaidOfAnOpaqueTokenIsMappedAsATokensOwnWords(t *testing.T) {
	t.Parallel()
	for _, kind := range []IssuerKind{IssuerIntrospection, IssuerRefreshToken, IssuerWebhook} {
		i := opaqueIssuer(t, kind, nil)
		got, ref := i.MapOpaque(answer(nil), now())
		if ref != nil {
			t.Fatalf("%s: %v", kind, ref)
		}
		want := map[bool]Class{true: ClassRefreshToken, false: ClassOpaque}[kind == IssuerRefreshToken]
		if got.Subject != "corp:alice" || !slices.Equal(got.Groups, []string{"corp:staff"}) || got.Class != want ||
			got.RawIssuer != "urn:corp:session" || got.RawSubject != "alice" || !slices.Equal(got.Audiences, []string{"shop/frontend"}) {
			t.Errorf("%s: %+v", kind, got)
		}
	}
}

func TestAnOpaqueTokenOfWhichLittleIsSaidIsGoodForLittle(t *testing.T) {
	t.Parallel()
	short := func(i *Issuer) { i.MaxTokenAge = time.Minute }
	asked := answer(nil).At
	for name, c := range map[string]struct {
		change          func(*Issuer)
		said            map[string]any
		expires, issued time.Time
	}{
		"both are said":                      {nil, nil, now().Add(time.Hour), now().Add(-time.Minute)},
		"no exp: five minutes":               {nil, map[string]any{"exp": nil}, asked.Add(5 * time.Minute), now().Add(-time.Minute)},
		"no exp, under a shorter greatest":   {short, map[string]any{"exp": nil}, asked.Add(time.Minute), now().Add(-time.Minute)},
		"no iat: as old as it may be at all": {nil, map[string]any{"iat": nil}, now().Add(time.Hour), now().Add(-24 * time.Hour)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := opaqueIssuer(t, IssuerIntrospection, func(i *Issuer) {
				i.MaxTokenAge = 24 * time.Hour
				if c.change != nil {
					c.change(i)
				}
			})
			got, ref := i.MapOpaque(answer(c.said), now())
			if ref != nil {
				t.Fatal(ref)
			}
			if !got.ExpiresAt.Equal(c.expires) || !got.IssuedAt.Equal(c.issued) {
				t.Errorf("from %s to %s, want from %s to %s", got.IssuedAt, got.ExpiresAt, c.issued, c.expires)
			}
		})
	}
}

func TestWhoIsSaidToBeSomebodySaysNothingOfTheTokenItself(t *testing.T) {
	t.Parallel()
	i := opaqueIssuer(t, IssuerUserInfo, func(i *Issuer) { i.Audiences = []string{UserInfoAudience("corp")} })
	// userinfo is about a person: that it names an audience or an end makes it none.
	got, ref := i.MapOpaque(answer(map[string]any{"aud": "shop/other", "exp": float64(1)}), now())
	if ref != nil {
		t.Fatal(ref)
	}
	if !slices.Equal(got.Audiences, []string{"userinfo:corp"}) || !got.ExpiresAt.Equal(answer(nil).At.Add(5*time.Minute)) {
		t.Errorf("%+v", got)
	}
}

func TestWhatUserInfoSaysOfOthersIsNotDropped(t *testing.T) {
	t.Parallel()
	i := opaqueIssuer(t, IssuerUserInfo, func(i *Issuer) { i.Audiences = []string{UserInfoAudience("corp")} })
	party := map[string]any{"iss": "https://login.example", "sub": "bob"}
	got, ref := i.MapOpaque(answer(map[string]any{"act": party, "may_act": party, "impersonator": party, "cnf": map[string]any{"kid": "1"}}), now())
	if ref != nil {
		t.Fatal(ref)
	}
	if got.Act["sub"] != "bob" || got.MayAct["sub"] != "bob" || got.Impersonator["sub"] != "bob" || !got.Confirmed || !got.Confirmation.Unknown {
		t.Errorf("act %v, may_act %v, impersonator %v, cnf %v", got.Act, got.MayAct, got.Impersonator, got.Confirmed)
	}
	if _, ref := i.MapOpaque(answer(map[string]any{"act": "bob"}), now()); ref == nil || ref.Reason != TokenMalformed {
		t.Errorf("act that is no object: %v", ref)
	}
}

func TestAnAnswerThatSaysTooMuchOrNothingIsRefused(t *testing.T) {
	t.Parallel()
	refused := func(kind IssuerKind, said map[string]any, want Reason) {
		t.Helper()
		_, ref := opaqueIssuer(t, kind, nil).MapOpaque(answer(said), now())
		if ref == nil || ref.Reason != want || ref.Outcome != Denied {
			t.Errorf("%s %v: %v, want %s", kind, said, ref, want)
		}
	}
	for _, kind := range []IssuerKind{IssuerIntrospection, IssuerUserInfo, IssuerRefreshToken, IssuerWebhook} {
		for _, sub := range []any{nil, "", 7.0, []any{"alice"}, "a\nb", strings.Repeat("a", maxIdentity+1)} {
			refused(kind, map[string]any{"sub": sub}, TokenMalformed)
		}
	}
	for _, kind := range []IssuerKind{IssuerIntrospection, IssuerRefreshToken, IssuerWebhook} {
		for _, name := range []string{"exp", "iat", "nbf"} {
			for _, at := range []any{"tomorrow", -1.0, 1e300, true} {
				refused(kind, map[string]any{name: at}, TokenMalformed)
			}
		}
		refused(kind, map[string]any{"aud": []any{"a", 7.0}}, TokenMalformed)
	}
	for _, name := range []string{"iss", "act", "may_act", "cnf", "impersonator"} {
		refused(IssuerWebhook, map[string]any{name: map[string]any{"sub": "bob"}}, TokenMalformed)
	}
	refused(IssuerWebhook, map[string]any{"aud": nil}, SubjectAudience)
}

func TestADirectorysWordReplacesWhatATokenSaid(t *testing.T) {
	t.Parallel()
	i := opaqueIssuer(t, IssuerWebhook, func(i *Issuer) { i.Directory = &Upstream{URL: "https://directory.example"} })
	mapped, ref := i.MapOpaque(answer(nil), now())
	if ref != nil {
		t.Fatal(ref)
	}
	before := fmt.Sprintf("%+v", mapped)
	got, ref := i.Settle(mapped, &Entry{Subject: "a.smith", Username: "Alice", Groups: []string{"board"}, Extra: map[string]any{"site": "north", "desks": []string{"1", "2"}}})
	if ref != nil {
		t.Fatal(ref)
	}
	if got.Subject != "corp:a.smith" || got.Username != "Alice" || !slices.Equal(got.Groups, []string{"corp:board"}) ||
		got.Extra["site"] != "north" || !reflect.DeepEqual(got.Extra["desks"], []string{"1", "2"}) || got.RawSubject != "alice" {
		t.Errorf("%+v", got)
	}
	if fmt.Sprintf("%+v", mapped) != before {
		t.Error("the mapped token changed, which the next answer is about as well")
	}
	// What it does not say stays; a list that it says is empty is.
	if got, ref = i.Settle(mapped, &Entry{}); ref != nil || got.Subject != "corp:alice" || !slices.Equal(got.Groups, []string{"corp:staff"}) {
		t.Errorf("an empty entry: %+v, %v", got, ref)
	}
	if got, ref = i.Settle(mapped, &Entry{Groups: []string{}}); ref != nil || len(got.Groups) != 0 {
		t.Errorf("no groups: %+v, %v", got, ref)
	}
	if _, ref = i.Settle(mapped, nil); ref == nil || ref.Outcome != Unable || ref.Reason != UpstreamUnavailable {
		t.Errorf("without the directory's word: %v", ref)
	}
}

func TestADirectoryNamesNobodyElsesPeople(t *testing.T) {
	t.Parallel()
	many := slices.Repeat([]string{"g"}, maxList+1)
	long := strings.Repeat("x", maxEntry+1)
	crowd := map[string]any{}
	for n := range maxList + 1 {
		crowd[fmt.Sprint(n)] = "x"
	}
	bad := map[string]*Entry{
		"a long subject":         {Subject: strings.Repeat("a", maxIdentity+1)},
		"a subject of two lines": {Subject: "a\nb"},
		"a long username":        {Username: strings.Repeat("a", maxIdentity+1)},
		"a username of controls": {Username: "\x00"},
		"an empty group":         {Groups: []string{""}},
		"a group of two lines":   {Groups: []string{"a\nb"}},
		"many groups":            {Groups: many},
		"a number":               {Extra: map[string]any{"n": 7}},
		"a long value":           {Extra: map[string]any{"n": long}},
		"a long value in a list": {Extra: map[string]any{"n": []string{long}}},
		"a long list":            {Extra: map[string]any{"n": many}},
		"no key":                 {Extra: map[string]any{"": "x"}},
		"a crowd":                {Extra: crowd},
	}
	with := opaqueIssuer(t, IssuerWebhook, func(i *Issuer) { i.Directory = &Upstream{URL: "https://directory.example"} })
	mapped, ref := with.MapOpaque(answer(nil), now())
	if ref != nil {
		t.Fatal(ref)
	}
	for name, entry := range bad {
		if _, ref := with.Settle(mapped, entry); ref == nil || ref.Reason != DirectoryRefused || ref.Outcome != Denied {
			t.Errorf("%s: %v", name, ref)
		}
		about := *entry
		if about.Subject == "" {
			about.Subject = "bob"
		}
		if _, ref := with.Knows(&about); ref == nil || ref.Reason != DirectoryRefused {
			t.Errorf("about somebody else, %s: %v", name, ref)
		}
	}
	if _, ref := with.Knows(&Entry{Groups: []string{"board"}}); ref == nil || ref.Reason != DirectoryRefused {
		t.Errorf("nobody: %v", ref)
	}
	// Whatever it says, the issuer's prefix is before it.
	for _, name := range []string{"k8s:root", "corp:bob", "system:serviceaccount:kube-system:root", "media/images"} {
		known, ref := with.Knows(&Entry{Subject: name, Groups: []string{name}})
		if ref != nil {
			continue
		}
		if known.Subject != "corp:"+name || !slices.Equal(known.Groups, []string{"corp:" + name}) {
			t.Errorf("%s became %+v", name, known)
		}
	}
}

func TestWithoutAPrefixADirectoryTakesNoNameThatIsSomebodys(t *testing.T) {
	t.Parallel()
	i := opaqueIssuer(t, IssuerWebhook, func(i *Issuer) {
		i.Prefix, i.ForeignPrefixes, i.Directory = "", []string{"k8s:"}, &Upstream{URL: "https://directory.example"}
	})
	for _, name := range []string{"k8s:root", "system:serviceaccount:kube-system:root"} {
		if known, ref := i.Knows(&Entry{Subject: name}); ref == nil {
			t.Errorf("subject %s: %+v", name, known)
		}
		if known, ref := i.Knows(&Entry{Subject: "bob", Groups: []string{name}}); ref == nil {
			t.Errorf("group %s: %+v", name, known)
		}
	}
	if known, ref := i.Knows(&Entry{Subject: "bob"}); ref != nil || known.Subject != "bob" {
		t.Errorf("%+v, %v", known, ref)
	}
}

func TestWhatWasSaidIsNotChangedByReadingIt(t *testing.T) {
	t.Parallel()
	said := answer(nil)
	before := maps.Clone(said.Claims)
	if _, ref := opaqueIssuer(t, IssuerIntrospection, nil).MapOpaque(said, now()); ref != nil {
		t.Fatal(ref)
	}
	if !reflect.DeepEqual(said.Claims, before) {
		t.Errorf("%v", said.Claims)
	}
}
