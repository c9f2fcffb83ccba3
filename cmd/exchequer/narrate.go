// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"maps"
	"net"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/exchequer-dev/exchequer/api/v1alpha1"
	"github.com/exchequer-dev/exchequer/cmd/internal/ui"
	"github.com/exchequer-dev/exchequer/exchanger/feed"
	"github.com/exchequer-dev/exchequer/exchanger/server"
	"github.com/exchequer-dev/exchequer/exchanger/translate"
)

// mostLines bounds what one change prints: a person reads a screen of it.
const mostLines = 40

// gone is said of an object that is not there any more.
const gone = "gone"

// narrator tells people what serve does: what changed, and what it now means.
type narrator struct {
	mu      sync.Mutex
	screen  *ui.Screen
	last    map[string]string
	told    map[string]bool
	meaning []string
	objects map[string]*feed.Object
}

func newNarrator(out io.Writer) *narrator {
	return &narrator{screen: ui.NewScreen(out, os.Getenv), last: map[string]string{}}
}

func (n *narrator) warn(text string) { n.line(ui.Warn, "warning: ", text) }

func (n *narrator) trouble(text string, err error) {
	n.line(ui.Bad, "PROBLEM: ", text+": "+err.Error())
}

// line writes one line whose beginning says what kind of line it is.
func (n *narrator) line(style ui.Style, begin, text string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.say(style, begin, text)
}

func (n *narrator) say(style ui.Style, begin, text string) {
	n.screen.Line(n.screen.Paint(style, begin), n.screen.Paint(ui.Plain, text))
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
			n.say(ui.Bad, "PROBLEM: ", p.String())
		}
	}
	if fresh > mostLines {
		n.say(ui.Bad, "PROBLEM: ", fmt.Sprintf("and %d more", fresh-mostLines))
	}
	n.tellMended(now)
	n.told = now
}

// tellMended tells which problems are gone.
func (n *narrator) tellMended(now map[string]bool) {
	lines := 0
	for _, was := range slices.Sorted(maps.Keys(n.told)) {
		if now[was] {
			continue
		}
		if lines++; lines <= mostLines {
			n.say(ui.Good, "mended: ", was)
		}
	}
	if lines > mostLines {
		n.say(ui.Good, "mended: ", fmt.Sprintf("and %d more", lines-mostLines))
	}
}

// build tells what changed since the last build.
func (n *narrator) build(b *feed.Build) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.tellProblems(b.Problems)
	n.tellStatuses(b.Statuses)
	n.tellChanges(b.Objects)
	meaning := feed.Meaning(b.Spec)
	gained, lost := feed.Difference(n.meaning, meaning)
	n.meaning = meaning
	if !b.Unchanged || len(gained)+len(lost) > 0 {
		n.say(ui.Strong, fmt.Sprintf("revision %d in force: ", b.Snapshot.Revision()), fmt.Sprintf("%d objects, %d policies", len(b.Statuses), len(b.Spec.Policies)))
	}
	for i, s := range gained {
		if i == mostLines {
			n.say(ui.Good, "  + ", fmt.Sprintf("and %d more", len(gained)-i))
			break
		}
		n.say(ui.Good, "  + ", s)
	}
	for i, s := range lost {
		if i == mostLines {
			n.say(ui.Bad, "  - ", fmt.Sprintf("and %d more", len(lost)-i))
			break
		}
		n.say(ui.Bad, "  - no longer: ", s)
	}
}

// tellChanges names the fields that differ, which conditions and meaning may not
// show: a lifetime, a revocation, a rule.
func (n *narrator) tellChanges(objects []*feed.Object) {
	now := make(map[string]*feed.Object, len(objects))
	lines := 0
	for _, o := range objects {
		now[o.Ref()] = o
		before, known := n.objects[o.Ref()]
		if !known {
			continue
		}
		fields := feed.Changes(before, o)
		if len(fields) == 0 {
			continue
		}
		if lines++; lines <= mostLines {
			n.say(ui.Warn, "  ~ ", o.Ref()+": "+strings.Join(fields, ", "))
		}
	}
	if lines > mostLines {
		n.say(ui.Warn, "  ~ ", fmt.Sprintf("and %d more", lines-mostLines))
	}
	n.objects = now
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
			rows = append(rows, [2]string{name, gone})
		}
	}
	n.last = now
	widest := 0
	for _, r := range rows {
		widest = max(widest, len(r[0]))
	}
	for _, r := range rows {
		n.screen.Line(n.screen.Paint(ui.Plain, fmt.Sprintf("%-*s  ", widest, r[0])), n.painted(r[1]))
	}
}

// painted gives every condition the look of its status.
func (n *narrator) painted(conditions string) string {
	parts := strings.Split(conditions, " ")
	for i, p := range parts {
		style := ui.Warn
		switch {
		case strings.HasSuffix(p, "=True"):
			style = ui.Good
		case strings.Contains(p, "=False"), p == gone:
			style = ui.Bad
		}
		parts[i] = n.screen.Paint(style, p)
	}
	return strings.Join(parts, " ")
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

func (n *narrator) serving(l server.Listeners, b *feed.Build, secure bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if host, _, err := net.SplitHostPort(l.Main.Addr().String()); err == nil && !secure {
		if ip, err := netip.ParseAddr(host); err != nil || !ip.IsLoopback() {
			n.say(ui.Warn, "warning: ", "tokens and secrets travel in plain HTTP to "+l.Main.Addr().String()+": use --tls-cert and --tls-key, or keep a proxy with TLS before it")
		}
	}
	if b != nil {
		for _, svc := range b.Snapshot.Services() {
			n.say(ui.Strong, "token service "+svc.Name()+": ", svc.Issuer()+"/token")
		}
	}
	n.say(ui.Strong, "listening on ", l.Main.Addr().String())
	if b != nil {
		n.tellElsewhere(l.Main.Addr().String(), b)
	}
}

// tellElsewhere warns of an issuer on this machine that is not where we listen:
// who follows its metadata asks another port.
func (n *narrator) tellElsewhere(address string, b *feed.Build) {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return
	}
	for _, svc := range b.Snapshot.Services() {
		u, err := url.Parse(svc.Issuer())
		if err != nil || u.Scheme != "http" || u.Port() == port {
			continue
		}
		n.say(ui.Warn, "warning: ", "TokenService "+svc.Name()+" says that it is "+svc.Issuer()+", and this is port "+port+": use --listen "+u.Host)
	}
}
