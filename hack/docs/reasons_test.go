// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/exchequer-dev/exchequer/exchanger/oauth"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

const reasonsPage = "../../docs/reasons.md"

func section(t *testing.T, text, from, to string) string {
	t.Helper()
	_, after, ok := strings.Cut(text, "\n"+from+"\n")
	if !ok {
		t.Fatalf("%s has no heading %q", reasonsPage, from)
	}
	part, _, _ := strings.Cut(after, "\n"+to+"\n")
	return part
}

func readReasons(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile(reasonsPage)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

var (
	quoted  = regexp.MustCompile("`([A-Za-z]+)`")
	answers = regexp.MustCompile(`(?m)^All are answered ([0-9]{3}) `)
	status  = regexp.MustCompile(`\b([0-9]{3})\b`)
	groups  = regexp.MustCompile(`(?m)^### .+$`)
)

// reasonRows finds the reasons that have a row, each with the HTTP statuses that
// the row, or the sentence above its table, says.
func reasonRows(text string) map[string][]string {
	rows := map[string][]string{}
	starts := append(groups.FindAllStringIndex(text, -1), []int{len(text)})
	for i := range len(starts) - 1 {
		part := text[starts[i][0]:starts[i+1][0]]
		var all []string
		if m := answers.FindStringSubmatch(part); m != nil {
			all = m[1:]
		}
		for line := range strings.Lines(part) {
			cells := strings.Split(line, "|")
			if len(cells) < 4 {
				continue
			}
			said := all
			if said == nil {
				said = status.FindAllString(cells[2], -1)
			}
			for _, m := range quoted.FindAllStringSubmatch(cells[1], -1) {
				rows[m[1]] = append(rows[m[1]], said...)
			}
		}
	}
	return rows
}

func TestEveryReasonStandsOnItsPageWithTheAnswerThatClientsGet(t *testing.T) {
	t.Parallel()
	rows := reasonRows(section(t, readReasons(t), "## Every reason", "## The checks, in order"))
	for _, r := range policy.Reasons() {
		want := strconv.Itoa(oauth.ErrorFor(r).Status)
		if said, there := rows[string(r)]; !there || !slices.Contains(said, want) {
			t.Errorf("%s: the page says %v, the endpoint answers %s", r, said, want)
		}
		delete(rows, string(r))
	}
	for name := range rows {
		t.Errorf("%s stands on the page and is no reason", name)
	}
}

func TestEveryCheckStandsOnThePageInItsOrder(t *testing.T) {
	t.Parallel()
	text := readReasons(t)
	request, each := policy.Checks()
	for heading, tc := range map[string]struct {
		to   string
		want []string
	}{
		"### Of every request": {"### Of every policy that names the client and the target", request},
		"### Of every policy that names the client and the target": {"### Around the decision", each},
	} {
		var got []string
		for line := range strings.Lines(section(t, text, heading, tc.to)) {
			if m := quoted.FindStringSubmatch(line); m != nil && strings.HasPrefix(line, "| `") {
				got = append(got, m[1])
			}
		}
		if !slices.Equal(got, tc.want) {
			t.Errorf("%s: the page has %v, the decision %v", heading, got, tc.want)
		}
	}
}
