// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build !nosaml

package saml

// Unverified is what the assertion says on its own word: for people to look at, and
// never to decide anything by.
func (d *Document) Unverified() (*Assertion, error) {
	root := d.root.Copy()
	root.RemoveChild(root.ChildElements()[1])
	return factsOf(root)
}
