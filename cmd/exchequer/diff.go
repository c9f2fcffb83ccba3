// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/exchequer-dev/exchequer/cmd/internal/ui"
	"github.com/exchequer-dev/exchequer/exchanger/analysis"
)

// markdownFormat is for comments on pull requests.
const markdownFormat = "markdown"

func newDiffCommand(now func() time.Time) *cobra.Command {
	format := ui.NewFormat(ui.TableFormat, ui.JSONFormat, ui.YAMLFormat, markdownFormat)
	var namespace string
	c := &cobra.Command{
		Use:   "diff OLD NEW",
		Short: "Say who gains and who loses access between two sets of manifests",
		Long: `Say who gains and who loses access between two sets of manifests: which client,
with a token of which class, for which target and scope.

OLD and NEW are each a directory of manifests or a file. What counts is what is
in force: an object that 'exchequer check' finds a problem in allows nothing.

A rule is a condition and not access: a change of one, or of anything else that
access depends on (an issuer's keys, a mapping, a lifetime), is told as a changed
condition, with the direction where it is certain. Nothing that differs is passed
over: no difference told means that both decide every request the same.

The examples of the policies are asked of both; one that gets another answer is
told too.

Exit codes: 0 no difference; 1 there is one; 2 wrong usage, or manifests that
cannot be read.`,
		Example: `  exchequer diff ./manifests-of-main ./manifests
  exchequer diff old.yaml new.yaml -o json | jq '.gained[] | {client, target, scope}'
  exchequer diff ./manifests-of-main ./manifests -o markdown > comment.md`,
		Args: cobra.ExactArgs(2),
		RunE: func(c *cobra.Command, args []string) error {
			var r *diffReport
			err := ui.Progress(c.ErrOrStderr(), "compare the manifests", func() (err error) {
				r, err = diff(args[0], args[1], namespace, now)
				return err
			})
			if err != nil {
				return err
			}
			switch format.String() {
			case ui.TableFormat:
				r.print(ui.NewScreen(c.OutOrStdout(), os.Getenv))
			case markdownFormat:
				err = r.markdown(c.OutOrStdout())
			default:
				err = ui.Encode(c.OutOrStdout(), format.String(), r)
			}
			if err == nil && !r.Same {
				return answerNo()
			}
			return err
		},
	}
	c.Flags().VarP(format, "output", "o", "format of the report; markdown is for comments")
	c.Flags().StringVar(&namespace, "namespace", defaultNamespace, "the operator's `NAMESPACE`")
	return c
}

// diffReport is what diff has to say.
type diffReport struct {
	Same bool   `json:"same"`
	Old  string `json:"old"`
	New  string `json:"new"`
	*analysis.Difference
	Examples []flippedExample `json:"examples"`
	Notes    []string         `json:"notes,omitempty"`
}

func diff(before, after, namespace string, now func() time.Time) (*diffReport, error) {
	a, err := loadSource(before, namespace, now)
	if err != nil {
		return nil, err
	}
	b, err := loadSource(after, namespace, now)
	if err != nil {
		return nil, err
	}
	r := &diffReport{Old: before, New: after, Difference: analysis.Compare(a.Spec, b.Spec), Examples: flips(a, b)}
	for _, side := range []struct {
		arg string
		m   *manifests
	}{{before, a}, {after, b}} {
		if note, ok := problemNote(side.arg, side.m); ok {
			r.Notes = append(r.Notes, note)
		}
	}
	r.Same = r.Empty() && len(r.Examples) == 0
	return r, nil
}
