// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/exchequer-dev/exchequer/cmd/internal/ui"
)

func newTestCommand(now func() time.Time) *cobra.Command {
	format := ui.NewFormat(ui.TableFormat, ui.JSONFormat, ui.YAMLFormat)
	var junit, namespace string
	c := &cobra.Command{
		Use:   "test DIR|FILE...",
		Short: "Run the examples of policies, and every *_test.yaml",
		Long: `Run the examples of all ExchangePolicies in the manifests, and every *_test.yaml
among the arguments and below them. The manifests of a directory are one set, but
for every folder below it with a test that takes its manifests from that folder
alone: such a folder is a set of its own.

A *_test.yaml holds examples that stand beside the manifests instead of in a
policy:

  apiVersion: exchequer.dev/v1alpha1
  kind: PolicyTest
  manifests: [../manifests]        # files and directories, relative to this file
  examples:
  - name: alice may read images
    given: {client: shop/frontend, issuer: corp, claims: {sub: alice}, scope: images}
    expect: {allowed: true, scope: images}

A policy whose own example fails is not in force, in a cluster or here: a failure
says which policy that is. An example that names a client or an issuer which is
not there cannot be judged, and counts as failed here, because nobody wants a
green run that tested nothing, unless that is the very reason that it expects.

Exit codes: 0 all examples passed; 1 at least one did not, or there are none;
2 wrong usage, or a file that cannot be read.`,
		Example: `  exchequer test ./manifests
  exchequer test ./manifests ./tests --junit report.xml
  exchequer test images_test.yaml -o json`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			var r *testReport
			err := ui.Progress(c.ErrOrStderr(), "run the examples", func() (err error) {
				r, err = runTests(args, namespace, now)
				return err
			})
			if err != nil {
				return err
			}
			if junit != "" {
				if err := writeJUnit(junit, r); err != nil {
					return err
				}
			}
			if format.String() != ui.TableFormat {
				err = ui.Encode(c.OutOrStdout(), format.String(), r)
			} else {
				r.print(ui.NewScreen(c.OutOrStdout(), os.Getenv))
			}
			switch {
			case err != nil:
				return err
			case r.Passed+r.Failed == 0 && len(r.Problems) == 0:
				return &outcome{code: exitNo, err: fmt.Errorf("no examples found: neither in a policy nor in a *_test.yaml")}
			case !r.OK:
				return answerNo()
			}
			return nil
		},
	}
	c.Flags().VarP(format, "output", "o", "format of the report")
	c.Flags().StringVar(&junit, "junit", "", "`FILE` to write the report to as well, as JUnit XML")
	c.Flags().StringVar(&namespace, "namespace", defaultNamespace, "the operator's `NAMESPACE`")
	return c
}
