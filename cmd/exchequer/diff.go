// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/exchequer-dev/exchequer/cmd/internal/ui"
	"github.com/exchequer-dev/exchequer/exchanger/analysis"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

// markdownFormat is for comments on pull requests.
const markdownFormat = "markdown"

func newDiffCommand(now func() time.Time) *cobra.Command {
	format := ui.NewFormat(ui.TableFormat, ui.JSONFormat, ui.YAMLFormat, markdownFormat)
	var namespace string
	var api clusterFlags
	c := &cobra.Command{
		Use:   "diff OLD NEW",
		Short: "Say who gains and who loses access between two sets of manifests",
		Long: `Say who gains and who loses access between two sets of manifests: which client,
with a token of which class, for which target and scope.

OLD and NEW are each a directory of manifests, a file, or a cluster: the one that
kubectl would talk to is written cluster: and that of a context cluster:NAME.
What counts is what is in force: an object in which 'exchequer check' finds a
problem allows nothing.

A rule is a condition and not access: a change of one, or of anything else that
access depends on (an issuer's keys, a mapping, a lifetime), is told as a changed
condition, with the direction where it is certain. Nothing that differs is passed
over: no difference told means that both decide every request the same.

The examples of the policies are asked of both; one that gets another answer is
told too.

Exit codes: 0 no difference; 1 there is one; 2 wrong usage, or manifests or
objects that cannot be read; 3 a cluster does not answer.`,
		Example: `  exchequer diff ./manifests-of-main ./manifests
  exchequer diff old.yaml new.yaml -o json | jq '.gained[] | {client, target, scope}'
  exchequer diff ./manifests-of-main ./manifests -o markdown > comment.md
  exchequer diff cluster: ./manifests
  exchequer diff cluster:staging cluster:production`,
		Args: cobra.ExactArgs(2),
		RunE: func(c *cobra.Command, args []string) error {
			var r *diffReport
			err := ui.Progress(c.ErrOrStderr(), "compare the manifests", func() (err error) {
				r, err = diff(c.Context(), args[0], args[1], namespace, api, now)
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
	api.register(c)
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

func diff(ctx context.Context, before, after, namespace string, api clusterFlags, now func() time.Time) (*diffReport, error) {
	// What is compared with a cluster is judged as a cluster judges it.
	asCluster := strings.HasPrefix(before, clusterPrefix) || strings.HasPrefix(after, clusterPrefix)
	if api.given() && !asCluster {
		return nil, usage("--kubeconfig and --context go with %s", clusterPrefix)
	}
	a, err := loadSide(ctx, before, namespace, api, now, asCluster)
	if err != nil {
		return nil, err
	}
	b, err := loadSide(ctx, after, namespace, api, now, asCluster)
	if err != nil {
		return nil, err
	}
	if asCluster {
		forgetSecrets(a.Spec)
		forgetSecrets(b.Spec)
	}
	r := &diffReport{Old: before, New: after, Difference: analysis.Compare(a.Spec, b.Spec), Examples: flips(a, b)}
	for _, note := range slices.Concat(sourceNotes(before, a), sourceNotes(after, b)) {
		if !slices.Contains(r.Notes, note) {
			r.Notes = append(r.Notes, note)
		}
	}
	r.Same = r.Empty() && len(r.Examples) == 0
	return r, nil
}

// forgetSecrets leaves of secrets only that there are some: a cluster's are not
// read, so that nothing could be said of their content.
func forgetSecrets(spec *policy.Spec) {
	for i := range spec.Clients {
		for n := range spec.Clients[i].SecretDigests {
			spec.Clients[i].SecretDigests[n] = strconv.Itoa(n)
		}
	}
}
