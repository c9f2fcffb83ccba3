// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package clientauth_test

import (
	"crypto/sha256"
	"testing"
	"time"

	"github.com/exchequer-dev/exchequer/exchanger/clientauth"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
	"github.com/exchequer-dev/exchequer/test/fakes/world"
)

func TestAServiceAccountIsAClient(t *testing.T) {
	t.Parallel()
	w := world.New(t)
	a := newAuthenticator(w)
	sign := func(name string, over ...world.Claims) string {
		return w.Sign(w.East, world.Claims{"typ": nil}, w.AccountClaims("shop", name, over...))
	}
	for name, test := range map[string]struct {
		credentials clientauth.Credentials
		want        string
	}{
		"by its token alone":                               {assertion(sign("frontend")), frontend},
		"KC-50: with its client_id":                        {named(frontend, assertion(sign("frontend"))), frontend},
		"F59: for a clientAssertionAudience":               {assertion(sign("frontend", world.Claims{"aud": []any{world.Audience}})), frontend},
		"with aud as a string":                             {assertion(sign("frontend", world.Claims{"aud": world.Issuer})), frontend},
		"with the UID that the client wants":               {assertion(sign("pinned")), "shop/pinned"},
		"KC-50: of several clients, the one that is named": {named("shop/green", assertion(sign("painter"))), "shop/green"},
		"KC-50: with iat and nbf within the skew":          {assertion(sign("frontend", world.Claims{"iat": w.Now().Unix() + 30, "nbf": w.Now().Unix() + 30})), frontend},
		"KC-50: without a jti":                             {assertion(sign("frontend", world.Claims{"jti": nil})), frontend},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			auth := accept(t, w, a, test.credentials)
			if auth.ID != test.want || auth.Method != clientauth.MethodServiceAccount || auth.Consume != nil ||
				auth.CredentialDigest != sha256.Sum256([]byte(test.credentials.Assertion)) || auth.Issuer != world.ClusterURL || auth.Subject == "" {
				t.Errorf("%+v", auth.ClientAuth)
			}
		})
	}
	t.Run("again and again until it expires", func(t *testing.T) {
		t.Parallel()
		w := world.New(t)
		asked := &counting{source: w.Manager}
		a := clientauth.New(asked, newStore(w), clientauth.Options{})
		w.Change(func(s *policy.Spec) { s.Issuers = s.Issuers[:2] })
		c := assertion(w.Sign(w.East, nil, w.AccountClaims("shop", "frontend")))
		for range 5 {
			accept(t, w, a, c)
		}
		if s := a.Stats(); s.Hits != 4 || s.Entries != 1 || asked.n != 1 {
			t.Errorf("%+v, %d times verified", s, asked.n)
		}
		w.Advance(time.Hour + 29*time.Second)
		accept(t, w, a, c)
		w.Advance(500 * time.Millisecond)
		reject(t, w, a, c, policy.ClientCredentials)
	})
}

func TestAServiceAccountIsRefused(t *testing.T) {
	t.Parallel()
	w := world.New(t)
	a := newAuthenticator(w)
	at := w.Now().Unix()
	sign := func(over world.Claims) string { return w.Sign(w.East, nil, w.AccountClaims("shop", "frontend", over)) }
	k8s := func(edit func(m map[string]any)) world.Claims {
		m, _ := w.AccountClaims("shop", "frontend")["kubernetes.io"].(map[string]any)
		edit(m)
		return world.Claims{"kubernetes.io": m}
	}

	for name, test := range map[string]struct {
		token string
		want  policy.Reason
	}{
		"F71: for the API server":                {sign(world.Claims{"aud": []any{world.ClusterURL}}), policy.ClientCredentials},
		"F71: for us and the API server":         {sign(world.Claims{"aud": []any{world.Issuer, world.ClusterURL}}), policy.ClientCredentials},
		"F71: a legacy token without aud":        {sign(world.Claims{"aud": nil}), policy.ClientCredentials},
		"F71: a legacy token without exp":        {sign(world.Claims{"exp": nil}), policy.ClientCredentials},
		"F71: a legacy token, as it was":         {w.Sign(w.East, nil, legacy()), policy.ClientCredentials},
		"F71: of the other cluster":              {w.Sign(w.West, nil, w.AccountClaims("shop", "frontend")), policy.ClientUnknown},
		"F71: signed by nobody's key":            {w.Sign(w.Key("east-1", "ES256"), nil, w.AccountClaims("shop", "frontend")), policy.ClientCredentials},
		"F71: of a cluster that is not trusted":  {sign(world.Claims{"iss": "https://other.cluster.example"}), policy.ClientCredentials},
		"F73: of another namespace":              {w.Sign(w.East, nil, w.AccountClaims("evil", "frontend")), policy.ClientUnknown},
		"F73: of another name":                   {w.Sign(w.East, nil, w.AccountClaims("shop", "other")), policy.ClientUnknown},
		"F73: the name again, another UID":       {w.Sign(w.East, nil, w.AccountClaims("shop", "pinned", uid("11111111-1111-1111-1111-111111111111", "pinned"))), policy.ClientUnknown},
		"F59: a subject audience":                {sign(world.Claims{"aud": []any{"https://cluster.example"}}), policy.ClientCredentials},
		"sub says another account":               {sign(world.Claims{"sub": "system:serviceaccount:shop:other"}), policy.ClientCredentials},
		"KC-50: sub is no account":               {sign(world.Claims{"sub": "shop:frontend"}), policy.ClientCredentials},
		"no kubernetes.io":                       {sign(world.Claims{"kubernetes.io": nil}), policy.ClientCredentials},
		"kubernetes.io is a string":              {sign(world.Claims{"kubernetes.io": "shop"}), policy.ClientCredentials},
		"kubernetes.io without a UID":            {sign(k8s(func(m map[string]any) { m["serviceaccount"] = map[string]any{"name": "frontend"} })), policy.ClientCredentials},
		"kubernetes.io names another namespace":  {sign(k8s(func(m map[string]any) { m["namespace"] = "evil" })), policy.ClientCredentials},
		"a colon moved from namespace to name":   {w.Sign(w.East, nil, w.AccountClaims("shop:x", "frontend")), policy.ClientCredentials},
		"KC-50: iat in the future":               {sign(world.Claims{"iat": at + 31}), policy.ClientCredentials},
		"KC-50: nbf in the future":               {sign(world.Claims{"nbf": at + 31}), policy.ClientCredentials},
		"KC-50: older than maxTokenAge":          {sign(world.Claims{"iat": at - 25*3600, "nbf": nil}), policy.ClientCredentials},
		"F125: exp is before iat":                {sign(world.Claims{"iat": at + 20, "nbf": nil, "exp": at + 10}), policy.ClientCredentials},
		"F125: nbf is after exp":                 {sign(world.Claims{"nbf": at + 20, "exp": at + 10}), policy.ClientCredentials},
		"KC-50: expired":                         {sign(world.Claims{"iat": at - 7200, "nbf": at - 7200, "exp": at - 3600}), policy.ClientCredentials},
		"a typ that no service account has":      {w.Sign(w.East, world.Claims{"typ": "at+jwt"}, w.AccountClaims("shop", "frontend")), policy.ClientCredentials},
		"F68: an issuer that is not for clients": {w.Sign(w.Corp, nil, w.CorpClaims(world.Claims{"aud": world.Issuer, "kubernetes.io": w.AccountClaims("shop", "frontend")["kubernetes.io"], "sub": "system:serviceaccount:shop:frontend"})), policy.ClientCredentials},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			reject(t, w, a, assertion(test.token), test.want)
		})
	}
	t.Run("F55: of several clients, none is named", func(t *testing.T) {
		t.Parallel()
		reject(t, w, a, assertion(w.Sign(w.East, nil, w.AccountClaims("shop", "painter"))), policy.FormInvalid)
	})
	t.Run("F73: another namespace's account, this client's id", func(t *testing.T) {
		t.Parallel()
		reject(t, w, a, named(frontend, assertion(w.Sign(w.East, nil, w.AccountClaims("evil", "frontend")))), policy.ClientUnknown)
	})
	t.Run("a suspended client, by its id and without", func(t *testing.T) {
		t.Parallel()
		token := w.Sign(w.East, nil, w.AccountClaims("shop", "suspended"))
		reject(t, w, a, named("shop/suspended", assertion(token)), policy.ClientSuspended)
		reject(t, w, a, assertion(token), policy.ClientUnknown)
	})
	t.Run("an issuer of kind jwt does not authenticate, whatever its uses", func(t *testing.T) {
		t.Parallel()
		w := world.New(t, world.EditIssuer("corp", func(i *policy.Issuer) { i.ForClient = true }))
		claims := w.AccountClaims("shop", "frontend", world.Claims{"iss": world.CorpURL})
		reject(t, w, newAuthenticator(w), assertion(w.Sign(w.Corp, nil, claims)), policy.ClientCredentials)
	})
	t.Run("F179: keys that cannot be told make the client undecided", func(t *testing.T) {
		t.Parallel()
		w := world.New(t)
		a := clientauth.New(noKeys{}, newStore(w), clientauth.Options{})
		reject(t, w, a, assertion(w.Sign(w.East, nil, w.AccountClaims("shop", "frontend"))), policy.KeysUnavailable)
	})
	t.Run("a token whose account is no client is not remembered", func(t *testing.T) {
		t.Parallel()
		a := newAuthenticator(w)
		reject(t, w, a, assertion(w.Sign(w.East, nil, w.AccountClaims("evil", "frontend"))), policy.ClientUnknown)
		if s := a.Stats(); s.Entries != 0 {
			t.Errorf("%+v", s)
		}
	})
	t.Run("a rule of the issuer holds for credentials too", func(t *testing.T) {
		t.Parallel()
		w := world.New(t, world.EditIssuer("east", func(i *policy.Issuer) {
			i.ClaimRules = []policy.ClaimRule{{Claim: "env", Required: "prod", Message: "production only"}}
		}))
		a := newAuthenticator(w)
		reject(t, w, a, assertion(w.Sign(w.East, nil, w.AccountClaims("shop", "frontend"))), policy.ClientCredentials)
		accept(t, w, a, assertion(w.Sign(w.East, nil, w.AccountClaims("shop", "frontend", world.Claims{"env": "prod"}))))
	})
}

// A verified credential is remembered; everything that made it one is looked at
// again.
func TestARememberedServiceAccountIsForgottenWith(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(w *world.World) func(*policy.Spec)
		want   policy.Reason
	}{
		"its issuer": {func(*world.World) func(*policy.Spec) {
			return func(s *policy.Spec) { s.Issuers = s.Issuers[:1] }
		}, policy.ClientCredentials},
		"its issuer's suspension": {func(*world.World) func(*policy.Spec) {
			return world.EditIssuer("east", func(i *policy.Issuer) { i.Suspended = true })
		}, policy.ClientCredentials},
		"its issuer's use as Client": {func(*world.World) func(*policy.Spec) {
			return world.EditIssuer("east", func(i *policy.Issuer) { i.ForClient = false })
		}, policy.ClientCredentials},
		"F173: its issuer's key": {func(w *world.World) func(*policy.Spec) {
			return world.EditIssuer("east", func(i *policy.Issuer) { i.Keys.Inline = world.JWKS(w.Corp) })
		}, policy.ClientCredentials},
		"F174: its issuer's key, replaced under its kid": {func(w *world.World) func(*policy.Spec) {
			return world.EditIssuer("east", func(i *policy.Issuer) { i.Keys.Inline = world.JWKS(w.Key("east-1", "ES256")) })
		}, policy.ClientCredentials},
		"the kid in another cluster too": {func(w *world.World) func(*policy.Spec) {
			return world.EditIssuer("west", func(i *policy.Issuer) { i.Keys.Inline = world.JWKS(w.East) })
		}, policy.ClientCredentials},
		"its issuer's revokeIssuedBefore": {func(w *world.World) func(*policy.Spec) {
			return world.EditIssuer("east", func(i *policy.Issuer) { i.RevokeIssuedBefore = w.Now().Add(time.Minute) })
		}, policy.ClientCredentials},
		"its audience": {func(*world.World) func(*policy.Spec) {
			return func(s *policy.Spec) { s.Services[0].AssertionAudiences = []string{world.Audience} }
		}, policy.ClientCredentials},
		"its client": {func(*world.World) func(*policy.Spec) {
			return func(s *policy.Spec) { s.Clients = s.Clients[1:] }
		}, policy.ClientUnknown},
		"its client's suspension": {func(*world.World) func(*policy.Spec) {
			return world.EditClient(frontend, func(c *policy.Client) { c.Suspended = true })
		}, policy.ClientUnknown},
		"the account in its client": {func(*world.World) func(*policy.Spec) {
			return world.EditClient(frontend, func(c *policy.Client) { c.ServiceAccounts = nil })
		}, policy.ClientUnknown},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := world.New(t)
			a := newAuthenticator(w)
			c := assertion(w.Sign(w.East, nil, w.AccountClaims("shop", "frontend")))
			accept(t, w, a, c)
			accept(t, w, a, c)
			w.Change(test.change(w))
			reject(t, w, a, c, test.want)
		})
	}
	t.Run("nothing, when another object changes", func(t *testing.T) {
		t.Parallel()
		w := world.New(t)
		a := newAuthenticator(w)
		c := assertion(w.Sign(w.East, nil, w.AccountClaims("shop", "frontend")))
		accept(t, w, a, c)
		w.Change(world.EditClient("shop/blue", func(c *policy.Client) { c.Suspended = true }))
		accept(t, w, a, c)
		if s := a.Stats(); s.Hits != 1 {
			t.Errorf("%+v", s)
		}
	})
}

// legacy are the claims of a Secret-based service-account token.
func legacy() world.Claims {
	return world.Claims{
		"iss": "kubernetes/serviceaccount", "sub": "system:serviceaccount:shop:frontend",
		"kubernetes.io/serviceaccount/namespace": "shop", "kubernetes.io/serviceaccount/secret.name": "frontend-token-x",
		"kubernetes.io/serviceaccount/service-account.name": "frontend", "kubernetes.io/serviceaccount/service-account.uid": world.UID,
	}
}

func uid(uid, name string) world.Claims {
	return world.Claims{"kubernetes.io": map[string]any{"namespace": "shop", "serviceaccount": map[string]any{"name": name, "uid": uid}}}
}
