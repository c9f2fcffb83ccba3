// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

// TestAnySequenceOfPublicationsKeepsEveryReaderWhole publishes random Specs, with
// writers that crash at any point, and reads them with pointers old and new.
func TestAnySequenceOfPublicationsKeepsEveryReaderWhole(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		chunks := map[string][]byte{}
		get := func(name string) ([]byte, error) {
			b, ok := chunks[name]
			if !ok {
				return nil, fmt.Errorf("no Secret %s", name)
			}
			return b, nil
		}
		reader := &Decoder{}
		var current *Pointer
		var inForce []byte
		policies := map[int]policy.Policy{}
		for revision := uint64(1); revision <= 8; revision++ {
			change(t, policies)
			spec := specWith(policies)
			plan, err := Encode(spec, revision, current)
			if err != nil {
				t.Fatal(err)
			}
			for i, c := range plan.Write {
				if current != nil && slices.ContainsFunc(current.Chunks, func(r ChunkRef) bool { return r.Name() == c.Name }) {
					t.Fatalf("slot %s, which the current pointer names, is written", c.Name)
				}
				chunks[c.Name] = c.Data
				if i == 0 || i == len(plan.Write)-1 {
					mustGive(t, current, get, inForce)
				}
			}
			if rapid.IntRange(0, 3).Draw(t, "crash") == 0 {
				continue // between the chunks and the pointer
			}
			current, inForce = &plan.Pointer, encoded(t, spec)
			mustGive(t, current, get, inForce)
			if got, err := reader.Decode(*current, get); err != nil || !bytes.Equal(encoded(t, got), inForce) {
				t.Fatalf("a reader that remembers chunks: %v", err)
			}
		}
	})
}

func mustGive(t *rapid.T, p *Pointer, get func(string) ([]byte, error), want []byte) {
	t.Helper()
	if p == nil {
		return
	}
	got, err := Decode(*p, get)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(encoded(t, got), want) {
		t.Fatal("what is read is not what was published")
	}
}

func encoded(t *rapid.T, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// change adds, alters and removes some policies, of up to 40 KiB each so that the
// number of chunks moves.
func change(t *rapid.T, policies map[int]policy.Policy) {
	for range rapid.IntRange(0, 6).Draw(t, "changes") {
		i := rapid.IntRange(0, 30).Draw(t, "policy")
		if rapid.IntRange(0, 2).Draw(t, "remove") == 0 {
			delete(policies, i)
			continue
		}
		p := policyOf(i)
		p.Namespace = rapid.SampledFrom([]string{"a", "b", "shop"}).Draw(t, "namespace")
		p.Lifetime = time.Duration(rapid.IntRange(0, 3).Draw(t, "lifetime"))
		p.Rules[0].Message = strings.Repeat(rapid.String().Draw(t, "text"), rapid.SampledFrom([]int{0, 1, 50, 800}).Draw(t, "times"))
		policies[i] = p
	}
	if rapid.IntRange(0, 9).Draw(t, "all") == 0 {
		clear(policies)
	}
}

// specWith is in no order, as it comes out of the map; duplicates in name differ
// in namespace.
func specWith(policies map[int]policy.Policy) *policy.Spec {
	spec := &policy.Spec{Format: policy.Format, Services: []policy.Service{{Name: "default"}}}
	for _, p := range policies {
		spec.Policies = append(spec.Policies, p)
	}
	slices.SortFunc(spec.Policies, func(a, b policy.Policy) int {
		return strings.Compare(a.Namespace+"\x00"+a.Name, b.Namespace+"\x00"+b.Name)
	})
	return spec
}
