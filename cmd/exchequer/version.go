// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/exchequer-dev/exchequer/api/v1alpha1"
	"github.com/exchequer-dev/exchequer/cmd/internal/ui"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

// version is set by the linker in images and releases.
var version = "dev"

type versionReport struct {
	Version string `json:"version"`
	// Commit is the source's, where the build knows it.
	Commit string `json:"commit,omitempty"`
	Go     string `json:"go"`
	// API is the group and version that this program reads, SnapshotFormat the
	// version of the document that it compiles.
	API            string `json:"api"`
	SnapshotFormat int    `json:"snapshotFormat"`
}

func newVersionCommand() *cobra.Command {
	format := ui.NewFormat(ui.TableFormat, ui.JSONFormat, ui.YAMLFormat)
	c := &cobra.Command{
		Use:   "version",
		Short: "Say which version this is, and which API it reads",
		Long:  "Say which version this is, which Go built it, and which version of the API it reads.",
		Example: `  exchequer version
  exchequer version -o json`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			r := versionReport{Version: version, Go: runtime.Version(), API: v1alpha1.GroupVersion.String(), SnapshotFormat: policy.Format}
			if info, ok := debug.ReadBuildInfo(); ok {
				for _, s := range info.Settings {
					if s.Key == "vcs.revision" {
						r.Commit = s.Value
					}
				}
			}
			if format.String() != ui.TableFormat {
				return ui.Encode(c.OutOrStdout(), format.String(), r)
			}
			fmt.Fprintf(c.OutOrStdout(), "exchequer %s (%s), API %s\n", r.Version, r.Go, r.API)
			return nil
		},
	}
	c.Flags().VarP(format, "output", "o", "format of the report")
	return c
}
