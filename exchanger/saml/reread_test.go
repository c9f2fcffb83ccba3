// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build !nosaml

package saml

import (
	"crypto"
	"errors"
	"testing"
	"time"

	"github.com/beevik/etree"

	fake "github.com/exchequer-dev/exchequer/test/fakes/saml"
)

// The library is believed about what it verified only as far as that hashes to
// what was signed.
func TestF231TheVerifiedBytesAreTheUsedOnes(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)
	idp, err := fake.New("https://idp.example", now)
	if err != nil {
		t.Fatal(err)
	}
	token, err := idp.Token(idp.Assertion(now, "https://sts.example", "https://sts.example/token"))
	if err != nil {
		t.Fatal(err)
	}
	d, err := Parse(token, 0)
	if err != nil {
		t.Fatal(err)
	}
	verified, ok := d.verifyWith(idp.Certificate.PublicKey)
	if !ok {
		t.Fatal("not verified")
	}
	for name, edit := range map[string]func(root *etree.Element){
		"F231: another name":     func(root *etree.Element) { root.FindElement("//NameID").SetText("admin") },
		"F231: something more":   func(root *etree.Element) { root.CreateElement("saml:Subject") },
		"F231: something less":   func(root *etree.Element) { root.RemoveChildAt(1) },
		"F231: a comment":        func(root *etree.Element) { root.CreateComment("x") },
		"F231: another order":    func(root *etree.Element) { root.AddChild(root.Child[0]) },
		"F231: the wrong parent": func(root *etree.Element) { root.Tag = "Response" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root := verified.Copy()
			edit(root)
			var refusal *Error
			if a, err := d.reread(root); !errors.As(err, &refusal) || refusal.Code != BadSignature || a != nil {
				t.Errorf("%+v, %v", a, err)
			}
		})
	}
	t.Run("F231: what came may be altered afterwards", func(t *testing.T) {
		t.Parallel()
		other, err := Parse(token, 0)
		if err != nil {
			t.Fatal(err)
		}
		other.issuer = "https://evil.example"
		if a, _, err := other.Verify([]crypto.PublicKey{idp.Certificate.PublicKey}); err == nil {
			t.Errorf("%+v", a)
		}
	})
}
