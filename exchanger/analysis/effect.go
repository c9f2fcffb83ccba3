// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package analysis

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

// allowing tells the lists of which every entry lets something through, and
// nothing else hangs on them.
func allowing(key string) bool {
	switch key {
	case kindPolicy + " clients", kindPolicy + " subjectIssuers", kindPolicy + " selfOrigins", kindPolicy + " subjectClasses",
		kindPolicy + " subjectAudience.anyOf", kindPolicy + " targets", kindPolicy + " tokenTypes", kindIssuer + " audiences", kindIssuer + " algorithms",
		kindIssuer + " classes", kindIssuer + " clientAliases", kindClient + " serviceAccounts", kindClient + " assertionKeys",
		kindClient + " secretDigests", kindClient + " certificates", kindClient + " spiffe", kindService + " clientCAs", kindPolicy + " publicClients",
		kindClient + " audiences", kindClient + " resources",
		kindPolicy + " actor.issuers", kindPolicy + " actor.selfOrigins", kindPolicy + " actor.audience.anyOf",
		kindGrant + " clients", kindGrant + " groups", kindGrant + " subjects", kindGrant + " subjectGroups", kindGrant + " subjectSubjects",
		kindGrant + " targets", kindGrant + " scopes":
		return true
	}
	return false
}

// demanding tells the lists of which every entry must hold.
func demanding(key string) bool {
	switch key {
	case kindPolicy + " subjectRules", kindPolicy + " rules", kindScope + " rules", kindIssuer + " claimRules", kindIssuer + " userRules",
		kindIssuer + " foreignPrefixes", kindService + " revokedKeyIDs", kindPolicy + " actor.rules", kindGrant + " excludeGroups":
		return true
	}
	return false
}

// switches are flags, with what turning them on does. addScopes is none of them:
// with it a request that names no scope has no default any more. Neither is
// narrowExcess: it can come before a policy that grants more.
func switches(key string) (Effect, bool) {
	switch key {
	case kindPolicy + " allClients", kindClient + " tokenExchange", kindClient + " jwtBearer", kindIssuer + " forSubject", kindIssuer + " forActor",
		kindPolicy + " impersonation", kindPolicy + " actor.honorMayAct", kindGrant + " fromSubjectToken", kindGrant + " fromRequest":
		return Widens, true
	case kindGrant + " reasonRequired", kindPolicy + " boundSubject":
		return Narrows, true
	case kindPolicy + " auditOnly", kindClient + " suspended", kindIssuer + " suspended":
		return Narrows, true
	}
	return Either, false
}

// amounts tells the numbers of which more is longer, or lets more through.
func amounts(key string) bool {
	switch key {
	case kindService + " maxLifetime", kindService + " delegationDepth", kindService + " tokenBytes", kindIssuer + " maxTokenAge",
		kindIssuer + " clockSkew", kindPolicy + " actor.maxDepth", kindGrant + " maxLifetime":
		return true
	}
	return false
}

// effect says what a change of one field does to access. What is not known to go
// one way may go either way.
func effect(object, path string, before, after any, c *Change) Effect {
	kind, _, _ := strings.Cut(object, "/")
	key := kind + " " + path
	flag, isFlag := switches(key)
	switch {
	case demanding(key) && sameExpressions(before, after):
		return Neither
	case allowing(key):
		return oneWay(len(c.After) > 0, len(c.Before) > 0)
	case demanding(key):
		return oneWay(len(c.Before) > 0, len(c.After) > 0)
	case isFlag:
		if on, _ := after.(bool); on {
			return flag
		}
		return opposite(flag)
	case amounts(key):
		was, is := number(before), number(after)
		return oneWay(is > was, is < was)
	case key == kindGrant+" notBefore":
		return revocation(before, after) // later is less
	case key == kindGrant+" notAfter":
		return opposite(revocation(before, after))
	case strings.HasSuffix(key, " revokeIssuedBefore"), key == kindRevocation+" issuedBefore":
		return revocation(before, after)
	}
	return Either
}

// sameExpressions says whether two lists of rules differ in their messages only.
func sameExpressions(before, after any) bool {
	return slices.Equal(expressions(before), expressions(after))
}

func expressions(v any) []string {
	list, _ := v.([]any)
	out := make([]string, 0, len(list))
	for _, e := range list {
		m, isRule := e.(map[string]any)
		if !isRule {
			return []string{compact(v)}
		}
		m = maps.Clone(m)
		delete(m, "message")
		out = append(out, compact(m))
	}
	slices.Sort(out)
	return out
}

// number is 0 for what is absent.
func number(v any) int64 {
	n, _ := v.(json.Number)
	i, err := n.Int64()
	if err != nil {
		return 0
	}
	return i
}

func oneWay(widens, narrows bool) Effect {
	switch {
	case widens && !narrows:
		return Widens
	case narrows && !widens:
		return Narrows
	}
	return Either
}

// revocation compares two times; none revokes nothing. Both are UTC and RFC 3339,
// but a fraction of a second would upset the order of the texts: then nobody
// says.
func revocation(before, after any) Effect {
	was, _ := before.(string)
	is, _ := after.(string)
	switch {
	case was == "":
		return Narrows
	case is == "":
		return Widens
	case strings.Contains(was+is, ".") || len(was) != len(is):
		return Either
	}
	return oneWay(is < was, is > was)
}

// maxValue is the longest value that is told in full: an expression that a person
// wrote by hand fits, a key set does not.
const maxValue = 400

// present makes values fit for people. What is secret, or what nobody can read, is
// replaced by its digest or less, so that a change is still a change.
func present(c *Change) {
	name := c.Field[strings.LastIndexByte(c.Field, '.')+1:]
	for _, list := range [...][]string{c.Before, c.After} {
		for i, v := range list {
			switch {
			case name == "secretDigests":
				list[i] = "a secret"
			case spans(name):
				if n, err := strconv.ParseInt(v, 10, 64); err == nil {
					list[i] = time.Duration(n).String()
				}
			case rules(name):
				list[i] = rule(v)
			case len(v) > maxValue:
				sum := sha256.Sum256([]byte(v))
				list[i] = fmt.Sprintf("%d bytes, sha256 %s", len(v), hex.EncodeToString(sum[:8]))
			}
		}
	}
}

// rules tells the fields that list rules.
func rules(key string) bool {
	switch key {
	case "subjectRules", "rules", "userRules", "claimRules":
		return true
	}
	return false
}

// rule is one as people read it: the expression, and what its author says it means.
func rule(text string) string {
	var r policy.ClaimRule // has all that a Rule has
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		return text
	}
	if r.Claim != "" {
		r.Expression = r.Claim + " is " + strconv.Quote(r.Required)
	}
	if r.Message != "" {
		r.Expression += " (" + r.Message + ")"
	}
	return r.Expression
}

// spans tells the fields that are nanoseconds in a Spec.
func spans(key string) bool {
	switch key {
	case "period", "prePublish", "defaultLifetime", "maxLifetime", "lifetime", "maxTokenAge", "clockSkew":
		return true
	}
	return false
}
