// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// searcher is a process that knows what it looks for, so that the one that it looks
// into does not have to.
func searcher(args []string) int {
	var err error
	switch {
	case len(args) == 2 && args[0] == "attributes":
		err = attributes(args[1])
	case len(args) == 3 && args[0] == "memory":
		err = memory(args[1], args[2])
	default:
		err = fmt.Errorf("unknown arguments %q", args)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// memory counts how often a secret stands in a process's memory: the private number
// of a PEM file in either order of bytes, or what hex:… spells.
func memory(pid, what string) error {
	needles, err := needlesOf(what)
	if err != nil {
		return err
	}
	maps, err := os.ReadFile("/proc/" + pid + "/maps")
	if err != nil {
		return err
	}
	mem, err := os.Open("/proc/" + pid + "/mem")
	if err != nil {
		return err
	}
	defer func() { _ = mem.Close() }()
	found, searched := 0, int64(0)
	for line := range strings.Lines(string(maps)) {
		fields := strings.Fields(line)
		from, to, _ := strings.Cut(fields[0], "-")
		start, err1 := strconv.ParseUint(from, 16, 63)
		end, err2 := strconv.ParseUint(to, 16, 63)
		if err1 != nil || err2 != nil || !strings.HasPrefix(fields[1], "rw") {
			continue
		}
		b := make([]byte, end-start)
		n, err := mem.ReadAt(b, int64(start))
		if err != nil && n == 0 || err == io.EOF {
			continue // reserved and never touched
		}
		searched += int64(n)
		for _, needle := range needles {
			found += bytes.Count(b[:n], needle)
		}
	}
	fmt.Printf("%d times in %d MiB\n", found, searched>>20)
	return nil
}

func needlesOf(what string) ([][]byte, error) {
	if text, ok := strings.CutPrefix(what, "hex:"); ok {
		// What is looked for must not stand on a command line as it is.
		b, err := hex.DecodeString(text)
		for i := range b {
			b[i] ^= 0xff
		}
		return [][]byte{b}, err
	}
	b, err := os.ReadFile(what)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(b)
	if block == nil {
		return nil, fmt.Errorf("%s is not PEM", what)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	var secret []byte
	switch k := parsed.(type) {
	case *ecdsa.PrivateKey:
		if secret, err = k.Bytes(); err != nil {
			return nil, err
		}
	case *rsa.PrivateKey:
		secret = k.Primes[0].Bytes()
	}
	reversed := slices.Clone(secret)
	slices.Reverse(reversed)
	return [][]byte{secret, reversed}, nil
}

// occurrences searches the memory of this process from another one.
func occurrences(t *testing.T, what string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "memory", strconv.Itoa(os.Getpid()), what)
	cmd.Env = append(os.Environ(), role+"=searcher")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return strings.TrimSpace(string(out))
}
