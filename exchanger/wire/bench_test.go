// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"testing"
	"time"
)

// BenchmarkOneChange is what one changed policy among 10,000 costs either side.
func BenchmarkOneChange(b *testing.B) {
	spec := specOf(10000)
	first, err := Encode(spec, 1, nil)
	if err != nil {
		b.Fatal(err)
	}
	chunks := map[string][]byte{}
	keep := func(p Plan) {
		for _, c := range p.Write {
			chunks[c.Name] = c.Data
		}
	}
	get := func(name string) ([]byte, error) { return chunks[name], nil }
	keep(first)
	d := &Decoder{}
	if _, err := d.Decode(first.Pointer, get); err != nil {
		b.Fatal(err)
	}
	spec.Policies[5000].Lifetime = time.Hour
	second, err := Encode(spec, 2, &first.Pointer)
	if err != nil {
		b.Fatal(err)
	}
	keep(second)
	b.Run("write", func(b *testing.B) {
		for b.Loop() {
			if _, err := Encode(spec, 2, &first.Pointer); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(len(second.Write[0].Data)), "chunk-bytes")
		b.ReportMetric(float64(len(second.Pointer.Marshal())), "pointer-bytes")
	})
	b.Run("read", func(b *testing.B) {
		for b.Loop() {
			fresh := *d
			if _, err := fresh.Decode(second.Pointer, get); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("read all", func(b *testing.B) {
		for b.Loop() {
			if _, err := Decode(second.Pointer, get); err != nil {
				b.Fatal(err)
			}
		}
	})
}
