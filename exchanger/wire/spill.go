// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"cmp"
	"compress/gzip"
	"fmt"
	"slices"

	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

// The chunk of an object follows from its name, and people choose names: two objects
// of one tenant can be made to lie in one chunk, and be of text that does not
// compress. Such a chunk must not hold up everybody, so that what is too much for it
// spills over into those with the most room. A reader does not ask where an object
// lies.

// layout is how the objects of one Spec are put into chunks.
type layout struct {
	format int
	all    []list
	bits   int
	most   bounds
}

// packed is one chunk: its objects by list, and what they are when written.
type packed struct {
	objects [][]object
	content []byte
	hash    string
	// data is content, compressed; nil when nobody had to know.
	data []byte
}

func (c *packed) compress() error {
	if c.data != nil {
		return nil
	}
	var err error
	c.data, err = compress(c.content)
	return err
}

func (l layout) fits(c *packed) bool {
	return len(c.data) <= l.most.compressed && len(c.content) <= l.most.bytes
}

// room is how full a chunk is made by what spills into it. It is less than
// the limit, since what objects come to together is estimated from what each
// comes to alone; where the estimate was too low, a lower one is tried.
func (b bounds) room() []int {
	return []int{b.compressed - b.compressed/20, b.compressed * 3 / 4, b.compressed / 2}
}

// pack puts objects into chunks that fit: each into the one of its name, and what
// does not fit there elsewhere. Which is where follows from the objects and the
// number of chunks alone.
func (l layout) pack(objects [][]object, current *Pointer) ([]*packed, error) {
	chunks := split(l.all, objects, l.bits)
	over, err := l.tooFull(chunks, current)
	if err != nil || len(over) == 0 {
		return chunks, err
	}
	// How full the others are has to be known now.
	if _, err := l.tooFull(chunks, nil); err != nil {
		return nil, err
	}
	whole := 0
	for _, c := range chunks {
		if c != nil {
			whole += len(c.data)
		}
	}
	for _, most := range l.most.room() {
		if whole > len(chunks)*l.most.compressed {
			break // Wherever it lies.
		}
		spilt := slices.Clone(chunks)
		if !l.spill(spilt, over, most) {
			break
		}
		still, err := l.tooFull(spilt, current)
		if err != nil || len(still) == 0 {
			return spilt, err
		}
		over = merged(over, still)
	}
	return nil, fmt.Errorf("%d of %d chunks are beyond %d bytes compressed, and the others have no room for what is too much: %w",
		len(over), len(chunks), l.most.compressed, ErrTooLarge)
}

func merged(a, b []int) []int {
	out := slices.Concat(a, b)
	slices.Sort(out)
	return slices.Compact(out)
}

// tooFull writes the chunks that are not written yet, and returns those that do not
// fit. What current names with the same content did fit.
func (l layout) tooFull(chunks []*packed, current *Pointer) ([]int, error) {
	var out []int
	for index, c := range chunks {
		if c == nil {
			continue
		}
		if c.content == nil {
			c.content = write(l.format, l.all, func(i int) []object { return c.objects[i] })
			c.hash = digest(c.content)
		}
		if now, ok := current.chunk(index); ok && now.Hash == c.hash {
			continue
		}
		if err := c.compress(); err != nil {
			return nil, fmt.Errorf("chunk %d: %w", index, err)
		}
		if !l.fits(c) {
			out = append(out, index)
		}
	}
	return out, nil
}

// piece is an object on its way to another chunk.
type piece struct {
	list   int
	object object
	weight int
}

// spill takes the largest objects out of the chunks that are too full, until most is
// not exceeded, and puts each where there is the most room. It says whether there was.
func (l layout) spill(chunks []*packed, over []int, most int) bool {
	fill := make([]int, len(chunks))
	for i, c := range chunks {
		if c != nil {
			fill[i] = weight(len(c.data), len(c.content))
		}
	}
	var scale scale
	var loose []piece
	for _, index := range over {
		pieces, sum := chunks[index].pieces(&scale)
		c := chunks[index].copy(len(l.all))
		for _, p := range pieces {
			if sum <= most {
				break
			}
			sum -= p.weight
			loose = append(loose, p)
			c.take(p)
		}
		chunks[index], fill[index] = c, sum
	}
	slices.SortFunc(loose, byWeight)
	for _, p := range loose {
		index := 0
		for i := range fill {
			if fill[i] < fill[index] {
				index = i
			}
		}
		if fill[index]+p.weight > most {
			return false
		}
		fill[index] += p.weight
		c := chunks[index].copy(len(l.all))
		c.objects[p.list] = append(c.objects[p.list], p.object)
		chunks[index] = c
	}
	tidy(chunks)
	return true
}

// copy returns the same objects, not written; none where there is no chunk.
func (c *packed) copy(lists int) *packed {
	out := &packed{objects: make([][]object, lists)}
	if c != nil {
		for i, list := range c.objects {
			out.objects[i] = slices.Clone(list)
		}
	}
	return out
}

// take takes an object out.
func (c *packed) take(p piece) {
	list := c.objects[p.list]
	i := slices.IndexFunc(list, func(o object) bool { return byName(o, p.object) == 0 })
	c.objects[p.list] = slices.Delete(list, i, i+1)
}

// tidy brings the objects of chunks into order, and takes out empty chunks.
func tidy(chunks []*packed) {
	for i, c := range chunks {
		if c == nil || c.content != nil {
			continue
		}
		empty := true
		for _, list := range c.objects {
			slices.SortFunc(list, byName)
			empty = empty && len(list) == 0
		}
		if empty {
			chunks[i] = nil
		}
	}
}

// pieces are the objects of a chunk, the largest first, and what they weigh together.
func (c *packed) pieces(s *scale) ([]piece, int) {
	if c == nil {
		return nil, 0
	}
	var out []piece
	sum := 0
	for i, list := range c.objects {
		for _, o := range list {
			p := piece{list: i, object: o, weight: s.weigh(o.json)}
			out = append(out, p)
			sum += p.weight
		}
	}
	slices.SortFunc(out, byWeight)
	return out, sum
}

func byWeight(a, b piece) int {
	return cmp.Or(cmp.Compare(b.weight, a.weight), cmp.Compare(a.list, b.list), byName(a.object, b.object))
}

// weight is one number for both bounds of a chunk, in compressed bytes: text that
// shrinks to less than an eighteenth counts as if it did to that.
func weight(compressed, bytes int) int {
	return max(compressed, bytes/(maxChunkBytes/maxCompressed))
}

// scale tells what texts come to when they are compressed.
type scale struct {
	w *gzip.Writer
	n int
}

func (s *scale) Write(b []byte) (int, error) {
	s.n += len(b)
	return len(b), nil
}

func (s *scale) weigh(texts ...[]byte) int {
	if s.w == nil {
		s.w = gzip.NewWriter(s)
	}
	s.n = 0
	s.w.Reset(s)
	bytes := 0
	for _, b := range texts {
		bytes += len(b)
		if _, err := s.w.Write(b); err != nil {
			return bytes // It goes nowhere that could fail.
		}
	}
	if err := s.w.Close(); err != nil {
		return bytes
	}
	return weight(s.n, bytes)
}

// Excess returns the namespaces to leave out of a Spec so that [Encode] has room for
// the rest, sorted by what they take: first those with an object that no chunk has
// room for, then the largest. It leaves out neither what has no namespace nor kept;
// where that does not suffice, the error is [ErrTooLarge]. A Spec that fits has none.
func Excess(spec *policy.Spec, kept string) ([]string, error) {
	return released().excess(spec, kept)
}

func (b bounds) excess(spec *policy.Spec, kept string) ([]string, error) {
	all, objects, err := written(spec)
	if err != nil {
		return nil, err
	}
	l := layout{format: spec.Format, all: all, most: b}
	takes, total := shares(objects, b.room()[0])
	order := make([]*share, 0, len(takes))
	for _, s := range takes {
		if s.namespace != "" && s.namespace != kept {
			order = append(order, s)
		}
	}
	slices.SortFunc(order, func(a, b *share) int {
		return cmp.Or(cmp.Compare(b.hopeless, a.hopeless), cmp.Compare(b.weight, a.weight), cmp.Compare(a.namespace, b.namespace))
	})
	// Nine tenths of all room: that much can be filled with pieces of any size that a
	// quarter of a chunk has room for. Above it, trying is a waste.
	most := MaxChunks * b.room()[0] / 10 * 9
	var out []string
	for next := 0; ; next++ {
		if total <= most && (next == len(order) || order[next].hopeless == 0) {
			l.bits = b.bits(size(objects), nil)
			if _, err := l.pack(objects, nil); err == nil {
				return out, nil
			}
		}
		if next == len(order) {
			return nil, fmt.Errorf("what cannot be left out does not fit: %w", ErrTooLarge)
		}
		total -= order[next].weight
		out = append(out, order[next].namespace)
		objects = without(objects, order[next].namespace)
	}
}

// share is what one namespace takes.
type share struct {
	namespace string
	weight    int
	// hopeless is how many of its objects are more than a chunk has room for.
	hopeless int
	texts    [][]byte
}

func shares(objects [][]object, most int) (map[string]*share, int) {
	out := map[string]*share{}
	var scale scale
	for _, list := range objects {
		for _, o := range list {
			s := out[o.namespace]
			if s == nil {
				s = &share{namespace: o.namespace}
				out[o.namespace] = s
			}
			s.texts = append(s.texts, o.json)
			if len(o.json) > most && scale.weigh(o.json) > most {
				s.hopeless++
			}
		}
	}
	total := 0
	for _, s := range out {
		s.weight = scale.weigh(s.texts...)
		total += s.weight
	}
	return out, total
}

func without(objects [][]object, namespace string) [][]object {
	out := make([][]object, len(objects))
	for i, list := range objects {
		for _, o := range list {
			if o.namespace != namespace {
				out[i] = append(out[i], o)
			}
		}
	}
	return out
}
