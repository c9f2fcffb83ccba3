// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// Direct says whether what these rules are for is dialled without the egress
// proxy. Whoever lists private ranges has a way to them, and wants the address
// checked that is dialled; only we can do that, and only when we dial.
func (r Rules) Direct() bool { return len(r.AllowedCIDRs) > 0 }

// localDomains end names that mean nothing on the public Internet: RFC 6761, 6762
// and 8375, ICANN's .internal, and Kubernetes' services (their .cluster.local ends
// in .local).
func localDomains() []string {
	return []string{"localhost", "local", "internal", "home.arpa", "invalid", "test", "svc"}
}

// CheckProxied returns nil when a host may be named to the egress proxy. The proxy
// resolves the name, so that no address can be checked here: which ones it dials is
// for the proxy's own rules. What can be checked is: an address must be public, and
// a name must not be one of those that only mean something inside, such as
// metadata.google.internal.
func (r Rules) CheckProxied(host string) error {
	if a, err := netip.ParseAddr(host); err == nil {
		return Rules{}.CheckAddr(a)
	}
	name := strings.ToLower(host)
	inside := !strings.Contains(name, ".") || slices.ContainsFunc(localDomains(), func(d string) bool { return strings.HasSuffix(name, "."+d) })
	if inside {
		return fmt.Errorf("host %q %w through the egress proxy: it is a name that only means something inside; if that is meant, list its addresses in network.allowedCIDRs, and it is dialled directly", host, ErrAddress)
	}
	return nil
}
