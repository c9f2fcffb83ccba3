// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package rig

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// Verifier is the laziest relying party that is right: it keeps a key set for as
// long as it was told it may, and asks no earlier, not even for a key that it
// does not know.
type Verifier struct {
	targets func() []string
	client  *http.Client

	mu      sync.Mutex
	set     *jose.JSONWebKeySet
	expires time.Time
	fetches int
	keys    map[string]int // tokens by the key that verified them
}

// NewVerifier fetches key sets from the replicas that are Ready, in turn.
func NewVerifier(targets func() []string) *Verifier {
	return &Verifier{targets: targets, client: &http.Client{Timeout: 5 * time.Second}, keys: map[string]int{}}
}

// Verify checks a token's signature and time.
func (v *Verifier) Verify(ctx context.Context, token string) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if !time.Now().Before(v.expires) {
		if err := v.fetch(ctx); err != nil {
			return err
		}
	}
	parsed, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		return err
	}
	kid := parsed.Signatures[0].Header.KeyID
	keys := v.set.Key(kid)
	if len(keys) != 1 {
		return fmt.Errorf("its key %s is not in the key set, which is good for another %s", kid, time.Until(v.expires).Round(time.Millisecond))
	}
	payload, err := parsed.Verify(keys[0])
	if err != nil {
		return fmt.Errorf("verify with key %s: %w", kid, err)
	}
	var claims struct {
		Expires int64 `json:"exp"`
	}
	if err := json.Unmarshal(payload, &claims); err != nil {
		return err
	}
	if claims.Expires <= time.Now().Unix() {
		return errors.New("it has expired")
	}
	v.keys[kid]++
	return nil
}

// fetch takes the set from the next replica.
func (v *Verifier) fetch(ctx context.Context) error {
	targets := v.targets()
	if len(targets) == 0 {
		return errors.New("fetch the key set: no replica is ready")
	}
	v.fetches++
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+targets[v.fetches%len(targets)]+"/jwks", nil)
	if err != nil {
		return err
	}
	began := time.Now()
	resp, err := v.client.Do(req)
	if err != nil {
		return fmt.Errorf("fetch the key set: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil || resp.StatusCode != http.StatusOK {
		return fmt.Errorf("fetch the key set: %s: %w", resp.Status, err)
	}
	set := &jose.JSONWebKeySet{}
	if err := json.Unmarshal(body, set); err != nil {
		return fmt.Errorf("read the key set: %w", err)
	}
	_, age, _ := strings.Cut(resp.Header.Get("Cache-Control"), "max-age=")
	seconds, err := strconv.Atoi(age)
	if err != nil {
		return fmt.Errorf("the key set has the Cache-Control %q: expected it to end in max-age", resp.Header.Get("Cache-Control"))
	}
	v.set, v.expires = set, began.Add(time.Duration(seconds)*time.Second)
	return nil
}

// Seen says how many key sets were fetched, and how many tokens each key signed.
func (v *Verifier) Seen() (fetches int, keys map[string]int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	keys = map[string]int{}
	for kid, n := range v.keys {
		keys[kid] = n
	}
	return v.fetches, keys
}
