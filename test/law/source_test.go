// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package law

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
	"testing"
)

// allowedState names package-level state that may stay, each with its reason.
// Keys are <package below the module>.<variable>.
var allowedState = map[string]string{
	"exchanger/expr.runs":     "a pool of scratch memory: what is in it is overwritten before it is read",
	"exchanger/store.silence": "the Redis client has one log for the whole process, which is turned off once",
}

func TestF369ExchangerHasNoInitFunctionAndNoGlobalMutableState(t *testing.T) {
	t.Parallel()
	packages := map[string][]file{}
	for _, f := range goFiles(t) {
		if f.test || f.generated || !f.in("./exchanger/...", "./controllers/...", "./cmd/...", "./api/...") {
			continue
		}
		packages[f.importPath()] = append(packages[f.importPath()], f)
		for _, v := range initFuncs(f) {
			t.Errorf("%s: code that runs on import runs before main can say no; call it from where it is needed", v)
		}
	}
	for pkg, files := range packages {
		for _, f := range files {
			for _, g := range globals(f) {
				key := strings.TrimPrefix(pkg, module+"/") + "." + g.name
				if allowedState[key] != "" {
					continue
				}
				if g.state {
					t.Errorf("%s: %s is package-level state: two servers in one process, and two tests, would share it. Make it a field of the struct that owns it", g.at, g.name)
				}
				for _, w := range writes(files, g.name) {
					t.Errorf("%s: a package-level table is a constant; make a copy to change", w)
				}
			}
		}
	}
}

func TestTheStateCheckTellsStateFromConstants(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		source string
		state  int
		writes int
	}{
		"a lock":                         {"var mu sync.Mutex", 1, 0},
		"a pointer to a struct":          {"var cache = &Cache{}", 1, 0},
		"an atomic pointer":              {"var p atomic.Pointer[int]", 1, 0},
		"a channel":                      {"var c chan int", 1, 0},
		"a made channel":                 {"var c = make(chan int)", 1, 0},
		"new":                            {"var n = new(int)", 1, 0},
		"a struct with a lock":           {"var s struct{ mu sync.Mutex }", 1, 0},
		"a sentinel error":               {"var ErrX = errors.New(`x`)", 0, 0},
		"a compiled pattern":             {"var re *regexp.Regexp = regexp.MustCompile(`x`)", 0, 0},
		"a table that nobody writes":     {"var m = map[string]int{`a`: 1}\nfunc f() int { return m[`a`] }", 0, 0},
		"a table that is written":        {"var m = map[string]int{}\nfunc f() { m[`a`] = 1 }", 0, 1},
		"a table that is deleted from":   {"var m = map[string]int{}\nfunc f() { delete(m, `a`) }", 0, 1},
		"a slice that is appended to":    {"var s []int\nfunc f() { s = append(s, 1) }", 0, 1},
		"a slice whose address is taken": {"var s []int\nfunc f() { g(&s) }", 0, 1},
		"a local of the same name":       {"var s []int\nfunc f() { s := []int{}; s[0] = 1 }", 0, 0},
		"an array":                       {"var a = [2]int{}\nfunc f() { a[0]++ }", 0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, err := parseSource("exchanger/x/x.go", []byte("package x\n"+tc.source))
			if err != nil {
				t.Fatal(err)
			}
			state, written := 0, 0
			for _, g := range globals(f) {
				if g.state {
					state++
				}
				written += len(writes([]file{f}, g.name))
			}
			if state != tc.state || written != tc.writes {
				t.Errorf("state = %d, writes = %d; want %d and %d", state, written, tc.state, tc.writes)
			}
		})
	}
}

func TestPurePackagesNeverReadTheClock(t *testing.T) {
	t.Parallel()
	for _, f := range goFiles(t) {
		if f.test || !f.in(pure...) {
			continue
		}
		for _, v := range clockReads(f) {
			t.Errorf("%s in a pure package: take the time as an argument, so that a decision can be replayed", v)
		}
	}
}

func TestTheClockCheckSeesEveryDisguise(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		source string
		want   int
	}{
		"called":           {"import \"time\"\nvar t = time.Now()", 1},
		"passed on":        {"import \"time\"\nvar now = time.Now", 1},
		"under an alias":   {"import clock \"time\"\nvar now = clock.Since", 1},
		"durations only":   {"import \"time\"\nvar d = time.Second", 0},
		"another's method": {"import \"time\"\nvar _ = time.Second\nfunc f(c interface{ Now() int }) { c.Now() }", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, err := parseSource("exchanger/policy/x.go", []byte("package x\n"+tc.source))
			if err != nil {
				t.Fatal(err)
			}
			if got := clockReads(f); len(got) != tc.want {
				t.Errorf("got %q, want %d", got, tc.want)
			}
		})
	}
}

// looseParsers are the ways of go-jose and golang-jwt into a token that skip a
// check which the strict parser makes.
var looseParsers = map[string][]string{
	"github.com/go-jose/go-jose/v4":     {"ParseSigned", "ParseEncrypted", "ParseDetached", "ParseSignedJSON", "ParseEncryptedJSON"},
	"github.com/go-jose/go-jose/v4/jwt": {"ParseSigned", "ParseEncrypted", "ParseSignedAndEncrypted", "ParseInsecure"},
	"github.com/golang-jwt/jwt/v5":      {"Parse", "ParseWithClaims", "NewParser"},
}

func TestF119LooseTokenParsersAreNeverCalled(t *testing.T) {
	t.Parallel()
	unsafe := regexp.MustCompile(`\bUnsafe(Claims|Payload)WithoutVerification\b`)
	for _, f := range goFiles(t) {
		if f.test || f.in("./test/...", "./hack/...") {
			continue
		}
		for pkg, names := range looseParsers {
			for _, v := range selections(f, pkg, names) {
				t.Errorf("%s accepts more than strict compact form: use exchanger/jose", v)
			}
		}
		if !f.in("./exchanger/jose") && unsafe.Match(f.source) {
			t.Errorf("%s reads a token before it is verified: only exchanger/jose may, to choose the key", f.path)
		}
	}
}

func TestTheLooseParserCheckSeesAnAlias(t *testing.T) {
	t.Parallel()
	source := "package x\nimport j \"github.com/go-jose/go-jose/v4\"\nvar _, _ = j.ParseSigned(``, nil)\nvar _, _ = j.ParseSignedCompact(``, nil)"
	f, err := parseSource("exchanger/subject/x.go", []byte(source))
	if err != nil {
		t.Fatal(err)
	}
	got := selections(f, "github.com/go-jose/go-jose/v4", looseParsers["github.com/go-jose/go-jose/v4"])
	if len(got) != 1 {
		t.Errorf("got %q, want the one use of ParseSigned", got)
	}
}

func TestWhatIsReadToItsEndHasAnEnd(t *testing.T) {
	t.Parallel()
	for _, f := range goFiles(t) {
		if f.test || f.in("./test/...", "./hack/...") {
			continue
		}
		for _, v := range unboundedReads(f) {
			t.Errorf("%s: io.ReadAll without a bound is a way to take all our memory: io.ReadAll(io.LimitReader(r, limit+1))", v)
		}
	}
}

func TestTheReadCheckKnowsABoundWhenItSeesOne(t *testing.T) {
	t.Parallel()
	for call, want := range map[string]int{
		"io.ReadAll(r)":                         1,
		"io.ReadAll(io.LimitReader(r, 9))":      0,
		"io.ReadAll(&io.LimitedReader{R: r})":   0,
		"io.ReadAll(http.MaxBytesReader(w, r))": 0,
		"io.ReadAll(bufio.NewReader(r))":        1,
		"other.ReadAll(r)":                      0,
	} {
		t.Run(call, func(t *testing.T) {
			t.Parallel()
			f, err := parseSource("exchanger/x/x.go", []byte("package x\nimport \"io\"\nvar _, _ = "+call))
			if err != nil {
				t.Fatal(err)
			}
			if got := unboundedReads(f); len(got) != want {
				t.Errorf("got %q, want %d", got, want)
			}
		})
	}
}

func TestF368EveryGoFileCarriesTheLicence(t *testing.T) {
	t.Parallel()
	header := []byte("// Copyright The Exchequer Authors.\n// SPDX-License-Identifier: Apache-2.0\n")
	for _, f := range goFiles(t) {
		head := f.source[:min(len(f.source), 400)]
		if !bytes.Contains(head, header) {
			t.Errorf("%s: the first lines must be\n%s", f.path, header)
		}
	}
}

func TestF369SuppressionsAndPromisesSayWhy(t *testing.T) {
	t.Parallel()
	explained := regexp.MustCompile(`^//nolint:[a-z0-9,]+ // \S.{9,}`)
	promise := regexp.MustCompile(`^(//|/\*)\s*(TODO|FIXME|XXX|HACK)\b`)
	numbered := regexp.MustCompile(`^//\s*TODO\(#\d+\): \S`)
	for _, f := range goFiles(t) {
		for _, group := range f.syntax.Comments {
			for _, c := range group.List {
				if strings.HasPrefix(c.Text, "//nolint") && !explained.MatchString(c.Text) {
					t.Errorf("%s: %s: name the linter and say why: //nolint:gosec // the reason", f.position(c), c.Text)
				}
				if promise.MatchString(c.Text) && !numbered.MatchString(c.Text) {
					t.Errorf("%s: a promise without an owner is forgotten: do it, or write TODO(#number): what", f.position(c))
				}
			}
		}
	}
}

func TestEveryPackageOfTheExchangerSaysWhatItPromises(t *testing.T) {
	t.Parallel()
	has := map[string]bool{}
	for _, f := range goFiles(t) {
		if f.test || !f.in("./exchanger/...", "./api/...", "./controllers/...") {
			continue
		}
		pkg := f.importPath()
		has[pkg] = has[pkg] || strings.HasSuffix(f.path, "/doc.go") && f.syntax.Doc.Text() != ""
	}
	for pkg, ok := range has {
		if !ok {
			t.Errorf("%s has no doc.go with a package comment: what it promises, what it refuses, who may import it", fmt.Sprintf(".%s", strings.TrimPrefix(pkg, module)))
		}
	}
}
