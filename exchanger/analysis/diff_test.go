// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package analysis

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

func clone(t interface{ Fatal(...any) }, s *policy.Spec) *policy.Spec {
	b, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	var out policy.Spec
	if err := json.Unmarshal(b, &out); err != nil {
		t.Fatal(err)
	}
	return &out
}

func TestTheDifferenceOfEqualsIsEmpty(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		spec := drawWorld(t)
		if d := Compare(spec, clone(t, spec)); !d.Empty() {
			t.Errorf("got %+v", d)
		}
	})
}

func TestOnlyEqualsHaveNoDifference(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a, b := drawWorld(t), drawWorld(t)
		same := compact(plain(a)) == compact(plain(b))
		if d := Compare(a, b); d.Empty() != same {
			t.Errorf("the same: %v, difference %+v", same, d)
		}
	})
}

func TestTheDifferenceBackIsTheMirrorOfTheDifferenceThere(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a, b := drawWorld(t), drawWorld(t)
		there, back := Compare(a, b), Compare(b, a)
		back.Gained, back.Lost = back.Lost, back.Gained
		back.ReachGained, back.ReachLost = back.ReachLost, back.ReachGained
		for i := range back.Changed {
			c := &back.Changed[i]
			c.Before, c.After, c.Effect = c.After, c.Before, opposite(c.Effect)
			switch c.What {
			case ObjectAdded:
				c.What = ObjectRemoved
			case ObjectRemoved:
				c.What = ObjectAdded
			}
		}
		if !reflect.DeepEqual(there, back) {
			t.Errorf("there %+v\nback %+v", there, back)
		}
	})
}

func TestWhatIsGainedAndLostIsTheDifferenceOfWhatIsAllowed(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a, b := drawWorld(t), drawWorld(t)
		before, after := access(a), access(b)
		d := Compare(a, b)
		for _, g := range d.Gained {
			if before[g.Access] || !after[g.Access] {
				t.Errorf("not gained: %+v", g.Access)
			}
			delete(after, g.Access)
		}
		for _, g := range d.Lost {
			if after[g.Access] || !before[g.Access] {
				t.Errorf("not lost: %+v", g.Access)
			}
			delete(before, g.Access)
		}
		if !reflect.DeepEqual(before, after) {
			t.Errorf("what is kept differs: %v, %v", before, after)
		}
	})
}

func access(s *policy.Spec) map[Access]bool {
	out := map[Access]bool{}
	for _, g := range AccessOf(s) {
		out[g.Access] = true
	}
	return out
}

// every field that one world can differ in from another, and what it means.
func TestAChangeOfOneFieldIsToldWithItsDirection(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		change func(*policy.Spec)
		object string
		field  string
		effect Effect
		before string
		after  string
	}{
		"a rule more": {
			func(s *policy.Spec) { s.Policies[0].SubjectRules = []policy.Rule{{Expression: "a", Message: "b"}} },
			"ExchangePolicy/media/frontend-gets-gateway", "subjectRules", Narrows, "", "a (b)",
		},
		"other words for a rule": {
			func(s *policy.Spec) { s.Policies[1].Rules[0].Message = "said better" },
			"ExchangePolicy/media/gateway-gets-images", "rules", Neither, "a (said)", "a (said better)",
		},
		"another class": {
			func(s *policy.Spec) { s.Policies[0].SubjectClasses = classes()[:2] },
			"ExchangePolicy/media/frontend-gets-gateway", "subjectClasses", Narrows, "JWT", "",
		},
		"a longer lifetime of tokens that are taken": {
			func(s *policy.Spec) { s.Issuers[0].MaxTokenAge = 48 * time.Hour },
			"TrustedIssuer/corp", "maxTokenAge", Widens, "24h0m0s", "48h0m0s",
		},
		"a lifetime of its own": {
			func(s *policy.Spec) { s.Policies[0].Lifetime = time.Minute },
			"ExchangePolicy/media/frontend-gets-gateway", "lifetime", Either, "", "1m0s",
		},
		"another mapping": {
			func(s *policy.Spec) { s.Issuers[0].Mappings.Scopes.Claim = "scp" },
			"TrustedIssuer/corp", "mappings.scopes.claim", Either, "scope", "scp",
		},
		"a revocation": {
			func(s *policy.Spec) { s.Clients[0].RevokeIssuedBefore = now() },
			"ExchangeClient/hr/api", "revokeIssuedBefore", Narrows, "", "2030-01-01T12:00:00Z",
		},
		"a secret": {
			func(s *policy.Spec) { s.Clients[0].SecretDigests = []string{strings.Repeat("ab", 32)} },
			"ExchangeClient/hr/api", "secretDigests", Widens, "", "a secret",
		},
		"keys that nobody can read": {
			func(s *policy.Spec) { s.Issuers[0].Keys.Inline = strings.Repeat("k", 1000) },
			"TrustedIssuer/corp", "keys.inline", Either, "", "1000 bytes, sha256 ",
		},
		"every client": {
			func(s *policy.Spec) { s.Policies[0].AllClients = true },
			"ExchangePolicy/media/frontend-gets-gateway", "allClients", Widens, "", "true",
		},
		"an audience rule": {
			func(s *policy.Spec) { s.Policies[0].SubjectAudience.Match = policy.AudienceIssuer },
			"ExchangePolicy/media/frontend-gets-gateway", "subjectAudience.match", Either, "Client", "Issuer",
		},
		"another order": {
			func(s *policy.Spec) { slices.Reverse(s.Policies[0].SubjectClasses) },
			"ExchangePolicy/media/frontend-gets-gateway", "subjectClasses", Either, "AccessToken", "JWT",
		},
		"an object more": {
			func(s *policy.Spec) {
				s.Policies = append(s.Policies, grant("media", "zz", "shop/other", "media/images", "read"))
			},
			"ExchangePolicy/media/zz", "", Widens, "", "",
		},
		"an object less": {
			func(s *policy.Spec) { s.Policies = s.Policies[:2] },
			"ExchangePolicy/hr/images-gets-hr", "", Narrows, "", "",
		},
		"a TokenRevocation": {
			func(s *policy.Spec) {
				s.Revocations = append(s.Revocations, policy.Revocation{Name: "lost", Subject: "corp:bob"})
			},
			"TokenRevocation/lost", "", Narrows, "", "",
		},
		"a TokenRevocation that reaches further": {
			func(s *policy.Spec) { s.Revocations[0].IssuedBefore = now().Add(time.Hour) },
			"TokenRevocation/found", "issuedBefore", Narrows, "2030-01-01T12:00:00Z", "2030-01-01T13:00:00Z",
		},
		"a TokenRevocation less": {
			func(s *policy.Spec) { s.Revocations = nil }, "TokenRevocation/found", "", Widens, "", "",
		},
		"an ImpersonationGrant": {
			func(s *policy.Spec) { s.Grants = []policy.ImpersonationGrantSpec{{Name: "support"}} },
			"ImpersonationGrant/support", "", Widens, "", "",
		},
		"an ExternalTarget": {
			func(s *policy.Spec) { s.Externals = []policy.External{{Name: "partner"}} },
			"ExternalTarget/partner", "", Widens, "", "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			before := smallWorld()
			before.Revocations = []policy.Revocation{{Name: "found", Subject: "corp:alice", IssuedBefore: now()}}
			before.Policies[1].Rules = []policy.Rule{{Expression: "a", Message: "said"}}
			after := clone(t, before)
			tc.change(after)
			d := Changes(before, after)
			if len(d) != 1 {
				t.Fatalf("got %+v", d)
			}
			c := d[0]
			if c.Object != tc.object || c.Field != tc.field || c.Effect != tc.effect {
				t.Errorf("got %+v", c)
			}
			if !strings.HasPrefix(strings.Join(c.Before, " "), tc.before) || !strings.HasPrefix(strings.Join(c.After, " "), tc.after) {
				t.Errorf("got %q, %q", c.Before, c.After)
			}
		})
	}
}

func TestEveryFieldOfASpecIsCompared(t *testing.T) {
	t.Parallel()
	// Fields that JSON leaves out would be silently equal.
	var look func(reflect.Type, string)
	look = func(typ reflect.Type, path string) {
		for typ.Kind() == reflect.Slice || typ.Kind() == reflect.Pointer {
			typ = typ.Elem()
		}
		if typ.Kind() != reflect.Struct || typ == reflect.TypeFor[time.Time]() {
			return
		}
		for i := range typ.NumField() {
			f := typ.Field(i)
			if tag := f.Tag.Get("json"); (tag == "" || tag == "-") && !f.Anonymous {
				t.Errorf("%s.%s: its JSON tag is %q", path, f.Name, tag)
			}
			look(f.Type, path+"."+f.Name)
		}
	}
	look(reflect.TypeFor[policy.Spec](), "Spec")
	if n := reflect.TypeFor[policy.Spec]().NumField(); n != 9 {
		t.Errorf("Spec has %d fields: does objects in changes.go have them all?", n)
	}
}
