// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

// Command iana compares the registries of special-purpose addresses that
// exchanger/issuer/egress is tested against with those that IANA publishes.
//
//	iana          exit 0: the same; 1: IANA has changed them; 2: could not look
//	iana -write   take over IANA's; the tests then say what to change
//
// Could not look is never the same: who asks for this check wants to know.
package main

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

type check struct {
	from, dir string
	write     bool
	client    *http.Client
	out       io.Writer
}

// registries maps IANA's path of a registry to our file.
func registries() [][2]string {
	return [][2]string{
		{"iana-ipv4-special-registry/iana-ipv4-special-registry-1.csv", "iana-ipv4-special-registry-1.csv"},
		{"iana-ipv6-special-registry/iana-ipv6-special-registry-1.csv", "iana-ipv6-special-registry-1.csv"},
	}
}

func main() {
	c := check{client: &http.Client{Timeout: 30 * time.Second}, out: os.Stdout}
	flag.StringVar(&c.from, "from", "https://www.iana.org/assignments", "the `URL` below which IANA keeps its registries")
	flag.StringVar(&c.dir, "dir", "exchanger/issuer/egress/testdata/iana", "the `FOLDER` of our copies")
	flag.BoolVar(&c.write, "write", false, "replace our copies by IANA's")
	flag.Parse()
	os.Exit(c.run(context.Background()))
}

func (c check) run(ctx context.Context) int {
	code := 0
	for _, r := range registries() {
		file := filepath.Join(c.dir, r[1])
		theirs, err := c.fetch(ctx, c.from+"/"+r[0])
		if err != nil {
			fmt.Fprintf(c.out, "COULD NOT LOOK whether %s is current: %v\n", file, err)
			code = 2
			continue
		}
		ours, err := os.ReadFile(file)
		if err != nil && !(c.write && errors.Is(err, os.ErrNotExist)) {
			fmt.Fprintf(c.out, "COULD NOT LOOK: %v\n", err)
			code = 2
			continue
		}
		diff := rowsDiff(ours, theirs)
		if len(diff) == 0 {
			fmt.Fprintf(c.out, "%s is what IANA publishes\n", file)
			continue
		}
		fmt.Fprintf(c.out, "%s is not what IANA publishes:\n%s\n", file, strings.Join(diff, "\n"))
		if !c.write {
			fmt.Fprintln(c.out, "take it over with -write, then run the tests of exchanger/issuer/egress")
			code = max(code, 1)
		} else if err := os.WriteFile(file, theirs, 0o644); err != nil {
			fmt.Fprintln(c.out, err)
			code = 2
		}
	}
	return code
}

// limit is forty times what the larger registry had in 2026 (2.5 KB).
const limit = 100 << 10

func (c check) fetch(ctx context.Context, url string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return nil, err
	}
	response, err := c.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answers %s", url, response.Status)
	}
	content, err := io.ReadAll(io.LimitReader(response.Body, limit+1))
	if err != nil {
		return nil, err
	}
	content = bytes.ReplaceAll(content, []byte("\r\n"), []byte("\n"))
	if len(content) > limit {
		return nil, fmt.Errorf("%s is larger than %d bytes", url, limit)
	}
	r, err := rows(content)
	if err != nil {
		return nil, fmt.Errorf("%s is no registry of special-purpose addresses: %w", url, err)
	}
	if len(r) < 2 || !strings.HasPrefix(r[0], "Address Block,") {
		return nil, fmt.Errorf("%s is no registry of special-purpose addresses", url)
	}
	return content, nil
}

// rowsDiff compares what the registries say: IANA wraps the lines of a cell
// differently from time to time.
func rowsDiff(ours, theirs []byte) []string {
	a, errA := rows(ours)
	b, errB := rows(theirs)
	if err := errors.Join(errA, errB); err != nil {
		return []string{err.Error()}
	}
	var out []string
	for _, row := range a {
		if !slices.Contains(b, row) {
			out = append(out, "- "+row)
		}
	}
	for _, row := range b {
		if !slices.Contains(a, row) {
			out = append(out, "+ "+row)
		}
	}
	return out
}

func rows(content []byte) ([]string, error) {
	records, err := csv.NewReader(bytes.NewReader(content)).ReadAll()
	if err != nil {
		return nil, err
	}
	out := make([]string, 0, len(records))
	for _, cells := range records {
		for i := range cells {
			cells[i] = strings.Join(strings.Fields(cells[i]), " ")
		}
		out = append(out, strings.Join(cells, ","))
	}
	return out, nil
}
