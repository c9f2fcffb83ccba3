// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package process_test

import (
	"net/http"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/exchequer-dev/exchequer/test/redis"
)

// replicas are two of the same keys, manifests and store.
func (w *world) replicas(more ...string) (a, b *server) {
	w.t.Helper()
	args := append([]string{"--keys", filepath.Join(w.t.TempDir(), "keys")}, more...)
	return w.serve(args...), w.serve(args...)
}

func TestARevokedTokenIsOverAtEveryReplica(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	shared := redis.Start(t, redis.Options{})
	a, b := w.replicas("--store", "redis", "--store-address", shared.URL())
	t.Run("F297: with a shared store, as soon as that is answered", func(t *testing.T) {
		a, b := a.in(t), b.in(t)
		const rounds = 50
		var took []time.Duration
		for range rounds {
			first := a.ask(a.user()).app().images().send().allowed()
			second := onwards(b, first).allowed()
			b.introspect(second).active()
			begin := time.Now()
			if r := a.revoke(first); r.status != http.StatusOK {
				t.Fatalf("got %d %s", r.status, r.body)
			}
			b.introspect(second).inactive()
			took = append(took, time.Since(begin))
			onwards(b, first).refused(http.StatusBadRequest, "invalid_request", "TokenRevoked")
			a.introspect(first).inactive()
		}
		slices.Sort(took)
		t.Logf("from the request to revoke to the other replica's answer: p50 %s, worst %s of %d", took[rounds/2], took[rounds-1], rounds)
	})
	t.Run("F286: without the store nobody says that a token is good, or that it was revoked", func(t *testing.T) {
		a, b := a.in(t), b.in(t)
		first := a.ask(a.user()).app().images().send().allowed()
		shared.Kill()
		for name, r := range map[string]*reply{"introspection": b.introspect(first), "revocation": a.revoke(first), "an exchange on": onwards(b, first)} {
			if r.status != http.StatusServiceUnavailable || r.text("error") != "temporarily_unavailable" || r.header.Get("Retry-After") == "" {
				t.Errorf("%s: got %d %s", name, r.status, r.body)
			}
		}
		b.ask(b.user()).app().images().send().allowed() // hangs on no token of ours
	})
}

func TestF297ReplicasThatShareNothingRevokeNothingAndSaySo(t *testing.T) {
	t.Parallel()
	a, b := newWorld(t).replicas("--store", "none")
	first := a.ask(a.user()).app().images().send().allowed()
	if r := a.revoke(first); r.status != http.StatusServiceUnavailable || r.text("error") != "temporarily_unavailable" {
		t.Errorf("got %d %s", r.status, r.body)
	}
	b.introspect(first).active()
	onwards(b, first).allowed()
	a.declared("tokenID: " + a.verify(first).text("jti")) // what is declared needs no store
	for _, s := range []*server{a, b} {
		eventually(t, "it is in force here", func() bool { return s.introspect(first).members["active"] == false })
	}
}
