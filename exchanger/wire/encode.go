// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

const (
	// averageBytes is what a chunk holds on average before there are more of them:
	// small enough that one changed policy writes little, large enough that a
	// thousand policies (about 600 bytes each) are ten Secrets and not sixty-four.
	averageBytes = 64 << 10
	// maxCompressed is what goes into one Secret: its data may be 1 MiB, counted
	// before base64, and metadata counts into etcd's 1.5 MiB for an object.
	maxCompressed = 900 << 10
	// maxChunkBytes bounds a chunk before compression, for whoever reads it: JSON of
	// policies shrinks to about a tenth, so that 900 KiB are 9 MiB; 64 chunks of
	// 16 MiB are 1 GiB, and nothing comes near.
	maxChunkBytes = 16 << 20
)

// bounds are how large chunks are. Tests make everything smaller alike.
type bounds struct {
	// average is what a chunk holds on average, not compressed, before there are more.
	average int
	// compressed and bytes are the most of one chunk, compressed and not.
	compressed, bytes int
}

func released() bounds { return bounds{averageBytes, maxCompressed, maxChunkBytes} }

// ErrTooLarge means that the Spec does not fit 64 chunks. [Excess] says what to leave
// out of it.
var ErrTooLarge = errors.New("too large to publish")

// Chunk is a Secret to write: Data goes into its key [ChunkKey].
type Chunk struct {
	Name string
	// Data is compressed.
	Data []byte
}

// Plan is what a writer has to do: write the chunks, then move the pointer by
// compare-and-swap from the one that was given to [Encode].
type Plan struct {
	Pointer Pointer
	Write   []Chunk
}

// Unchanged says that current names the same policy already, so that there is
// nothing to publish.
func (p *Plan) Unchanged(current *Pointer) bool {
	return current != nil && current.Digest == p.Pointer.Digest && current.Format == p.Pointer.Format
}

// Encode plans the publication of a Spec over what current names; nil is nothing.
// It does not alter the Spec, and sorts what is not sorted. A chunk that current
// names with the same content keeps its slot; every other goes to the side of its
// index that current does not name.
func Encode(spec *policy.Spec, revision uint64, current *Pointer) (Plan, error) {
	return released().encode(spec, revision, current)
}

func (b bounds) encode(spec *policy.Spec, revision uint64, current *Pointer) (Plan, error) {
	all, objects, err := written(spec)
	if err != nil {
		return Plan{}, err
	}
	l := layout{format: spec.Format, all: all, bits: b.bits(size(objects), current), most: b}
	plan := Plan{Pointer: Pointer{
		Version: version, Format: spec.Format, Revision: revision, Bits: l.bits, Chunks: []ChunkRef{},
		Digest: digest(write(spec.Format, all, func(i int) []object { return objects[i] })),
	}}
	chunks, err := l.pack(objects, current)
	if err != nil {
		return Plan{}, err
	}
	for index, c := range chunks {
		if c == nil {
			continue
		}
		if err := plan.place(index, c, current); err != nil {
			return Plan{}, err
		}
	}
	if err := plan.Pointer.check(); err != nil {
		return Plan{}, fmt.Errorf("plan a publication: %w", err)
	}
	return plan, nil
}

// written writes the objects of every list.
func written(spec *policy.Spec) ([]list, [][]object, error) {
	all := lists()
	objects := make([][]object, len(all))
	for i, l := range all {
		var err error
		if objects[i], err = l.objects(spec); err != nil {
			return nil, nil, err
		}
	}
	return all, objects, nil
}

func size(objects [][]object) int {
	total := 0
	for _, list := range objects {
		for _, o := range list {
			total += len(o.json)
		}
	}
	return total
}

// split puts every object into the chunk of its name; a chunk without any is nil.
func split(all []list, objects [][]object, bits int) []*packed {
	chunks := make([]*packed, 1<<bits)
	for i, l := range all {
		for _, o := range objects[i] {
			c := chunkOf(l.name, o, bits)
			if chunks[c] == nil {
				chunks[c] = &packed{objects: make([][]object, len(all))}
			}
			chunks[c].objects[i] = append(chunks[c].objects[i], o)
		}
	}
	return chunks
}

func chunkOf(kind string, o object, bits int) int {
	sum := sha256.Sum256([]byte(kind + "/" + o.namespace + "/" + o.name))
	return int(sum[0]) & (1<<bits - 1) // MaxBits is less than a byte.
}

// bits chooses k. There are fewer chunks again when they hold less than a quarter of
// the average: after k grew by one it is half, so that it must halve once more before k
// shrinks, and a Spec at a boundary does not flap.
func (b bounds) bits(total int, current *Pointer) int {
	smallest := func(average int) int {
		k := 0
		for k < MaxBits && total > average<<k {
			k++
		}
		return k
	}
	grown := smallest(b.average)
	if current == nil || grown >= current.Bits {
		return grown
	}
	if total >= b.average/4<<current.Bits {
		return current.Bits
	}
	return smallest(b.average / 2)
}

// place gives a chunk its slot, and notes it down to be written if it is new.
func (p *Plan) place(index int, c *packed, current *Pointer) error {
	ref := ChunkRef{Side: Sides[:1], Index: index, Hash: c.hash, Bytes: len(c.content)}
	if now, ok := current.chunk(index); ok {
		ref.Side = now.Side
		if now.Hash == ref.Hash {
			p.Pointer.Chunks = append(p.Pointer.Chunks, ref)
			return nil
		}
		ref.Side = string(otherSide(now.Side[0]))
	}
	if err := c.compress(); err != nil {
		return fmt.Errorf("chunk %d: %w", index, err)
	}
	p.Pointer.Chunks = append(p.Pointer.Chunks, ref)
	p.Write = append(p.Write, Chunk{Name: ref.Name(), Data: c.data})
	return nil
}

func compress(content []byte) ([]byte, error) {
	var b bytes.Buffer
	// No name and no time in the header: equal content gives equal bytes.
	w := gzip.NewWriter(&b)
	if _, err := w.Write(content); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}
