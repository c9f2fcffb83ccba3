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

// Purpose is what a single-use identifier, or a stored value, is used for. Equal
// identifiers of different purposes do not touch each other.
type Purpose string

// The purposes. Each has identifiers of one making, and values of one format.
const (
	// ClientAssertion is the `jti` of a private_key_jwt client assertion; its owner
	// is the token service and the client.
	ClientAssertion Purpose = "client-assertion"
	// ProofOfPossession is the `jti` of a DPoP proof (RFC 9449 section 11.1).
	ProofOfPossession Purpose = "proof"
	// JWTBearer is the `jti` of an assertion of the jwt-bearer grant (RFC 7523).
	JWTBearer Purpose = "jwt-bearer"
	// SAMLAssertion is the ID of a SAML assertion that may be used once.
	SAMLAssertion Purpose = "saml"
	// Opaque is an opaque access token.
	Opaque Purpose = "opaque"
	// Refresh is a family of refresh tokens.
	Refresh Purpose = "refresh"
	// HandOver is a hand-over token.
	HandOver Purpose = "hand-over"
	// Revoked is what tokens say of themselves that were revoked: their `jti`, or that
	// of a token that they descend from.
	Revoked Purpose = "revoked"
	// Link is a token for another server that was stored for a user.
	Link Purpose = "link"
)

// The errors of a Store. Anything that is none of them means the same as
// ErrUnavailable.
var (
	// ErrUnavailable means that the store cannot tell now. Of a call that writes
	// nothing is known: it may have happened.
	ErrUnavailable = errors.New("the store for one-time state cannot tell now")
	// ErrQuota means that this owner has as much remembered as one owner may.
	ErrQuota = errors.New("the store remembers as much for this owner as it may")
	// ErrTooLarge means that a value is larger than MaxValue, or that Any was asked
	// about more than MaxAny. Nothing happened, and nothing will another time.
	ErrTooLarge = errors.New("larger than what the store keeps")
)

const (
	// MaxValue bounds one value: the sealed facts of one token with its claims, which
	// are below a token's own bound of 16 KiB by far, and base64url on top.
	MaxValue = 64 << 10
	// MaxAny bounds what Any is asked at once: a chain of tokens has at most 16 links,
	// and each may be revoked by itself, by its family or by its transaction.
	MaxAny = 64
)

// Store remembers what was used once, and keeps values for a time. It is safe for
// concurrent use.
//
// Only a nil error makes an answer one. With an error nothing is known, and whatever
// depends on the answer must be refused as what cannot be decided now
// ([policy.StoreUnavailable]; [ErrQuota] is the owner's own doing, and a denial).
//
// Values are found by purpose and identifier alone, so identifiers must not meet: they
// are random, or begin with the token service. Owners are whom quotas are for: the
// token service and the client that caused an entry, as Owner makes them. Values are
// sealed by whoever puts them; a store, and who can read it, learns sizes and times.
// What callers pass and get is theirs: a store neither keeps nor changes it.
type Store interface {
	// Once uses an identifier and reports whether that was its first use. It is
	// remembered until the given time. Identifiers are told apart by owner too.
	Once(ctx context.Context, purpose Purpose, owner, id string, until time.Time) (fresh bool, err error)

	// Put keeps a value until the given time, in place of the one that was there. It
	// counts for this owner from then on, whoever put the one before.
	Put(ctx context.Context, purpose Purpose, owner, id string, value []byte, until time.Time) error

	// Get finds a value that was put and is not over.
	Get(ctx context.Context, purpose Purpose, id string) (value []byte, found bool, err error)

	// Take finds a value and removes it, in one step: of any number of callers
	// exactly one gets it.
	Take(ctx context.Context, purpose Purpose, id string) (value []byte, found bool, err error)

	// Swap replaces a value by a new one, until another time, where it still is the
	// old one byte by byte, in one step: of any number of callers that swap the same
	// old value exactly one does, provided that their new values differ, as sealed
	// ones do. It stays its owner's. What is not there, or over, is not swapped.
	Swap(ctx context.Context, purpose Purpose, id string, old, replacement []byte, until time.Time) (swapped bool, err error)

	// Any reports whether a value is there for any of the identifiers, in one step;
	// of none it is false. A false is about what was put from Since on, and in a memory
	// about what was put by this process: what has to last is kept elsewhere as well.
	Any(ctx context.Context, purpose Purpose, ids []string) (found bool, err error)

	// Since is the first whole second from which on the store has seen every
	// use, and kept every value; the zero time when it has ever since there were any.
	// What was issued before it may have been used before, so what is good only once
	// must be refused. It may move on while the program runs, when a store is found to
	// have lost something.
	Since() time.Time
}

// Owner names the client of a token service as an owner.
func Owner(service, client string) string { return service + " " + client }

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
