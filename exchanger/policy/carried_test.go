// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import "testing"

func TestCarriedKeysAreNoPartOfWhatAnIssuerIs(t *testing.T) {
	t.Parallel()
	before := Issuer{Name: "corp", URL: "https://login.corp.example", Keys: Keys{JWKSURL: "https://login.corp.example/keys"}}
	after := before
	after.Keys.Carried = `{"keys":[]}`
	if before.KeysDigest() != after.KeysDigest() || before.digest() != after.digest() {
		t.Error("another carried set makes another issuer: every token would be verified again for a key that was added")
	}
	if digestOf(&before) == digestOf(&after) {
		t.Error("the document does not tell one carried set from another")
	}
	if after.Keys.Carried == "" {
		t.Error("a digest changed its issuer")
	}
	after = before
	after.Keys.Local = true
	if before.KeysDigest() == after.KeysDigest() {
		t.Error("keys of the local cluster pass for keys from a URL")
	}
}
