// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package exchange_test

import (
	"io"
	"testing"

	"github.com/exchequer-dev/exchequer/exchanger/audit"
	"github.com/exchequer-dev/exchequer/exchanger/limit"
	"github.com/exchequer-dev/exchequer/exchanger/oauth"
	"github.com/exchequer-dev/exchequer/exchanger/subject"
)

// pool is how many distinct tokens there are before the memory of verified ones
// is thrown away: below the entries that it keeps, so that nothing is evicted.
const pool = 4096

// BenchmarkExchange is one exchange without HTTP, with a rule, a claim and the
// audit log: what is below the transport.
func BenchmarkExchange(b *testing.B) {
	b.Run("distinct subject tokens", func(b *testing.B) { benchmark(b, pool) })
	b.Run("one subject token, repeated", func(b *testing.B) { benchmark(b, 1) })
}

func benchmark(b *testing.B, tokens int) {
	w := newWorld(b)
	log := audit.New(io.Discard, audit.Options{})
	b.Cleanup(func() { _ = log.Close() })
	w.use.Audit, w.use.Failures, w.use.Rates = log, limit.NewFailures(100), limit.NewRates(100)
	calls := make([]*oauth.Call, tokens)
	for i := range calls {
		calls[i] = w.call(form(w.token(nil), nil))
	}
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		n := i % tokens
		if n == 0 && tokens > 1 {
			w.use.Subjects = subject.New(w.issuers, w.ring, subject.Options{})
		}
		if a := w.use.Exchange(b.Context(), calls[n]); a.Refusal != nil {
			b.Fatal(a.Refusal)
		}
	}
}
