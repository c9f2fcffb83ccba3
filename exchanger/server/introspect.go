// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package server

import "github.com/exchequer-dev/exchequer/exchanger/oauth"

// ask is what a call to an endpoint of the kind asks for.
func (k kind) ask() oauth.Ask {
	switch k { //nolint:exhaustive // the others are no endpoints that clients call
	case kindIntrospection:
		return oauth.AskIntrospection
	case kindRevocation:
		return oauth.AskRevocation
	case kindLinks:
		return oauth.AskLink
	}
	return oauth.AskToken
}

// span names the trace of a call.
func (k kind) span() string {
	switch k { //nolint:exhaustive // the others are no endpoints that clients call
	case kindIntrospection:
		return "introspect"
	case kindRevocation:
		return "revoke"
	case kindLinks:
		return "link"
	}
	return "token"
}

// private says whether only clients have business there: the public listener does not
// have it.
func (k kind) private() bool {
	return k == kindToken || k == kindIntrospection || k == kindRevocation || k == kindLinks
}
