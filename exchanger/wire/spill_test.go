// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
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

func TestNobodyStopsPublishingByNamesThatShareAChunk(t *testing.T) {
	t.Parallel()
	for name, spec := range map[string]func(*policy.Spec){
		"large objects, many times what a chunk holds": func(s *policy.Spec) { aimed(s, "evil", 7, 30, 250<<10) },
		"two that are just too much":                   func(s *policy.Spec) { aimed(s, "evil", 7, 2, 700<<10) },
		"into two chunks":                              func(s *policy.Spec) { aimed(s, "evil", 0, 8, 250<<10); aimed(s, "evil-2", 63, 8, 250<<10) },
		"six namespaces with all of their budgets":     func(s *policy.Spec) { budgets(s) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			content := specOf(2000)
			spec(content)
			sortLists(content)
			s := newSlots(t)
			s.publish(content)
			s.mustRead(content)
			for index, data := range s.chunks {
				if len(data) > maxCompressed {
					t.Errorf("%s has %d bytes", index, len(data))
				}
			}
			again, err := Encode(content, 2, s.pointer)
			if err != nil || len(again.Write) != 0 || !again.Unchanged(s.pointer) {
				t.Errorf("the same once more: %d chunks are written, %v", len(again.Write), err)
			}
			fresh, err := Encode(content, 1, nil)
			if err != nil || !reflect.DeepEqual(fresh.Pointer.Chunks, s.pointer.Chunks) {
				t.Errorf("equal input gives other chunks: %v", err)
			}
			// What is withdrawn meanwhile is withdrawn.
			content.Policies = content.Policies[1:]
			plan := s.publish(content)
			s.mustRead(content)
			if len(plan.Write) > 2 {
				t.Errorf("%d chunks are written for one policy", len(plan.Write))
			}
		})
	}
}

func budgets(s *policy.Spec) {
	for n := range 6 {
		filled(s, fmt.Sprintf("evil-%d", n), 500, 16000)
	}
}

func TestWhatIsTooMuchForAllChunksIsLeftOutByTheLargestNamespace(t *testing.T) {
	t.Parallel()
	const limit = maxCompressed / 10
	for name, c := range map[string]struct {
		fill func(*policy.Spec)
		kept string
		want []string
		err  error
	}{
		"everything fits": {fill: func(s *policy.Spec) { filled(s, "evil", 10, 1000) }},
		"several namespaces share what is too much, ties by name": {
			fill: func(s *policy.Spec) {
				for _, namespace := range []string{"d", "b", "c", "a"} {
					filled(s, namespace, 100, 25<<10)
				}
			},
			want: []string{"a", "b"},
		},
		"one that is larger than the others goes first": {
			fill: func(s *policy.Spec) { filled(s, "a", 110, 25<<10); filled(s, "b", 180, 25<<10) },
			want: []string{"b"},
		},
		"one object that no chunk has room for, in a small namespace": {
			fill: func(s *policy.Spec) { filled(s, "a", 20, 25<<10); filled(s, "b", 1, 150<<10) },
			want: []string{"b"},
		},
		"the operator's namespace stays": {
			fill: func(s *policy.Spec) { filled(s, "a", 110, 25<<10); filled(s, "b", 180, 25<<10) },
			kept: "b", want: []string{"a"},
		},
		"what cannot be left out is too much": {
			fill: func(s *policy.Spec) {
				s.Services[0].Issuer = "https://" + noise(1, 200<<10)
				filled(s, "a", 1, 1000)
			},
			err: ErrTooLarge,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			spec := specOf(100)
			c.fill(spec)
			got, err := excess(spec, c.kept, limit)
			if !errors.Is(err, c.err) || !slices.Equal(got, c.want) {
				t.Fatalf("left out are %q, %v; want %q, %v", got, err, c.want, c.err)
			}
			if err != nil {
				return
			}
			spec.Clients = slices.DeleteFunc(spec.Clients, func(c policy.Client) bool { return slices.Contains(got, c.Namespace) })
			if again, err := excess(spec, c.kept, limit); err != nil || len(again) != 0 {
				t.Errorf("without them, %q are left out, %v", again, err)
			}
		})
	}
}
