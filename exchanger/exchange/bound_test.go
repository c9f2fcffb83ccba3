// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package exchange_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"maps"
	"net/url"
	"testing"
	"time"

	"github.com/exchequer-dev/exchequer/exchanger/jose"
	"github.com/exchequer-dev/exchequer/exchanger/oauth"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
	"github.com/exchequer-dev/exchequer/exchanger/proof"
	"github.com/exchequer-dev/exchequer/exchanger/proof/certname"
	"github.com/exchequer-dev/exchequer/exchanger/store"
	"github.com/exchequer-dev/exchequer/test/fakes/spiffe"
)

// proofOf is a DPoP proof for the main service's token endpoint.
func (w *world) proofOf(key *jose.PrivateKey, over claims) string {
	w.tb.Helper()
	all := claims{"jti": w.unique("proof"), "htm": "POST", "htu": mainIssuer + "/token", "iat": w.Now().Unix()}
	maps.Copy(all, over)
	payload, err := json.Marshal(all)
	if err != nil {
		w.tb.Fatal(err)
	}
	token, err := jose.SignEmbedded(key, "dpop+jwt", payload)
	if err != nil {
		w.tb.Fatal(err)
	}
	return token
}

func dpopKey(t *testing.T) *jose.PrivateKey {
	t.Helper()
	key, err := jose.GenerateKey(jose.ES256)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// forgetful is a store that cannot tell about proofs.
type forgetful struct{ store.Store }

func (f forgetful) Once(ctx context.Context, purpose store.Purpose, owner, id string, until time.Time) (bool, error) {
	if purpose == store.ProofOfPossession {
		return false, store.ErrUnavailable
	}
	return f.Store.Once(ctx, purpose, owner, id, until)
}

func TestAClientThatIsAskedForANonceKeepsItsAssertion(t *testing.T) {
	t.Parallel()
	w, key := newWorld(t), dpopKey(t)
	w.use.Proofs = proof.New(forgetful{w.uses}, w.ring)
	assertion := w.assertion(nil)
	ask := func(over claims) oauth.Answer {
		call := w.call(w.asserted(assertion, nil))
		call.DPoP = []string{w.proofOf(key, over)}
		return w.use.Exchange(t.Context(), call)
	}
	first := ask(nil)
	refused(t, first, policy.ProofNonce)
	if first.DPoPNonce == "" {
		t.Fatal("there is no nonce in the answer")
	}
	second := ask(claims{"nonce": first.DPoPNonce})
	if got := granted(t, second); got.TokenType != "DPoP" {
		t.Errorf("token_type %s", got.TokenType)
	}
	if second.DPoPNonce == "" {
		t.Error("there is no nonce for the next request")
	}
	refused(t, ask(claims{"nonce": first.DPoPNonce}), policy.ReplayDetected)
}

func TestAnAnswerHasANonceOnlyWhereOneIsOfUse(t *testing.T) {
	t.Parallel()
	w, key := newWorld(t), dpopKey(t)
	plain := w.exchange(form(w.token(nil), nil))
	granted(t, plain)
	call := w.call(form(w.token(nil), nil))
	call.DPoP = []string{w.proofOf(key, nil)}
	proved := w.use.Exchange(t.Context(), call)
	granted(t, proved)
	if plain.DPoPNonce != "" || proved.DPoPNonce != "" {
		t.Errorf("found %q and %q", plain.DPoPNonce, proved.DPoPNonce)
	}
}

func TestATokenIsBoundToACertificateThatIsGoodNow(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	domain, err := spiffe.New("example.org", w.Now)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := domain.Issue(&x509.Certificate{})
	if err != nil {
		t.Fatal(err)
	}
	ask := func(c tls.Certificate) oauth.Answer {
		bound := claims{"cnf": map[string]any{"x5t#S256": certname.Thumbprint(cert.Leaf)}}
		call := w.call(form(w.token(bound), nil))
		call.Certificates = []*x509.Certificate{c.Leaf}
		return w.use.Exchange(t.Context(), call)
	}
	got := w.claimsOf(granted(t, ask(cert)).AccessToken)
	if cnf, _ := got["cnf"].(map[string]any); cnf["x5t#S256"] != certname.Thumbprint(cert.Leaf) {
		t.Errorf("bound to %v", got["cnf"])
	}
	another, err := domain.Issue(&x509.Certificate{})
	if err != nil {
		t.Fatal(err)
	}
	refused(t, ask(another), policy.SubjectBinding)
	w.advance(61 * time.Minute)
	refused(t, ask(cert), policy.SubjectBinding)
}

func TestNobodyLocksOutACertificateOrAPublicClient(t *testing.T) {
	t.Parallel()
	const phone = "shop/phone"
	w, key := newWorld(t), dpopKey(t)
	w.change(func(s *policy.Spec) {
		s.Clients = append(s.Clients, policy.Client{ID: phone, Namespace: "shop", Name: "phone", TokenService: mainService, TokenExchange: true, Public: true})
		for i := range s.Policies {
			s.Policies[i].Clients = append(s.Policies[i].Clients, phone)
			s.Policies[i].PublicClients = []string{phone}
		}
	})
	// More often than an address may guess for one client, and less than for all.
	for range 60 {
		refused(t, w.exchange(form(w.token(nil), url.Values{"client_id": {phone}, "client_secret": {"guess"}})), policy.ClientCredentials)
	}
	refused(t, w.exchange(form(w.token(nil), url.Values{"client_id": {phone}, "client_secret": {"guess"}})), policy.RateLimited)
	bound := w.token(claims{"aud": phone, "cnf": map[string]any{"jkt": key.KeyID()}})
	call := w.call(form(bound, url.Values{"client_id": {phone}, "client_secret": nil}))
	call.DPoP = []string{w.proofOf(key, nil)}
	granted(t, w.use.Exchange(t.Context(), call))
}
