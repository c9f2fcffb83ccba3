// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"
)

// The exit codes of every command.
const (
	exitOK = 0
	// exitNo: the question was answered, and the answer is no.
	exitNo = 1
	// exitUsage: the question could not be asked: a flag, a file, an argument.
	exitUsage = 2
	// exitUnable: nobody can tell now; trying again can help.
	exitUnable = 3
)

// outcome is an error that knows its exit code. Without err, everything has been
// said already.
type outcome struct {
	code int
	err  error
}

func (o *outcome) Error() string {
	if o.err == nil {
		return fmt.Sprintf("exit code %d", o.code)
	}
	return o.err.Error()
}

func (o *outcome) Unwrap() error { return o.err }

// answerNo ends a command whose report has said no.
func answerNo() error { return &outcome{code: exitNo} }

// usage is a mistake in how the command was called.
func usage(format string, args ...any) error {
	return &outcome{code: exitUsage, err: fmt.Errorf(format, args...)}
}

// unable is something outside that did not work now.
func unable(format string, args ...any) error {
	return &outcome{code: exitUnable, err: fmt.Errorf(format, args...)}
}

// finish tells an error to a person and turns it into an exit code. started says
// that a command got as far as running: what fails before is a mistake in flags
// or arguments.
func finish(c *cobra.Command, err error, started bool) int {
	if err == nil {
		return exitOK
	}
	code, silent := exitNo, false
	var o *outcome
	switch {
	case errors.As(err, &o):
		code, silent = o.code, o.err == nil
	case !started:
		code = exitUsage
	}
	if !silent {
		tell(c.ErrOrStderr(), c, err, code)
	}
	return code
}

func tell(w io.Writer, c *cobra.Command, err error, code int) {
	fmt.Fprintf(w, "error: %s\n", err)
	if code == exitUsage {
		fmt.Fprintf(w, "see '%s --help'\n", c.CommandPath())
	}
}
