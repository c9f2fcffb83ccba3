// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/exchequer-dev/exchequer/exchanger/store"
	"github.com/exchequer-dev/exchequer/test/redis"
)

// heard counts how calls ended.
type heard struct {
	mu      sync.Mutex
	results map[string]int
	slowest time.Duration
}

func (h *heard) StoreCall(_, result string, took time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.results == nil {
		h.results = map[string]int{}
	}
	h.results[result]++
	h.slowest = max(h.slowest, took)
}

func (h *heard) StoreState(bool, int64) {}

func (h *heard) counts() map[string]int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return maps.Clone(h.results)
}

// used uses an identifier until the far future.
func used(t *testing.T, s store.Store, id string) (bool, error) {
	t.Helper()
	return s.Once(t.Context(), store.ClientAssertion, "o", id, time.Now().Add(time.Hour))
}

func mustUse(t *testing.T, s store.Store, id string, want bool) {
	t.Helper()
	if fresh, err := used(t, s, id); fresh != want || err != nil {
		t.Errorf("%s: fresh %v, error %v; want %v", id, fresh, err, want)
	}
}

func mustRefuse(t *testing.T, s store.Store, id string) {
	t.Helper()
	if fresh, err := used(t, s, id); fresh || !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("%s: fresh %v, error %v; want that it cannot tell", id, fresh, err)
	}
}

func TestF286AStoreThatIsDownAndComesBack(t *testing.T) {
	t.Parallel()
	server := redis.Start(t, redis.Options{Settings: []string{"appendonly yes", "appendfsync always"}})
	o := at(server)
	o.Deadline = 5 * time.Second // a server that is down refuses at once
	r := newRedis(t, o)
	mustUse(t, r, "a", true)
	server.Kill()
	for i := range 20 {
		mustRefuse(t, r, fmt.Sprint("while it is down", i))
	}
	if err := r.Look(t.Context()); err == nil || r.Ready() {
		t.Error("it is ready")
	}
	server.Restart()
	server.Await("it is used again, without anything being restarted", func() bool {
		fresh, err := used(t, r, fmt.Sprint(time.Now().UnixNano()))
		return fresh && err == nil
	})
	mustUse(t, r, "a", false)
	if since := r.Since(); since.Before(time.Now().Add(-time.Minute)) {
		t.Errorf("since %s: a server that was restarted may have lost what came last", since)
	}
}

func TestF287AStoreThatIsSlow(t *testing.T) {
	t.Parallel()
	server := redis.Start(t, redis.Options{})
	h := &heard{}
	o := at(server)
	o.Observer = h
	r, calm := newRedis(t, o), newRedis(t, patient(server))
	mustUse(t, calm, "a", true)
	server.Await("it is warm", func() bool {
		fresh, err := used(t, r, "a")
		return !fresh && err == nil
	})
	before := h.counts()["ok"]
	server.Pause()
	var all sync.WaitGroup
	for i := range 500 {
		all.Go(func() { mustRefuse(t, r, fmt.Sprint(i)) })
	}
	all.Wait()
	counts := h.counts()
	// At most as many as there are places have waited, twice if there was time.
	if counts["unanswered"] == 0 || counts["unanswered"] > 3*64 || counts["shed"] < 500-3*64 || counts["ok"] != before {
		t.Errorf("calls ended so: %v", counts)
	}
	if h.slowest > 2*time.Second {
		t.Errorf("the slowest took %s", h.slowest)
	}
	mustRefuse(t, r, "the circuit is open")
	if after := h.counts(); after["shed"] != counts["shed"]+1 && after["unanswered"] == counts["unanswered"] {
		t.Errorf("calls ended so: %v, then %v", counts, after)
	}
	server.Resume()
	server.Await("it is used again", func() bool {
		fresh, err := used(t, r, fmt.Sprint(time.Now().UnixNano()))
		return fresh && err == nil
	})
	mustUse(t, calm, "a", false)
}

func TestF288AnAnswerThatGotLost(t *testing.T) {
	t.Parallel()
	server := redis.Start(t, redis.Options{})
	lossy := newLossy(t, server.Port)
	o := patient(server)
	o.URL = lossy.url()
	r := newRedis(t, o)
	until := time.Now().Add(time.Hour)
	put := func(id string) {
		t.Helper()
		if err := r.Put(t.Context(), store.HandOver, "o", id, []byte("value"), until); err != nil {
			t.Fatal(err)
		}
	}
	mustUse(t, r, "first", true)
	for range 20 {
		id := fmt.Sprint(time.Now().UnixNano())
		put(id)
		lossy.lose(1)
		mustUse(t, r, id, true) // the write landed, and is this call's own
		mustUse(t, r, id, false)
		lossy.lose(1)
		mustUse(t, r, id, false)
		lossy.lose(1)
		if ok, err := r.Swap(t.Context(), store.HandOver, id, []byte("value"), []byte("another"), until); !ok || err != nil {
			t.Errorf("swap: %v, %v", ok, err)
		}
		lossy.lose(1)
		if v, ok, err := r.Take(t.Context(), store.HandOver, id); string(v) != "another" || !ok || err != nil {
			t.Errorf("take: %q, %v, %v", v, ok, err)
		}
		if _, ok, err := r.Take(t.Context(), store.HandOver, id); ok || err != nil {
			t.Errorf("taken twice: %v, %v", ok, err)
		}
		if lost := lossy.left(); lost != 0 {
			t.Fatalf("%d answers were not lost", lost)
		}
	}

	t.Run("when no answer comes at all, it counts as used", func(t *testing.T) {
		hasty := newRedis(t, store.RedisOptions{RedisAddress: o.RedisAddress, Deadline: time.Second})
		mustUse(t, hasty, "warm", true)
		lossy.lose(1 << 30)
		mustRefuse(t, hasty, "the one")
		lossy.lose(0)
		mustUse(t, r, "the one", false)
	})
}

func TestF289AFailoverThatLosesTheLastWrites(t *testing.T) {
	t.Parallel()
	t.Run("what a quorum has confirmed is not lost", func(t *testing.T) {
		t.Parallel()
		primary := redis.Start(t, redis.Options{})
		replica := redis.Start(t, redis.Options{ReplicaOf: primary})
		o := at(primary)
		o.Replicas, o.Deadline = 1, 20*time.Second
		strict := newRedis(t, o)
		for i := range 50 {
			mustUse(t, strict, fmt.Sprint(i), true)
		}
		primary.Kill()
		replica.Do("REPLICAOF", "NO", "ONE")
		next := newRedis(t, patient(replica))
		for i := range 50 {
			mustUse(t, next, fmt.Sprint(i), false)
		}
	})
	t.Run("what no quorum confirms is refused, and counts as used", func(t *testing.T) {
		t.Parallel()
		primary := redis.Start(t, redis.Options{})
		replica := redis.Start(t, redis.Options{ReplicaOf: primary})
		h := &heard{}
		o := at(primary)
		o.Replicas, o.Observer, o.Deadline = 1, h, 5*time.Second
		strict := newRedis(t, o)
		mustUse(t, strict, "a", true)
		replica.Pause()
		mustRefuse(t, strict, "b")
		if h.counts()["unconfirmed"] != 1 {
			t.Errorf("calls ended so: %v", h.counts())
		}
		replica.Resume()
		mustUse(t, newRedis(t, patient(primary)), "b", false)
	})
	t.Run("a server without its replicas is not used", func(t *testing.T) {
		t.Parallel()
		o := at(redis.Start(t, redis.Options{}))
		o.Replicas = 1
		strict := newRedis(t, o)
		mustRefuse(t, strict, "a")
		if err := strict.Look(t.Context()); err == nil || !strings.Contains(err.Error(), "at least 1 replicas") {
			t.Errorf("%v", err)
		}
	})
	t.Run("without a quorum, what was issued before the failover is told apart", func(t *testing.T) {
		t.Parallel()
		primary := redis.Start(t, redis.Options{})
		replica := redis.Start(t, redis.Options{ReplicaOf: primary})
		before := newRedis(t, patient(primary))
		mustUse(t, before, "a", true)
		replica.Await("the marker is there", func() bool { return len(replica.Keys()) > 0 })
		since := before.Since()
		primary.Kill()
		replica.Do("REPLICAOF", "NO", "ONE")
		replica.Advance(time.Until(since.Add(1100 * time.Millisecond)))
		after := newRedis(t, patient(replica))
		mustUse(t, after, "b", true)
		if !after.Since().After(since) {
			t.Errorf("since %s, and %s after the failover", since, after.Since())
		}
	})
	t.Run("a replica is not used as a store", func(t *testing.T) {
		t.Parallel()
		primary := redis.Start(t, redis.Options{})
		r := newRedis(t, at(redis.Start(t, redis.Options{ReplicaOf: primary})))
		mustRefuse(t, r, "a")
		if err := r.Look(t.Context()); err == nil || !strings.Contains(err.Error(), "it is a replica") {
			t.Errorf("%v", err)
		}
	})
}

func TestF290AStoreThatForgets(t *testing.T) {
	t.Parallel()
	t.Run("one that was flushed is refused once, and then begins anew", func(t *testing.T) {
		t.Parallel()
		server := redis.Start(t, redis.Options{})
		r, other := newRedis(t, patient(server)), newRedis(t, patient(server))
		mustUse(t, r, "a", true)
		mustUse(t, other, "b", true)
		since := r.Since()
		server.Advance(time.Until(since.Add(1100 * time.Millisecond)))
		server.Do("FLUSHALL")
		flushed := server.Now()
		mustRefuse(t, r, "a")
		if r.Since().Before(flushed) {
			t.Errorf("since %s, flushed at %s: what was used before passes", r.Since(), flushed)
		}
		mustUse(t, r, "a", true) // Since tells it apart
		for name, call := range map[string]func() error{
			"get":  func() error { _, _, err := other.Get(t.Context(), store.Opaque, "x"); return err },
			"any":  func() error { _, err := other.Any(t.Context(), store.Revoked, []string{"x"}); return err },
			"take": func() error { _, _, err := other.Take(t.Context(), store.HandOver, "x"); return err },
			"put": func() error {
				return other.Put(t.Context(), store.Opaque, "o", "x", nil, time.Now().Add(time.Hour))
			},
		} {
			if err := call(); !errors.Is(err, store.ErrUnavailable) {
				t.Errorf("%s right after a flush: %v", name, err)
			}
			if err := call(); err != nil {
				t.Errorf("%s again: %v", name, err)
			}
			server.Do("FLUSHALL")
		}
	})
	t.Run("one that may evict is not used", func(t *testing.T) {
		t.Parallel()
		server := redis.Start(t, redis.Options{Settings: []string{"maxmemory-policy allkeys-lru"}})
		r := newRedis(t, patient(server))
		mustRefuse(t, r, "a")
		err := r.Look(t.Context())
		if err == nil || r.Ready() || !strings.Contains(err.Error(), "expected maxmemory-policy noeviction, found allkeys-lru") {
			t.Errorf("%v", err)
		}
		server.Do("CONFIG", "SET", "maxmemory-policy", "noeviction")
		if err := r.Look(t.Context()); err != nil || !r.Ready() {
			t.Errorf("%v", err)
		}
		mustUse(t, r, "a", true)
		server.Do("CONFIG", "SET", "maxmemory-policy", "volatile-ttl")
		if err := r.Look(t.Context()); err == nil || r.Ready() {
			t.Error("what was changed while it is in use is not seen")
		}
		mustRefuse(t, r, "b")
	})
	t.Run("one that has evicted begins anew", func(t *testing.T) {
		t.Parallel()
		server := redis.Start(t, redis.Options{})
		r := newRedis(t, patient(server))
		mustUse(t, r, "a", true)
		since := r.Since()
		server.Advance(time.Until(since.Add(1100 * time.Millisecond)))
		server.Do("CONFIG", "SET", "maxmemory-policy", "allkeys-random")
		for i := range 100 {
			server.Do("SET", fmt.Sprint("filler", i), strings.Repeat("x", 10_000))
		}
		server.Do("CONFIG", "SET", "maxmemory", "1500000")
		server.Await("it evicts", func() bool {
			server.Do("SET", "more", strings.Repeat("x", 10_000))
			return !strings.Contains(server.Info(), "evicted_keys:0")
		})
		server.Do("CONFIG", "SET", "maxmemory-policy", "noeviction", "maxmemory", "0")
		if err := r.Look(t.Context()); err != nil {
			t.Fatal(err)
		}
		if !r.Since().After(since) {
			t.Errorf("since %s as before", since)
		}
	})
	t.Run("one that is full refuses, and forgets nothing", func(t *testing.T) {
		t.Parallel()
		server := redis.Start(t, redis.Options{})
		r := newRedis(t, patient(server))
		mustUse(t, r, "a", true)
		server.Do("CONFIG", "SET", "maxmemory", "1000")
		mustRefuse(t, r, "b")
		server.Do("CONFIG", "SET", "maxmemory", "0")
		mustUse(t, r, "b", true)
		mustUse(t, r, "a", false)
	})
}

func TestF298AllReplicasAreRestartedAtOnce(t *testing.T) {
	t.Parallel()
	server := redis.Start(t, redis.Options{})
	before := newRedis(t, patient(server))
	mustUse(t, before, "a", true)
	if err := before.Close(); err != nil {
		t.Fatal(err)
	}
	after := newRedis(t, patient(server))
	mustUse(t, after, "a", false)
	if !after.Since().Equal(before.Since()) {
		t.Errorf("since %s before, %s after: the store outlives its replicas", before.Since(), after.Since())
	}
}

func TestF296CredentialsAndTLS(t *testing.T) {
	t.Parallel()
	t.Run("passwords are rotated without a restart", func(t *testing.T) {
		t.Parallel()
		server := redis.Start(t, redis.Options{TLS: true})
		file := filepath.Join(t.TempDir(), "password")
		write := func(password string) {
			if err := os.WriteFile(file, []byte(password+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		rules := []any{"ACL", "SETUSER", "exchequer", "on", "~exchequer:*", "resetchannels", "+@all", "-@dangerous", "+info"}
		server.Do(append(rules, ">first")...)
		write("first")
		o := patient(server)
		o.Username, o.PasswordFile = "exchequer", file
		r := newRedis(t, o)
		mustUse(t, r, "a", true)
		write("second")
		server.Do(append(rules, "resetpass", ">second")...)
		server.Do("CLIENT", "KILL", "USER", "exchequer", "SKIPME", "yes")
		mustUse(t, r, "b", true)
		server.Do(append(rules, "resetpass", ">third")...)
		server.Do("CLIENT", "KILL", "USER", "exchequer", "SKIPME", "yes")
		mustRefuse(t, r, "c")
		write("third")
		mustUse(t, r, "c", true)
		mustUse(t, r, "a", false)
	})
	t.Run("only who was signed for is spoken to", func(t *testing.T) {
		t.Parallel()
		server := redis.Start(t, redis.Options{TLS: true})
		o := at(server)
		o.CA = redis.NewAuthority(t).File
		mustRefuse(t, newRedis(t, o), "a")
		o.CA = ""
		mustRefuse(t, newRedis(t, o), "a")
		o = patient(server)
		o.URL = strings.Replace(o.URL, "localhost", "127.0.0.2", 1)
		mustRefuse(t, newRedis(t, o), "a")
		mustUse(t, newRedis(t, patient(server)), "a", true)
	})
	t.Run("a server that wants to know who we are is told", func(t *testing.T) {
		t.Parallel()
		server := redis.Start(t, redis.Options{TLS: true})
		server.Do("CONFIG", "SET", "tls-auth-clients", "yes")
		o := patient(server)
		mustRefuse(t, newRedis(t, at(server)), "a")
		o.Certificate, o.Key = server.Authority.Server(t, "exchanger")
		mustUse(t, newRedis(t, o), "a", true)
	})
	for name, test := range map[string]struct {
		address store.RedisAddress
		want    string
	}{
		"a server elsewhere without TLS":      {store.RedisAddress{URL: "redis://10.0.0.1:6379"}, "expected rediss://"},
		"a name without TLS":                  {store.RedisAddress{URL: "redis://redis.example:6379"}, "expected rediss://"},
		"a name that only looks like ours":    {store.RedisAddress{URL: "redis://127.0.0.1.example:6379"}, "expected rediss://"},
		"another scheme":                      {store.RedisAddress{URL: "https://redis.example"}, "expected rediss:// or redis://"},
		"no scheme":                           {store.RedisAddress{URL: "redis.example:6379"}, "expected rediss://host:port"},
		"nothing":                             {store.RedisAddress{}, "expected rediss://host:port"},
		"a password in the address":           {store.RedisAddress{URL: "rediss://:hunter2@redis.example:6379"}, "expected no credentials"},
		"options in the address":              {store.RedisAddress{URL: "rediss://redis.example?skip_verify=true"}, "expected rediss://host:port"},
		"a database that is none":             {store.RedisAddress{URL: "rediss://redis.example/main"}, "number of a database"},
		"a password file that is not there":   {store.RedisAddress{URL: "rediss://redis.example", PasswordFile: "/absent"}, "/absent"},
		"an authority that is not there":      {store.RedisAddress{URL: "rediss://redis.example", CA: "/absent"}, "/absent"},
		"an authority that is none":           {store.RedisAddress{URL: "rediss://redis.example", CA: "/dev/null"}, "found none in /dev/null"},
		"an empty password":                   {store.RedisAddress{URL: "rediss://redis.example", PasswordFile: "/dev/null"}, "is empty"},
		"half a client certificate":           {store.RedisAddress{URL: "rediss://redis.example", Certificate: "/etc/hostname"}, "both or neither"},
		"certificates where there is no TLS":  {store.RedisAddress{URL: "redis://localhost", CA: "/etc/hostname"}, "has no TLS"},
		"a file of credentials without bound": {store.RedisAddress{URL: "rediss://redis.example", PasswordFile: "/dev/zero"}, "larger than"},
	} {
		t.Run("refused at once: "+name, func(t *testing.T) {
			t.Parallel()
			_, err := store.NewRedis(store.RedisOptions{RedisAddress: test.address})
			if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("%v, want %q", err, test.want)
			}
		})
	}
}

func TestWhatIsKeptNamesNobody(t *testing.T) {
	t.Parallel()
	server := redis.Start(t, redis.Options{})
	r := newRedis(t, patient(server))
	until := time.Now().Add(time.Hour)
	if _, err := r.Once(t.Context(), store.ClientAssertion, "main shop/web", "the-identifier", until); err != nil {
		t.Fatal(err)
	}
	if err := r.Put(t.Context(), store.Opaque, "main shop/web", "the-identifier", []byte("sealed"), until); err != nil {
		t.Fatal(err)
	}
	keys := server.Keys()
	if len(keys) != 6 { // the marker, a use and a value, two sets and one sum
		t.Errorf("%d keys: %q", len(keys), keys)
	}
	for _, key := range keys {
		if !strings.HasPrefix(key, "exchequer:") || strings.Contains(key, "shop") || strings.Contains(key, "identifier") {
			t.Errorf("%q", key)
		}
		if left, _ := server.Do("PTTL", key).(int64); left <= 0 && key != "exchequer:since" {
			t.Errorf("%q stays forever", key)
		}
	}
}
