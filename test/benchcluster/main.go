// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/exchequer-dev/exchequer/test/faults/rig"
)

func main() {
	sizes := flag.String("policies", "100,1000,10000", "numbers of policies, separated by commas")
	changes := flag.Int("changes", 50, "measured changes of each kind")
	profiles := flag.String("profiles", "", "keep CPU and heap profiles of controller and exchangers while policies are applied in this folder")
	keep := flag.Bool("keep-logs", false, "do not delete the folder with the programs' logs")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *sizes, *changes, *profiles, *keep); err != nil {
		fmt.Fprintln(os.Stderr, "bench-cluster:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, sizes string, changes int, profiles string, keep bool) error {
	assets := os.Getenv("KUBEBUILDER_ASSETS")
	if assets == "" {
		return errors.New("KUBEBUILDER_ASSETS is not set to the folder with kube-apiserver and etcd: `make bench-cluster` sets it")
	}
	dir, err := os.MkdirTemp("", "exchequer-bench-cluster-")
	if err != nil {
		return err
	}
	if keep {
		fmt.Fprintln(os.Stderr, "logs are in", dir)
	} else {
		defer func() { _ = os.RemoveAll(dir) }()
	}
	progress("building the programs")
	var edits []rig.Edit
	if profiles != "" {
		edits = rig.Profiled()
	}
	programs, err := rig.Build(ctx, filepath.Join(dir, "bin"), edits...)
	if err != nil {
		return err
	}
	var results []*result
	for _, text := range strings.Split(sizes, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(text))
		if err != nil || n < 10 {
			return fmt.Errorf("-policies %q: expected numbers from 10, separated by commas", sizes)
		}
		own := filepath.Join(dir, strconv.Itoa(n))
		if err := os.Mkdir(own, 0o700); err != nil {
			return err
		}
		b := &bench{policies: n, changes: changes, profiles: profiles, result: &result{policies: n}}
		if err := b.run(ctx, rig.Options{Assets: assets, Dir: own, Programs: programs, Sync: true}); err != nil {
			return fmt.Errorf("with %d policies: %w", n, err)
		}
		results = append(results, b.result)
	}
	fmt.Printf("%d cores, %s, 1 controller, 2 exchangers, %d changes of each kind\n\n", runtime.NumCPU(), runtime.Version(), changes)
	report(results)
	return nil
}

// progress says on standard error what goes on, with the time.
func progress(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "%s  %s\n", time.Now().Format("15:04:05"), fmt.Sprintf(format, args...))
}
