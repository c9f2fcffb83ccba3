// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package issuer_test

import (
	"testing"

	"github.com/exchequer-dev/exchequer/exchanger/issuer"
	fake "github.com/exchequer-dev/exchequer/test/fakes/issuer"
)

// BenchmarkKeys is what every request pays: a known key, and the generation
// that a cache of verified tokens compares.
func BenchmarkKeys(b *testing.B) {
	iss, err := fake.New(fake.Options{URL: "https://login.corp.example"})
	if err != nil {
		b.Fatal(err)
	}
	m := issuer.New(issuer.Options{Logger: discard()})
	m.SetSources([]issuer.Source{{Name: corp, Digest: digest, URL: iss.URL(), Inline: iss.KeySet()}})
	b.ReportAllocs()
	for b.Loop() {
		if _, err := m.Keys(b.Context(), corp, digest, "key-1"); err != nil {
			b.Fatal(err)
		}
		if m.Generation(corp) == 0 {
			b.Fatal("no generation")
		}
	}
}
