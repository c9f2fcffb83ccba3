// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package issuer

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/exchequer-dev/exchequer/exchanger/jose"
)

// fetched is a JWKS document as it came, and how long it asks to be kept; 0 is
// not said.
type fetched struct {
	body   []byte
	maxAge time.Duration
	from   string
}

// fetch asks for the discovery document, unless the JWKS is declared, and for
// the JWKS. Both are asked for each time: a jwks_uri that moved is followed
// (on declared hosts) within one refresh.
func (t *target) fetch(ctx context.Context, c *client) (fetched, *fetchError) {
	defer c.http.CloseIdleConnections()
	jwks := t.jwks
	if jwks == nil {
		body, _, ferr := c.get(ctx, "discovery", t.discovery, maxDiscoveryBytes)
		if ferr != nil {
			return fetched{}, ferr
		}
		uri, err := readDiscovery(body, t.issuer)
		if err == nil {
			jwks, err = t.checkJWKS(uri)
		}
		if err != nil {
			return fetched{}, failed(ResultDiscovery, fmt.Errorf("discovery %s: %w", show(t.discovery), err))
		}
	}
	what := "jwks"
	if t.saml {
		what = whatMetadata
	}
	body, header, ferr := c.get(ctx, what, jwks, maxJWKSBytes)
	if ferr != nil {
		return fetched{}, ferr
	}
	return fetched{body: body, maxAge: parseMaxAge(header.Values("Cache-Control")), from: show(jwks)}, nil
}

// discoveryDepth: the deepest registered member is a list of strings; mtls
// aliases are one object deep. 16 is the depth of every document that we read.
const discoveryDepth = 16

// readDiscovery returns the jwks_uri of a document that is issuer's own, byte
// for byte: a document that may speak for a similar name would let one tenant
// of a provider answer for another.
func readDiscovery(body []byte, issuer string) (string, error) {
	doc, err := jose.DecodeStrict(body, discoveryDepth)
	if err != nil {
		return "", errors.New("expected one JSON object without duplicate members")
	}
	got, ok := doc["issuer"].(string)
	switch {
	case !ok:
		return "", errors.New("expected a string member `issuer`, found none")
	case got == issuer:
	case strings.TrimSuffix(got, "/") == strings.TrimSuffix(issuer, "/"):
		return "", fmt.Errorf("its issuer differs from %q by a trailing slash: write the url as the issuer does", issuer)
	default:
		return "", fmt.Errorf("its issuer is not %q", issuer)
	}
	uri, ok := doc["jwks_uri"].(string)
	if !ok || uri == "" {
		return "", errors.New("expected a string member `jwks_uri`, found none")
	}
	return uri, nil
}
