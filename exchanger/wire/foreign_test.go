// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"errors"
	"strings"
	"testing"
)

// Two publications later a slot holds another chunk, often one of the same length.
// Only the hash tells them apart, and only ErrChunk makes a reader look at the
// pointer again.
func TestAForeignChunkOfTheSameLengthIsNotTheOneThatThePointerNames(t *testing.T) {
	t.Parallel()
	of := func(target string) *slots {
		s := newSlots(t)
		spec := specOf(3)
		spec.Policies[1].Targets = []string{"shop/" + target}
		s.publish(spec)
		return s
	}
	named, foreign := of("orders"), of("refund")
	ref, other := named.pointer.Chunks[0], foreign.pointer.Chunks[0]
	if ref.Bytes != other.Bytes || ref.Hash == other.Hash || ref.Name() != other.Name() {
		t.Fatalf("the chunks %+v and %+v do not differ by their hashes alone", ref, other)
	}
	spec, err := Decode(*named.pointer, foreign.get)
	switch {
	case err == nil:
		t.Fatalf("what another publication wrote was read: %v", spec.Policies[1].Targets)
	case !errors.Is(err, ErrChunk):
		t.Errorf("%v does not say that the pointer should be read again", err)
	case !strings.Contains(err.Error(), ref.Name()):
		t.Errorf("%v does not name the slot", err)
	}
}

// A reader that has taken in a publication reads the next one's foreign chunk no
// more readily, and its memory is of the chunks that it was given.
func TestAForeignChunkLeavesAReaderWhatItKnew(t *testing.T) {
	t.Parallel()
	s := newSlots(t)
	var d Decoder
	s.publish(specOf(3))
	former := *s.pointer
	if _, err := d.Decode(former, s.get); err != nil {
		t.Fatal(err)
	}
	changed := specOf(3)
	changed.Policies[1].Targets = []string{"shop/orders"}
	plan := s.publish(changed)
	right := s.chunks[plan.Write[0].Name]
	foreign := newSlots(t)
	changed.Policies[1].Targets = []string{"shop/refund"}
	s.chunks[plan.Write[0].Name] = foreign.publish(changed).Write[0].Data
	if _, err := d.Decode(*s.pointer, s.get); !errors.Is(err, ErrChunk) {
		t.Errorf("%v does not say that the pointer should be read again", err)
	}
	if missing := d.Missing(former); len(missing) > 0 {
		t.Errorf("chunks %v of the former publication are forgotten", missing)
	}
	s.chunks[plan.Write[0].Name] = right
	spec, err := d.Decode(*s.pointer, s.get)
	if err != nil || spec.Policies[1].Targets[0] != "shop/orders" {
		t.Errorf("the chunk that the pointer names is not read afterwards: %v", err)
	}
}
