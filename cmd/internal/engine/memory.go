// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"math"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
)

const (
	// gcPercent lets what a request leaves behind, about 15 KiB, pile up to eight
	// times what stays (the snapshot, and caches with bounds) before it is collected:
	// a collection walks all that stays.
	gcPercent = 800
	// memoryShare is the part of the container's memory that the heap may use before
	// it is collected more often; the rest is for stacks, the kernel's buffers and a
	// checkpoint in memory.
	memoryShare = 0.8
	cgroupLimit = "/sys/fs/cgroup/memory.max"
)

// TuneMemory chooses how eagerly memory is collected. GOGC and GOMEMLIMIT in the
// environment win. Without GOMEMLIMIT, the limit of the container is taken from its
// cgroup, so that a heap that grows towards it is collected and not killed.
func TuneMemory(getenv func(string) string) {
	if getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	if getenv("GOMEMLIMIT") != "" {
		return
	}
	if b, err := os.ReadFile(cgroupLimit); err == nil {
		if limit, ok := memoryLimit(string(b)); ok {
			debug.SetMemoryLimit(limit)
		}
	}
}

// memoryLimit reads a cgroup's memory.max; "max" is none.
func memoryLimit(text string) (int64, bool) {
	n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
	if err != nil || n <= 0 || n == math.MaxInt64 {
		return 0, false
	}
	return int64(float64(n) * memoryShare), true
}
