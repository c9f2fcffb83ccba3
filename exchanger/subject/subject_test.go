// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package subject_test

import (
	"crypto/sha256"
	"strings"
	"testing"

	"github.com/exchequer-dev/exchequer/exchanger/jose"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
	"github.com/exchequer-dev/exchequer/exchanger/subject"
	"github.com/exchequer-dev/exchequer/test/fakes/world"
)

// refused is what a test expects of a token that is not verified.
type refused struct {
	reason  policy.Reason
	outcome policy.Outcome
}

func newVerifier(w *world.World) *subject.Verifier {
	return subject.New(w.Manager, w.Ring, subject.Options{})
}

func verify(t *testing.T, w *world.World, v *subject.Verifier, token string) (*policy.Token, *policy.Refusal) {
	t.Helper()
	return v.Verify(t.Context(), w.Service(), token, w.Now())
}

func mustVerify(t *testing.T, w *world.World, v *subject.Verifier, token string) *policy.Token {
	t.Helper()
	tok, ref := verify(t, w, v, token)
	if ref != nil {
		t.Fatalf("refused: %v", ref)
	}
	return tok
}

func mustRefuse(t *testing.T, w *world.World, v *subject.Verifier, token string, want refused) *policy.Refusal {
	t.Helper()
	tok, ref := verify(t, w, v, token)
	switch {
	case ref == nil:
		t.Fatalf("accepted as %s", tok.Subject)
	case tok != nil:
		t.Fatal("a token comes with the refusal")
	case ref.Reason != want.reason || ref.Outcome != want.outcome:
		t.Fatalf("refused with %v (%v), want %v (%v)", ref, ref.Outcome, want.reason, want.outcome)
	}
	return ref
}

func TestAVerifiedTokenIsItsFacts(t *testing.T) {
	t.Parallel()
	w := world.New(t)
	v := newVerifier(w)

	t.Run("a token of a trusted issuer", func(t *testing.T) {
		t.Parallel()
		token := w.Sign(w.Corp, world.Claims{"typ": "at+jwt"}, w.CorpClaims())
		tok := mustVerify(t, w, v, token)
		if tok.Issuer != "corp" || tok.Origin != "corp" || tok.RawSubject != "alice" || tok.Subject != "corp:alice" || tok.Class != policy.ClassAccessToken {
			t.Errorf("facts: %+v", tok)
		}
		if tok.Digest != sha256.Sum256([]byte(token)) {
			t.Error("the digest is not that of the presented bytes")
		}
	})
	t.Run("a token of our own", func(t *testing.T) {
		t.Parallel()
		tok := mustVerify(t, w, v, w.SignOwn(w.OwnClaims()))
		if tok.Issuer != policy.SelfIssuer || tok.Origin != "corp" || tok.Subject != "corp:alice" || len(tok.Groups) != 1 {
			t.Errorf("facts: %+v", tok)
		}
	})
	t.Run("F89: of two clusters with one URL the kid tells which", func(t *testing.T) {
		t.Parallel()
		east := mustVerify(t, w, v, w.Sign(w.East, nil, w.AccountClaims("shop", "frontend")))
		west := mustVerify(t, w, v, w.Sign(w.West, nil, w.AccountClaims("shop", "frontend")))
		if east.Issuer != "east" || west.Issuer != "west" {
			t.Errorf("issuers %s and %s", east.Issuer, west.Issuer)
		}
	})
}

func TestLimitsAreTheCallers(t *testing.T) {
	t.Parallel()
	w := world.New(t)
	token := w.Sign(w.Corp, nil, w.CorpClaims())
	exact := subject.New(w.Manager, w.Ring, subject.Options{Limits: jose.Limits{TokenBytes: len(token)}})
	mustVerify(t, w, exact, token)
	less := subject.New(w.Manager, w.Ring, subject.Options{Limits: jose.Limits{TokenBytes: len(token) - 1}})
	mustRefuse(t, w, less, token, refused{policy.TokenMalformed, policy.Denied})
}

func TestATokenThatDoesNotProveItselfIsRefused(t *testing.T) {
	t.Parallel()
	w := world.New(t, func(s *policy.Spec) {
		lone := s.Issuers[0]
		lone.Name, lone.URL, lone.Prefix, lone.ForSubject = "actors", "https://actors.example", "actors:", false
		off := s.Issuers[0]
		off.Name, off.URL, off.Prefix, off.Suspended = "off", "https://off.example", "off:", true
		s.Issuers = append(s.Issuers, lone, off)
	})
	v := newVerifier(w)
	denied := func(r policy.Reason) refused { return refused{r, policy.Denied} }
	corp := func(header, claims world.Claims) string { return w.Sign(w.Corp, header, w.CorpClaims(claims)) }
	forged := w.Key("corp-1", "ES256") // corp's kid, somebody else's key
	rs := w.Key("corp-1", "RS256")
	good := corp(nil, nil)

	for name, test := range map[string]struct {
		token string
		want  refused
	}{
		"empty":                           {"", denied(policy.TokenMalformed)},
		"no token":                        {"not-a-token", denied(policy.TokenMalformed)},
		"F101: above 16 KiB":              {corp(nil, world.Claims{"pad": strings.Repeat("x", 13<<10)}), denied(policy.TokenMalformed)},
		"F81: alg none":                   {corp(world.Claims{"alg": "none"}, nil), denied(policy.TokenSignature)},
		"F81: no signature":               {good[:strings.LastIndexByte(good, '.')+1], denied(policy.TokenSignature)},
		"F82: HS256":                      {corp(world.Claims{"alg": "HS256"}, nil), denied(policy.TokenSignature)},
		"F85: ES384 with P-256":           {corp(world.Claims{"alg": "ES384"}, nil), denied(policy.TokenSignature)},
		"F84: an alg of another key type": {w.Sign(rs, nil, w.CorpClaims()), denied(policy.TokenSignature)},
		"F86: a key in the header":        {corp(world.Claims{"jwk": w.Corp.JWK()}, nil), denied(policy.TokenMalformed)},
		"F88: a kid that is a path":       {corp(world.Claims{"kid": "../../etc/passwd"}, nil), denied(policy.TokenSignature)},
		"F89: no kid":                     {corp(world.Claims{"kid": nil}, nil), denied(policy.TokenMalformed)},
		"F91: crit":                       {corp(world.Claims{"crit": []any{"exp"}}, nil), denied(policy.TokenMalformed)},
		"F102: encrypted":                 {"e30.e30.e30.e30.e30", denied(policy.TokenMalformed)},
		"F106: nested":                    {corp(world.Claims{"cty": "JWT"}, nil), denied(policy.TokenClass)},
		"F93: JSON serialisation":         {`{"payload":"e30","signatures":[]}`, denied(policy.TokenMalformed)},
		"F97: a claim twice": {
			w.SignBytes(w.Corp, []byte(`{"alg":"ES256","kid":"corp-1"}`), []byte(`{"iss":"`+world.CorpURL+`","sub":"a","sub":"b"}`)), denied(policy.TokenMalformed),
		},
		"a stranger's key under the issuer's kid": {w.Sign(forged, nil, w.CorpClaims()), denied(policy.TokenSignature)},
		"F126: no iss":                               {corp(nil, world.Claims{"iss": nil}), denied(policy.IssuerUnknown)},
		"F126: iss is a number":                      {corp(nil, world.Claims{"iss": 7}), denied(policy.IssuerUnknown)},
		"F126: iss with a slash more":                {corp(nil, world.Claims{"iss": world.CorpURL + "/"}), denied(policy.IssuerUnknown)},
		"F126: iss in upper case":                    {corp(nil, world.Claims{"iss": strings.ToUpper(world.CorpURL)}), denied(policy.IssuerUnknown)},
		"F126: iss with its port":                    {corp(nil, world.Claims{"iss": world.CorpURL + ":443"}), denied(policy.IssuerUnknown)},
		"F126: iss over http":                        {corp(nil, world.Claims{"iss": "http://login.corp.example"}), denied(policy.IssuerUnknown)},
		"F127: iss begins with a trusted one":        {corp(nil, world.Claims{"iss": world.CorpURL + ".evil.example"}), denied(policy.IssuerUnknown)},
		"F127: iss ends with a trusted one":          {corp(nil, world.Claims{"iss": "https://evil.example/?" + world.CorpURL}), denied(policy.IssuerUnknown)},
		"a suspended issuer is as if it were absent": {corp(nil, world.Claims{"iss": "https://off.example"}), denied(policy.IssuerSuspended)},
		"an issuer that is not for subjects":         {corp(nil, world.Claims{"iss": "https://actors.example"}), denied(policy.IssuerUnknown)},
		"F152: a logout token":                       {corp(nil, world.Claims{"events": map[string]any{}}), denied(policy.TokenClass)},
		"F152: a typ of another kind":                {corp(world.Claims{"typ": "dpop+jwt"}, nil), denied(policy.TokenClass)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			mustRefuse(t, w, v, test.token, test.want)
		})
	}

	t.Run("F107: a malleated signature verifies, and is another presentation of the same token", func(t *testing.T) {
		t.Parallel()
		a, b := mustVerify(t, w, v, good), mustVerify(t, w, v, malleate(t, good))
		if a.TokenID != b.TokenID || a.Digest == b.Digest {
			t.Error("the token ID must be the same, the digest another")
		}
	})
	t.Run("F114: typ is compared without case and with one application/", func(t *testing.T) {
		t.Parallel()
		for typ, want := range map[any]policy.Class{
			"AT+JWT": policy.ClassAccessToken, "application/at+jwt": policy.ClassAccessToken, "JWT": policy.ClassJWT, "Application/JWT": policy.ClassJWT, nil: policy.ClassJWT,
		} {
			if tok := mustVerify(t, w, v, corp(world.Claims{"typ": typ}, nil)); tok.Class != want {
				t.Errorf("typ %v: class %s, want %s", typ, tok.Class, want)
			}
		}
		mustRefuse(t, w, v, corp(world.Claims{"typ": "application/application/at+jwt"}, nil), denied(policy.TokenClass))
	})
}

func TestOurOwnTokensAreVerifiedByOurKeysAlone(t *testing.T) {
	t.Parallel()
	w := world.New(t)
	v := newVerifier(w)
	active, _ := w.Ring.Active(world.Service)
	ours := active.KeyID()
	denied := func(r policy.Reason) refused { return refused{r, policy.Denied} }

	for name, test := range map[string]struct {
		token string
		want  refused
	}{
		"F122: our iss, corp's key":            {w.Sign(w.Corp, world.Claims{"typ": "at+jwt"}, w.OwnClaims()), denied(policy.TokenSignature)},
		"F122: our iss and kid, corp's key":    {w.Sign(w.Corp, world.Claims{"typ": "at+jwt", "kid": ours}, w.OwnClaims()), denied(policy.TokenSignature)},
		"our iss, not an access token":         {w.Sign(w.Corp, world.Claims{"kid": ours}, w.OwnClaims()), denied(policy.TokenClass)},
		"our key, corp's iss":                  {w.SignOwn(w.OwnClaims(world.Claims{"iss": world.CorpURL})), denied(policy.TokenSignature)},
		"no sealed facts":                      {w.SignOwn(w.OwnClaims(world.Claims{"xqr": nil})), denied(policy.TokenMalformed)},
		"sealed facts that are no string":      {w.SignOwn(w.OwnClaims(world.Claims{"xqr": 1})), denied(policy.TokenMalformed)},
		"sealed facts that nobody here sealed": {w.SignOwn(w.OwnClaims(world.Claims{"xqr": "e30..e30.e30.e30"})), denied(policy.TokenMalformed)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			mustRefuse(t, w, v, test.token, test.want)
		})
	}
	t.Run("F129: our key, a sub that is nobody's", func(t *testing.T) {
		t.Parallel()
		mustRefuse(t, w, v, w.SignOwn(w.OwnClaims(world.Claims{"sub": ""})), denied(policy.TokenMalformed))
	})
	t.Run("a service whose keys are gone cannot tell, not even of what it remembers", func(t *testing.T) {
		t.Parallel()
		w := world.New(t)
		own := &switchable{OwnKeys: w.Ring}
		v := subject.New(w.Manager, own, subject.Options{})
		token := w.SignOwn(w.OwnClaims())
		remember(t, w, v, token)
		own.OwnKeys = noKeys{}
		mustRefuse(t, w, v, token, refused{policy.KeysUnavailable, policy.Unable})
	})
	t.Run("a service without keys cannot tell", func(t *testing.T) {
		t.Parallel()
		other := world.New(t)
		v := subject.New(w.Manager, noKeys{}, subject.Options{})
		mustRefuse(t, other, v, other.SignOwn(other.OwnClaims()), refused{policy.KeysUnavailable, policy.Unable})
	})
	t.Run("a key in revokedKeyIDs is not trusted, whatever the ring holds", func(t *testing.T) {
		t.Parallel()
		w := world.New(t)
		v := newVerifier(w)
		token := w.SignOwn(w.OwnClaims())
		mustVerify(t, w, v, token)
		mustVerify(t, w, v, token)
		active, _ := w.Ring.Active(world.Service)
		w.Change(func(s *policy.Spec) { s.Services[0].RevokedKeyIDs = []string{active.KeyID()} })
		mustRefuse(t, w, v, token, denied(policy.TokenRevoked))
	})
	t.Run("a key that left the ring is not trusted any more", func(t *testing.T) {
		t.Parallel()
		w := world.New(t)
		v := newVerifier(w)
		token := w.SignOwn(w.OwnClaims())
		mustVerify(t, w, v, token)
		active, _ := w.Ring.Active(world.Service)
		if err := w.Ring.Revoke(world.Service, active.KeyID(), w.Now()); err != nil {
			t.Fatal(err)
		}
		mustRefuse(t, w, v, token, denied(policy.TokenSignature))
	})
}
