// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package interop

import (
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// ask is what js/exchange.mjs is asked, and answer what it says.
type ask struct {
	Library    string            `json:"library"`
	Issuer     string            `json:"issuer"`
	Client     string            `json:"client"`
	Secret     string            `json:"secret,omitempty"`
	PrivateKey *privateKey       `json:"privateKey,omitempty"`
	DPoP       bool              `json:"dpop,omitempty"`
	Grant      string            `json:"grant"`
	Parameters map[string]string `json:"parameters"`
	Verify     *verify           `json:"verify,omitempty"`
	Introspect bool              `json:"introspect,omitempty"`
	Revoke     bool              `json:"revoke,omitempty"`
}

type privateKey struct {
	PEM string `json:"pem"`
	Kid string `json:"kid"`
}

type verify struct {
	Audience string `json:"audience"`
	Typ      string `json:"typ"`
}

type answer struct {
	Answer struct {
		AccessToken     string `json:"access_token"`
		IssuedTokenType string `json:"issued_token_type"`
		TokenType       string `json:"token_type"`
		Scope           string `json:"scope"`
		RefreshToken    string `json:"refresh_token"`
	} `json:"answer"`
	Claims        map[string]any `json:"claims"`
	Header        map[string]any `json:"header"`
	Introspection map[string]any `json:"introspection"`
	Revoked       map[string]any `json:"revoked"`
	Error         string         `json:"error"`
	Cause         string         `json:"cause"`
}

// node has a library ask.
func (w *world) node(t *testing.T, a ask) *answer {
	t.Helper()
	dir := t.TempDir()
	// Node looks for packages beside the script.
	must(t, os.Symlink(filepath.Join(parts, "node_modules"), filepath.Join(dir, "node_modules")))
	script, err := os.ReadFile(filepath.Join("js", "exchange.mjs"))
	must(t, err)
	must(t, os.WriteFile(filepath.Join(dir, "exchange.mjs"), script, 0o600))
	a.Issuer = w.issuer
	text, err := json.Marshal(a)
	must(t, err)
	cmd := exec.CommandContext(t.Context(), "node", "exchange.mjs")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "ASK="+string(text), "NODE_EXTRA_CA_CERTS="+w.authorityFile)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	must(t, err)
	got := &answer{}
	if err := json.Unmarshal(out, got); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return got
}

const (
	grantExchange   = "urn:ietf:params:oauth:grant-type:token-exchange"
	grantJWTBearer  = "urn:ietf:params:oauth:grant-type:jwt-bearer"
	typeJWT         = "urn:ietf:params:oauth:token-type:jwt"
	typeID          = "urn:ietf:params:oauth:token-type:id_token"
	typeIDJAG       = "urn:ietf:params:oauth:token-type:id-jag"
	typeRefresh     = "urn:ietf:params:oauth:token-type:refresh_token"
	typeTransaction = "urn:ietf:params:oauth:token-type:txn_token"
)

// exchange is the app's request for a token for its API.
func (w *world) exchange(t *testing.T, library string) ask {
	t.Helper()
	return ask{
		Library: library, Client: app, Secret: appSecret, Grant: grantExchange,
		Parameters: map[string]string{"subject_token": w.user(t, nil), "subject_token_type": typeAccess, "audience": api, "scope": userScope},
		Verify:     &verify{Audience: api, Typ: "at+jwt"},
	}
}

func TestNodeExchangesAndNodeVerifies(t *testing.T) {
	t.Parallel()
	w := serve(t)
	for _, library := range []string{"openid-client", "oauth4webapi"} {
		t.Run(library+" exchanges, and jose verifies", func(t *testing.T) {
			t.Parallel()
			got := w.node(t, w.exchange(t, library))
			if got.Error != "" || got.Claims["sub"] != "corp:alice" || got.Answer.TokenType != "bearer" || got.Answer.IssuedTokenType != typeAccess || got.Answer.Scope != userScope {
				t.Errorf("%+v", got)
			}
		})
		t.Run(library+" signs its assertion itself", func(t *testing.T) {
			t.Parallel()
			a := w.exchange(t, library)
			a.Client, a.Secret, a.PrivateKey = signer, "", w.signerKey(t)
			a.Parameters["subject_token"] = w.user(t, map[string]any{"aud": signer})
			if got := w.node(t, a); got.Error != "" || got.Claims["client_id"] != signer {
				t.Errorf("%+v", got)
			}
		})
		t.Run(library+" asks with a DPoP proof, and gets a token that is bound to its key", func(t *testing.T) {
			t.Parallel()
			a := w.exchange(t, library)
			a.DPoP = true
			got := w.node(t, a)
			bound, _ := got.Claims["cnf"].(map[string]any)
			if got.Error != "" || got.Answer.TokenType != "dpop" || bound["jkt"] == nil {
				t.Errorf("%+v", got)
			}
		})
		t.Run(library+" redeems an assertion of another domain", func(t *testing.T) {
			t.Parallel()
			a := w.exchange(t, library)
			a.Grant, a.Parameters = grantJWTBearer, map[string]string{"assertion": w.assertion(t), "audience": api, "scope": userScope}
			if got := w.node(t, a); got.Error != "" || got.Claims["sub"] != "corp:alice" || got.Answer.TokenType != "bearer" {
				t.Errorf("%+v", got)
			}
		})
		t.Run(library+" is told what is refused", func(t *testing.T) {
			t.Parallel()
			for want, change := range map[string]func(*ask){
				"invalid_scope":   func(a *ask) { a.Parameters["scope"] = "admin" },
				"invalid_target":  func(a *ask) { a.Parameters["audience"] = "shop/nobody" },
				"invalid_request": func(a *ask) { a.Parameters["subject_token"] = "x" },
				"invalid_grant": func(a *ask) {
					a.Grant, a.Parameters = grantJWTBearer, map[string]string{"assertion": "x", "audience": api}
				},
			} {
				a := w.exchange(t, library)
				change(&a)
				if got := w.node(t, a); got.Error != want {
					t.Errorf("%+v, want %s", got, want)
				}
			}
		})
	}
	t.Run("oauth4webapi begins a transaction, and jose verifies its token", func(t *testing.T) {
		t.Parallel()
		a := w.exchange(t, "oauth4webapi")
		a.Parameters["requested_token_type"] = typeTransaction
		a.Parameters["request_details"] = "eyJhY3Rpb24iOiJidXkifQ" // {"action":"buy"}
		a.Verify.Typ = "txntoken+jwt"
		got := w.node(t, a)
		details, _ := got.Claims["tctx"].(map[string]any)
		if got.Error != "" || got.Answer.TokenType != "n_a" || got.Answer.IssuedTokenType != typeTransaction || details["action"] != "buy" {
			t.Errorf("%+v", got)
		}
	})
	t.Run("openid-client introspects and revokes the token", func(t *testing.T) {
		t.Parallel()
		a := w.exchange(t, "openid-client")
		a.Introspect, a.Revoke = true, true
		got := w.node(t, a)
		if got.Error != "" || got.Introspection["active"] != true || got.Introspection["sub"] != "corp:alice" || got.Revoked["active"] != false {
			t.Errorf("%+v", got)
		}
	})
	t.Run("openid-client gets a refresh token, and renews", func(t *testing.T) {
		t.Parallel()
		a := w.exchange(t, "openid-client")
		a.Parameters["requested_token_type"] = typeRefresh
		first := w.node(t, a)
		if first.Error != "" || first.Answer.RefreshToken == "" {
			t.Fatalf("%+v", first)
		}
		a.Grant, a.Parameters = "refresh_token", map[string]string{"refresh_token": first.Answer.RefreshToken}
		again := w.node(t, a)
		if again.Error != "" || again.Claims["sub"] != "corp:alice" || again.Answer.RefreshToken == first.Answer.RefreshToken {
			t.Errorf("%+v", again)
		}
	})
	t.Run("oauth4webapi gets an ID-JAG for another domain, and jose verifies it", func(t *testing.T) {
		t.Parallel()
		a := w.exchange(t, "oauth4webapi")
		a.Parameters = map[string]string{
			"subject_token": w.idToken(t), "subject_token_type": typeID, "requested_token_type": typeIDJAG,
			"audience": "https://sts.partner.example", "resource": "https://api.partner.example", "scope": "orders",
		}
		a.Verify = &verify{Audience: "https://sts.partner.example", Typ: "oauth-id-jag+jwt"}
		got := w.node(t, a)
		if got.Error != "" || got.Claims["client_id"] != "shop-at-partner" || got.Answer.TokenType != "n_a" || got.Answer.IssuedTokenType != typeIDJAG {
			t.Errorf("%+v", got)
		}
	})
	t.Run("jose does not take an access token for another audience, nor for another typ", func(t *testing.T) {
		t.Parallel()
		for _, v := range []verify{{cluster, "at+jwt"}, {api, "txntoken+jwt"}} {
			a := w.exchange(t, "oauth4webapi")
			a.Verify = &v
			if got := w.node(t, a); got.Error != "ERR_JWT_CLAIM_VALIDATION_FAILED" {
				t.Errorf("%+v", got)
			}
		}
	})
}

// idToken is corp's ID token of alice's, for the app.
func (w *world) idToken(t *testing.T) string {
	t.Helper()
	token, err := w.corp.MintWith(w.corp.Key(), map[string]any{"typ": "JWT"}, map[string]any{
		"iss": w.corp.URL(), "sub": "alice", "aud": app, "nonce": "n", "jti": rand.Text(), "iat": time.Now().Unix(), "exp": time.Now().Unix() + 600,
	})
	must(t, err)
	return token
}

// assertion is what corp asserts of alice, dated ahead: the service, which remembers
// since its start what was used, refuses what is older.
func (w *world) assertion(t *testing.T) string {
	t.Helper()
	at := time.Now().Add(2 * time.Second)
	token, err := w.corp.MintWith(w.corp.Key(), map[string]any{"typ": "JWT"}, map[string]any{
		"iss": w.corp.URL(), "sub": "alice", "aud": w.issuer, "scope": userScope, "jti": rand.Text(), "iat": at.Unix(), "exp": at.Unix() + 60,
	})
	must(t, err)
	return token
}

func (w *world) signerKey(t *testing.T) *privateKey {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(w.signer)
	must(t, err)
	return &privateKey{PEM: string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), Kid: signerKid}
}
