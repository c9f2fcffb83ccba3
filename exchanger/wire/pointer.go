// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
)

// version is that of the pointer document itself.
const version = 1

// maxPointerBytes bounds a pointer: 64 chunks of about 130 bytes each are 8 KiB.
const maxPointerBytes = 32 << 10

// maxRevision is the largest integer that every JSON reader keeps exactly.
const maxRevision = 1<<53 - 1

// MaxAhead is how far a revision can lie beyond another that is known: after etcd was
// set back, or where somebody has slept. A thousand publications a second take 49 days
// for it. What is further ahead was forged; a reader that followed it could never
// follow anything again.
const MaxAhead = 1 << 32

// Plausible says whether a revision can have been published by a writer of which known
// is a revision; 0: nothing is known. It leaves room for writers to go on.
func Plausible(revision, known uint64) bool {
	if known == 0 {
		return revision <= maxRevision-MaxAhead
	}
	return revision <= known || revision-known <= MaxAhead
}

// ErrFormat means that this build cannot read the format of what was published.
var ErrFormat = errors.New("this build cannot read the published format")

// Pointer says which chunks are the current policy.
type Pointer struct {
	// Version is that of this document.
	Version int `json:"version"`
	// Format is that of the Spec.
	Format int `json:"format"`
	// Revision grows with every publication.
	Revision uint64 `json:"revision"`
	// Digest is the lower-case hex SHA-256 of the canonical Spec, just as a
	// compiled snapshot gives it.
	Digest string `json:"digest"`
	// Bits is k: there are 2^k chunks. An object lies in the one that the low k bits of
	// its name's hash say, unless that is too full; a reader looks for it nowhere.
	Bits int `json:"bits"`
	// Chunks are in the order of their indices; an index without objects is left out.
	Chunks []ChunkRef `json:"chunks"`
}

// ChunkRef names one chunk.
type ChunkRef struct {
	Side  string `json:"side"`
	Index int    `json:"index"`
	// Hash is the lower-case hex SHA-256 of the uncompressed bytes.
	Hash string `json:"hash"`
	// Bytes is their number.
	Bytes int `json:"bytes"`
}

// Name is the name of the Secret that holds the chunk.
func (c ChunkRef) Name() string { return SlotName(c.Side[0], c.Index) }

// Marshal returns the document.
func (p Pointer) Marshal() []byte {
	b, err := json.Marshal(p)
	if err != nil {
		return nil // Numbers and strings cannot fail; what is empty is not a pointer.
	}
	return b
}

// chunk returns the chunk of an index.
func (p *Pointer) chunk(index int) (ChunkRef, bool) {
	if p == nil {
		return ChunkRef{}, false
	}
	i := slices.IndexFunc(p.Chunks, func(c ChunkRef) bool { return c.Index == index })
	if i < 0 {
		return ChunkRef{}, false
	}
	return p.Chunks[i], true
}

// ParsePointer reads a pointer document. One that no writer would write is an
// error; of a later version or a format that this build does not read, [ErrFormat].
func ParsePointer(b []byte) (Pointer, error) {
	p, err := parsePointer(b)
	if err != nil {
		return Pointer{}, fmt.Errorf("read the snapshot's pointer: %w", err)
	}
	return p, nil
}

func parsePointer(b []byte) (Pointer, error) {
	if len(b) == 0 || len(b) > maxPointerBytes {
		return Pointer{}, fmt.Errorf("expected a document of 1 to %d bytes, found %d bytes", maxPointerBytes, len(b))
	}
	// What a later version added must not be called a mistake before its version was
	// looked at.
	var head struct {
		Version int `json:"version"`
	}
	if err := json.Unmarshal(b, &head); err != nil {
		return Pointer{}, errors.New("it is not a JSON document of the expected shape")
	}
	if head.Version != version {
		return Pointer{}, fmt.Errorf("%w: the pointer has version %d, this build reads %d", ErrFormat, head.Version, version)
	}
	var p Pointer
	if err := strict(b, &p); err != nil {
		return Pointer{}, err
	}
	return p, p.check()
}

func (p *Pointer) check() error {
	switch {
	case p.Format < 1:
		return fmt.Errorf("the format is %d, expected 1 or more", p.Format)
	case p.Revision < 1 || p.Revision > maxRevision:
		return fmt.Errorf("the revision is %d, expected 1 to %d", p.Revision, uint64(maxRevision))
	case !isDigest(p.Digest):
		return errors.New("the digest is not the hex of a SHA-256")
	case p.Bits < 0 || p.Bits > MaxBits:
		return fmt.Errorf("bits are %d, expected 0 to %d", p.Bits, MaxBits)
	}
	last := -1
	for _, c := range p.Chunks {
		switch {
		case !isSide(c.Side):
			return fmt.Errorf("chunk %d: its side is none of %q", c.Index, Sides)
		case c.Index <= last || c.Index >= 1<<p.Bits:
			return fmt.Errorf("chunk %d: out of order or beyond %d bits", c.Index, p.Bits)
		case !isDigest(c.Hash):
			return fmt.Errorf("chunk %d: its hash is not the hex of a SHA-256", c.Index)
		case c.Bytes < 1 || c.Bytes > maxChunkBytes:
			return fmt.Errorf("chunk %d: %d bytes, expected 1 to %d", c.Index, c.Bytes, maxChunkBytes)
		}
		last = c.Index
	}
	return nil
}

func isDigest(s string) bool {
	if len(s) != hex.EncodedLen(sha256.Size) {
		return false
	}
	for _, c := range []byte(s) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// strict decodes exactly one document without members that v does not have. Its
// errors do not quote the document, which may hold a secret's digest.
func strict(b []byte, v any) error {
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return errors.New("it is not a JSON document of the expected shape, or has a member that this build does not know")
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something stands behind the document")
	}
	return nil
}
