// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package rig

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"time"

	"github.com/exchequer-dev/exchequer/test/fakes/issuer"
)

const (
	secret    = "the-app-has-this-secret-of-its-own-0123456789"
	issuerURL = "https://login.corp.example"
)

// World is who signs subject tokens, and what the manifests say of it.
type World struct {
	corp *issuer.Issuer
}

// NewWorld makes the issuer's key and puts it into the cluster's words:
// $CORPKEYS, $APPDIGEST.
func NewWorld(c *Cluster) (*World, error) {
	corp, err := issuer.New(issuer.Options{URL: issuerURL})
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256([]byte(secret))
	c.Words["$CORPKEYS"], c.Words["$APPDIGEST"] = string(corp.KeySet()), hex.EncodeToString(sum[:])
	return &World{corp: corp}, nil
}

// Manifests are a token service, an issuer, a client and a target with one
// policy.
const Manifests = `
apiVersion: exchequer.dev/v1alpha1
kind: TokenService
metadata: {name: default}
spec:
  issuer: https://sts.example.com
  allowedNamespaces: {all: true}
---
apiVersion: exchequer.dev/v1alpha1
kind: TrustedIssuer
metadata: {name: corp}
spec:
  jwt:
    issuer: {url: "https://login.corp.example", audiences: ["https://sts.example.com"]}
    keys: {inline: $CORPKEYS}
  allowedNamespaces: {all: true}
  claimMappings: {groups: {claim: groups}, scopes: {claim: scope}}
---
apiVersion: exchequer.dev/v1alpha1
kind: ExchangeClient
metadata: {namespace: shop, name: app}
spec: {authentication: [{clientSecret: {sha256: $APPDIGEST}}]}
---
apiVersion: exchequer.dev/v1alpha1
kind: ExchangeClient
metadata: {namespace: media, name: images}
spec: {}
---
apiVersion: exchequer.dev/v1alpha1
kind: ExchangeClient
metadata: {namespace: media, name: probe}
spec: {}
---
` + Policy

// Policy allows shop/app a token for media/images.
const Policy = `
apiVersion: exchequer.dev/v1alpha1
kind: ExchangePolicy
metadata: {namespace: media, name: images}
spec:
  clients: [{namespace: shop, name: app}]
  subject:
    issuers: [{name: corp}]
    audience: {match: Issuer}
    rules: [{expression: "'corp:staff' in subject.groups", message: staff only}]
  target: {clients: [{name: images}], scopes: []}
`

// Form is an exchange of a new token of the issuer's for one to a target.
func (w *World) Form(target string) url.Values {
	now := time.Now()
	token, err := w.corp.Mint(issuer.Claims{
		"sub": "alice", "aud": "https://sts.example.com", "groups": []string{"staff"}, "jti": rand.Text(), "exp": now.Add(time.Hour).Unix(),
	})
	if err != nil {
		panic(err) // a generated key signs
	}
	return url.Values{
		"grant_type": {"urn:ietf:params:oauth:grant-type:token-exchange"}, "client_id": {"shop/app"}, "client_secret": {secret},
		"subject_token": {token}, "subject_token_type": {"urn:ietf:params:oauth:token-type:access_token"}, "audience": {target},
	}
}

// JSON is a value as JSON, for YAML texts.
func JSON(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprintf("%q", err)
	}
	return string(b)
}
