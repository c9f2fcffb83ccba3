// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// connections is the load of the comparison: 8 kept-alive connections.
const connections = 8

// result is what one round under load cost.
type result struct {
	cpuMicros float64 // of the server, per exchange
	p50, p99  time.Duration
	perSecond float64
	allocs    float64 // per exchange
	rssMiB    float64
}

// request is a whole HTTP/1.1 request, made before the clock runs.
func request(path string, form url.Values) []byte {
	body := form.Encode()
	return fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n%s", path, len(body), body)
}

// load sends every request once over the connections and measures the server.
func load(s *child, requests [][]byte) (result, error) {
	mallocs := s.mallocs()
	cpu := s.cpu()
	start := time.Now()
	var next atomic.Int64
	latencies := make([][]time.Duration, connections)
	errs := make([]error, connections)
	var wg sync.WaitGroup
	for c := range connections {
		wg.Go(func() { latencies[c], errs[c] = worker(s.address, requests, &next) })
	}
	wg.Wait()
	took := time.Since(start)
	cpu = s.cpu() - cpu
	all := slices.Concat(latencies...)
	for _, err := range errs {
		if err != nil {
			return result{}, err
		}
	}
	slices.Sort(all)
	n := float64(len(all))
	return result{
		cpuMicros: float64(cpu.Microseconds()) / n, p50: all[len(all)/2], p99: all[len(all)*99/100], perSecond: n / took.Seconds(),
		allocs: (s.mallocs() - mallocs) / n, rssMiB: s.rss(),
	}, nil
}

func worker(address string, requests [][]byte, next *atomic.Int64) ([]time.Duration, error) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close() }()
	r := bufio.NewReaderSize(conn, 16<<10)
	var took []time.Duration
	for {
		i := int(next.Add(1)) - 1
		if i >= len(requests) {
			return took, nil
		}
		start := time.Now()
		if _, err := conn.Write(requests[i]); err != nil {
			return nil, err
		}
		if err := response(r); err != nil {
			return nil, fmt.Errorf("request %d: %w", i, err)
		}
		took = append(took, time.Since(start))
	}
}

// response reads one answer and wants it to be a 200.
func response(r *bufio.Reader) error {
	status, err := r.ReadSlice('\n')
	if err != nil {
		return err
	}
	if !bytes.HasPrefix(status, []byte("HTTP/1.1 200")) {
		rest := make([]byte, 600)
		n, _ := io.ReadAtLeast(r, rest, 1)
		return fmt.Errorf("answer %s %s", bytes.TrimSpace(status), rest[:n])
	}
	length := 0
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return err
		}
		if len(line) <= 2 {
			break
		}
		if v, ok := bytes.CutPrefix(line, []byte("Content-Length: ")); ok {
			length, _ = strconv.Atoi(string(bytes.TrimSpace(v)))
		}
	}
	_, err = r.Discard(length)
	return err
}

// cpu is the CPU time that the process has used: fields 14 and 15 of its stat
// file, in ticks of 10 ms.
func (s *child) cpu() time.Duration {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(raw), ") ")
	f := strings.Fields(rest)
	user, _ := strconv.ParseInt(f[11], 10, 64)
	system, _ := strconv.ParseInt(f[12], 10, 64)
	return time.Duration(user+system) * 10 * time.Millisecond
}

func (s *child) rss() float64 {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(raw), "VmRSS:")
	f := strings.Fields(rest)
	if len(f) == 0 {
		return 0
	}
	kib, _ := strconv.ParseFloat(f[0], 64)
	return kib / 1024
}

// mallocs reads the server's count of allocations from its metrics.
func (s *child) mallocs() float64 {
	resp, err := http.Get("http://" + s.address + "/metrics")
	if err != nil {
		return 0
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 4<<20))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(body)) {
		if v, ok := strings.CutPrefix(line, "go_memstats_mallocs_total "); ok {
			n, _ := strconv.ParseFloat(strings.TrimSpace(v), 64)
			return n
		}
	}
	return 0
}
