// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

// noise is text that does not compress.
func noise(seed uint64, bytes int) string {
	const alphabet = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-."
	r := rand.New(rand.NewPCG(seed, 0))
	b := make([]byte, bytes)
	for i := range b {
		b[i] = alphabet[r.IntN(len(alphabet))]
	}
	return string(b)
}

func noisy(namespace, name string, seed uint64, bytes int) policy.Client {
	return policy.Client{Namespace: namespace, Name: name, ID: namespace + "/" + name, TokenService: "default", Labels: map[string]string{"k": noise(seed, bytes)}}
}

// aimed adds clients of a namespace that all have the same chunk of 64.
func aimed(spec *policy.Spec, namespace string, chunk, count, bytes int) {
	for i := 0; count > 0; i++ {
		name := fmt.Sprintf("x%d", i)
		if chunkOf("clients", object{namespace: namespace, name: name}, MaxBits) != chunk {
			continue
		}
		spec.Clients = append(spec.Clients, noisy(namespace, name, uint64(i), bytes))
		count--
	}
}

// filled adds count clients of a namespace.
func filled(spec *policy.Spec, namespace string, count, bytes int) {
	for i := range count {
		spec.Clients = append(spec.Clients, noisy(namespace, fmt.Sprintf("c%d", i), uint64(i), bytes))
	}
}

// small is how much smaller most of these tests make everything: what is decided does
// not hang on it, and compressing tens of MiB under the race detector takes minutes.
const small = 16

func smaller(by int) bounds {
	return bounds{averageBytes / by, maxCompressed / by, maxChunkBytes / by}
}

func TestNobodyStopsPublishingByNamesThatShareAChunk(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		by   int
		spec func(*policy.Spec)
	}{
		"large objects, many times what a chunk holds": {small, func(s *policy.Spec) { aimed(s, "evil", 7, 30, 250<<10/small) }},
		"two that are just too much":                   {small, func(s *policy.Spec) { aimed(s, "evil", 7, 2, 700<<10/small) }},
		"two that are just too much, at full size":     {1, func(s *policy.Spec) { aimed(s, "evil", 7, 2, 700<<10) }},
		"into two chunks":                              {small, func(s *policy.Spec) { aimed(s, "evil", 0, 8, 250<<10/small); aimed(s, "evil-2", 63, 8, 250<<10/small) }},
		"six namespaces with all of their budgets":     {small, func(s *policy.Spec) { budgets(s) }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			most := smaller(c.by)
			content := specOf(4000 / c.by)
			if c.by == 1 {
				// As many chunks as there can be, of what shrinks to little.
				content = specOf(10)
				content.Services[0].Issuer = strings.Repeat("a", MaxChunks/2*averageBytes+1)
			}
			c.spec(content)
			sortLists(content)
			s := newSlots(t)
			s.publishIn(most, content)
			s.mustRead(content)
			for index, data := range s.chunks {
				if len(data) > most.compressed {
					t.Errorf("%s has %d bytes", index, len(data))
				}
			}
			again, err := most.encode(content, 2, s.pointer)
			if err != nil || len(again.Write) != 0 || !again.Unchanged(s.pointer) {
				t.Errorf("the same once more: %d chunks are written, %v", len(again.Write), err)
			}
			fresh, err := most.encode(content, 1, nil)
			if err != nil || !reflect.DeepEqual(fresh.Pointer.Chunks, s.pointer.Chunks) {
				t.Errorf("equal input gives other chunks: %v", err)
			}
			// What is withdrawn meanwhile is withdrawn.
			content.Policies = content.Policies[1:]
			plan := s.publishIn(most, content)
			s.mustRead(content)
			if len(plan.Write) > 2 {
				t.Errorf("%d chunks are written for one policy", len(plan.Write))
			}
		})
	}
}

func budgets(s *policy.Spec) {
	for n := range 6 {
		filled(s, fmt.Sprintf("evil-%d", n), 500, 16000/small)
	}
}

func TestWhatIsTooMuchForAllChunksIsLeftOutByTheLargestNamespace(t *testing.T) {
	t.Parallel()
	const by = 100
	most := smaller(by)
	for name, c := range map[string]struct {
		fill func(*policy.Spec)
		kept string
		want []string
		err  error
	}{
		"everything fits": {fill: func(s *policy.Spec) { filled(s, "evil", 10, 100) }},
		"several namespaces share what is too much, ties by name": {
			fill: func(s *policy.Spec) {
				for _, namespace := range []string{"d", "b", "c", "a"} {
					filled(s, namespace, 100, 2500)
				}
			},
			want: []string{"a", "b"},
		},
		"one that is larger than the others goes first": {
			fill: func(s *policy.Spec) { filled(s, "a", 110, 2500); filled(s, "b", 180, 2500) },
			want: []string{"b"},
		},
		"one object that no chunk has room for, in a small namespace": {
			fill: func(s *policy.Spec) { filled(s, "a", 20, 2500); filled(s, "b", 1, 15000) },
			want: []string{"b"},
		},
		"the operator's namespace stays": {
			fill: func(s *policy.Spec) { filled(s, "a", 110, 2500); filled(s, "b", 180, 2500) },
			kept: "b", want: []string{"a"},
		},
		"what cannot be left out is too much": {
			fill: func(s *policy.Spec) {
				s.Services[0].Issuer = "https://" + noise(1, 20000)
				filled(s, "a", 1, 100)
			},
			err: ErrTooLarge,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			spec := specOf(1000 / by)
			c.fill(spec)
			got, err := most.excess(spec, c.kept)
			if !errors.Is(err, c.err) || !slices.Equal(got, c.want) {
				t.Fatalf("left out are %q, %v; want %q, %v", got, err, c.want, c.err)
			}
			if err != nil {
				return
			}
			spec.Clients = slices.DeleteFunc(spec.Clients, func(c policy.Client) bool { return slices.Contains(got, c.Namespace) })
			if again, err := most.excess(spec, c.kept); err != nil || len(again) != 0 {
				t.Errorf("without them, %q are left out, %v", again, err)
			}
		})
	}
}
