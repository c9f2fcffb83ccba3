// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/exchequer-dev/exchequer/api/v1alpha1"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

// unservedExample names the first part of an example that this build does not
// serve.
func unservedExample(g *v1alpha1.ExampleRequest) string {
	if !servedExample(g.TokenType) {
		return "tokenType"
	}
	return ""
}

// servedExample says whether examples can be of a token class.
func servedExample(c v1alpha1.TokenClass) bool {
	switch c {
	case "", v1alpha1.TokenClassAccessToken, v1alpha1.TokenClassIDToken, v1alpha1.TokenClassJWT,
		v1alpha1.TokenClassJWTBearer, v1alpha1.TokenClassIDJAG, v1alpha1.TokenClassTransaction,
		v1alpha1.TokenClassRefreshToken, v1alpha1.TokenClassOpaque, v1alpha1.TokenClassSAML2, v1alpha1.TokenClassHandover:
		return true
	}
	return false
}

// example is an example that was read.
type example struct {
	given *v1alpha1.ExampleRequest
	// origin is given.origin, or what is meant where it is absent.
	origin string
	claims map[string]any
	class  policy.Class
	now    time.Time
	// actor is the actor token, nil for none.
	actor *example
}

// defaultTime is when an example takes place that does not say when: far enough
// from today that nothing in it hangs on today.
const defaultTime v1alpha1.Time = "2030-01-01T12:00:00Z"

// newExample reads an example. origins are those among which an absent one is
// found, actors those of an actor token of ours.
func newExample(e *v1alpha1.Example, origins, actors func() []string) (*example, error) {
	g := &e.Given
	x := &example{given: g, origin: g.Origin, class: policy.Class(g.TokenType)}
	if x.class == "" {
		x.class = policy.ClassAccessToken
	}
	at := g.Time
	if at == "" {
		at = defaultTime
	}
	now, err := at.Parse()
	if err != nil {
		return nil, fmt.Errorf("given.time: %w", err)
	}
	x.now = now.UTC()
	switch {
	case g.Client == "" || g.Issuer == "":
		return nil, errors.New("given needs client and issuer")
	case len(g.Client) > 253 || !isVisible(g.Client, `*`):
		return nil, errors.New("given.client: expected a client ID")
	case !isSubdomain(g.Issuer) || len(g.Issuer) > v1alpha1.MaxNameLength:
		return nil, errors.New("given.issuer: expected the name of a TrustedIssuer, or self")
	}
	if err := x.findOrigin(origins); err != nil {
		return nil, err
	}
	if n := len(g.Audience) + len(g.Resource); n > maxTargets {
		return nil, fmt.Errorf("given.audience and given.resource: expected at most %d together, found %d", maxTargets, n)
	}
	if t := g.RequestedTokenType; t != "" && !slices.Contains(v1alpha1.RequestedTokenTypes(), t) {
		return nil, fmt.Errorf("given.requestedTokenType: expected one of %s", join(v1alpha1.RequestedTokenTypes()))
	}
	if err := readProof(g.Proof); err != nil {
		return nil, err
	}
	if err := x.readActor(g.Actor, actors); err != nil {
		return nil, err
	}
	if x.claims, err = exampleClaims(g.Claims.Raw); err != nil {
		return nil, fmt.Errorf("given.claims: %w", err)
	}
	return x, nil
}

// findOrigin takes the only origin that can be meant for an absent one.
func (x *example) findOrigin(origins func() []string) error {
	switch {
	case x.given.Issuer != policy.SelfIssuer:
		if x.origin != "" {
			return errors.New("given.origin belongs to issuer: self")
		}
		return nil
	case x.origin != "":
		if !isSubdomain(x.origin) || len(x.origin) > v1alpha1.MaxNameLength {
			return errors.New("given.origin: expected the name of a TrustedIssuer")
		}
		return nil
	}
	list := origins()
	switch len(list) {
	case 0:
		return errors.New("given.origin: write the name of the TrustedIssuer that the first token of the chain came from; no policy here admits our own tokens, which would say it")
	case 1:
		x.origin = list[0]
		return nil
	}
	return fmt.Errorf("given.origin: write one of %s: the policies admit our own tokens from each of them", strings.Join(list, ", "))
}

// maxTargets is what a request may name, audiences and resources together.
const maxTargets = 16
