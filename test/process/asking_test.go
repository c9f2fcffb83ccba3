// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package process_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/golang-jwt/jwt/v5"
)

const (
	grantExchange = "urn:ietf:params:oauth:grant-type:token-exchange"
	grantBearer   = "urn:ietf:params:oauth:grant-type:jwt-bearer"
	assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
	typeAccess    = "urn:ietf:params:oauth:token-type:access_token"
	typeJWT       = "urn:ietf:params:oauth:token-type:jwt"
	typeID        = "urn:ietf:params:oauth:token-type:id_token"
	typeRefresh   = "urn:ietf:params:oauth:token-type:refresh_token"
)

// asking is a token request that is being put together.
type asking struct {
	s      *server
	form   url.Values
	header http.Header
	host   string
	path   string
}

// ask begins a request for an exchange of a token.
func (s *server) ask(subjectToken string) *asking {
	return &asking{
		s: s, path: "/token",
		form:   url.Values{"grant_type": {grantExchange}, "subject_token": {subjectToken}, "subject_token_type": {typeAccess}},
		header: http.Header{"Content-Type": {"application/x-www-form-urlencoded"}},
	}
}

// with sets a parameter, to several values or to none.
func (a *asking) with(name string, values ...string) *asking {
	a.form[name] = values
	return a
}

func (a *asking) images() *asking {
	return a.with("audience", imagesAPI).with("scope", "images")
}

func (a *asking) at(host, path string) *asking {
	a.host, a.path = host, path
	return a
}

func (a *asking) head(name, value string) *asking {
	a.header.Add(name, value)
	return a
}

// basic authenticates as RFC 6749 section 2.3.1 says: form-encoded, then Basic.
func (a *asking) basic(id, secret string) *asking {
	plain := url.QueryEscape(id) + ":" + url.QueryEscape(secret)
	a.header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(plain)))
	return a
}

func (a *asking) app() *asking { return a.basic("shop/app", appSecret) }

func (a *asking) post(id, secret string) *asking {
	return a.with("client_id", id).with("client_secret", secret)
}

func (a *asking) assertion(token string) *asking {
	return a.with("client_assertion_type", assertionType).with("client_assertion", token)
}

// try sends the request; an error is for one that got no answer.
func (a *asking) try() (*reply, error) {
	return a.s.do(http.MethodPost, a.host, a.path, a.form.Encode(), a.header)
}

func (a *asking) send() *reply {
	a.s.t.Helper()
	r, err := a.try()
	if err != nil {
		a.s.t.Fatal(err)
	}
	return r
}

// decoded is a token that was verified.
type decoded struct {
	t      *testing.T
	header map[string]any
	claims map[string]any
}

func (d *decoded) text(claim string) string {
	s, _ := d.claims[claim].(string)
	return s
}

func (d *decoded) number(claim string) int64 {
	f, _ := d.claims[claim].(float64)
	return int64(f)
}

// jwks are the published keys of the token service at a host and path.
func (s *server) jwks(host, base string) *jose.JSONWebKeySet {
	s.t.Helper()
	var set jose.JSONWebKeySet
	r := s.getAt(host, base+"/jwks")
	if err := json.Unmarshal([]byte(r.body), &set); err != nil {
		s.t.Fatalf("/jwks: %v\n%s", err, r.body)
	}
	return &set
}

// verify checks a token as a relying party does, with two libraries that the
// program does not share its checks with, and returns what it says.
func (s *server) verify(token string) *decoded { return s.verifyAt("", "", token) }

func (s *server) verifyAt(host, base, token string) *decoded {
	s.t.Helper()
	d, err := verifyWith(s.jwks(host, base), token)
	if err != nil {
		s.t.Fatalf("verify the token: %v", err)
	}
	d.t = s.t
	return d
}

func verifyWith(set *jose.JSONWebKeySet, token string) (*decoded, error) {
	parsed, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.ES256, jose.RS256, jose.EdDSA})
	if err != nil {
		return nil, err
	}
	payload, err := parsed.Verify(set)
	if err != nil {
		return nil, err
	}
	d := &decoded{}
	if err := json.Unmarshal(payload, &d.claims); err != nil {
		return nil, err
	}
	again, err := jwt.Parse(token, func(t *jwt.Token) (any, error) {
		kid, _ := t.Header["kid"].(string)
		found := set.Key(kid)
		if len(found) != 1 {
			return nil, jwt.ErrTokenUnverifiable
		}
		return found[0].Key, nil
	})
	if err != nil {
		return nil, err
	}
	d.header = again.Header
	return d, nil
}

// list is a claim that is one string or a list of them.
func (d *decoded) list(claim string) []string {
	switch v := d.claims[claim].(type) {
	case string:
		return []string{v}
	case []any:
		var out []string
		for _, m := range v {
			if s, ok := m.(string); ok {
				out = append(out, s)
			}
		}
		return out
	}
	return nil
}

// lastChange gives a token another signature.
func lastChange(token string) string {
	head, sig, _ := strings.Cut(token[strings.LastIndexByte(token, '.')-1:], ".")
	flipped := []byte(sig)
	if flipped[0] == 'A' {
		flipped[0] = 'B'
	} else {
		flipped[0] = 'A'
	}
	return token[:strings.LastIndexByte(token, '.')-1] + head + "." + string(flipped)
}
