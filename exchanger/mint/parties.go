// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package mint

import (
	"bytes"
	"encoding/json"
	"reflect"

	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

// parties writes who may act, and who acts, for the subject, who impersonates it, and
// the key that the token is bound to (RFC 8693 section 4, RFC 7800).
func (w *writer) parties(g *policy.Grant) {
	if g.Subject.MayAct != nil {
		w.value("may_act", g.Subject.MayAct)
	}
	if g.Act != nil {
		w.value("act", g.Act)
	}
	if g.Impersonator != nil {
		w.json("impersonator", g.Impersonator)
	}
	if g.Confirmation != (policy.Confirmation{}) {
		w.json("cnf", g.Confirmation)
	}
}

// expectParties puts those claims where compareAll looks.
func expectParties(want map[string]any, g *policy.Grant) {
	if g.Subject.MayAct != nil {
		want["may_act"] = g.Subject.MayAct
	}
	if g.Act != nil {
		want["act"] = g.Act
	}
	if p := g.Impersonator; p != nil {
		want["impersonator"] = map[string]any{"iss": p.Issuer, "sub": p.Subject, "client_id": p.ClientID, "grant": p.Grant}
	}
	c := map[string]any{}
	if g.Confirmation.JKT != "" {
		c["jkt"] = g.Confirmation.JKT
	}
	if g.Confirmation.X5T != "" {
		c["x5t#S256"] = g.Confirmation.X5T
	}
	if len(c) > 0 {
		want["cnf"] = c
	}
}

// compareAll holds claims against those that are wanted, all of them and no others,
// each once. It builds trees, and is for the tokens that are minted less often.
func compareAll(payload []byte, want map[string]any) string {
	encoded, err := json.Marshal(want)
	if err != nil {
		return "the grant has a claim that is no JSON"
	}
	got, ok := tree(payload)
	wanted, ok2 := tree(encoded)
	switch {
	case !ok || !ok2 || count(payload) != len(want):
		return "the claims are not the JSON that was written"
	case !reflect.DeepEqual(got, wanted):
		return "the claims differ from what was granted"
	}
	return ""
}

// count counts the members of an object as they are written, twice what is there
// twice; -1 for what is no object.
func count(payload []byte) int {
	rest, ok := bytes.CutPrefix(payload, []byte("{"))
	for n := 0; ok && len(rest) > 0; {
		if _, rest, ok = member(rest); !ok {
			break
		}
		if _, rest, ok = jsonValue(rest); !ok {
			break
		}
		n++
		switch {
		case len(rest) == 1 && rest[0] == '}':
			return n
		case len(rest) > 0 && rest[0] == ',':
			rest = rest[1:]
		default:
			ok = false
		}
	}
	return -1
}
