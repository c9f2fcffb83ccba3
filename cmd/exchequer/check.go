// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/exchequer-dev/exchequer/api/v1alpha1"
	"github.com/exchequer-dev/exchequer/cmd/internal/ui"
	"github.com/exchequer-dev/exchequer/exchanger/feed"
	"github.com/exchequer-dev/exchequer/exchanger/translate"
)

// checkReport is what check has to say, for programs.
type checkReport struct {
	OK       bool           `json:"ok"`
	Files    int            `json:"files"`
	Problems []feed.Problem `json:"problems"`
	Warnings []feed.Problem `json:"warnings"`
	// Notes are objects that mean nothing here.
	Notes   []feed.Problem  `json:"notes"`
	Objects []checkedObject `json:"objects"`
}

type checkedObject struct {
	File string `json:"file,omitempty"`
	Line int    `json:"line,omitempty"`
	translate.ObjectStatus
}

func newCheckCommand(now func() time.Time) *cobra.Command {
	format := ui.NewFormat(ui.TableFormat, ui.JSONFormat, ui.YAMLFormat)
	var verbose bool
	var namespace string
	c := &cobra.Command{
		Use:   "check DIR|FILE...",
		Short: "Say what is wrong with manifests, with file and line",
		Long: `Say what the API server would say of manifests (schema, defaults, rules), and what
translation would: references, names and who owns them, expressions, examples.

All arguments together are one set of manifests. Directories are read with what
is below them: *.yaml, *.yml and *.json. A folder below with a test (*_test.yaml)
that takes its manifests from that folder alone is a set of its own.

Every problem is one line that begins with file:line. Objects of other API groups
are passed over; Secrets, ConfigMaps and Namespaces are read, because objects refer
to them. A kind or a version of
exchequer.dev that this program does not know is a problem.

Nothing is dialled: of an issuer whose keys have to be fetched, the condition
Verified stays Unknown.

Exit codes: 0 no problem; 1 at least one problem; 2 wrong usage.`,
		Example: `  exchequer check ./manifests
  exchequer check platform.yaml media.yaml shop.yaml
  exchequer check ./manifests -o json | jq '.problems[].message'`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			r := &checkReport{OK: true, Problems: []feed.Problem{}, Warnings: []feed.Problem{}, Notes: []feed.Problem{}, Objects: []checkedObject{}}
			err := ui.Progress(c.ErrOrStderr(), "check the manifests", func() error {
				sets, err := setsIn(args)
				if err != nil {
					return err
				}
				for _, s := range sets {
					m, err := loadManifests(s.paths, namespace, now)
					if err != nil {
						return err
					}
					r.add(m)
				}
				return nil
			})
			if err != nil {
				return err
			}
			if format.String() != ui.TableFormat {
				err = ui.Encode(c.OutOrStdout(), format.String(), r)
			} else {
				r.print(ui.NewScreen(c.OutOrStdout(), os.Getenv), verbose)
			}
			if err == nil && !r.OK {
				return answerNo()
			}
			return err
		},
	}
	c.Flags().VarP(format, "output", "o", "format of the report")
	c.Flags().BoolVarP(&verbose, "verbose", "v", false, "show every object's conditions also when there are problems, and what was passed over")
	c.Flags().StringVar(&namespace, "namespace", defaultNamespace, "the operator's `NAMESPACE`")
	return c
}

// add says what is to be said of one set of manifests.
func (r *checkReport) add(m *manifests) {
	r.OK = r.OK && len(m.Problems) == 0
	r.Files += m.files
	r.Problems, r.Notes = append(r.Problems, m.Problems...), append(r.Notes, m.notes...)
	for i := range m.Statuses {
		s := &m.Statuses[i]
		at := checkedObject{ObjectStatus: *s}
		ref := s.Kind + "/" + name(s)
		o, found := m.Find(s)
		if found {
			at.File, at.Line = o.File, o.Line
		}
		warn := func(text string) {
			w := feed.Problem{File: at.File, Line: at.Line, Object: ref, Message: text}
			if field, _, ok := strings.Cut(text, ": "); ok && found && !strings.Contains(field, " ") {
				w.Field, w.Line = field, o.LineOf(field)
			}
			r.Warnings = append(r.Warnings, w)
		}
		for _, w := range s.Warnings {
			warn(w)
		}
		for _, u := range s.Unmatched {
			warn(u + " contributes nothing: it is not there, or may not be named here")
		}
		r.Objects = append(r.Objects, at)
	}
}

// name is how people write an object's name.
func name(s *translate.ObjectStatus) string {
	return strings.TrimPrefix(s.Namespace+"/"+s.Name, "/")
}

func (r *checkReport) print(s *ui.Screen, verbose bool) {
	for _, p := range r.Problems {
		s.Line(located(s, ui.Bad, "", p))
	}
	for _, w := range r.Warnings {
		s.Line(located(s, ui.Warn, "warning: ", w))
	}
	if verbose {
		for _, n := range r.Notes {
			s.Line(located(s, ui.Dim, "note: ", n))
		}
	}
	if len(r.Objects) > 0 && (r.OK || verbose) {
		if len(r.Problems)+len(r.Warnings) > 0 {
			s.Line()
		}
		s.Table(r.table())
		s.Line()
	}
	r.summary(s)
}

// located is one line that begins with file:line, as editors and CI want it.
func located(s *ui.Screen, style ui.Style, severity string, p feed.Problem) string {
	place := ""
	if p.File != "" {
		place = fmt.Sprintf("%s:%d:", p.File, max(p.Line, 1))
	}
	p.File = ""
	return s.Paint(style, place) + " " + ui.Safe(severity+p.String())
}

// table has a row for every object, and a column for every condition that some
// object has.
func (r *checkReport) table() *ui.Table {
	conditions := []string{
		v1alpha1.ConditionAccepted, v1alpha1.ConditionResolvedRefs, v1alpha1.ConditionVerified, v1alpha1.ConditionExamplesPassed, v1alpha1.ConditionReady,
	}
	t := &ui.Table{Header: []string{"KIND", "NAME", "ACCEPTED", "RESOLVEDREFS", "VERIFIED", "EXAMPLES", "READY", "REASON"}}
	for i := range r.Objects {
		o := &r.Objects[i]
		row := []ui.Cell{ui.Text(o.Kind), ui.Text(name(&o.ObjectStatus))}
		for _, kind := range conditions {
			row = append(row, conditionCell(o.Condition(kind)))
		}
		if ready := o.Condition(v1alpha1.ConditionReady); ready != nil && ready.Reason != v1alpha1.ReasonReady {
			row = append(row, ui.Cell{Text: ready.Reason, Style: ui.Dim})
		}
		t.Row(row...)
	}
	return t
}

func conditionCell(c *metav1.Condition) ui.Cell {
	switch {
	case c == nil:
		return ui.Cell{}
	case c.Status == metav1.ConditionTrue:
		return ui.Cell{Text: string(c.Status), Style: ui.Good}
	case c.Status == metav1.ConditionFalse:
		return ui.Cell{Text: string(c.Status), Style: ui.Bad}
	}
	return ui.Cell{Text: string(c.Status), Style: ui.Warn}
}

func (r *checkReport) summary(s *ui.Screen) {
	read := fmt.Sprintf("%s in %s", count(len(r.Objects), "object"), count(r.Files, "file"))
	if len(r.Notes) > 0 {
		read += fmt.Sprintf(", %s passed over", count(len(r.Notes), "other"))
	}
	if r.OK {
		s.Line(s.Paint(ui.Good, "✓ no problems"), ui.Safe(": "+read))
		return
	}
	s.Line(s.Paint(ui.Bad, "✗ "+count(len(r.Problems), "problem")), ui.Safe(": "+read))
}

// count puts a number and a noun together.
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
