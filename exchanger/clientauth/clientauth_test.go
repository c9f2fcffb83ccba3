// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package clientauth_test

import (
	"strings"
	"testing"

	"github.com/exchequer-dev/exchequer/exchanger/clientauth"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
	"github.com/exchequer-dev/exchequer/test/fakes/world"
)

func TestExactlyOneMethodAuthenticates(t *testing.T) {
	t.Parallel()
	w := world.New(t)
	a := newAuthenticator(w)
	const id = "shop/frontend"
	own := w.Sign(w.Frontend, nil, w.AssertionClaims(id))

	for name, test := range map[string]struct {
		credentials clientauth.Credentials
		want        policy.Reason
	}{
		"F53, R12: nothing":                    {clientauth.Credentials{}, policy.ClientCredentials},
		"F53, F77, R35: a client_id alone":     {clientauth.Credentials{ClientID: id}, policy.ClientCredentials},
		"F53: a client_id that nobody has":     {clientauth.Credentials{ClientID: "no/body"}, policy.ClientCredentials},
		"F54: Basic and client_secret":         {clientauth.Credentials{BasicPresent: true, BasicID: id, BasicSecret: world.Secret, ClientID: id, ClientSecret: world.Secret}, policy.FormInvalid},
		"F54: Basic and an assertion":          {clientauth.Credentials{BasicPresent: true, BasicID: id, BasicSecret: world.Secret, AssertionType: clientauth.AssertionType, Assertion: own}, policy.FormInvalid},
		"F54: client_secret and an assertion":  {clientauth.Credentials{ClientID: id, ClientSecret: world.Secret, AssertionType: clientauth.AssertionType, Assertion: own}, policy.FormInvalid},
		"F54: all three":                       {clientauth.Credentials{BasicPresent: true, ClientSecret: "x", Assertion: "x"}, policy.FormInvalid},
		"F54: an empty Basic and a secret":     {clientauth.Credentials{BasicPresent: true, ClientID: id, ClientSecret: world.Secret}, policy.FormInvalid},
		"F54: half an assertion and a secret":  {clientauth.Credentials{AssertionType: clientauth.AssertionType, ClientID: id, ClientSecret: world.Secret}, policy.FormInvalid},
		"F55: Basic and another client_id":     {clientauth.Credentials{BasicPresent: true, BasicID: id, BasicSecret: world.Secret, ClientID: "shop/target"}, policy.FormInvalid},
		"F55: assertion and another client_id": {named("shop/target", assertion(own)), policy.FormInvalid},
		"F55: an account and another client_id": {
			named("shop/target", assertion(w.Sign(w.East, nil, w.AccountClaims("shop", "frontend")))), policy.FormInvalid,
		},
		"F67: an assertion without its type":       {clientauth.Credentials{Assertion: own}, policy.FormInvalid},
		"F67: a type without an assertion":         {clientauth.Credentials{AssertionType: clientauth.AssertionType}, policy.FormInvalid},
		"F67: another type":                        {clientauth.Credentials{AssertionType: "urn:ietf:params:oauth:client-assertion-type:saml2-bearer", Assertion: own}, policy.ClientCredentials},
		"F67: the type in another case":            {clientauth.Credentials{AssertionType: strings.ToUpper(clientauth.AssertionType), Assertion: own}, policy.ClientCredentials},
		"a client_secret without client_id":        {clientauth.Credentials{ClientSecret: world.Secret}, policy.FormInvalid},
		"a target without any method":              {clientauth.Credentials{ClientID: "shop/target", ClientSecret: world.Secret}, policy.ClientCredentials},
		"F55: an account and no client's id":       {named("no/body", assertion(w.Sign(w.East, nil, w.AccountClaims("shop", "frontend")))), policy.FormInvalid},
		"F55: an account and a suspended client's": {named("shop/suspended", assertion(w.Sign(w.East, nil, w.AccountClaims("shop", "frontend")))), policy.FormInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			reject(t, w, a, test.credentials, test.want)
		})
	}
}

func TestSecretsAuthenticate(t *testing.T) {
	t.Parallel()
	w := world.New(t)
	a := newAuthenticator(w)
	basic := func(id, secret string) clientauth.Credentials {
		return clientauth.Credentials{BasicPresent: true, BasicID: id, BasicSecret: secret}
	}
	post := func(id, secret string) clientauth.Credentials {
		return clientauth.Credentials{ClientID: id, ClientSecret: secret}
	}

	for name, test := range map[string]struct {
		credentials clientauth.Credentials
		method      string
	}{
		"Basic":                         {basic("shop/frontend", world.Secret), clientauth.MethodBasic},
		"Basic and the same client_id":  {named("shop/frontend", basic("shop/frontend", world.Secret)), clientauth.MethodBasic},
		"Basic with the old secret":     {basic("shop/frontend", world.OldSecret), clientauth.MethodBasic},
		"the body":                      {post("shop/frontend", world.Secret), clientauth.MethodPost},
		"the body, with the old secret": {post("shop/frontend", world.OldSecret), clientauth.MethodPost},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			auth := accept(t, w, a, test.credentials)
			if auth.ID != "shop/frontend" || auth.Method != test.method || auth.Consume != nil || auth.CredentialDigest != [32]byte{} {
				t.Errorf("%+v", auth.ClientAuth)
			}
		})
	}
	for name, test := range map[string]struct {
		id, secret string
		want       policy.Reason
	}{
		"F56: an unknown client":              {"no/body", world.Secret, policy.ClientUnknown},
		"F56: a wrong secret":                 {"shop/frontend", world.Secret + "x", policy.ClientCredentials},
		"F56: a prefix of the secret":         {"shop/frontend", world.Secret[:30], policy.ClientCredentials},
		"F75: one byte":                       {"shop/frontend", "c", policy.ClientCredentials},
		"F75: a client without a secret":      {"shop/blue", world.Secret, policy.ClientCredentials},
		"a suspended client, right secret":    {"shop/suspended", world.Secret, policy.ClientSuspended},
		"a suspended client, wrong secret":    {"shop/suspended", "x", policy.ClientSuspended},
		"the digest in place of the secret":   {"shop/frontend", w.Service().Spec().Name, policy.ClientCredentials},
		"a client of another spelling":        {"Shop/Frontend", world.Secret, policy.ClientUnknown},
		"32 NUL bytes, as an empty digest is": {"shop/blue", strings.Repeat("\x00", 32), policy.ClientCredentials},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			reject(t, w, a, basic(test.id, test.secret), test.want)
			reject(t, w, a, post(test.id, test.secret), test.want)
		})
	}
	t.Run("F75: an empty secret", func(t *testing.T) {
		t.Parallel()
		reject(t, w, a, basic("shop/frontend", ""), policy.ClientCredentials)
		reject(t, w, a, basic("", ""), policy.ClientUnknown)
	})
	t.Run("a client that is suspended later", func(t *testing.T) {
		t.Parallel()
		w := world.New(t)
		a := newAuthenticator(w)
		accept(t, w, a, basic("shop/frontend", world.Secret))
		w.Change(world.EditClient("shop/frontend", func(c *policy.Client) { c.Suspended = true }))
		reject(t, w, a, basic("shop/frontend", world.Secret), policy.ClientSuspended)
	})
}
