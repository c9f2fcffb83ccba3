// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

// ErrChunk means that a slot does not hold what the pointer says: the pointer has
// moved meanwhile, or the slot is damaged. Reading the pointer again tells which.
var ErrChunk = errors.New("a chunk is not what the pointer names")

// Decode reads the Spec that p names. chunk returns what the Secret of that name
// holds under [ChunkKey]; its errors are returned as they are, wrapped.
func Decode(p Pointer, chunk func(name string) ([]byte, error)) (*policy.Spec, error) {
	return new(Decoder).Decode(p, chunk)
}

// Decoder is [Decode] with a memory: a chunk that the pointer before named too is
// neither fetched nor read again. The zero value is ready. It is for one goroutine.
type Decoder struct {
	known map[string]*policy.Spec
}

// Decode reads the Spec that p names. The Spec shares memory with the ones before
// it and must not be changed.
func (d *Decoder) Decode(p Pointer, chunk func(name string) ([]byte, error)) (*policy.Spec, error) {
	if err := p.check(); err != nil {
		return nil, fmt.Errorf("read the snapshot's pointer: %w", err)
	}
	if !slices.ContainsFunc(ReadsFormats(), func(f int32) bool { return int(f) == p.Format }) {
		return nil, fmt.Errorf("%w: format %d, this build reads %d", ErrFormat, p.Format, ReadsFormats())
	}
	spec := &policy.Spec{Format: p.Format}
	known := make(map[string]*policy.Spec, len(p.Chunks))
	for _, ref := range p.Chunks {
		part, ok := d.known[ref.Hash]
		if !ok {
			var err error
			if part, err = read(p, ref, chunk); err != nil {
				return nil, fmt.Errorf("slot %s: %w", ref.Name(), err)
			}
		}
		known[ref.Hash] = part
		merge(spec, part)
	}
	sortLists(spec)
	b, err := json.Marshal(spec)
	if err != nil {
		return nil, fmt.Errorf("compare the snapshot with its digest: %w", err)
	}
	if digest(b) != p.Digest {
		return nil, fmt.Errorf("revision %d: the chunks are whole, but together they are not what the pointer's digest names; "+
			"whoever published it has a defect", p.Revision)
	}
	d.known = known
	return spec, nil
}

// Missing returns the chunks that Decode would ask for.
func (d *Decoder) Missing(p Pointer) []ChunkRef {
	var out []ChunkRef
	for _, ref := range p.Chunks {
		if _, ok := d.known[ref.Hash]; !ok {
			out = append(out, ref)
		}
	}
	return out
}

func read(p Pointer, ref ChunkRef, chunk func(name string) ([]byte, error)) (*policy.Spec, error) {
	data, err := chunk(ref.Name())
	if err != nil {
		return nil, err
	}
	content, err := expand(ref, data)
	if err != nil {
		return nil, err
	}
	part := &policy.Spec{}
	switch err := strict(content, part); {
	case err != nil:
		return nil, err
	case part.Format != p.Format:
		return nil, fmt.Errorf("it has format %d, the pointer says %d", part.Format, p.Format)
	}
	return part, nil
}

// expand checks a chunk against its hash and returns its uncompressed bytes. An
// error is [ErrChunk].
func expand(ref ChunkRef, data []byte) ([]byte, error) {
	r, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("%w: it is not compressed as expected", ErrChunk)
	}
	// The pointer says how long it is, within a bound; more is not even read.
	content, err := io.ReadAll(io.LimitReader(r, int64(ref.Bytes)+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: it is cut off or damaged", ErrChunk)
	case len(content) != ref.Bytes || digest(content) != ref.Hash:
		return nil, fmt.Errorf("%w: it has another hash", ErrChunk)
	}
	return content, nil
}
