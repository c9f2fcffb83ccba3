// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package ui

import (
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/term"
)

// patience is how long people wait before they want to know what for.
const patience = 2 * time.Second

// Progress runs work. When it takes longer than two seconds and out, which is
// standard error, is a terminal, it says what is being done, and takes the line
// back at the end.
func Progress(out io.Writer, what string, work func() error) error {
	f, isFile := out.(*os.File)
	if !isFile || !term.IsTerminal(int(f.Fd())) {
		return work()
	}
	return progress(out, what, work, patience)
}

func progress(out io.Writer, what string, work func() error, wait time.Duration) error {
	done := make(chan error, 1)
	go func() { done <- work() }()
	start := time.Now()
	tick := time.NewTicker(wait)
	defer tick.Stop()
	told := false
	for {
		select {
		case err := <-done:
			if told {
				fmt.Fprint(out, "\r\x1b[K")
			}
			return err
		case <-tick.C:
			told = true
			fmt.Fprintf(out, "\r\x1b[K%s … %ds", Safe(what), int(time.Since(start).Seconds()))
		}
	}
}
