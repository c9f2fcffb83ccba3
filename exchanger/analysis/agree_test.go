// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package analysis

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

// reached is a fact about a chain: who started with what, and what was had.
type reached struct {
	client  string
	subject Subject
	target  string
	scope   string
	chained bool
}

// walker tries, with the decision itself, every request that a small world knows.
type walker struct {
	spec     *policy.Spec
	snapshot *policy.Snapshot
	found    map[reached]bool
	seen     map[string]bool
	hops     int
}

type walking struct {
	token   *policy.Token
	client  string
	subject Subject
	depth   int
}

// walk follows every chain, forward, and says what was reached.
func walk(t interface{ Fatal(...any) }, spec *policy.Spec, hops int) map[reached]bool {
	snapshot, err := policy.Compile(spec, 1, yes{})
	if err != nil {
		t.Fatal(err)
	}
	w := &walker{spec: spec, snapshot: snapshot, found: map[reached]bool{}, seen: map[string]bool{}, hops: hops}
	var queue []walking
	for _, i := range spec.Issuers {
		for _, class := range i.Classes {
			for _, c := range spec.Clients {
				for _, azp := range []string{"", "shop/frontend", "media/gateway"} {
					start := walking{token: foreign(&i, class, c.ID, azp), client: c.ID, subject: Subject{Issuer: i.Name, Class: class}}
					queue = append(queue, w.ask(start, c.ID)...)
					bare := *start.token
					start.token, bare.Scopes = &bare, nil
					queue = append(queue, w.ask(start, c.ID)...)
				}
			}
		}
	}
	for _, start := range assertions(spec) {
		for _, c := range spec.Clients {
			start.client = c.ID
			queue = append(queue, w.ask(start, c.ID)...)
		}
	}
	for len(queue) > 0 {
		at := queue[0]
		queue = queue[1:]
		for _, c := range spec.Clients {
			queue = append(queue, w.ask(at, c.ID)...)
		}
	}
	return w.found
}

// foreign is a token of an issuer that is for everybody it can be for.
func foreign(i *policy.Issuer, class policy.Class, client, azp string) *policy.Token {
	t := &policy.Token{
		Issuer: i.Name, Origin: i.Name, RawIssuer: i.URL, RawSubject: "alice", Subject: i.Prefix + "alice", Class: class, ClientID: azp,
		Audiences: append([]string{client, "media/gw", "media/images", "gateway-of-corp"}, i.Audiences...),
		IssuedAt:  now().Add(-time.Minute), ExpiresAt: now().Add(time.Hour), TokenID: "first", Digest: [32]byte{1},
	}
	if i.Mappings.Scopes != (policy.Value{}) {
		t.Scopes = []string{"images", "read"}
	}
	return t
}

// assertions are what issuers can assert, for every client that they can name, and for
// everything that means the token service.
func assertions(spec *policy.Spec) []walking {
	var out []walking
	for _, i := range spec.Issuers {
		if !slices.Contains(i.Classes, policy.ClassJWT) {
			continue
		}
		for _, class := range []policy.Class{policy.ClassJWTBearer, policy.ClassIDJAG} {
			for _, aud := range append([]string{spec.Services[0].Issuer}, i.Audiences...) {
				for _, c := range spec.Clients {
					for _, scoped := range []bool{true, false} {
						t := foreign(&i, class, c.ID, c.ID)
						t.Audiences, t.IssuedAt, t.ExpiresAt = []string{aud}, now(), now().Add(policy.MaxAssertionLife)
						if !scoped {
							t.Scopes = nil
						}
						out = append(out, walking{token: t, client: c.ID, subject: Subject{Issuer: i.Name, Class: class}})
					}
				}
			}
		}
	}
	return out
}

// agent is a token of somebody who may act, at every depth somebody else.
func agent(depth int, client string) *policy.Token {
	sub := fmt.Sprint("agent", depth)
	return &policy.Token{
		Issuer: "agents", Origin: "agents", RawIssuer: "https://agents.example", RawSubject: sub, Subject: "agents:" + sub, Class: policy.ClassJWT,
		Audiences: []string{client}, IssuedAt: now().Add(-time.Minute), ExpiresAt: now().Add(time.Hour), Digest: [32]byte{2, byte(depth)},
	}
}

// ask makes every request of a client with the token, and returns the tokens that
// came of it and were not seen before.
func (w *walker) ask(at walking, client string) []walking {
	var out []walking
	as := policy.AsAccessToken
	if at.token.Class == policy.ClassIDToken {
		as = policy.AsIDToken
	}
	grant := policy.GrantTokenExchange
	if at.token.Class.IsAssertion() {
		as, grant = policy.AsAssertion, policy.GrantJWTBearer
	}
	for _, targets := range [][]string{{"hr/api"}, {"media/gw", "media/gateway"}, {"media/images"}, {"media/gw", "media/gateway", "media/images"}} {
		for _, scopes := range [][]string{nil, {"read"}, {"images"}, {"images", "read"}} {
			for _, kind := range []policy.TokenType{policy.TypeAccessToken, policy.TypeJWT} {
				for _, actor := range []*policy.Token{nil, agent(at.depth, client)} {
					d := w.snapshot.Decide(&policy.Request{
						Now: now(), TokenService: "default", Grant: grant, Client: policy.ClientAuth{ID: client}, Subject: at.token, SubjectAs: as,
						Audiences: targets, Scopes: scopes, ScopesGiven: len(scopes) > 0, TokenType: kind, Actor: actor, ActorAs: policy.AsJWT,
					})
					g, ok := d.Grant()
					if !ok {
						continue
					}
					w.note(at, g)
					if next, fresh := w.next(at, g); fresh {
						out = append(out, next)
					}
				}
			}
		}
	}
	return out
}

func (w *walker) note(at walking, g *policy.Grant) {
	fact := reached{client: at.client, subject: at.subject, chained: at.depth > 0}
	for _, t := range g.Targets {
		fact.target = t.Target
		for i := range w.spec.Scopes {
			s := &w.spec.Scopes[i]
			if slices.Contains(g.Granted, s.Scope) && strings.HasPrefix(t.Target, s.Namespace+"/") && belongs(s, t.Target) {
				fact.scope = s.Scope
				w.found[fact] = true
			}
		}
		if len(g.Granted) == 0 {
			fact.scope = ""
			w.found[fact] = true
		}
	}
}

func (w *walker) next(at walking, g *policy.Grant) (walking, bool) {
	t := *g.Subject
	t.Issuer, t.RawIssuer, t.Class = policy.SelfIssuer, "https://sts.example", policy.ClassAccessToken
	t.Origin, t.OriginURL, t.OriginIssuedAt = g.Sealed.Origin, g.Sealed.OriginURL, now()
	t.Audiences, t.ClientID, t.Scopes, t.Added = g.Audiences, g.ClientID, g.Scopes, g.Sealed.Added
	t.Act, t.Actors = g.Act, g.Sealed.Actors
	t.IssuedAt, t.ExpiresAt = now(), now().Add(time.Hour)
	n := walking{token: &t, client: at.client, subject: at.subject, depth: at.depth + 1}
	key := fmt.Sprint(n.client, n.subject, t.Origin, t.Audiences, t.ClientID, t.Scopes, t.Added, t.Act != nil)
	if n.depth >= w.hops || w.seen[key] {
		return n, false
	}
	w.seen[key] = true
	return n, true
}

// told is what the analysis says of the same.
func told(spec *policy.Spec, hops int) map[reached]bool {
	out := map[reached]bool{}
	for _, c := range spec.Clients {
		a, ok := whoCan(spec, Question{Target: c.ID, Hops: hops})
		if !ok {
			continue
		}
		for _, p := range a.Paths {
			out[reached{p.First().Client, p.First().Subject, p.Target, p.Scope, len(p.Steps) > 1}] = true
		}
	}
	return out
}

// teller is what rapid's and testing's T have in common.
type teller interface {
	Errorf(format string, args ...any)
}

func differences(t teller, decided, said map[reached]bool) {
	for _, f := range slices.SortedFunc(maps.Keys(decided), compareFacts) {
		if !said[f] {
			t.Errorf("Decide allows it, the analysis does not: %+v", f)
		}
	}
	more := map[reached]bool{}
	for f := range decided {
		f.scope = ""
		more[f] = true
	}
	for _, f := range slices.SortedFunc(maps.Keys(said), compareFacts) {
		// A policy that grants tokens without scope makes way for one that grants what
		// the subject token happens to hold: then more is had than was said.
		if !decided[f] && (f.scope != "" || !more[f]) {
			t.Errorf("the analysis says it, no chain of decisions does it: %+v", f)
		}
	}
}

func compareFacts(a, b reached) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) }

func TestWhoCanAgreesWithTheDecisionOnEveryChain(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		spec := drawWorld(t)
		differences(t, walk(t, spec, 4), told(spec, 4))
	})
}

func TestWhatIsLeftOutIsSaidInAShorterWay(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		spec := drawWorld(t)
		for _, c := range spec.Clients {
			all, _ := whoCan(spec, Question{Target: c.ID})
			a, _ := WhoCan(spec, Question{Target: c.ID})
			said := map[reached]bool{}
			for _, p := range a.Paths {
				said[reached{p.First().Client, p.First().Subject, p.Last().Client + p.Target, p.Scope, false}] = true
			}
			for _, p := range all.Paths {
				if !said[reached{p.First().Client, p.First().Subject, p.Last().Client + p.Target, p.Scope, false}] {
					t.Errorf("left out: %+v", p)
				}
			}
		}
	})
}

func TestAccessIsWhatTheDecisionGrantsInOneStep(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		spec := drawWorld(t)
		decided, said := map[reached]bool{}, map[reached]bool{}
		for f := range walk(t, spec, 1) {
			decided[f] = true
		}
		for _, g := range AccessOf(spec) {
			if g.Subject.Issuer != policy.SelfIssuer {
				said[reached{g.Client, g.Subject, g.Target, g.Scope, false}] = true
			}
		}
		differences(t, decided, said)
	})
}
