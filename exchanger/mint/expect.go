// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package mint

import (
	"bytes"
	"encoding/json"
	"reflect"

	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

// expectAbout puts where compareAll looks what a token of any kind says of whom it is
// about, and what policies and scopes add.
func expectAbout(want map[string]any, g *policy.Grant) {
	s := g.Subject
	if s.ACR != "" {
		want["acr"] = s.ACR
	}
	if len(s.AMR) > 0 {
		want["amr"] = s.AMR
	}
	if s.AuthTime != 0 {
		want["auth_time"] = s.AuthTime
	}
	if s.MayAct != nil {
		want["may_act"] = s.MayAct
	}
	if g.Act != nil {
		want["act"] = g.Act
	}
	if p := g.Impersonator; p != nil {
		want["impersonator"] = map[string]any{"iss": p.Issuer, "sub": p.Subject, "client_id": p.ClientID, "grant": p.Grant}
	}
	cnf := map[string]any{}
	if g.Confirmation.JKT != "" {
		cnf["jkt"] = g.Confirmation.JKT
	}
	if g.Confirmation.X5T != "" {
		cnf["x5t#S256"] = g.Confirmation.X5T
	}
	if len(cnf) > 0 {
		want["cnf"] = cnf
	}
	for i := range g.Claims {
		want[g.Claims[i].Name] = g.Claims[i].Value
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
