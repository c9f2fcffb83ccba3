// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package law

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

const module = "github.com/exchequer-dev/exchequer"

// thirdParty stands for every package that is neither of this module nor of
// the standard library.
const thirdParty = "<third party>"

// ban is one article of the import law: packages that match from, except those
// that match unless, may not import what matches target, except what matches
// but. Patterns are import paths; those without a dot in their first element
// are the standard library's, those that begin with ./ are the module's own,
// and a trailing /... takes in the whole subtree.
type ban struct {
	name   string
	from   []string
	unless []string
	target []string
	but    []string
	// through follows imports through other packages of the module, so that
	// the ban cannot be stepped around with a helper package.
	through bool
	why     string
	// breaks is an import that this ban refuses: the test of the test.
	breaks [2]string
}

// programs may wire anything to anything; what they wire must not know them.
var programs = []string{"./cmd/...", "./test/...", "./hack/..."}

// xmlSignatures are the libraries that read or make signed XML.
var xmlSignatures = []string{"github.com/russellhaering/goxmldsig/...", "github.com/beevik/etree/...", "github.com/crewjam/saml/...", "github.com/russellhaering/gosaml2/..."}

// bans is the law. Nothing outside this table forbids an import.
var bans = []ban{
	{
		name:   "the policy core is the standard library only",
		from:   []string{"./exchanger/policy/..."},
		target: []string{thirdParty, "./...", "net/http", "net", "os", "os/exec", "log", "log/slog", "context", "math/rand", "math/rand/v2", "crypto/rand", "database/sql", "unsafe"},
		but:    []string{"./exchanger/policy/..."},
		why:    "Decide is a pure function of its arguments: no clock, no network, no randomness, nothing to mock, nothing that differs between two replicas",
		breaks: [2]string{"./exchanger/policy", "net/http"},
	},
	{
		name:   "the wire form is pure",
		from:   []string{"./exchanger/wire/..."},
		target: []string{thirdParty, "./...", "net/http", "net", "os", "os/exec", "log", "log/slog", "context", "time", "math/rand", "math/rand/v2", "crypto/rand"},
		but:    []string{"./exchanger/policy/...", "./exchanger/wire/..."},
		why:    "equal Specs must give equal bytes, and writer and reader must agree without a cluster to try it in",
		breaks: [2]string{"./exchanger/wire", "k8s.io/client-go/kubernetes"},
	},
	{
		name:   "analysis knows policies and nothing else",
		from:   []string{"./exchanger/analysis/..."},
		target: []string{thirdParty, "./...", "net/http", "net", "os", "os/exec", "log", "log/slog", "context", "math/rand", "math/rand/v2", "crypto/rand", "database/sql", "unsafe"},
		but:    []string{"./exchanger/analysis/...", "./exchanger/policy"},
		why:    "who may reach what is a function of the Spec: what a laptop says of a directory must hold for the cluster",
		breaks: [2]string{"./exchanger/analysis", "./exchanger/expr"},
	},
	{
		name:   "analysis is for people",
		from:   []string{"./..."},
		unless: append([]string{"./exchanger/analysis/..."}, programs...),
		target: []string{"./exchanger/analysis/..."},
		why:    "it over-approximates: every rule may be true; nothing that decides may lean on it",
		breaks: [2]string{"./exchanger/exchange", "./exchanger/analysis"},
	},
	{
		name:    "translation has no client",
		from:    []string{"./exchanger/translate/..."},
		target:  []string{"net/http", "k8s.io/client-go/...", "sigs.k8s.io/controller-runtime/...", "os/exec", "math/rand", "math/rand/v2", "crypto/rand"},
		through: true,
		why:     "equal objects must give equal bytes, on a laptop, in CI and in the operator; a translator that can look something up cannot promise that",
		breaks:  [2]string{"./exchanger/translate", "k8s.io/client-go/kubernetes"},
	},
	{
		name:   "one JOSE parser",
		from:   []string{"./..."},
		unless: []string{"./exchanger/jose/...", "./test/...", "./hack/..."},
		target: []string{"github.com/go-jose/go-jose/...", "github.com/golang-jwt/jwt/...", "github.com/lestrrat-go/jwx/...", "gopkg.in/square/go-jose.v2/..."},
		why:    "every token from outside goes through the strict compact parser of exchanger/jose; a second way in would skip its checks",
		breaks: [2]string{"./exchanger/subject", "github.com/go-jose/go-jose/v4"},
	},
	{
		name:   "golang-jwt judges, in tests only",
		from:   []string{"./exchanger/jose/..."},
		target: []string{"github.com/golang-jwt/jwt/..."},
		why:    "golang-jwt is in go.mod as an independent judge for tests; a judge must not be part of what it judges",
		breaks: [2]string{"./exchanger/jose", "github.com/golang-jwt/jwt/v5"},
	},
	{
		name:   "one CEL environment",
		from:   []string{"./..."},
		unless: []string{"./exchanger/expr/..."},
		target: []string{"github.com/google/cel-go/...", "cel.dev/cel-go/..."},
		why:    "costs are limited and errors are turned into `unable` in exactly one place: exchanger/expr, behind an interface that policy declares",
		breaks: [2]string{"./exchanger/translate", "github.com/google/cel-go/cel"},
	},
	{
		name:   "XML signatures stay in saml",
		from:   []string{"./..."},
		unless: []string{"./exchanger/saml/..."},
		target: xmlSignatures,
		why:    "XML signatures are where verified bytes and used bytes part ways; one package answers for that",
		breaks: [2]string{"./exchanger/subject", "github.com/beevik/etree"},
	},
	{
		name:   "HTTP handlers stay in server, HTTP clients in issuer and upstream",
		from:   []string{"./exchanger/..."},
		unless: []string{"./exchanger/server/...", "./exchanger/issuer/...", "./exchanger/upstream"}, // upstream asks at the addresses that issuer/egress lets through, and nowhere else
		target: []string{"net/http", "net/http/httputil", "github.com/prometheus/client_golang/prometheus/promhttp", "go.opentelemetry.io/contrib/instrumentation/net/http/..."},
		why:    "a use-case that knows HTTP ends up deciding by header; and every dial must go through the one client that checks the address it dials",
		breaks: [2]string{"./exchanger/exchange", "net/http"},
	},
	{
		name:   "issuer never serves",
		from:   []string{"./exchanger/issuer/..."},
		target: []string{"./exchanger/server/...", "./exchanger/exchange/...", "./exchanger/mint/...", "github.com/prometheus/client_golang/prometheus/promhttp"},
		why:    "fetching keys knows nothing of requests: a token's content can choose a cache entry, never an address",
		breaks: [2]string{"./exchanger/issuer", "./exchanger/exchange"},
	},
	{
		name:   "upstream asks, and knows nothing of requests",
		from:   []string{"./exchanger/upstream/..."},
		target: []string{"./exchanger/server/...", "./exchanger/exchange/...", "./exchanger/mint/...", "./exchanger/subject/...", "./exchanger/store/...", "./exchanger/feed/...", "github.com/prometheus/client_golang/prometheus/promhttp"},
		why:    "where it asks comes from a platform object alone; what a request holds can be a question's content, never its address",
		breaks: [2]string{"./exchanger/upstream", "./exchanger/exchange"},
	},
	{
		name:   "F222: mint is imported by exchange only",
		from:   []string{"./..."},
		unless: append([]string{"./exchanger/mint/...", "./exchanger/exchange/..."}, programs...),
		target: []string{"./exchanger/mint/..."},
		why:    "one path to the signer: every route that can mint runs the whole use-case, so no sibling path can lack one of its checks",
		breaks: [2]string{"./exchanger/server", "./exchanger/mint"},
	},
	{
		name:   "server is imported by programs only",
		from:   []string{"./..."},
		unless: append([]string{"./exchanger/server/..."}, programs...),
		target: []string{"./exchanger/server/..."},
		why:    "the edge depends on the core, never the core on the edge",
		breaks: [2]string{"./exchanger/exchange", "./exchanger/server"},
	},
	{
		name:   "exchange is imported by server and programs only",
		from:   []string{"./..."},
		unless: append([]string{"./exchanger/exchange/...", "./exchanger/server/..."}, programs...),
		target: []string{"./exchanger/exchange/..."},
		why:    "cmd → server → exchange → {clientauth, subject, mint, audit} → policy: one direction",
		breaks: [2]string{"./exchanger/audit", "./exchanger/exchange"},
	},
	{
		name:   "mint and audit know no credentials",
		from:   []string{"./exchanger/mint/...", "./exchanger/audit/..."},
		target: []string{"./exchanger/clientauth/...", "./exchanger/subject/...", "./exchanger/issuer/..."},
		why:    "what is signed and what is recorded comes from the Decision and verified facts, never from a presented token",
		breaks: [2]string{"./exchanger/mint", "./exchanger/subject"},
	},
	{
		name:   "verification never mints and never records",
		from:   []string{"./exchanger/clientauth/...", "./exchanger/subject/...", "./exchanger/proof/..."},
		target: []string{"./exchanger/audit/...", "./exchanger/feed/...", "./exchanger/mint/..."},
		why:    "a verifier returns facts or a reason; what is done with them is the use-case's business",
		breaks: [2]string{"./exchanger/subject", "./exchanger/audit"},
	},
	{
		name:   "subject does not know how clients authenticate",
		from:   []string{"./exchanger/subject/..."},
		target: []string{"./exchanger/clientauth/..."},
		why:    "a credential is never a subject token and a subject token never a credential; what both need lies below them",
		breaks: [2]string{"./exchanger/subject", "./exchanger/clientauth"},
	},
	{
		name:   "wire forms know no transport",
		from:   []string{"./exchanger/oauth/..."},
		target: []string{"net/http", "./exchanger/server/...", "./exchanger/issuer/...", "k8s.io/..."},
		why:    "parameters and errors are parsed and printed by pure functions that a fuzzer can call a million times a minute",
		breaks: [2]string{"./exchanger/oauth", "net/http"},
	},
	{
		name:   "the exchanger never imports the operator",
		from:   []string{"./exchanger/...", "./api/...", "./config/..."},
		target: []string{"./controllers/...", "./cmd/..."},
		why:    "losing the controller must never stop an exchange; what is not linked cannot be waited for",
		breaks: [2]string{"./exchanger/feed", "./controllers"},
	},
	{
		name:   "controllers never see a token",
		from:   []string{"./controllers/..."},
		target: []string{"./exchanger/server/...", "./exchanger/exchange/...", "./exchanger/clientauth/...", "./exchanger/subject/...", "./exchanger/mint/...", "./exchanger/audit/..."},
		why:    "the program with the rights on the cluster has no code that reads a subject token",
		breaks: [2]string{"./controllers", "./exchanger/subject"},
	},
	{
		name:   "the API types import apimachinery and nothing else",
		from:   []string{"./api/..."},
		target: []string{thirdParty, "./...", "net/http"},
		but:    []string{"./api/...", "k8s.io/apimachinery/..."},
		why:    "others import our types into their programs; every dependency here becomes theirs",
		breaks: [2]string{"./api/v1alpha1", "sigs.k8s.io/controller-runtime/pkg/scheme"},
	},
	{
		name:   "Kubernetes clients stay in feed and controllers",
		from:   []string{"./exchanger/..."},
		unless: []string{"./exchanger/feed/...", "./exchanger/issuer/tokenreview"}, // a TokenReview is a question to the API server; who wants none asks for none
		target: []string{"k8s.io/client-go/...", "sigs.k8s.io/controller-runtime/..."},
		why:    "an exchange is answered from a snapshot; a request that asks the API server makes its outage ours",
		breaks: [2]string{"./exchanger/clientauth", "k8s.io/client-go/kubernetes"},
	},
	{
		name:   "the CRDs' validation machinery stays in schema",
		from:   []string{"./..."},
		unless: []string{"./exchanger/schema/...", "./hack/...", "./test/..."},
		target: []string{"k8s.io/apiextensions-apiserver/...", "k8s.io/apiserver/..."},
		why:    "it is an API server's worth of code; what serves requests in a cluster gets objects that an API server has judged already",
		breaks: [2]string{"./exchanger/translate", "k8s.io/apiextensions-apiserver/pkg/apiserver/validation"},
	},
	{
		name:   "schema is for what reads manifests",
		from:   []string{"./exchanger/..."},
		unless: []string{"./exchanger/schema/...", "./exchanger/feed/..."},
		target: []string{"./exchanger/schema/..."},
		why:    "translation and requests work on objects that were judged at the door; judging them again would only hide where the door is",
		breaks: [2]string{"./exchanger/exchange", "./exchanger/schema"},
	},
	{
		name:   "one store for one-time state",
		from:   []string{"./..."},
		unless: []string{"./exchanger/store/...", "./test/redis"}, // which breaks servers for tests
		target: []string{"github.com/redis/...", "github.com/valkey-io/...", "database/sql"},
		why:    "put-if-absent with the right lifetime is easy to get wrong; it is written once and every backend passes one suite",
		breaks: [2]string{"./exchanger/clientauth", "github.com/redis/go-redis/v9"},
	},
	{
		name:   "randomness is cryptographic",
		from:   []string{"./exchanger/...", "./controllers/...", "./cmd/..."},
		unless: []string{"./exchanger/issuer"}, // spreads its refreshes; makes nothing that must not be guessed
		target: []string{"math/rand", "math/rand/v2"},
		why:    "token identifiers and keys are made here; a predictable generator must not be within reach of a wrong import line",
		breaks: [2]string{"./exchanger/mint", "math/rand/v2"},
	},
	{
		name:   "nothing starts programs",
		from:   []string{"./exchanger/...", "./controllers/...", "./api/..."},
		target: []string{"os/exec", "plugin"},
		why:    "the image has no shell and the process needs no children",
		breaks: [2]string{"./exchanger/feed", "os/exec"},
	},
	{
		name:   "no handlers that register themselves",
		from:   []string{"./exchanger/...", "./controllers/...", "./cmd/..."},
		target: []string{"net/http/pprof", "expvar"},
		why:    "both add themselves to the default mux on import, and a heap profile holds tokens",
		breaks: [2]string{"./exchanger/server", "net/http/pprof"},
	},
	{
		name:   "products do not import tests or tools",
		from:   []string{"./api/...", "./cmd/...", "./controllers/...", "./exchanger/..."},
		target: []string{"./test/...", "./hack/..."},
		why:    "a fake that is linked into a program can be switched on in it",
		breaks: [2]string{"./cmd/exchequer", "./test/fakes"},
	},
	{
		name:   "nothing imports a program",
		from:   []string{"./..."},
		unless: programs,
		target: []string{"./cmd/..."},
		why:    "programs are wiring: what two of them need is a package",
		breaks: [2]string{"./exchanger/server", "./cmd/exchequer"},
	},
}

// graph maps an import path to the paths that it imports directly.
type graph map[string][]string

// violations returns one line for each import of g that b forbids, sorted.
func (b ban) violations(g graph) []string {
	var found []string
	for from := range g {
		if !matchesAny(b.from, from) || matchesAny(b.unless, from) {
			continue
		}
		for _, chain := range g.reach(from, b.through) {
			to := chain[len(chain)-1]
			if matchesAny(b.target, to) && !matchesAny(b.but, to) {
				found = append(found, fmt.Sprintf("%s\n\tbecause: %s", strings.Join(chain, " → "), b.why))
			}
		}
	}
	slices.Sort(found)
	return found
}

// reach returns, for every package that from imports, the shortest chain of
// imports that leads to it: the direct ones, and with through also those that
// other packages of the module bring in.
func (g graph) reach(from string, through bool) [][]string {
	var chains [][]string
	seen := map[string]bool{from: true}
	for queue := [][]string{{from}}; len(queue) > 0; queue = queue[1:] {
		head := queue[0]
		last := head[len(head)-1]
		if last != from && (!through || !strings.HasPrefix(last, module)) {
			continue
		}
		for _, to := range g[last] {
			if seen[to] {
				continue
			}
			seen[to] = true
			chain := append(slices.Clone(head), to)
			chains = append(chains, chain)
			queue = append(queue, chain)
		}
	}
	return chains
}

func matchesAny(patterns []string, importPath string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return matches(p, importPath) })
}

func matches(pattern, importPath string) bool {
	if pattern == thirdParty {
		return !isStandard(importPath) && !within(module, importPath)
	}
	pattern = absolute(pattern)
	if tree, ok := strings.CutSuffix(pattern, "/..."); ok {
		return within(tree, importPath)
	}
	return pattern == importPath
}

// absolute turns ./x into the module's import path of x.
func absolute(p string) string {
	if rest, ok := strings.CutPrefix(p, "./"); ok {
		return path.Join(module, rest)
	}
	return p
}

func within(tree, importPath string) bool {
	return importPath == tree || strings.HasPrefix(importPath, tree+"/")
}

// isStandard uses the rule of the go command: the first element of a path that
// can be downloaded has a dot.
func isStandard(importPath string) bool {
	first, _, _ := strings.Cut(importPath, "/")
	return !strings.Contains(first, ".")
}
