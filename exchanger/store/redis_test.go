// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/exchequer-dev/exchequer/exchanger/store"
	"github.com/exchequer-dev/exchequer/exchanger/store/storetest"
	"github.com/exchequer-dev/exchequer/test/redis"
)

// newRedis is one replica's store in a server.
func newRedis(tb testing.TB, o store.RedisOptions) *store.Redis {
	tb.Helper()
	r, err := store.NewRedis(o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = r.Close() })
	return r
}

func at(s *redis.Server) store.RedisOptions {
	o := store.RedisOptions{RedisAddress: store.RedisAddress{URL: s.URL()}}
	if s.Authority != nil {
		o.CA = s.Authority.File
	}
	return o
}

// patient is for tests that are not about time, on machines that have none.
func patient(s *redis.Server) store.RedisOptions {
	o := at(s)
	o.Deadline = 20 * time.Second
	return o
}

func TestRedisKeepsTheContractOfStores(t *testing.T) {
	t.Parallel()
	server := redis.Start(t, redis.Options{})
	t.Run("F285, F291, F292, F293, F294, F295: the suite that every backend runs", func(t *testing.T) {
		flushed := func(t *testing.T) {
			t.Helper()
			server.Do("FLUSHALL")
		}
		storetest.Run(t, storetest.Backend{
			New: func(t *testing.T, replicas int) []store.Store {
				t.Helper()
				flushed(t)
				all := make([]store.Store, replicas)
				for i := range all {
					all[i] = newRedis(t, patient(server))
				}
				return all
			},
			Limited: func(t *testing.T, limits store.MemoryLimits) store.Store {
				t.Helper()
				flushed(t)
				o := patient(server)
				o.Limits = limits
				return newRedis(t, o)
			},
			Advance: server.Advance,
			Now:     server.Now,
			Unit:    10 * time.Millisecond,
		})
	})
}

func BenchmarkRedisOnce(b *testing.B) {
	server := redis.Start(b, redis.Options{})
	r := newRedis(b, patient(server))
	var n atomic.Int64
	once := func() {
		if fresh, err := r.Once(b.Context(), store.ClientAssertion, fmt.Sprint("owner", n.Load()%8), fmt.Sprint(n.Add(1)), time.Now().Add(time.Hour)); !fresh || err != nil {
			b.Error(fresh, err)
		}
	}
	b.Run("one after the other", func(b *testing.B) {
		for b.Loop() {
			once()
		}
	})
	b.Run("many at once", func(b *testing.B) {
		b.SetParallelism(16)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				once()
			}
		})
	})
	b.Run("memory", func(b *testing.B) {
		used := func() float64 {
			for line := range strings.Lines(server.Info()) {
				if value, ok := strings.CutPrefix(line, "used_memory:"); ok {
					bytes, _ := strconv.ParseFloat(strings.TrimSpace(value), 64)
					return bytes
				}
			}
			return 0
		}
		const uses = 20_000
		before := used()
		for range uses {
			once()
		}
		b.ReportMetric((used()-before)/uses, "bytes/use")
	})
}
