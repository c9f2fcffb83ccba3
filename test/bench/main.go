// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"time"
)

func main() {
	if len(os.Args) == 3 && os.Args[1] == "reference" {
		if err := runReference(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	rounds := flag.Int("rounds", 5, "rounds of each load")
	n := flag.Int("n", 8000, "exchanges a round")
	binary := flag.String("exchequer", "", "program to measure; built when empty")
	skipPolicies := flag.Bool("skip-policies", false, "do not measure Decide and Compile")
	skipExchanges := flag.Bool("skip-exchanges", false, "measure Decide and Compile alone")
	profile := flag.String("profile", "", "keep a CPU profile of exchequer under (a) in this file, instead of comparing")
	revoke := flag.Int("revocations", 0, "measure this many revocations over two replicas and a Redis, and nothing else")
	flag.Parse()
	if *skipExchanges {
		if err := policies(); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
			os.Exit(1)
		}
		return
	}
	if err := run(*rounds, *n, *revoke, *binary, *skipPolicies, *profile); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(rounds, n, revoke int, binary string, skipPolicies bool, profile string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Minute)
	defer cancel()
	dir, err := os.MkdirTemp("", "exchequer-bench")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if binary == "" {
		binary = filepath.Join(dir, "exchequer")
		fmt.Println("building exchequer ...")
		if out, err := exec.CommandContext(ctx, "go", "build", "-o", binary, "./cmd/exchequer").CombinedOutput(); err != nil {
			return fmt.Errorf("build: %w: %s", err, out)
		}
	}
	if revoke > 0 {
		return revocations(ctx, dir, binary, revoke)
	}
	if profile != "" {
		return profiled(ctx, dir, binary, rounds, n, profile)
	}
	if err := exchanges(ctx, dir, binary, rounds, n); err != nil {
		return err
	}
	if skipPolicies {
		return nil
	}
	return policies()
}

// exchanges compares the three loads, in alternating rounds.
func exchanges(ctx context.Context, dir, binary string, rounds, n int) error {
	w, err := newWorld(dir)
	if err != nil {
		return err
	}
	ours, err := w.exchequer(ctx, binary)
	if err != nil {
		return err
	}
	defer ours.stop()
	ref, err := w.reference(ctx)
	if err != nil {
		return err
	}
	defer ref.stop()
	fmt.Printf("%d cores, %s, %d connections, %d rounds of %d exchanges each\n\n", runtime.NumCPU(), runtime.Version(), connections, rounds, n)
	var floors []float64
	results := map[string][]result{}
	for round := range rounds + 1 { // the first is a warm-up
		f, err := floor()
		if err != nil {
			return err
		}
		fresh, err := w.requests("/token", n, true)
		if err != nil {
			return err
		}
		one, err := w.requests("/token", n, false)
		if err != nil {
			return err
		}
		for _, l := range []struct {
			name string
			to   *child
			what [][]byte
		}{{distinct, ours, fresh}, {bare, ref, fresh}, {repeated, ours, one}} {
			r, err := load(l.to, l.what)
			if err != nil {
				return fmt.Errorf("%s: %w", l.name, err)
			}
			if round > 0 {
				results[l.name] = append(results[l.name], r)
			}
		}
		if round > 0 {
			floors = append(floors, f)
		}
	}
	report(results, floors)
	return nil
}

// profiled runs (a) alone with the profiler on.
func profiled(ctx context.Context, dir, binary string, rounds, n int, file string) error {
	w, err := newWorld(dir)
	if err != nil {
		return err
	}
	s, err := w.exchequer(ctx, binary, "--cpu-profile", file)
	if err != nil {
		return err
	}
	defer s.stop()
	for range rounds {
		fresh, err := w.requests("/token", n, true)
		if err != nil {
			return err
		}
		r, err := load(s, fresh)
		if err != nil {
			return err
		}
		fmt.Printf("%.1f µs, %.0f allocations\n", r.cpuMicros, r.allocs)
	}
	return nil
}

const (
	distinct = "(a) exchequer, distinct tokens"
	repeated = "(b) exchequer, one token repeated"
	bare     = "(c) reference handler"
)

func report(results map[string][]result, floors []float64) {
	fmt.Printf("%-36s %10s %9s %9s %10s %8s %8s\n", "", "CPU µs", "p50 ms", "p99 ms", "per second", "allocs", "RSS MiB")
	for _, name := range []string{distinct, repeated, bare} {
		rs := results[name]
		ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
		fmt.Printf("%-36s %10.1f %9.2f %9.2f %10.0f %8.0f %8.0f\n", name,
			median(rs, func(r result) float64 { return r.cpuMicros }), median(rs, func(r result) float64 { return ms(r.p50) }),
			median(rs, func(r result) float64 { return ms(r.p99) }), median(rs, func(r result) float64 { return r.perSecond }),
			median(rs, func(r result) float64 { return r.allocs }), median(rs, func(r result) float64 { return r.rssMiB }))
	}
	fmt.Printf("%-36s %10.1f\n\n", "crypto floor (verify + sign)", median(floors, func(f float64) float64 { return f }))
	goal := func(what string, ratios []float64, most float64) {
		m := median(ratios, func(f float64) float64 { return f })
		verdict := "met"
		if m > most {
			verdict = "MISSED"
		}
		fmt.Printf("%-36s %5.2f (%.2f to %.2f)   goal ≤ %.1f: %s\n", what, m, slices.Min(ratios), slices.Max(ratios), most, verdict)
	}
	var toRef, toFloor, cached []float64
	for i := range results[distinct] {
		toRef = append(toRef, results[distinct][i].cpuMicros/results[bare][i].cpuMicros)
		toFloor = append(toFloor, results[distinct][i].cpuMicros/floors[i])
		cached = append(cached, results[repeated][i].cpuMicros/results[bare][i].cpuMicros)
	}
	goal("distinct / reference", toRef, 1.0)
	goal("distinct / crypto floor", toFloor, 1.8)
	goal("repeated / reference", cached, 0.6)
	fmt.Println()
}

func median[T any](list []T, of func(T) float64) float64 {
	if len(list) == 0 {
		return 0
	}
	values := make([]float64, len(list))
	for i := range list {
		values[i] = of(list[i])
	}
	slices.Sort(values)
	return values[len(values)/2]
}
