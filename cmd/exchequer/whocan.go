// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/exchequer-dev/exchequer/cmd/internal/ui"
	"github.com/exchequer-dev/exchequer/exchanger/analysis"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

func newWhoCanCommand(now func() time.Time) *cobra.Command {
	format := ui.NewFormat(ui.TableFormat, ui.JSONFormat, ui.YAMLFormat)
	var from source
	var q analysis.Question
	c := &cobra.Command{
		Use:   "who-can [DIR|FILE]",
		Short: "Say who can get a token for a target, directly and through chains of exchanges",
		Long: `Say who can get a token for a target: which client, with whose tokens, by which
policy. Directly, and through chains of exchanges: a client gets a token for
another one, which exchanges that for the next, until the target is reached.

A chain is told when every rule on it may be true; the rules that must be are
its conditions. Every chain starts with a token of a TrustedIssuer, and of those
that begin alike and go on alike the shortest is told.

Exit codes: 0 somebody can; 1 nobody can; 2 wrong usage, or manifests that cannot
be read.`,
		Example: `  exchequer who-can ./manifests --audience media/images-resource
  exchequer who-can ./manifests --audience media/images-resource --scope images
  exchequer who-can ./manifests --audience media/images-resource -o json | jq -r '.paths[].steps[0].client'`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if q.Target == "" {
				return usage("--audience is missing: the target that is asked about")
			}
			var r *whoCanReport
			err := ui.Progress(c.ErrOrStderr(), "follow the chains", func() (err error) {
				r, err = whoCan(c, args, &from, q, now)
				return err
			})
			if err != nil {
				return err
			}
			if format.String() != ui.TableFormat {
				err = ui.Encode(c.OutOrStdout(), format.String(), r)
			} else {
				r.print(ui.NewScreen(c.OutOrStdout(), os.Getenv))
			}
			if err == nil && len(r.Paths) == 0 {
				return answerNo()
			}
			return err
		},
	}
	from.register(c)
	c.Flags().VarP(format, "output", "o", "format of the report")
	c.Flags().StringVar(&q.Target, "audience", "", "`NAME` of the target: its client ID, an audience or a resource of it")
	c.Flags().StringVar(&q.Scope, "scope", "", "`SCOPE` that the token shall have; default: any, or none")
	c.Flags().IntVar(&q.Hops, "hops", analysis.MostHops, "most exchanges in a chain")
	c.Flags().StringVar(&q.TokenService, "token-service", "", "`NAME` of the TokenService; default: the one that has the target")
	return c
}

// whoCanReport is what who-can has to say.
type whoCanReport struct {
	analysis.Answer
	Asked string   `json:"asked"`
	Scope string   `json:"scope,omitempty"`
	Notes []string `json:"notes,omitempty"`
}

func whoCan(c *cobra.Command, args []string, from *source, q analysis.Question, now func() time.Time) (*whoCanReport, error) {
	if q.Hops < 1 || q.Hops > analysis.MostHops {
		return nil, usage("--hops: expected 1 to %d", analysis.MostHops)
	}
	m, err := from.load(c, args, now)
	if err != nil {
		return nil, err
	}
	a, ok := analysis.WhoCan(m.Spec, q)
	if !ok {
		return nil, usage("--audience: nobody in force has the name %s%s; `exchequer check` says what is in force", q.Target, inService(q.TokenService))
	}
	r := &whoCanReport{Answer: a, Asked: q.Target, Scope: q.Scope, Notes: from.notes(args, m)}
	return r, nil
}

func inService(name string) string {
	if name == "" {
		return ""
	}
	return " in TokenService " + name
}

func (r *whoCanReport) print(s *ui.Screen) {
	for _, n := range r.Notes {
		s.Line(s.Paint(ui.Warn, "! "), ui.Safe(n))
	}
	what := "a token for " + r.Target
	if r.Scope != "" {
		what += " with scope " + r.Scope
	}
	if len(r.Paths) == 0 {
		s.Line(s.Paint(ui.Good, "nobody"), ui.Safe(" can get "+what))
		return
	}
	var direct []analysis.Granted
	var chains []*analysis.Path
	for i := range r.Paths {
		p := &r.Paths[i]
		if len(p.Steps) > 1 {
			chains = append(chains, p)
			continue
		}
		step := p.First()
		direct = append(direct, analysis.Granted{
			Access:   analysis.Access{TokenService: r.TokenService, Client: step.Client, Subject: step.Subject, Target: p.Target, Scope: p.Scope},
			Policies: policiesOf(step), Conditions: step.Conditions,
		})
	}
	r.printDirect(s, what, direct)
	printChains(s, chains)
	r.printImpersonations(s, what)
	if r.Cut {
		s.Line(s.Paint(ui.Warn, "! "), ui.Safe("there are more chains than a search looks at: what is not shown may exist; ask with --scope or fewer --hops"))
	}
}

func policiesOf(step *analysis.Step) []string {
	out := make([]string, 0, len(step.Grants))
	for _, g := range step.Grants {
		out = append(out, g.Policy)
	}
	return out
}

func (r *whoCanReport) printDirect(s *ui.Screen, what string, direct []analysis.Granted) {
	if len(direct) == 0 {
		s.Linef("nobody gets %s directly", what)
		return
	}
	s.Line(s.Paint(ui.Strong, what), ui.Safe(", directly"))
	t := &ui.Table{Header: []string{"CLIENT", "TOKEN OF", "SCOPE", "POLICY", "CONDITIONS"}, Indent: "  "}
	rows := accessRows(direct)
	for _, row := range rows[:min(len(rows), mostRows)] {
		t.Row(ui.Text(row.client), ui.Text(row.subject), ui.Text(row.scope), ui.Text(row.policies), ui.Cell{Text: row.conditions, Style: ui.Dim})
	}
	s.Table(t)
	more(s, len(rows))
}

// printImpersonations shows who may have the token as somebody else. The tables above
// tell whose tokens are presented, which here are those of whoever asks.
func (r *whoCanReport) printImpersonations(s *ui.Screen, what string) {
	if len(r.Impersonations) == 0 {
		return
	}
	s.Line()
	s.Line(s.Paint(ui.Strong, what), ui.Safe(", as somebody else"))
	t := &ui.Table{Header: []string{"WHO", "THROUGH", "AS", "SCOPE", "GRANT", "UNTIL", "CONDITIONS"}, Indent: "  "}
	for _, m := range r.Impersonations[:min(len(r.Impersonations), mostRows)] {
		scopes := strings.Join(m.Scopes, " ")
		if scopes == "" {
			scopes = "none"
		}
		conditions := strings.Join(m.Conditions, "; ")
		if m.Delegation {
			conditions = strings.TrimPrefix(conditions+"; act tells", "; ")
		}
		t.Row(ui.Text(strings.Join(m.By, ", ")), ui.Text(m.Client), ui.Text(strings.Join(m.Who, ", ")), ui.Text(scopes), ui.Text(m.Grant),
			ui.Text(m.NotAfter), ui.Cell{Text: conditions, Style: ui.Dim})
	}
	s.Table(t)
	more(s, len(r.Impersonations))
}

func more(s *ui.Screen, rows int) {
	if n := rows - mostRows; n > 0 {
		s.Linef("  and %d more; -o json has them", n)
	}
}

// printChains draws one tree for each way; what differs in the class of the first
// token or the last scope is one way.
func printChains(s *ui.Screen, chains []*analysis.Path) {
	if len(chains) == 0 {
		return
	}
	ways, order := map[string]*chain{}, []string{}
	for _, p := range chains {
		key := wayOf(p)
		if ways[key] == nil {
			ways[key] = &chain{Path: p}
			order = append(order, key)
		}
		ways[key].add(p)
	}
	s.Line()
	s.Line(s.Paint(ui.Strong, "through chains of exchanges"))
	for _, key := range order[:min(len(order), mostRows)] {
		s.Tree(ways[key].tree())
	}
	more(s, len(order))
}

// chain is a way with all that it is good for.
type chain struct {
	*analysis.Path
	subjects, scopes []string
}

func (c *chain) add(p *analysis.Path) {
	for _, v := range []struct {
		list *[]string
		text string
	}{{&c.subjects, p.First().Subject.String()}, {&c.scopes, scopeText(p.Scope)}} {
		if !slices.Contains(*v.list, v.text) {
			*v.list = append(*v.list, v.text)
		}
	}
}

func scopeText(scope string) string {
	if scope == "" {
		return "no scope"
	}
	return "scope " + scope
}

func wayOf(p *analysis.Path) string {
	var b strings.Builder
	for i := range p.Steps {
		s := &p.Steps[i]
		subject := []string{s.Subject.Issuer, s.Subject.Origin}
		if i > 0 {
			subject = append(subject, string(s.Subject.Class))
		}
		fmt.Fprintf(&b, "%q %q %q;", s.Client, subject, policiesOf(s))
		if i < len(p.Steps)-1 {
			fmt.Fprintf(&b, "%q", s.Scope)
		}
	}
	return b.String()
}

func (c *chain) tree() *ui.Node {
	first := c.First()
	root := &ui.Node{Label: []ui.Cell{{Text: first.Client, Style: ui.Strong}, ui.Text("with a token of"), ui.Text(shortened(strings.Join(c.subjects, ", ")))}}
	at := root
	for i := range c.Steps {
		s := &c.Steps[i]
		scope := scopeText(s.Scope)
		if i == len(c.Steps)-1 {
			scope = strings.Join(c.scopes, ", ")
		}
		who := ""
		if i > 0 {
			who = s.Client + " gets "
		}
		label := []ui.Cell{ui.Text(who + "a token for " + targetsText(s.Grants) + ", " + scope), {Text: "by " + strings.Join(policiesOf(s), ", "), Style: ui.Dim}}
		if len(s.Conditions) > 0 {
			label = append(label, ui.Cell{Text: "if " + strings.Join(s.Conditions, "; "), Style: ui.Warn})
		}
		at = at.Add(label...)
	}
	return root
}

func targetsText(grants []policy.TargetPolicy) string {
	out := make([]string, 0, len(grants))
	for _, g := range grants {
		out = append(out, g.Target)
	}
	return strings.Join(out, " and ")
}
