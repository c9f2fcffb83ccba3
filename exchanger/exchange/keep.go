// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package exchange

import (
	"bytes"
	"compress/flate"
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"io"
	"strings"
	"time"

	"github.com/exchequer-dev/exchequer/exchanger/keys"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
	"github.com/exchequer-dev/exchequer/exchanger/store"
)

// The prefixes of what is kept here and only named outside, so that people and
// scanners of secrets know what they have found.
const (
	opaquePrefix   = "xqa_"
	handoverPrefix = "xqh_"
	refreshPrefix  = "xqf_"
)

const (
	// handleBytes are random, so that nobody finds a handle by trying.
	handleBytes = 32
	// handleChars is what they are in base64url.
	handleChars = 43
	// maxKept bounds what a kept value becomes when it is read: the facts of a token
	// of at most 16 KiB, each of them in two places.
	maxKept = 64 << 10
)

// keepTokens puts into the store what does not leave as it was minted, and what goes
// with it. It comes last: nothing is kept of what is refused.
func (x *exchange) keepTokens(ctx context.Context) *policy.Refusal {
	g, _ := x.decision.Grant()
	if !g.Refresh.EndsAt.IsZero() {
		if ref := x.keepFamily(ctx, g); ref != nil {
			return ref
		}
	}
	switch {
	case g.TokenType == policy.TypeHandover:
		return x.keepBehind(ctx, g, store.HandOver, handoverPrefix)
	case g.Opaque:
		return x.keepBehind(ctx, g, store.Opaque, opaquePrefix)
	}
	return nil
}

// keepBehind puts the minted token behind a handle, which leaves in its place.
func (x *exchange) keepBehind(ctx context.Context, g *policy.Grant, purpose store.Purpose, prefix string) *policy.Refusal {
	handle := newHandle(prefix)
	id := x.keptID(handle)
	sealed, ref := x.seal(purpose, id, []byte(x.token.Value))
	if ref != nil {
		return ref
	}
	x.undo = append(x.undo, func(ctx context.Context) { _, _, _ = x.Store.Take(ctx, purpose, id) })
	if err := x.Store.Put(ctx, purpose, x.owner(), id, sealed, g.ExpiresAt); err != nil {
		return x.unkept(err)
	}
	x.token.Value = handle
	return nil
}

// newHandle is 256 random bits.
func newHandle(prefix string) string {
	var b [handleBytes]byte
	_, _ = rand.Read(b[:]) // crypto/rand does not fail: the process ends instead
	return prefix + base64.RawURLEncoding.EncodeToString(b[:])
}

// isHandle says whether a presented token can be a handle of this kind.
func isHandle(token, prefix string) bool {
	return strings.HasPrefix(token, prefix) && len(token) == len(prefix)+handleChars
}

// keptID tells what the token services of one store keep apart; it is hashed there.
func (x *exchange) keptID(handle string) string { return x.call.Service.Name() + " " + handle }

// owner is whom what this request keeps counts for.
func (x *exchange) owner() string { return store.Owner(x.call.Service.Name(), x.client.ID) }

// seal encrypts a value for the store. It says what it is and where it belongs: one
// that somebody puts into another place is not read there.
func (x *exchange) seal(purpose store.Purpose, id string, value []byte) ([]byte, *policy.Refusal) {
	current, _ := x.Keys.Current(x.call.Service.Name())
	if current == nil || current.Seal == nil {
		return nil, kept(policy.Unable, policy.SignerUnavailable, "token service "+x.call.Service.Name()+" has no active sealing key")
	}
	var b bytes.Buffer
	place := store.KeyOf(purpose, "sealed", id)
	b.Write(place[:])
	w, err := flate.NewWriter(&b, flate.BestSpeed)
	if err == nil {
		_, err = w.Write(value)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil || len(value) > maxKept {
		return nil, kept(policy.Denied, policy.TokenTooLarge, "what is to be kept is too large")
	}
	sealed, err := current.Seal.Seal(b.Bytes())
	if err != nil {
		return nil, kept(policy.Denied, policy.TokenTooLarge, "what is to be kept is too large")
	}
	return []byte(sealed), nil
}

// unseal reads what seal has written; false for anything else.
func unseal(current *keys.Current, purpose store.Purpose, id string, sealed []byte) ([]byte, bool) {
	if current == nil || current.Seals == nil {
		return nil, false
	}
	b, err := current.Seals.Open(string(sealed))
	place := store.KeyOf(purpose, "sealed", id)
	rest, here := bytes.CutPrefix(b, place[:])
	if err != nil || !here {
		return nil, false
	}
	value, err := io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(rest)), maxKept+1))
	if err != nil || len(value) > maxKept {
		return nil, false
	}
	return value, true
}

// fetch gets and unseals a value; nil when there is none.
func (x *exchange) fetch(ctx context.Context, purpose store.Purpose, id string) (value, sealed []byte, ref *policy.Refusal) {
	sealed, found, err := x.Store.Get(ctx, purpose, id)
	switch {
	case err != nil:
		return nil, nil, x.unkept(err)
	case !found:
		return nil, nil, nil
	}
	current, _ := x.Keys.Current(x.call.Service.Name())
	value, ok := unseal(current, purpose, id, sealed)
	if !ok {
		// Its key is gone, or somebody has written to the store who is not us.
		return nil, nil, kept(policy.Denied, policy.TokenMalformed, "what is kept for the token cannot be opened any more")
	}
	return value, sealed, nil
}

// unkept says why the store did not do what it was asked.
func (x *exchange) unkept(err error) *policy.Refusal {
	switch {
	case errors.Is(err, store.ErrQuota):
		return kept(policy.Denied, policy.RateLimited, "ExchangeClient "+x.client.ID+" has as many tokens in the store as one client may have")
	case errors.Is(err, store.ErrTooLarge):
		return kept(policy.Denied, policy.TokenTooLarge, "what is to be kept is too large")
	}
	return kept(policy.Unable, policy.StoreUnavailable, "the store for one-time state cannot be asked now; without one there are no opaque, refresh or hand-over tokens")
}

func kept(outcome policy.Outcome, reason policy.Reason, detail string) *policy.Refusal {
	return &policy.Refusal{Outcome: outcome, Reason: reason, Check: "store", Detail: detail}
}

// undoFor bounds the wait for taking back what was kept; nobody waits for it.
const undoFor = time.Second

// takeBack removes what was kept for an answer that does not leave after all.
func (x *exchange) takeBack(ctx context.Context) {
	if len(x.undo) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoFor)
	defer cancel()
	for _, undo := range x.undo {
		undo(ctx)
	}
}
