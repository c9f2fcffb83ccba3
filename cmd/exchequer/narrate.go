// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/exchequer-dev/exchequer/api/v1alpha1"
	"github.com/exchequer-dev/exchequer/exchanger/feed"
	"github.com/exchequer-dev/exchequer/exchanger/server"
	"github.com/exchequer-dev/exchequer/exchanger/translate"
)

// mostLines bounds what one change prints: a person reads a screen of it.
const mostLines = 40

// narrator tells people what serve does: what changed, and what it now means.
type narrator struct {
	mu      sync.Mutex
	out     io.Writer
	last    map[string]string
	told    map[string]bool
	meaning []string
}

func newNarrator(out io.Writer) *narrator { return &narrator{out: out, last: map[string]string{}} }

func (n *narrator) warn(text string) { n.line("warning: " + text) }

func (n *narrator) trouble(text string, err error) { n.line("PROBLEM: " + text + ": " + err.Error()) }

func (n *narrator) line(text string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	fmt.Fprintln(n.out, text)
}

func (n *narrator) problems(list []feed.Problem) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.tellProblems(list)
}

func (n *narrator) tellProblems(list []feed.Problem) {
	now := make(map[string]bool, len(list))
	fresh := 0
	for _, p := range list {
		now[p.String()] = true
		if n.told[p.String()] {
			continue
		}
		if fresh++; fresh <= mostLines {
			fmt.Fprintln(n.out, "PROBLEM: "+p.String())
		}
	}
	if fresh > mostLines {
		fmt.Fprintf(n.out, "PROBLEM: and %d more\n", fresh-mostLines)
	}
	n.told = now
}

// build tells what changed since the last build.
func (n *narrator) build(b *feed.Build) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.tellProblems(b.Problems)
	n.tellStatuses(b.Statuses)
	meaning := feed.Meaning(b.Spec)
	gained, lost := feed.Difference(n.meaning, meaning)
	n.meaning = meaning
	if !b.Unchanged || len(gained)+len(lost) > 0 {
		fmt.Fprintf(n.out, "revision %d in force: %d objects, %d policies\n", b.Snapshot.Revision(), len(b.Statuses), len(b.Spec.Policies))
	}
	for i, s := range gained {
		if i == mostLines {
			fmt.Fprintf(n.out, "  + and %d more\n", len(gained)-i)
			break
		}
		fmt.Fprintln(n.out, "  + "+s)
	}
	for i, s := range lost {
		if i == mostLines {
			fmt.Fprintf(n.out, "  - and %d more\n", len(lost)-i)
			break
		}
		fmt.Fprintln(n.out, "  - no longer: "+s)
	}
}

func (n *narrator) tellStatuses(statuses []translate.ObjectStatus) {
	now := make(map[string]string, len(statuses))
	var rows [][2]string
	for i := range statuses {
		s := &statuses[i]
		name := s.Kind + "/" + strings.TrimPrefix(s.Namespace+"/"+s.Name, "/")
		now[name] = conditionsOf(s)
		if n.last[name] != now[name] {
			rows = append(rows, [2]string{name, now[name]})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(n.last)) {
		if _, there := now[name]; !there {
			rows = append(rows, [2]string{name, "gone"})
		}
	}
	n.last = now
	w := tabwriter.NewWriter(n.out, 0, 8, 2, ' ', 0)
	for _, r := range rows {
		fmt.Fprintf(w, "%s\t%s\n", r[0], r[1])
	}
	_ = w.Flush()
}

// conditionsOf is one line: every condition, with the reason where it is not true,
// or true in a way of its own: Suspended, Audit, Stale.
func conditionsOf(s *translate.ObjectStatus) string {
	parts := make([]string, 0, len(s.Conditions)+1)
	for _, c := range s.Conditions {
		if c.Status == metav1.ConditionTrue && (c.Reason == c.Type || c.Reason == v1alpha1.ReasonNoExamples) {
			parts = append(parts, c.Type+"=True")
			continue
		}
		parts = append(parts, fmt.Sprintf("%s=%s/%s", c.Type, c.Status, c.Reason))
	}
	if len(s.Unmatched) > 0 {
		parts = append(parts, "unmatched="+strings.Join(s.Unmatched, ","))
	}
	return strings.Join(parts, " ")
}

func (n *narrator) serving(l server.Listeners, b *feed.Build) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if b != nil {
		for _, svc := range b.Snapshot.Services() {
			fmt.Fprintf(n.out, "token service %s: %s/token\n", svc.Name(), svc.Issuer())
		}
	}
	fmt.Fprintf(n.out, "listening on %s\n", l.Main.Addr())
}
