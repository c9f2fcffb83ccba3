// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"time"

	"github.com/spf13/cobra"
)

// commands is every command, in the order of the help.
func commands(now func() time.Time) []*cobra.Command {
	return []*cobra.Command{
		newServeCommand(),
		newCheckCommand(now),
		newExplainCommand(now),
		newTestCommand(now),
		newDiffCommand(now),
		newWhoCanCommand(now),
		newGraphCommand(now),
		newWaitCommand(),
		newTokenCommand(now),
		newExchangeCommand(now),
		newAuditCommand(),
		newVersionCommand(),
	}
}

// newRootCommand puts the commands together. started is set when one of them
// runs, which is after its flags and arguments were found good.
func newRootCommand(program string, now func() time.Time, started *bool) *cobra.Command {
	root := &cobra.Command{
		Use:   "exchequer",
		Short: "Policy-driven token exchange: check, explain, test, serve",
		Long: `Exchequer exchanges OAuth tokens (RFC 8693) by policies that are YAML objects.
This program checks, explains, tests and serves them from a directory, with no
cluster, and is a client for tokens and for the endpoint.

Exit codes of every command: 0 yes, or done; 1 the answer is no (a problem was
found, an exchange is refused, an example failed); 2 the command was called
wrongly, or a file cannot be read; 3 nobody can tell now, and trying again can
help.

Colour is used on a terminal only, and not when NO_COLOR is set.`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Annotations:   map[string]string{},
	}
	if program == "kubectl-exchequer" || program == "kubectl-exchequer.exe" {
		// kubectl runs its plugins under this name; people type two words.
		root.Annotations[cobra.CommandDisplayNameAnnotation] = "kubectl exchequer"
	}
	root.AddCommand(commands(now)...)
	mark(root, started)
	return root
}

// mark makes every command note that it runs.
func mark(c *cobra.Command, started *bool) {
	if run := c.RunE; run != nil {
		c.RunE = func(c *cobra.Command, args []string) error {
			*started = true
			return run(c, args)
		}
	}
	for _, sub := range c.Commands() {
		mark(sub, started)
	}
}
