// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package proof

import (
	"net/url"
	"slices"
	"strings"

	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

// Endpoints are the addresses of one endpoint of a token service, which the `htu` of
// a proof may name: that below the issuer first, then those at the further hosts
// that the platform declared for it, which are reached inside of a cluster, with
// and without TLS. All of them are this token service and nobody else.
func Endpoints(svc *policy.TokenService, name string) []string {
	issuer := svc.Issuer()
	out := []string{normalURI(issuer + "/" + name)}
	u, err := url.Parse(issuer)
	if err != nil {
		return out
	}
	for _, host := range svc.Spec().Hosts {
		for _, scheme := range [...]string{"https", "http"} {
			out = append(out, normalURI(scheme+"://"+host+u.EscapedPath()+"/"+name))
		}
	}
	return out
}

// normalURI brings a htu into the form in which it is compared (RFC 9449, section
// 4.3, item 9): without query and fragment, scheme and host in lower case, without
// the scheme's own port. The path is compared as it stands. What is no absolute URI
// is empty, which equals nothing.
func normalURI(raw string) string {
	if i := strings.IndexAny(raw, "?#"); i >= 0 {
		raw = raw[:i]
	}
	scheme, rest, ok := strings.Cut(raw, "://")
	host, path := rest, ""
	if i := strings.IndexByte(rest, '/'); i >= 0 {
		host, path = rest[:i], rest[i:]
	}
	if !ok || scheme == "" || host == "" || strings.Contains(host, "@") {
		return ""
	}
	scheme, host = strings.ToLower(scheme), strings.ToLower(host)
	switch scheme {
	case "https":
		host = strings.TrimSuffix(host, ":443")
	case "http":
		host = strings.TrimSuffix(host, ":80")
	}
	return scheme + "://" + host + path
}

// below says whether a htu is one of the resources, or lies below one in its path:
// a client registers https://shop.example/api and is called at /api/orders.
func below(uri string, resources []string) bool {
	uri = normalURI(uri)
	if uri == "" || hasDots(uri) {
		return false
	}
	return slices.ContainsFunc(resources, func(r string) bool {
		r = strings.TrimSuffix(normalURI(r), "/")
		return r != "" && (uri == r || strings.HasPrefix(uri, r+"/"))
	})
}

// hasDots says whether the path has a segment that a server could resolve to
// another path, spelt in any way.
func hasDots(uri string) bool {
	lower := strings.ToLower(uri)
	if strings.Contains(lower, "%2e") || strings.Contains(lower, "%2f") || strings.Contains(lower, "%5c") || strings.Contains(lower, `\`) {
		return true
	}
	return slices.ContainsFunc(strings.Split(lower, "/"), func(s string) bool { return s == "." || s == ".." })
}
