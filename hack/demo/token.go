// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// token is a JWT as anybody can read it who holds it.
type token struct {
	raw            string
	header, claims map[string]any
}

func decode(raw string) (*token, error) {
	t := &token{raw: raw}
	parts := strings.Split(raw, ".")
	if len(parts) != 3 {
		return nil, fmt.Errorf("expected a token of three parts, found %d", len(parts))
	}
	for i, into := range []*map[string]any{&t.header, &t.claims} {
		b, err := base64.RawURLEncoding.DecodeString(parts[i])
		if err != nil {
			return nil, fmt.Errorf("decode part %d of a token: %w", i+1, err)
		}
		if err := json.Unmarshal(b, into); err != nil {
			return nil, fmt.Errorf("decode part %d of a token: %w", i+1, err)
		}
	}
	return t, nil
}

func (t *token) text(claim string) string {
	s, _ := t.claims[claim].(string)
	return s
}

func (t *token) time(claim string) time.Time {
	f, _ := t.claims[claim].(float64)
	return time.Unix(int64(f), 0)
}

// audience is the list that aud is or stands for.
func (t *token) audience() []string {
	switch v := t.claims["aud"].(type) {
	case string:
		return []string{v}
	case []any:
		var list []string
		for _, m := range v {
			if s, ok := m.(string); ok {
				list = append(list, s)
			}
		}
		return list
	}
	return nil
}

// lives is how long the token was made for.
func (t *token) lives() time.Duration { return t.time("exp").Sub(t.time("iat")) }

// show is a claim for a person.
func (t *token) show(claim string) string {
	switch claim {
	case "exp":
		return fmt.Sprintf("%.0f (%s after iat)", t.claims[claim], t.lives())
	case "iat", "nbf":
		return fmt.Sprintf("%.0f", t.claims[claim])
	case "xqr":
		return short(t.text(claim), 30) + ", sealed: only Exchequer reads it"
	}
	b, err := json.Marshal(t.claims[claim])
	if err != nil {
		return "?"
	}
	return string(b)
}

// api is a resource server: it knows whose tokens it takes and its own name, and
// nothing else about Exchequer.
type api struct {
	http   *http.Client
	issuer string
	name   string
}

// accept does what RFC 9068 section 4 asks of a resource server.
func (a *api) accept(ctx context.Context, raw, scope string) error {
	var metadata struct {
		Issuer string `json:"issuer"`
		JWKS   string `json:"jwks_uri"`
	}
	if err := a.get(ctx, a.issuer+"/.well-known/openid-configuration", &metadata); err != nil {
		return err
	}
	if metadata.Issuer != a.issuer {
		return fmt.Errorf("the metadata is of %q, expected %q", metadata.Issuer, a.issuer)
	}
	var keys jose.JSONWebKeySet
	if err := a.get(ctx, metadata.JWKS, &keys); err != nil {
		return err
	}
	signed, err := jose.ParseSignedCompact(raw, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		return fmt.Errorf("parse the token: %w", err)
	}
	found := keys.Key(signed.Signatures[0].Header.KeyID)
	if len(found) != 1 {
		return errors.New("no published key has its kid")
	}
	if _, err := signed.Verify(found[0]); err != nil {
		return fmt.Errorf("verify the token: %w", err)
	}
	t, err := decode(raw)
	switch {
	case err != nil:
		return err
	case t.header["typ"] != "at+jwt":
		return fmt.Errorf("typ is %v, expected at+jwt", t.header["typ"])
	case t.text("iss") != a.issuer:
		return fmt.Errorf("iss is %q, expected %q", t.text("iss"), a.issuer)
	case !time.Now().Before(t.time("exp")):
		return errors.New("it has expired")
	case !slices.Contains(t.audience(), a.name):
		return fmt.Errorf("it is for %s, not for %s", strings.Join(t.audience(), ", "), a.name)
	case !slices.Contains(strings.Fields(t.text("scope")), scope):
		return fmt.Errorf("its scope %q lacks %q", t.text("scope"), scope)
	}
	return nil
}

func (a *api) get(ctx context.Context, url string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return fmt.Errorf("get %s: %w", url, err)
	}
	res, err := a.http.Do(req)
	if err != nil {
		return fmt.Errorf("get %s: %w", url, err)
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("get %s: %s", url, res.Status)
	}
	if err := json.NewDecoder(http.MaxBytesReader(nil, res.Body, 1<<20)).Decode(into); err != nil {
		return fmt.Errorf("get %s: %w", url, err)
	}
	return nil
}
