// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package world

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/exchequer-dev/exchequer/exchanger/policy"
	fake "github.com/exchequer-dev/exchequer/test/fakes/issuer"
)

// CorpClaims are those of an access token of corp for alice, five minutes long.
func (w *World) CorpClaims(over ...Claims) Claims {
	now := w.Now()
	return overlay(Claims{
		"iss": CorpURL, "sub": "alice", "aud": "shop/frontend", "iat": now.Unix(), "exp": now.Add(5 * time.Minute).Unix(),
		"jti": fmt.Sprintf("corp-%d", now.UnixNano()), "scope": "images contacts", "groups": []any{"staff"},
	}, over...)
}

// AccountClaims are those of a projected service-account token, one hour long,
// as Kubernetes writes them.
func (w *World) AccountClaims(namespace, name string, over ...Claims) Claims {
	now := w.Now()
	return overlay(Claims{
		"iss": ClusterURL, "sub": "system:serviceaccount:" + namespace + ":" + name, "aud": []any{Issuer},
		"iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(time.Hour).Unix(), "jti": "6c6d8f5e-0d7f-4d9a-8f1a-2f1f0a4f7a10",
		"kubernetes.io": map[string]any{
			"namespace":      namespace,
			"node":           map[string]any{"name": "node-1", "uid": "4cc1c4d4-5a02-4f6f-8a2e-64bd7c3d0d1c"},
			"pod":            map[string]any{"name": name + "-0", "uid": "b7d2ab6c-1d7a-44a8-b0a7-0f3c6f5b5b0e"},
			"serviceaccount": map[string]any{"name": name, "uid": UID},
		},
	}, over...)
}

// AssertionClaims are those of a private_key_jwt of a client, one minute long.
func (w *World) AssertionClaims(client string, over ...Claims) Claims {
	now := w.Now()
	return overlay(Claims{
		"iss": client, "sub": client, "aud": Issuer, "iat": now.Unix(), "exp": now.Add(time.Minute).Unix(),
		"jti": fmt.Sprintf("assertion-%d", now.UnixNano()),
	}, over...)
}

// Sign signs claims; header members replace alg, kid and typ JWT, nil leaves one
// out.
func (w *World) Sign(k *fake.Key, header, claims Claims) string {
	w.tb.Helper()
	h, err := json.Marshal(overlay(Claims{"alg": k.Algorithm, "kid": k.ID, "typ": "JWT"}, header))
	if err != nil {
		w.tb.Fatal(err)
	}
	c, err := json.Marshal(claims)
	if err != nil {
		w.tb.Fatal(err)
	}
	return w.SignBytes(k, h, c)
}

// SignBytes signs a header and a payload as they are.
func (w *World) SignBytes(k *fake.Key, header, payload []byte) string {
	w.tb.Helper()
	token, err := k.Sign(header, payload)
	if err != nil {
		w.tb.Fatal(err)
	}
	return token
}

// OwnClaims are those of an access token of the service itself, first given for
// alice of corp.
func (w *World) OwnClaims(over ...Claims) Claims {
	w.tb.Helper()
	now := w.Now()
	return overlay(Claims{
		"iss": Issuer, "sub": "corp:alice", "aud": "shop/target", "client_id": "shop/frontend", "azp": "shop/frontend",
		"iat": now.Unix(), "exp": now.Add(5 * time.Minute).Unix(), "jti": fmt.Sprintf("own-%d", now.UnixNano()), "scope": "images",
		"xqr": w.Seal(policy.Sealed{Origin: "corp", IssuedAt: now.Unix(), Groups: []string{"corp:staff"}}),
	}, over...)
}

// Seal seals facts with the service's key.
func (w *World) Seal(facts policy.Sealed) string {
	w.tb.Helper()
	b, err := json.Marshal(facts)
	if err != nil {
		w.tb.Fatal(err)
	}
	current, ok := w.Ring.Current(Service)
	if !ok {
		w.tb.Fatal("the service has no keys")
	}
	sealed, err := current.Seal.Seal(b)
	if err != nil {
		w.tb.Fatal(err)
	}
	return sealed
}

// SignOwn signs claims with the service's own key, as an access token.
func (w *World) SignOwn(claims Claims) string {
	w.tb.Helper()
	b, err := json.Marshal(claims)
	if err != nil {
		w.tb.Fatal(err)
	}
	signer, ok := w.Ring.Active(Service)
	if !ok {
		w.tb.Fatal("the service has no key to sign with")
	}
	token, err := signer.Sign(b)
	if err != nil {
		w.tb.Fatal(err)
	}
	return token
}
