// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"time"
)

// Purpose is what a single-use identifier is used for. Equal identifiers of
// different purposes do not touch each other.
type Purpose string

// ClientAssertion is the `jti` of a private_key_jwt client assertion; its owner
// is the token service and the client.
const ClientAssertion Purpose = "client-assertion"

// The errors of a Store. Anything that is neither means the same as
// ErrUnavailable.
var (
	// ErrUnavailable means that the store cannot tell now.
	ErrUnavailable = errors.New("the store for one-time state cannot tell now")
	// ErrQuota means that this owner has as much remembered as one owner may.
	ErrQuota = errors.New("the store remembers as much for this owner as it may")
)

// Store remembers what was used once. It is safe for concurrent use.
type Store interface {
	// Once uses an identifier and reports whether that was its first use. It is
	// remembered until the given time. Only a nil error makes the answer one:
	// with an error nothing is known about this use, and it must be refused.
	Once(ctx context.Context, purpose Purpose, owner, id string, until time.Time) (fresh bool, err error)

	// Since is the first whole second from which on the store has seen every
	// use; the zero time when it outlives the processes that use it. What was
	// issued before it may have been used before, so it must be refused.
	Since() time.Time
}

// Key is what a backend stores instead of the parts of a use: their SHA-256,
// each part with its length before it (F293). It hides identifiers from those
// who can read the store, and it has a fixed size.
type Key [sha256.Size]byte

// KeyOf makes the key of one use.
func KeyOf(purpose Purpose, owner, id string) Key {
	parts := [...]string{string(purpose), owner, id}
	size := 0
	for _, p := range parts {
		size += 8 + len(p)
	}
	b := make([]byte, 0, size)
	for _, p := range parts {
		b = binary.BigEndian.AppendUint64(b, uint64(len(p)))
		b = append(b, p...)
	}
	return sha256.Sum256(b)
}
