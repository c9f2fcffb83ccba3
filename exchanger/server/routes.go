// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

type kind uint8

const (
	kindToken kind = iota + 1
	kindIntrospection
	kindRevocation
	kindLinks
	kindKeys
	kindMetadata
	kindSAML
)

// endpoint is what one host and path lead to.
type endpoint struct {
	kind         kind
	service      *policy.TokenService
	document     []byte
	cacheControl string
	// rank is how sure the claim to the host is; see newRoutes.
	rank int
	// contested: two services claim it with the same rank; neither has it.
	contested bool
}

// routes are all endpoints of one snapshot.
type routes struct {
	snapshot *policy.Snapshot
	hosts    map[string]map[string]endpoint
	// only is the endpoints of the one token service, when there is just one: it
	// answers under any host.
	only map[string]endpoint
}

// newRoutes gives every endpoint its hosts. An issuer's own authority is the
// surest claim to a host, then the hosts that a TokenService lists, then either
// without the port (port-forwarding, Services); among equals nobody has it, so
// that adding a TokenService never moves another's requests to it.
func newRoutes(snapshot *policy.Snapshot) *routes {
	r := &routes{snapshot: snapshot, hosts: map[string]map[string]endpoint{}}
	services := snapshot.Services()
	for _, svc := range services {
		u, err := url.Parse(svc.Issuer())
		if err != nil {
			continue // Not an issuer that translation accepts; it has no address.
		}
		paths := endpoints(svc, u)
		r.claim(u.Host, 0, paths)
		for _, h := range svc.Spec().Hosts {
			r.claim(h, 1, paths)
			r.claim(withoutPort(h), 2, paths)
		}
		r.claim(withoutPort(u.Host), 2, paths)
		if len(services) == 1 {
			r.only = paths
		}
	}
	return r
}

func (r *routes) claim(host string, rank int, paths map[string]endpoint) {
	host = strings.ToLower(host)
	at := r.hosts[host]
	if at == nil {
		at = map[string]endpoint{}
		r.hosts[host] = at
	}
	for path, e := range paths {
		e.rank = rank
		switch have, taken := at[path]; {
		case !taken || rank < have.rank:
			at[path] = e
		case rank == have.rank && have.service != e.service:
			have.contested = true
			at[path] = have
		}
	}
}

// find returns the endpoint; the path is compared as it came, escapes included.
func (r *routes) find(host, path string) (endpoint, bool) {
	host = strings.ToLower(host)
	e, ok := r.hosts[host][path]
	if !ok {
		e, ok = r.hosts[withoutPort(host)][path]
	}
	if !ok {
		e, ok = r.only[path]
	}
	return e, ok && !e.contested
}

// withoutPort cuts the port off an authority.
func withoutPort(host string) string {
	i := strings.LastIndexByte(host, ':')
	if i < 0 || strings.IndexByte(host[i:], ']') >= 0 {
		return host
	}
	return host[:i]
}

// endpoints are a token service's paths.
func endpoints(svc *policy.TokenService, issuer *url.URL) map[string]endpoint {
	base := strings.TrimSuffix(issuer.EscapedPath(), "/")
	cache := cacheControl(svc)
	metadata := endpoint{kind: kindMetadata, service: svc, document: metadata(svc), cacheControl: cache}
	return map[string]endpoint{
		base + "/token":         {kind: kindToken, service: svc},
		base + "/jwks":          {kind: kindKeys, service: svc, cacheControl: cache},
		base + "/saml/metadata": {kind: kindSAML, service: svc, cacheControl: cache},
		base + "/introspect":    {kind: kindIntrospection, service: svc},
		base + "/revoke":        {kind: kindRevocation, service: svc},
		base + "/links":         {kind: kindLinks, service: svc},

		base + "/.well-known/openid-configuration": metadata,
		// RFC 8414 section 3.1: between host and path, not after it.
		"/.well-known/oauth-authorization-server" + base: metadata,
	}
}

// A relying party may keep a key set for five minutes. A key is published
// prePublish (at least 1 h by default) before it signs, so that everybody has
// fetched it by then, even with a clock that is off by the skew.
const (
	maxAge    = 5 * time.Minute
	clockSkew = time.Minute
)

// cacheControl keeps max-age below prePublish - skew, whatever the figures.
func cacheControl(svc *policy.TokenService) string {
	age := min(maxAge, svc.Spec().Rotation.PrePublish-clockSkew)
	if age < time.Second {
		return "no-cache"
	}
	return "public, max-age=" + strconv.Itoa(int(age/time.Second))
}
