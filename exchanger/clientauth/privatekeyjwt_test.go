// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package clientauth_test

import (
	"crypto/sha256"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/exchequer-dev/exchequer/exchanger/clientauth"
	"github.com/exchequer-dev/exchequer/exchanger/jose"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
	"github.com/exchequer-dev/exchequer/exchanger/store"
	"github.com/exchequer-dev/exchequer/test/fakes/world"
)

const frontend = "shop/frontend"

func TestPrivateKeyJWTAuthenticates(t *testing.T) {
	t.Parallel()
	w := world.New(t)
	a := newAuthenticator(w)
	at := w.Now().Unix()
	for name, test := range map[string]struct{ header, claims world.Claims }{
		"as most libraries make it":                 {},
		"without typ":                               {header: world.Claims{"typ": nil}},
		"with its own typ":                          {header: world.Claims{"typ": "client-authentication+jwt"}},
		"with its own typ, spelled out":             {header: world.Claims{"typ": "application/Client-Authentication+JWT"}},
		"F59: aud is a list of one":                 {claims: world.Claims{"aud": []any{world.Issuer}}},
		"F59: aud is a clientAssertionAudience":     {claims: world.Claims{"aud": world.Audience}},
		"F60: five minutes":                         {claims: world.Claims{"exp": at + 300}},
		"RFC 7523 asks for no iat":                  {claims: world.Claims{"iat": nil, "exp": at + 300}},
		"F60: iat within the skew":                  {claims: world.Claims{"iat": at + 29, "exp": at + 60}},
		"F60: nbf within the skew":                  {claims: world.Claims{"nbf": at + 29}},
		"F60: exp within the skew":                  {claims: world.Claims{"iat": at - 60, "exp": at - 29}},
		"F61: a jti of 256 bytes":                   {claims: world.Claims{"jti": strings.Repeat("j", 256)}},
		"claims that mean nothing here are ignored": {claims: world.Claims{"azp": "x", "kubernetes.io": 7}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			token := w.Sign(w.Frontend, test.header, w.AssertionClaims(frontend, world.Claims{"jti": name}, test.claims))
			auth := accept(t, w, a, assertion(token))
			if auth.ID != frontend || auth.Method != clientauth.MethodPrivateKeyJWT || auth.CredentialDigest != sha256.Sum256([]byte(token)) || auth.Issuer != "" {
				t.Errorf("%+v", auth.ClientAuth)
			}
		})
	}
	t.Run("with its client_id beside it", func(t *testing.T) {
		t.Parallel()
		accept(t, w, a, named(frontend, assertion(w.Sign(w.Frontend, nil, w.AssertionClaims(frontend, world.Claims{"jti": "named"})))))
	})
	for _, alg := range []string{"RS256", "PS256", "ES384", "EdDSA"} {
		t.Run("with "+alg, func(t *testing.T) {
			t.Parallel()
			w := world.New(t)
			k := w.Key("k", alg)
			w.Change(world.EditClient(frontend, func(c *policy.Client) { c.AssertionKeys = append(c.AssertionKeys, world.JWKS(k)) }))
			accept(t, w, newAuthenticator(w), assertion(w.Sign(k, nil, w.AssertionClaims(frontend))))
		})
	}
}

func TestPrivateKeyJWTIsRefused(t *testing.T) {
	t.Parallel()
	w := world.New(t)
	a := newAuthenticator(w)
	at := w.Now().Unix()
	forged := w.Key(w.Frontend.ID, "ES256")
	rsa := w.Key(w.Frontend.ID, "RS256")
	sign := func(header, claims world.Claims) string {
		return w.Sign(w.Frontend, header, w.AssertionClaims(frontend, claims))
	}
	good := sign(nil, nil)

	for name, test := range map[string]struct {
		token string
		want  policy.Reason
	}{
		"F57, F66: alg none, as a signed one is wanted": {sign(world.Claims{"alg": "none"}, nil), policy.ClientCredentials},
		"F57, F66: no signature":                        {good[:strings.LastIndexByte(good, '.')+1], policy.ClientCredentials},
		"F57: HS256":                                    {sign(world.Claims{"alg": "HS256"}, nil), policy.ClientCredentials},
		"F57: an alg that the key is not for":           {w.Sign(rsa, nil, w.AssertionClaims(frontend)), policy.ClientCredentials},
		"F66: somebody else's key, the right kid":       {w.Sign(forged, nil, w.AssertionClaims(frontend)), policy.ClientCredentials},
		"a kid that the client does not have":           {sign(world.Claims{"kid": "other"}, nil), policy.ClientCredentials},
		"F89: no kid":                                   {sign(world.Claims{"kid": nil}, nil), policy.ClientCredentials},
		"F86: a key in the header":                      {sign(world.Claims{"jwk": w.Frontend.JWK()}, nil), policy.ClientCredentials},
		"F68: a typ of another purpose":                 {sign(world.Claims{"typ": "at+jwt"}, nil), policy.ClientCredentials},
		"F68: a DPoP proof":                             {sign(world.Claims{"typ": "dpop+jwt"}, nil), policy.ClientCredentials},
		"F58: iss is not sub":                           {sign(nil, world.Claims{"sub": "shop/target"}), policy.ClientCredentials},
		"F58: sub is not iss":                           {sign(nil, world.Claims{"iss": "shop/target"}), policy.ClientCredentials},
		"F58: no sub":                                   {sign(nil, world.Claims{"sub": nil}), policy.ClientCredentials},
		"F58: no iss":                                   {sign(nil, world.Claims{"iss": nil}), policy.ClientCredentials},
		"F58: sub is a list":                            {sign(nil, world.Claims{"sub": []any{frontend}}), policy.ClientCredentials},
		"F58: another client signs":                     {sign(nil, world.Claims{"iss": "shop/blue", "sub": "shop/blue"}), policy.ClientCredentials},
		"a client that is not":                          {sign(nil, world.Claims{"iss": "no/body", "sub": "no/body"}), policy.ClientUnknown},
		"a suspended client":                            {sign(nil, world.Claims{"iss": "shop/suspended", "sub": "shop/suspended"}), policy.ClientSuspended},
		"F59: aud is another server":                    {sign(nil, world.Claims{"aud": "https://other.example"}), policy.ClientCredentials},
		"F59: aud is ours and another's":                {sign(nil, world.Claims{"aud": []any{world.Issuer, "https://other.example"}}), policy.ClientCredentials},
		"F59: aud is ours twice":                        {sign(nil, world.Claims{"aud": []any{world.Issuer, world.Issuer}}), policy.ClientCredentials},
		"F59: aud begins with ours":                     {sign(nil, world.Claims{"aud": world.Issuer + "/"}), policy.ClientCredentials},
		"F59: aud is a list of a list":                  {sign(nil, world.Claims{"aud": []any{[]any{world.Issuer}}}), policy.ClientCredentials},
		"F59: no aud":                                   {sign(nil, world.Claims{"aud": nil}), policy.ClientCredentials},
		"F59: aud is empty":                             {sign(nil, world.Claims{"aud": []any{}}), policy.ClientCredentials},
		"F59: aud is a subject audience":                {sign(nil, world.Claims{"aud": "https://cluster.example"}), policy.ClientCredentials},
		"F60: no exp":                                   {sign(nil, world.Claims{"exp": nil}), policy.ClientCredentials},
		"F60: exp is a string":                          {sign(nil, world.Claims{"exp": "1893499200"}), policy.ClientCredentials},
		"F60: exp has passed, skew and all":             {sign(nil, world.Claims{"iat": at - 90, "exp": at - 30}), policy.ClientCredentials},
		"F60: five minutes and a second":                {sign(nil, world.Claims{"exp": at + 301}), policy.ClientCredentials},
		"F60: exp in the year 9999":                     {sign(nil, world.Claims{"exp": 253402300799}), policy.ClientCredentials},
		"F60: exp is 2^53":                              {sign(nil, world.Claims{"exp": int64(1) << 53}), policy.ClientCredentials},
		"F60: exp is before iat":                        {sign(nil, world.Claims{"iat": at + 20, "exp": at + 10}), policy.ClientCredentials},
		"F60: iat in the future":                        {sign(nil, world.Claims{"iat": at + 31, "exp": at + 60}), policy.ClientCredentials},
		"F60: no iat, and an end beyond five minutes":   {sign(nil, world.Claims{"iat": nil, "exp": at + 331}), policy.ClientCredentials},
		"F60: iat is a boolean":                         {sign(nil, world.Claims{"iat": true}), policy.ClientCredentials},
		"F60: nbf in the future":                        {sign(nil, world.Claims{"nbf": at + 31}), policy.ClientCredentials},
		"F60: nbf is a string":                          {sign(nil, world.Claims{"nbf": "0"}), policy.ClientCredentials},
		"F61, F151: no jti":                             {sign(nil, world.Claims{"jti": nil}), policy.ClientCredentials},
		"F61: an empty jti":                             {sign(nil, world.Claims{"jti": ""}), policy.ClientCredentials},
		"F61: jti is a number":                          {sign(nil, world.Claims{"jti": 7}), policy.ClientCredentials},
		"F61: a jti of 257 bytes":                       {sign(nil, world.Claims{"jti": strings.Repeat("j", 257)}), policy.ClientCredentials},
		"F101: above 16 KiB":                            {sign(nil, world.Claims{"pad": strings.Repeat("x", 13<<10)}), policy.ClientCredentials},
		"no token at all":                               {"x", policy.ClientCredentials},
		"F68: a subject token of a trusted issuer":      {w.Sign(w.Corp, nil, w.CorpClaims(world.Claims{"aud": world.Issuer})), policy.ClientCredentials},
		"F68: a token of our own":                       {w.SignOwn(w.OwnClaims(world.Claims{"aud": world.Issuer})), policy.ClientCredentials},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			reject(t, w, a, assertion(test.token), test.want)
		})
	}
	t.Run("F90: a kid in two of the client's key sets, in whatever order", func(t *testing.T) {
		t.Parallel()
		w := world.New(t)
		mine, other := world.JWKS(w.Frontend), world.JWKS(w.Key(w.Frontend.ID, "ES256"))
		for _, sets := range [][]string{{mine, other}, {other, mine}, {mine, mine}} {
			w.Change(world.EditClient(frontend, func(c *policy.Client) { c.AssertionKeys = sets }))
			reject(t, w, newAuthenticator(w), assertion(w.Sign(w.Frontend, nil, w.AssertionClaims(frontend))), policy.ClientCredentials)
		}
	})
	t.Run("F75: key sets that are none", func(t *testing.T) {
		t.Parallel()
		w := world.New(t)
		for _, text := range []string{"", "{}", `{"keys":[]}`, "not JSON", `{"keys":[{"kty":"oct","kid":"frontend-1","k":"AAAA"}]}`} {
			w.Change(world.EditClient(frontend, func(c *policy.Client) { c.AssertionKeys = []string{text} }))
			reject(t, w, newAuthenticator(w), assertion(w.Sign(w.Frontend, nil, w.AssertionClaims(frontend))), policy.ClientCredentials)
		}
	})
	t.Run("F101: above the caller's own limit", func(t *testing.T) {
		t.Parallel()
		w := world.New(t)
		token := w.Sign(w.Frontend, nil, w.AssertionClaims(frontend))
		exact := clientauth.New(w.Manager, newStore(w), clientauth.Options{Limits: jose.Limits{TokenBytes: len(token)}})
		accept(t, w, exact, assertion(token))
		less := clientauth.New(w.Manager, newStore(w), clientauth.Options{Limits: jose.Limits{TokenBytes: len(token) - 1}})
		reject(t, w, less, assertion(token), policy.ClientCredentials)
	})
	t.Run("a key that the manifests no longer have", func(t *testing.T) {
		t.Parallel()
		w := world.New(t)
		a := newAuthenticator(w)
		accept(t, w, a, assertion(w.Sign(w.Frontend, nil, w.AssertionClaims(frontend))))
		w.Change(world.EditClient(frontend, func(c *policy.Client) { c.AssertionKeys = []string{world.JWKS(w.Key("next", "ES256"))} }))
		reject(t, w, a, assertion(w.Sign(w.Frontend, nil, w.AssertionClaims(frontend, world.Claims{"jti": "later"}))), policy.ClientCredentials)
	})
}

func TestAnAssertionIsUsedOnce(t *testing.T) {
	t.Parallel()

	t.Run("F62: twice on one replica", func(t *testing.T) {
		t.Parallel()
		w := world.New(t)
		a := newAuthenticator(w)
		c := assertion(w.Sign(w.Frontend, nil, w.AssertionClaims(frontend)))
		accept(t, w, a, c)
		replayed(t, w, a, c)
	})
	t.Run("F62: on two replicas with one store", func(t *testing.T) {
		t.Parallel()
		w := world.New(t)
		shared := newStore(w)
		one := clientauth.New(w.Manager, shared, clientauth.Options{})
		two := clientauth.New(w.Manager, shared, clientauth.Options{})
		c := assertion(w.Sign(w.Frontend, nil, w.AssertionClaims(frontend)))
		accept(t, w, one, c)
		replayed(t, w, two, c)
	})
	t.Run("F62, F291: a hundred at once: exactly one", func(t *testing.T) {
		t.Parallel()
		w := world.New(t)
		a := newAuthenticator(w)
		c := assertion(w.Sign(w.Frontend, nil, w.AssertionClaims(frontend)))
		var won, lost atomic.Int64
		var all sync.WaitGroup
		for range 100 {
			all.Go(func() {
				auth, ref := a.Authenticate(t.Context(), w.Service(), c, w.Now())
				if ref != nil {
					t.Error(ref)
					return
				}
				switch ref := auth.Consume(t.Context()); {
				case ref == nil:
					won.Add(1)
				case ref.Reason == policy.ReplayDetected:
					lost.Add(1)
				}
			})
		}
		all.Wait()
		if won.Load() != 1 || lost.Load() != 99 {
			t.Errorf("%d won, %d lost", won.Load(), lost.Load())
		}
	})
	t.Run("F107: with the signature rewritten it is the same assertion", func(t *testing.T) {
		t.Parallel()
		w := world.New(t)
		a := newAuthenticator(w)
		token := w.Sign(w.Frontend, nil, w.AssertionClaims(frontend))
		accept(t, w, a, assertion(token))
		replayed(t, w, a, assertion(malleate(t, token)))
	})
	t.Run("F63, F298: after a restart without a shared store, what is older is refused and what is newer is not", func(t *testing.T) {
		t.Parallel()
		w := world.New(t)
		a := clientauth.New(w.Manager, store.NewMemory(w.Now, store.MemoryLimits{}), clientauth.Options{})
		w.Advance(time.Second)
		c := assertion(w.Sign(w.Frontend, nil, w.AssertionClaims(frontend)))
		accept(t, w, a, c)
		w.Advance(400 * time.Millisecond) // within the second of its iat
		restarted := clientauth.New(w.Manager, store.NewMemory(w.Now, store.MemoryLimits{}), clientauth.Options{})
		reject(t, w, restarted, c, policy.ClientCredentials)
		w.Advance(2 * time.Second)
		reject(t, w, restarted, c, policy.ClientCredentials)
		accept(t, w, restarted, assertion(w.Sign(w.Frontend, nil, w.AssertionClaims(frontend))))
	})
	t.Run("F63: after a restart a store that survived still knows", func(t *testing.T) {
		t.Parallel()
		w := world.New(t)
		survives := newStore(w)
		c := assertion(w.Sign(w.Frontend, nil, w.AssertionClaims(frontend)))
		accept(t, w, clientauth.New(w.Manager, survives, clientauth.Options{}), c)
		replayed(t, w, clientauth.New(w.Manager, survives, clientauth.Options{}), c)
	})
	t.Run("F64, F65: assertions that are refused use up nothing", func(t *testing.T) {
		t.Parallel()
		w := world.New(t)
		a := newAuthenticator(w)
		claims := w.AssertionClaims(frontend)
		wrong := w.AssertionClaims(frontend, world.Claims{"aud": "https://other.example"})
		reject(t, w, a, assertion(w.Sign(w.Frontend, nil, wrong)), policy.ClientCredentials)
		reject(t, w, a, assertion(w.Sign(w.Key(w.Frontend.ID, "ES256"), nil, claims)), policy.ClientCredentials)
		accept(t, w, a, assertion(w.Sign(w.Frontend, nil, claims)))
	})
	t.Run("F64: nothing is used up before Consume", func(t *testing.T) {
		t.Parallel()
		w := world.New(t)
		a := newAuthenticator(w)
		c := assertion(w.Sign(w.Frontend, nil, w.AssertionClaims(frontend)))
		for range 3 {
			if _, ref := authenticate(t, w, a, c); ref != nil {
				t.Fatal(ref)
			}
		}
		accept(t, w, a, c)
	})
	t.Run("F292: the same jti of two clients, and of two token services", func(t *testing.T) {
		t.Parallel()
		w := world.New(t)
		w.Change(
			world.EditClient("shop/blue", func(c *policy.Client) { c.AssertionKeys = []string{world.JWKS(w.Frontend)} }),
			func(s *policy.Spec) {
				s.Services = append(s.Services, policy.Service{Name: "second", Issuer: "https://second.example", Algorithm: "ES256", AssertionAudiences: []string{world.Issuer}})
				s.Clients = append(s.Clients, policy.Client{ID: frontend, Namespace: "shop", Name: "frontend", TokenService: "second", AssertionKeys: []string{world.JWKS(w.Frontend)}})
			},
		)
		a := newAuthenticator(w)
		same := world.Claims{"jti": "same"}
		for _, id := range []string{frontend, "shop/blue"} {
			accept(t, w, a, assertion(w.Sign(w.Frontend, nil, w.AssertionClaims(id, same))))
		}
		auth, ref := a.Authenticate(t.Context(), w.ServiceOf("second"), assertion(w.Sign(w.Frontend, nil, w.AssertionClaims(frontend, same))), w.Now())
		if ref != nil {
			t.Fatal(ref)
		}
		if ref := auth.Consume(t.Context()); ref != nil {
			t.Fatal(ref)
		}
		replayed(t, w, a, assertion(w.Sign(w.Frontend, nil, w.AssertionClaims(frontend, same))))
	})
	t.Run("F295: until it is refused for its age it is refused as used", func(t *testing.T) {
		t.Parallel()
		w := world.New(t)
		a := newAuthenticator(w)
		// exp is on the second, the clock half a second past one.
		c := assertion(w.Sign(w.Frontend, nil, w.AssertionClaims(frontend)))
		accept(t, w, a, c)
		w.Advance(60*time.Second + 29*time.Second)
		replayed(t, w, a, c)
		w.Advance(499 * time.Millisecond)
		replayed(t, w, a, c)
		w.Advance(time.Millisecond)
		reject(t, w, a, c, policy.ClientCredentials)
	})
}

func TestAStoreThatCannotTellIsNoPermission(t *testing.T) {
	t.Parallel()
	w := world.New(t)
	for name, test := range map[string]struct {
		err     error
		want    policy.Reason
		outcome policy.Outcome
	}{
		"F286: the store is down":             {errBroken, policy.StoreUnavailable, policy.Unable},
		"F286: the store says so itself":      {store.ErrUnavailable, policy.StoreUnavailable, policy.Unable},
		"F294: the client is above its quota": {store.ErrQuota, policy.RateLimited, policy.Denied},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := clientauth.New(w.Manager, broken{err: test.err}, clientauth.Options{})
			auth, ref := authenticate(t, w, a, assertion(w.Sign(w.Frontend, nil, w.AssertionClaims(frontend))))
			if ref != nil {
				t.Fatal(ref)
			}
			ref = auth.Consume(t.Context())
			if ref == nil || ref.Outcome != test.outcome || ref.Reason != test.want {
				t.Errorf("%v", ref)
			}
			if ref != nil && strings.Contains(ref.Detail, "connection") {
				t.Error("the detail quotes the backend")
			}
		})
	}
	t.Run("F286: what is not used once needs no store", func(t *testing.T) {
		t.Parallel()
		a := clientauth.New(w.Manager, broken{err: errBroken}, clientauth.Options{})
		accept(t, w, a, clientauth.Credentials{BasicPresent: true, BasicID: frontend, BasicSecret: world.Secret})
		accept(t, w, a, assertion(w.Sign(w.East, nil, w.AccountClaims("shop", "frontend"))))
	})
}

func replayed(t *testing.T, w *world.World, a *clientauth.Authenticator, c clientauth.Credentials) {
	t.Helper()
	auth, ref := authenticate(t, w, a, c)
	if ref != nil {
		t.Fatalf("refused before it could be consumed: %v", ref)
	}
	ref = auth.Consume(t.Context())
	if ref == nil || ref.Reason != policy.ReplayDetected || ref.Outcome != policy.Denied {
		t.Fatalf("consumed again: %v", ref)
	}
}
