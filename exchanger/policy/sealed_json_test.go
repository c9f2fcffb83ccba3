// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"encoding/json"
	"testing"

	"pgregory.net/rapid"
)

func TestSealedFactsAreWrittenAsEncodingJSONWould(t *testing.T) {
	t.Parallel()
	text := rapid.OneOf(rapid.String(), rapid.StringMatching(`[a-z:<>&"\\ ]{0,12}`))
	rapid.Check(t, func(t *rapid.T) {
		s := Sealed{
			Origin: text.Draw(t, "origin"), OriginURL: text.Draw(t, "url"), IssuedAt: rapid.Int64().Draw(t, "iat"),
			Username: text.Draw(t, "username"),
		}
		if rapid.Bool().Draw(t, "known") {
			s.Groups = rapid.SliceOfN(text, 0, 3).Draw(t, "groups")
		}
		if n := rapid.IntRange(0, 3).Draw(t, "extra"); n > 0 {
			s.Extra = map[string]any{}
			for range n {
				s.Extra[text.Draw(t, "key")] = text.Draw(t, "value")
				s.Extra[text.Draw(t, "key")] = rapid.SliceOfN(text, 0, 2).Draw(t, "values")
			}
		}
		for range rapid.IntRange(0, 2).Draw(t, "lineage") {
			s.Lineage = append(s.Lineage, Ancestor{
				Issuer: text.Draw(t, "issuer"), TokenID: text.Draw(t, "id"), ClientID: text.Draw(t, "client"),
				IssuedAt: rapid.Int64().Draw(t, "issued"), Subject: text.Draw(t, "subject"),
			})
			s.Added = append(s.Added, AddedScope{text.Draw(t, "scope"), text.Draw(t, "namespace")})
		}
		want, err := json.Marshal(&s)
		if err != nil {
			t.Fatal(err)
		}
		if got := string(s.AppendJSON(nil)); got != string(want) {
			t.Fatalf("%s, and encoding/json %s", got, want)
		}
	})
}
