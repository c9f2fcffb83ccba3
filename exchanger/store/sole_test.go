// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/exchequer-dev/exchequer/exchanger/store"
)

func use(t *testing.T, s store.Store, id string) (bool, error) {
	t.Helper()
	return s.Once(t.Context(), store.ClientAssertion, "shop app", id, time.Now().Add(6*time.Minute))
}

func TestASoleMemoryTellsOnlyWhileItsProcessIsTheOnlyOne(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := store.NewSole(time.Now, store.MemoryLimits{})
		refuses := func(when string) {
			t.Helper()
			if fresh, err := use(t, s, when); fresh || !errors.Is(err, store.ErrUnavailable) {
				t.Errorf("%s: %v %v", when, fresh, err)
			}
		}
		refuses("nobody said that it is the only one")
		if !s.Since().IsZero() {
			t.Error("a credential is called too old by a process that may not tell")
		}
		time.Sleep(300 * time.Millisecond)
		if !s.Hold(true) || s.Hold(true) {
			t.Error("what is news, and what is not")
		}
		refuses("the second in which it became the only one")
		time.Sleep(time.Second)
		first := s.Since()
		if fresh, err := use(t, s, "a"); !fresh || err != nil {
			t.Errorf("first use: %v %v", fresh, err)
		}
		if fresh, err := use(t, s, "a"); fresh || err != nil {
			t.Errorf("second use: %v %v", fresh, err)
		}
		s.Hold(false)
		refuses("another came")
		time.Sleep(5 * time.Second)
		s.Hold(true)
		if !s.Since().Equal(first) {
			t.Error("a start that lies ahead counts already")
		}
		time.Sleep(time.Second)
		if got := s.Since(); !got.After(first.Add(4 * time.Second)) {
			t.Errorf("the only one anew, and its memory started at %s as before", got)
		}
		if fresh, err := use(t, s, "a"); fresh || err != nil {
			t.Errorf("what it has seen before: %v %v", fresh, err)
		}
	})
}

// process is one replica: it is there until it is gone, and has heard of the
// announcements up to a point.
type process struct {
	name  int
	store *store.Sole
	heard int
	gone  bool
}

// presented is an assertion between the check of its times and its use.
type presented struct {
	assertion int
	to        *process
}

// handOver is a model of replicas, of whoever names the only one, and of a client
// whose assertions are presented to whichever replica, as often as possible.
type handOver struct {
	random    *rand.Rand
	now       time.Time
	processes []*process
	// decided are names that were decided on, at moments at which they were right. They
	// are written late, again, and by others than who is in charge.
	decided []int
	written []int
	issued  []time.Time
	under   []presented
	used    map[int]int
	// careless is what there is without the rule: every process tells.
	careless bool
}

func (h *handOver) there() []*process {
	var out []*process
	for _, p := range h.processes {
		if !p.gone {
			out = append(out, p)
		}
	}
	return out
}

func (h *handOver) step(ctx context.Context) {
	there := h.there()
	var p *process
	if len(there) > 0 {
		p = there[h.random.IntN(len(there))]
	}
	switch action := h.random.IntN(30); {
	case action == 0 && len(there) < 1+h.random.IntN(3)*h.random.IntN(2):
		h.processes = append(h.processes, &process{name: len(h.processes) + 1, store: store.NewSole(func() time.Time { return h.now }, store.MemoryLimits{})})
	case action == 1 && p != nil:
		p.gone = true
	case action <= 4:
		h.decide(there)
	case action <= 7 && len(h.decided) > 0:
		h.written = append(h.written, h.decided[h.oneOf(len(h.decided), 2)])
	case action <= 11 && p != nil && p.heard < len(h.written):
		p.heard += 1 + h.random.IntN(len(h.written)-p.heard)
		p.store.Hold(h.careless || h.written[p.heard-1] == p.name)
	case action <= 13:
		h.now = h.now.Add(time.Duration(h.random.IntN(1500)) * time.Millisecond)
	case action <= 15:
		h.issued = append(h.issued, h.now.Truncate(time.Second))
	case action <= 24 && p != nil && len(h.issued) > 0:
		if n := h.oneOf(len(h.issued), 5); !h.issued[n].Before(p.store.Since()) {
			h.under = append(h.under, presented{n, p})
		}
	case len(h.under) > 0:
		i := h.random.IntN(len(h.under))
		h.consume(ctx, h.under[i])
		h.under = append(h.under[:i], h.under[i+1:]...)
	}
}

// oneOf is mostly one of the last few of n, and sometimes any.
func (h *handOver) oneOf(n, few int) int {
	if h.random.IntN(8) == 0 {
		return h.random.IntN(n)
	}
	return n - 1 - h.random.IntN(min(few, n))
}

func (h *handOver) decide(there []*process) {
	name := 0
	if len(there) == 1 {
		name = there[0].name
	}
	h.decided = append(h.decided, name)
}

// consume is what whoever authenticates clients does.
func (h *handOver) consume(ctx context.Context, p presented) {
	if p.to.gone {
		return
	}
	fresh, err := p.to.store.Once(ctx, store.ClientAssertion, "shop app", fmt.Sprint(p.assertion), h.now.Add(6*time.Minute))
	if err == nil && fresh && !h.issued[p.assertion].Before(p.to.store.Since()) {
		h.used[p.assertion]++
	}
}

func walk(ctx context.Context, seed uint64, careless bool) (used, twice int) {
	h := &handOver{random: rand.New(rand.NewPCG(seed, 1)), now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), used: map[int]int{}, careless: careless}
	for range 2000 {
		h.step(ctx)
	}
	for _, n := range h.used {
		used++
		if n > 1 {
			twice++
		}
	}
	return used, twice
}

func TestNoHandOverLetsAnythingBeUsedTwice(t *testing.T) {
	t.Parallel()
	const walks = 600
	var used, careless int
	for seed := range uint64(walks) {
		n, twice := walk(t.Context(), seed, false)
		if used += n; twice > 0 {
			t.Fatalf("walk %d: %d assertions were accepted twice", seed, twice)
		}
		_, twice = walk(t.Context(), seed, true)
		careless += twice
	}
	t.Logf("%d assertions accepted; %d twice where every process tells", used, careless)
	if used < walks/2 || careless == 0 {
		t.Error("the walks do not go where anything could happen")
	}
}
