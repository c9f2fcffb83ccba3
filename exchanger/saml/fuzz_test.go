// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build !nosaml

package saml_test

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/exchequer-dev/exchequer/exchanger/saml"
	fake "github.com/exchequer-dev/exchequer/test/fakes/saml"
)

// FuzzF242Assertion takes any bytes for an assertion. The provider signed two; what
// is accepted says, word for word, what one of them says (F242).
func FuzzF242Assertion(f *testing.F) {
	idp := newIdP(f)
	one := idp.Assertion(start, audience, recipient)
	two := one
	two.ID, two.NameID = "_second", "bob"
	genuine := map[string]string{}
	for _, a := range []fake.Assertion{one, two} {
		document := signed(f, idp, a.XML(), fake.Form{KeyInfo: idp.KeyInfo()})
		genuine[a.ID] = a.NameID
		f.Add([]byte(document))
		f.Add([]byte(strings.ReplaceAll(document, "\"", "'")))
		attacks, err := idp.Wrapped(a, marker)
		if err != nil {
			f.Fatal(err)
		}
		for _, attack := range attacks {
			f.Add([]byte(attack))
		}
	}
	f.Add([]byte("<a"))
	f.Add([]byte(`<?xml version="1.0"?><a xmlns="urn:a" b="&#x41;">&lt;</a>`))
	keys := keysOf(newIdP(f).Certificate, idp.Certificate)
	f.Fuzz(func(t *testing.T, document []byte) {
		d, err := saml.Parse(base64.RawURLEncoding.EncodeToString(document), 0)
		if err != nil {
			if d != nil || strings.Contains(err.Error(), marker) {
				t.Fatalf("%v, %v", d, err)
			}
			return
		}
		a, n, err := d.Verify(keys)
		if err != nil {
			return
		}
		if name, ok := genuine[a.ID]; !ok || n != 1 || a.NameID.Value != name || a.Issuer != entityID || a.Recipient != recipient ||
			!a.ExpiresAt.Equal(one.ExpiresAt) || len(a.Audiences) != 1 || a.Audiences[0] != audience || len(a.Attributes) != 2 {
			t.Fatalf("what nobody signed is accepted: %+v", a)
		}
	})
}
