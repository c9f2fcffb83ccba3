// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

// Command vuln runs govulncheck and answers in a way that a workflow can rely
// on: it is silent about nothing that it could not find out.
//
//	exit 0   no code of ours reaches a vulnerability that the database knows
//	exit 1   some does; the traces are printed
//	exit 2   could not look: the database was not reached, or is old
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/vuln/scan"
)

// stale is when a database is a copy that nobody refreshes: Go's own changes
// every few days.
const stale = 30 * 24 * time.Hour

func main() {
	db := flag.String("db", "https://vuln.go.dev", "the `URL` of a Go vulnerability database")
	dir := flag.String("C", ".", "the `FOLDER` of the module")
	flag.Parse()
	patterns := flag.Args()
	if len(patterns) == 0 {
		patterns = []string{"./..."}
	}
	os.Exit(check(context.Background(), os.Stdout, *db, *dir, time.Now(), patterns...))
}

// message is one of the documents that govulncheck prints with -format json.
type message struct {
	Config *struct {
		Modified *time.Time `json:"db_last_modified"`
	} `json:"config"`
	Finding *struct {
		Trace []struct {
			Function string `json:"function"`
		} `json:"trace"`
	} `json:"finding"`
}

func check(ctx context.Context, out io.Writer, db, dir string, now time.Time, patterns ...string) int {
	unable := func(err error) int {
		fmt.Fprintf(out, "COULD NOT LOOK for vulnerabilities: %v\nThis says nothing about whether there are any.\n", err)
		return 2
	}
	report, err := run(ctx, nil, append([]string{"-format", "json", "-db", db, "-C", dir}, patterns...)...)
	if err != nil {
		return unable(err)
	}
	modified, reached, err := read(report)
	switch {
	case err != nil:
		return unable(err)
	case modified.IsZero():
		return unable(fmt.Errorf("%s does not say of when it is", db))
	case now.Sub(modified) > stale:
		return unable(fmt.Errorf("%s was last changed on %s: a copy that nobody refreshes", db, modified.Format(time.DateOnly)))
	}
	// The converter prints for people what the report says for programs. It
	// ends with an error when there is something to see.
	words, _ := run(ctx, report, "-mode", "convert")
	fmt.Fprintf(out, "%sThe database %s is of %s.\n", words, db, modified.Format(time.DateOnly))
	if reached > 0 {
		return 1
	}
	return 0
}

// run is one run of govulncheck.
func run(ctx context.Context, stdin []byte, args ...string) ([]byte, error) {
	var stdout, stderr bytes.Buffer
	cmd := scan.Command(ctx, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(stdin), &stdout, &stderr
	if err := cmd.Start(); err != nil {
		return stdout.Bytes(), err
	}
	if err := cmd.Wait(); err != nil {
		return stdout.Bytes(), fmt.Errorf("%w %s", err, bytes.TrimSpace(stderr.Bytes()))
	}
	return stdout.Bytes(), nil
}

// read returns the age of the database and how many findings our code reaches.
func read(report []byte) (modified time.Time, reached int, err error) {
	for d := json.NewDecoder(bytes.NewReader(report)); ; {
		var m message
		if err := d.Decode(&m); errors.Is(err, io.EOF) {
			return modified, reached, nil
		} else if err != nil {
			return modified, reached, err
		}
		if m.Config != nil && m.Config.Modified != nil {
			modified = *m.Config.Modified
		}
		if m.Finding != nil && len(m.Finding.Trace) > 0 && m.Finding.Trace[0].Function != "" {
			reached++
		}
	}
}
