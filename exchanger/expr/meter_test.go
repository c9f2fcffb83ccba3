// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package expr

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

// hostile are claims as large as a token of 250 kB can carry.
func hostile() *policy.Facts {
	var names, pairs []any
	members := map[string]any{}
	for i := range 5000 {
		names = append(names, fmt.Sprintf("g%d", i))
		pairs = append(pairs, []any{int64(1), "x"})
		members[fmt.Sprint("k", i)] = int64(i)
	}
	return &policy.Facts{Claims: map[string]any{
		"text": strings.Repeat("a", 120_000), "same": strings.Repeat("a", 120_000),
		"names": names, "pairs": pairs, "members": members, "pattern": strings.Repeat("(x*)*", 50),
	}}
}

// It is not parallel: it looks at what the process allocates.
func TestACostBombEnds(t *testing.T) {
	bombs := map[string]string{
		"F213: nested all":                     `claims.names.all(x, claims.names.all(y, claims.names.all(z, true)))`,
		"F213: nested all, absorbed":           `claims.names.all(x, claims.names.all(y, claims.names.all(z, true))) || true`,
		"F213: nested map":                     `claims.names.map(x, claims.names.map(y, [x, y])).size() > 0`,
		"F213: a loop over members":            `claims.members.all(x, claims.members.all(y, true))`,
		"F213: large texts compared":           `claims.names.all(x, claims.text == claims.same)`,
		"F213: large texts in lists":           `claims.names.all(x, [claims.text] == [claims.same])`,
		"F213: large text looked for":          `claims.names.all(x, claims.text in [claims.same, claims.same, x])`,
		"F213: lists of lists compared":        `claims.names.all(x, claims.pairs == claims.pairs)`,
		"F213: a list looked for":              `claims.names.all(x, !([1] in claims.pairs))`,
		"F213: members compared":               `claims.names.all(x, claims.members == claims.members)`,
		"F213: names looked for":               `claims.names.all(x, !('nope' in claims.names))`,
		"F213: a text that grows":              `claims.text.replace('', claims.text).size() > 0`,
		"F213: a text that grows in a loop":    `claims.names.all(x, claims.text.replace('a', 'bb') != '')`,
		"F213: texts joined in a loop":         `claims.names.all(x, claims.text + claims.text != '')`,
		"F213: a text joined from copies":      `claims.names.map(x, claims.text).join('').size() > 0`,
		"F213: a text that is formatted":       `'%s%s%s%s%s%s%s%s%s'.format(claims.names.map(x, claims.text)).size() > 0`,
		"F213: a text split in a loop":         `claims.names.all(x, claims.text.split('') != [])`,
		"F213: a search at every place":        `claims.text.lastIndexOf(claims.text + 'b') < 0`,
		"F213: a text turned around":           `claims.names.all(x, claims.text.reverse() != '')`,
		"F213: a text quoted":                  `claims.names.all(x, strings.quote(claims.text) != '')`,
		"F213: characters counted":             `claims.names.all(x, size(claims.text) > 0)`,
		"F213: lists joined in a loop":         `claims.names.all(x, claims.names + claims.names != [])`,
		"F213: lists sorted in a loop":         `claims.names.all(x, claims.names.sortBy(y, string(y)) != [])`,
		"F213: duplicates":                     `claims.names.distinct() != []`,
		"F213: lists flattened":                `claims.names.all(x, claims.pairs.flatten() != [])`,
		"F213: sets of everything":             `sets.equivalent(claims.names, claims.names)`,
		"F213: a range":                        `lists.range(1000000000).size() > 0`,
		"F213: ranges in a loop":               `claims.names.all(x, lists.range(9999).size() > 0)`,
		"F214: a pattern over a large text":    `claims.names.all(x, claims.text.matches('a*b') == false)`,
		"F214: a large pattern":                `claims.text.matches('(a|b|c|d)*(a|b|aa|ab){200}x')`,
		"F214: a pattern from a claim":         `claims.names.all(x, x.matches(claims.pattern) || true)`,
		"F214: a pattern from a claim, nested": `claims.names.all(x, claims.names.all(y, x.matches(y) || true))`,
	}
	for name, text := range bombs {
		t.Run(name, func(t *testing.T) {
			p := mustCompile(t, policy.EnvClaims, policy.WantBool, text)
			f := hostile()
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			start := time.Now()
			got, err := p.Eval(f)
			took := time.Since(start)
			runtime.ReadMemStats(&after)
			if err == nil || !strings.Contains(err.Error(), "costs more than 1000000") {
				t.Errorf("gives %v, %v; want that it costs too much", got, err)
			}
			// The promise is 50 ms; a busy machine with the race detector on gets
			// twenty times that. Without a limit these take minutes.
			if took > time.Second {
				t.Errorf("took %v", took)
			}
			if made := after.TotalAlloc - before.TotalAlloc; made > 256<<20 {
				t.Errorf("made %d MB of garbage", made>>20)
			}
		})
	}
}

func TestWhatIsUsualIsAffordable(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"a name among 5,000":             `'g4999' in claims.names`,
		"a loop over 5,000":              `claims.names.exists(x, x == 'g4999')`,
		"a pattern over 5,000":           `claims.names.exists(x, x.fullMatch('g[0-9]+9'))`,
		"a set of 5,000 and some":        `sets.contains(claims.names, ['g1', 'g2', 'g3'])`,
		"some of 5,000":                  `claims.names.filter(x, x.startsWith('g49')).size() > 10`,
		"5,000 sorted and joined":        `claims.names.sortBy(x, string(x)).map(x, string(x)).join(',').size() > 0`,
		"a loop of 200 in a loop of 200": `lists.range(200).exists(x, lists.range(200).exists(y, x + y == 1000)) || true`,
		"a loop over members":            `claims.members.exists(k, k == 'k4999')`,
		"a large text":                   `claims.text.endsWith('a') && claims.text.size() == 120000`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got, err := mustCompile(t, policy.EnvClaims, policy.WantBool, text).Eval(hostile()); got != true || err != nil {
				t.Errorf("gives %v, %v", got, err)
			}
		})
	}
}

func TestMatchingIsLinear(t *testing.T) {
	t.Parallel()
	t.Run("F214: a text twice as long costs twice as much", func(t *testing.T) {
		t.Parallel()
		for _, text := range []string{`(a*)*b`, `(a|aa)+b`, `(.*)(.*)(.*)(.*)[0-9]`, `a{1,100}b`} {
			p, err := compilePattern(text, true, maxPattern, maxStates)
			if err != nil {
				t.Fatal(err)
			}
			if one, two := p.price(1000), p.price(2000); two > 2*one {
				t.Errorf("%s: %d for 1,000 bytes, %d for 2,000", text, one, two)
			}
		}
		got, err := mustCompile(t, policy.EnvClaims, policy.WantBool, `claims.s.fullMatch('(a*)*(a|aa)+b')`).
			Eval(&policy.Facts{Claims: map[string]any{"s": strings.Repeat("a", 5000)}})
		if got != false || err != nil {
			t.Errorf("got %v, %v", got, err)
		}
	})
}
