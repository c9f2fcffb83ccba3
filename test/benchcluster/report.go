// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/exchequer-dev/exchequer/test/faults/rig"
)

// report prints the tables as they stand in docs/performance.md.
func report(results []*result) {
	fmt.Println("| from … to … | policies | p50 ms | p99 ms | most ms | goal p99 |")
	fmt.Println("|---|---|---|---|---|---|")
	for _, line := range []struct {
		what string
		of   func(*result) []time.Duration
	}{
		{"apply a policy → every replica allows", func(r *result) []time.Duration { return r.apply }},
		{"apply a policy → Programmed", func(r *result) []time.Duration { return r.programmed }},
		{"delete a policy → every replica refuses", func(r *result) []time.Duration { return r.remove }},
		{"suspend an issuer → every replica refuses", func(r *result) []time.Duration { return r.suspend }},
	} {
		for _, r := range results {
			d := line.of(r)
			p99 := rig.Percentile(d, 99)
			fmt.Printf("| %s | %d | %.0f | %.0f | %.0f | %s |\n", line.what, r.policies, ms(rig.Percentile(d, 50)), ms(p99), ms(slices.Max(d)), verdict(p99 <= time.Second, "≤ 1000"))
		}
	}
	fmt.Println("\n| policies | objects | controller MiB (peak) | exchanger MiB (peak) | controller start to first snapshot s | exchanger start to Ready s | from its checkpoint, no API server s | goal |")
	fmt.Println("|---|---|---|---|---|---|---|---|")
	for _, r := range results {
		fmt.Printf("| %d | %d | %d (%d) | %d (%d) | %.1f | %.1f | %.1f | %s |\n", r.policies, r.objects, r.controllerMemory>>20, r.controllerPeak>>20,
			r.exchangerMemory>>20, r.exchangerPeak>>20, r.published.Seconds(), r.exchangerReady.Seconds(), r.fromCheckpoint.Seconds(),
			verdict(r.exchangerReady <= 5*time.Second && r.fromCheckpoint <= 6*time.Second, "≤ 5 s"))
	}
	fmt.Println("\n| policies | snapshot KiB | chunks | CPU per change, controller ms | CPU per change, exchanger ms |")
	fmt.Println("|---|---|---|---|---|")
	for _, r := range results {
		fmt.Printf("| %d | %d | %d | %.0f | %.0f |\n", r.policies, r.specBytes>>10, r.chunks, ms(r.controllerCPU), ms(r.exchangerCPU))
	}
	fmt.Println("\n| one changed policy writes into etcd | policies | writes | KiB |")
	fmt.Println("|---|---|---|---|")
	for _, r := range results {
		for _, what := range slices.Sorted(maps.Keys(r.perChange)) {
			w := r.perChange[what]
			fmt.Printf("| %s | %d | %.1f | %.1f |\n", what, r.policies, w.writes, w.bytes/1024)
		}
	}
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func verdict(met bool, goal string) string {
	if met {
		return goal + ": met"
	}
	return goal + ": MISSED"
}
