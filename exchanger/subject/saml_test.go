// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build !nosaml

package subject_test

import (
	"crypto/x509"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/exchequer-dev/exchequer/exchanger/policy"
	"github.com/exchequer-dev/exchequer/exchanger/saml"
	"github.com/exchequer-dev/exchequer/exchanger/subject"
	"github.com/exchequer-dev/exchequer/exchanger/subject/trust"
	idps "github.com/exchequer-dev/exchequer/test/fakes/saml"
	"github.com/exchequer-dev/exchequer/test/fakes/world"
)

const (
	idpEntity = "https://login.corp.example" // which is also the URL of an issuer of tokens
	ourEntity = "https://sts.example.com/saml"
	acs       = "https://sts.example.com/token"
)

func newIdP(t testing.TB) *idps.IdP {
	t.Helper()
	idp, err := idps.New(idpEntity, world.Start)
	if err != nil {
		t.Fatal(err)
	}
	return idp
}

// trusted adds an issuer of assertions.
func trusted(keys policy.Keys, changes ...func(*policy.Issuer)) func(*policy.Spec) {
	return func(s *policy.Spec) {
		i := policy.Issuer{
			Name: "adfs", TokenService: world.Service, Kind: policy.IssuerSAML, URL: idpEntity, ForSubject: true, Keys: keys,
			Audiences: []string{ourEntity}, Algorithms: []string{}, Classes: []policy.Class{policy.ClassSAML2}, Prefix: "adfs:",
			MaxTokenAge: 24 * time.Hour, ClockSkew: 30 * time.Second, SAML: &policy.SAMLIssuer{Recipient: acs},
			Mappings: policy.Mappings{Subject: policy.Value{Claim: "sub"}, Groups: policy.Value{Claim: "groups"}, Username: policy.Value{Claim: "mail"}},
		}
		for _, change := range changes {
			change(&i)
		}
		s.Issuers = append(s.Issuers, i)
	}
}

func inline(t testing.TB, all ...*idps.IdP) policy.Keys {
	t.Helper()
	var certificates []*x509.Certificate
	for _, idp := range all {
		certificates = append(certificates, idp.Certificate)
	}
	set, err := saml.KeySet(certificates)
	if err != nil {
		t.Fatal(err)
	}
	return policy.Keys{Inline: string(set)}
}

func issued(t testing.TB, idp *idps.IdP, changes ...func(*idps.Assertion)) string {
	t.Helper()
	a := idp.Assertion(world.Start.Truncate(time.Second), ourEntity, acs)
	for _, change := range changes {
		change(&a)
	}
	token, err := idp.Token(a)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func assertion(t *testing.T, w *world.World, v *subject.Verifier, token string) (*subject.Assertion, *policy.Refusal) {
	t.Helper()
	return v.VerifyAssertion(t.Context(), w.Service(), token, w.Now(), trust.Subject)
}

func TestAnAssertionIsFacts(t *testing.T) {
	t.Parallel()
	idp := newIdP(t)
	w := world.New(t, trusted(inline(t, newIdP(t), idp)))
	a, ref := assertion(t, w, newVerifier(w), issued(t, idp, func(a *idps.Assertion) {
		a.OneTimeUse = true
		a.Attributes = append(a.Attributes, idps.Attribute{Name: "sub", Values: []string{"root"}}, idps.Attribute{Name: "act", Values: []string{"x"}},
			idps.Attribute{Name: "aud", Values: []string{"x"}}, idps.Attribute{Name: "cnf", Values: []string{"x"}}, idps.Attribute{Name: "azp", Values: []string{"shop/frontend"}},
			idps.Attribute{Name: "nameID", Values: []string{"root"}}, idps.Attribute{Name: "attributes", Values: []string{"root"}}, idps.Attribute{Name: "none"})
	}))
	if ref != nil {
		t.Fatal(ref)
	}
	tok := a.Token
	if tok.Issuer != "adfs" || tok.Class != policy.ClassSAML2 || tok.Subject != "adfs:alice" || tok.RawSubject != "alice" || tok.RawIssuer != idpEntity ||
		tok.Username != "alice@corp.example" || !reflect.DeepEqual(tok.Groups, []string{"adfs:staff", "adfs:doctors"}) || tok.TokenID != "_a1b2c3" ||
		!reflect.DeepEqual(tok.Audiences, []string{ourEntity}) || tok.ClientID != "" || tok.Act != nil || tok.Confirmed {
		t.Errorf("%+v", tok)
	}
	second := world.Start.Truncate(time.Second)
	if !a.Once || a.Issuer != idpEntity || !a.Until.Equal(second.Add(time.Hour+30*time.Second)) || !tok.ExpiresAt.Equal(second.Add(time.Hour)) || !tok.IssuedAt.Equal(second) {
		t.Errorf("%+v", a)
	}
	c := tok.Claims
	if !reflect.DeepEqual(c["nameID"], map[string]any{"value": "alice", "format": idps.Persistent}) || c["acr"] != idps.Password || c["sid"] != "s1" {
		t.Errorf("claims: %v", c)
	}
	all, _ := c["attributes"].(map[string]any)
	if !reflect.DeepEqual(all["mail"], []any{"alice@corp.example"}) || !reflect.DeepEqual(all["act"], []any{"x"}) || !reflect.DeepEqual(all["none"], []any{}) || c["act"] != nil {
		t.Errorf("attributes: %v", all)
	}
}

func TestWhoActsInAnAssertionIsNotForgotten(t *testing.T) {
	t.Parallel()
	idp := newIdP(t)
	w := world.New(t, trusted(inline(t, newIdP(t), idp)))
	with := func(attributes ...idps.Attribute) (*subject.Assertion, *policy.Refusal) {
		return assertion(t, w, newVerifier(w), issued(t, idp, func(a *idps.Assertion) { a.Attributes = append(a.Attributes, attributes...) }))
	}
	// As an assertion of another installation of this project says it.
	a, ref := with(
		idps.Attribute{Name: "act", Values: []string{`{"iss":"https://login.example","sub":"bob"}`}},
		idps.Attribute{Name: "may_act", Values: []string{`{"iss":"https://login.example","sub":"bob"}`}},
		idps.Attribute{Name: "impersonator", Values: []string{`{"iss":"https://login.example","sub":"sue","grant":"support"}`}},
	)
	if ref != nil {
		t.Fatal(ref)
	}
	if tok := a.Token; tok.Act["sub"] != "bob" || tok.MayAct["sub"] != "bob" || tok.Impersonator["sub"] != "sue" {
		t.Errorf("act %v, may_act %v, impersonator %v", tok.Act, tok.MayAct, tok.Impersonator)
	}
	for name, values := range map[string][]string{
		"it is no JSON":                {`{"sub":"bob"`},
		"it says something twice":      {`{"iss":"https://login.example","sub":"bob","sub":"eve"}`},
		"there are two of them":        {`{"iss":"https://login.example","sub":"bob"}`, `{"iss":"https://login.example","sub":"eve"}`},
		"one of several is an object":  {"x", ` {"sub":"bob"}`},
		"something follows the object": {`{"sub":"bob"} x`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, attribute := range []string{"act", "may_act", "impersonator"} {
				if _, ref := with(idps.Attribute{Name: attribute, Values: values}); ref == nil || ref.Reason != policy.TokenMalformed {
					t.Errorf("%s: %v", attribute, ref)
				}
			}
		})
	}
	t.Run("an object that says to which key it is bound is bound", func(t *testing.T) {
		t.Parallel()
		if a, ref := with(idps.Attribute{Name: "cnf", Values: []string{`{"kid":"1"}`}}); ref != nil || !a.Confirmed || !a.Confirmation.Unknown {
			t.Errorf("%v, %v", a, ref)
		}
	})
}

func TestWhoseAssertionsAreBelieved(t *testing.T) {
	t.Parallel()
	idp := newIdP(t)
	stranger, err := idps.New("https://other.example", world.Start)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		change func(*policy.Issuer)
		token  string
		want   refused
	}{
		"F153: a stranger's":                      {nil, issued(t, stranger), refused{policy.IssuerUnknown, policy.Denied}},
		"F236: another key's":                     {nil, issued(t, newIdP(t)), refused{policy.TokenSignature, policy.Denied}},
		"F226: a suspended issuer's":              {func(i *policy.Issuer) { i.Suspended = true }, issued(t, idp), refused{policy.IssuerSuspended, policy.Denied}},
		"of an issuer that is not for subjects":   {func(i *policy.Issuer) { i.ForSubject = false }, issued(t, idp), refused{policy.IssuerUnknown, policy.Denied}},
		"F238: for another recipient":             {nil, issued(t, idp, func(a *idps.Assertion) { a.Recipient += "/" }), refused{policy.SubjectAudience, policy.Denied}},
		"F33: a JWT":                              {nil, "a.b.c", refused{policy.TokenMalformed, policy.Denied}},
		"of nobody":                               {nil, issued(t, idp, func(a *idps.Assertion) { a.NameID = "" }), refused{policy.TokenMalformed, policy.Denied}},
		"without the attribute that names people": {func(i *policy.Issuer) { i.Mappings.Subject.Claim = "employee" }, issued(t, idp), refused{policy.SubjectMapping, policy.Denied}},
		"of the system": {
			func(i *policy.Issuer) { i.Prefix = "" }, issued(t, idp, func(a *idps.Assertion) { a.NameID = "system:masters" }), refused{policy.SubjectMapping, policy.Denied},
		},
		"that a rule does not like": {func(i *policy.Issuer) {
			i.ClaimRules = []policy.ClaimRule{{Claim: "tenant", Required: "acme"}}
		}, issued(t, idp), refused{policy.IssuerRule, policy.Denied}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			change := func(*policy.Issuer) {}
			if c.change != nil {
				change = c.change
			}
			w := world.New(t, trusted(inline(t, idp), change))
			a, ref := assertion(t, w, newVerifier(w), c.token)
			if a != nil || ref == nil || ref.Reason != c.want.reason || ref.Outcome != c.want.outcome || ref.Check == "" {
				t.Fatalf("%v, %v", a, ref)
			}
		})
	}
	t.Run("F33: an assertion is no token of the issuer of tokens with that URL", func(t *testing.T) {
		t.Parallel()
		w := world.New(t, trusted(inline(t, idp)))
		v := newVerifier(w)
		mustRefuse(t, w, v, issued(t, idp), refused{policy.TokenMalformed, policy.Denied})
		if tok := mustVerify(t, w, v, w.Sign(w.Corp, nil, w.CorpClaims())); tok.Issuer != "corp" {
			t.Errorf("a token of %s", tok.Issuer)
		}
	})
	t.Run("an actor's, where the issuer is for actors", func(t *testing.T) {
		t.Parallel()
		w := world.New(t, trusted(inline(t, idp)))
		if _, ref := newVerifier(w).VerifyAssertion(t.Context(), w.Service(), issued(t, idp), w.Now(), trust.Actor); ref == nil {
			t.Error("accepted")
		}
		w = world.New(t, trusted(inline(t, idp), func(i *policy.Issuer) { i.ForActor, i.ForSubject = true, false }))
		if _, ref := newVerifier(w).VerifyAssertion(t.Context(), w.Service(), issued(t, idp), w.Now(), trust.Actor); ref != nil {
			t.Error(ref)
		}
	})
}

func TestKeysOfProvidersComeFromTheirMetadata(t *testing.T) {
	t.Parallel()
	var document atomic.Pointer[[]byte]
	var requests atomic.Int32
	serve := func(b []byte) { document.Store(&b) }
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		requests.Add(1)
		rw.Header().Set("Content-Type", "application/samlmetadata+xml")
		_, _ = rw.Write(*document.Load())
	}))
	t.Cleanup(server.Close)
	first, second := newIdP(t), newIdP(t)
	serve(first.Metadata())
	w := world.New(t, trusted(policy.Keys{JWKSURL: server.URL, AllowedCIDRs: []string{"127.0.0.0/8"}}))
	run(t, w)
	v := newVerifier(w)
	if _, ref := assertion(t, w, v, issued(t, first)); ref != nil {
		status, _ := w.Manager.Status("adfs")
		t.Fatal(ref, status.Message)
	}
	t.Run("F172: a provider that has another key now", func(t *testing.T) {
		serve(second.Metadata())
		before := requests.Load()
		if _, ref := assertion(t, w, v, issued(t, second)); ref != nil {
			t.Fatal(ref)
		}
		if n := requests.Load() - before; n != 1 {
			t.Errorf("%d requests", n)
		}
	})
	t.Run("F173: and the former no more", func(t *testing.T) {
		if _, ref := assertion(t, w, v, issued(t, first)); ref == nil || ref.Reason != policy.TokenSignature {
			t.Error(ref)
		}
	})
	t.Run("F170: of many wrong signatures one fetch is made", func(t *testing.T) {
		w.Advance(time.Hour)
		wrong, before := issued(t, newIdP(t)), requests.Load()
		for range 100 {
			if _, ref := assertion(t, w, v, wrong); ref == nil {
				t.Fatal("accepted")
			}
		}
		if n := requests.Load() - before; n > 1 {
			t.Errorf("%d requests", n)
		}
	})
	t.Run("metadata that is broken leaves the keys as they are", func(t *testing.T) {
		w.Advance(time.Hour)
		serve([]byte(strings.Replace(string(first.Metadata()), idpEntity, "https://evil.example", 1)))
		if _, ref := assertion(t, w, v, issued(t, first)); ref == nil {
			t.Error("accepted")
		}
		if _, ref := assertion(t, w, v, issued(t, second)); ref != nil {
			t.Error(ref)
		}
	})
}

func TestAProviderWhoseKeysAreNotKnownCannotBeTold(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(server.Close)
	w := world.New(t, trusted(policy.Keys{JWKSURL: server.URL, AllowedCIDRs: []string{"127.0.0.0/8"}}))
	run(t, w)
	if _, ref := assertion(t, w, newVerifier(w), issued(t, newIdP(t))); ref == nil || ref.Outcome != policy.Unable || ref.Reason != policy.KeysUnavailable {
		t.Error(ref)
	}
}

func BenchmarkVerifyAssertion(b *testing.B) {
	idp := newIdP(b)
	w := world.New(b, trusted(inline(b, idp)))
	v, token := newVerifier(w), issued(b, idp)
	b.ReportAllocs()
	for b.Loop() {
		if _, ref := v.VerifyAssertion(b.Context(), w.Service(), token, w.Now(), trust.Subject); ref != nil {
			b.Fatal(ref)
		}
	}
}
