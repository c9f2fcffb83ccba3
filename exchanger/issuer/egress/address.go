// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"errors"
	"fmt"
	"net/netip"
)

// ErrAddress is what every refusal of an address or of a URL wraps, so that a
// caller can tell "may not be dialled" from "could not be reached".
var ErrAddress = errors.New("may not be dialled")

// Rules says what one declared object may dial.
type Rules struct {
	// AllowedCIDRs are the ranges beyond the public Internet that may be
	// dialled (network.allowedCIDRs).
	AllowedCIDRs []netip.Prefix
	// Loopback says that this process may dial itself at all, over http too.
	// Only `serve` sets it; loopback must stand in AllowedCIDRs besides.
	Loopback bool
}

// block is one range that is not public, with the words for a person.
type block struct {
	prefix netip.Prefix
	what   string
}

func blocks(what string, prefixes ...string) []block {
	out := make([]block, len(prefixes))
	for i, p := range prefixes {
		out[i] = block{netip.MustParsePrefix(p), what}
	}
	return out
}

// neverDialled holds what no configuration opens: link-local, where metadata
// services hand out the machine's credentials, and the clouds' metadata
// addresses outside of link-local (AWS over IPv6, Azure, Alibaba, Oracle).
// Group addresses and "this host" name no one peer.
func neverDialled() []block {
	var out []block
	out = append(out, blocks("link-local, where metadata services live", "169.254.0.0/16", "fe80::/10")...)
	out = append(out, blocks("a cloud's metadata service", "fd00:ec2::254/128", "168.63.129.16/32", "100.100.100.200/32", "192.0.0.192/32")...)
	out = append(out, blocks("multicast", "224.0.0.0/4", "ff00::/8")...)
	out = append(out, blocks("the unspecified or broadcast address", "0.0.0.0/8", "255.255.255.255/32", "::/128")...)
	return out
}

// notPublic is the IANA special-purpose registry for IPv4, and what in
// 2000::/3 is special for IPv6. IPv6 outside of 2000::/3 is not global unicast
// and is refused as a whole, so that a future range is unknown and thus denied.
func notPublic() []block {
	var out []block
	out = append(out, blocks("private (RFC 1918)", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")...)
	out = append(out, blocks("carrier-grade NAT (RFC 6598)", "100.64.0.0/10")...)
	out = append(out, blocks("loopback", "127.0.0.0/8", "::1/128")...)
	out = append(out, blocks("reserved for protocols, tests or documentation",
		"192.0.0.0/24", "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.175.48.0/24",
		"198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4",
		"2001::/23", "2001:db8::/32", "2620:4f:8000::/48", "3fff::/20")...)
	out = append(out, blocks("6to4 (RFC 3056)", "2002::/16")...)
	out = append(out, blocks("NAT64 (RFC 6052)", "64:ff9b::/96", "64:ff9b:1::/48")...)
	out = append(out, blocks("unique local (RFC 4193)", "fc00::/7")...)
	return out
}

func find(in []block, a netip.Addr) string {
	for _, b := range in {
		if b.prefix.Contains(a) {
			return b.what
		}
	}
	return ""
}

// CheckAddr returns nil when a may be dialled, else an error that says why not
// and what would allow it.
func (r Rules) CheckAddr(a netip.Addr) error {
	if !a.IsValid() || a.Zone() != "" {
		return fmt.Errorf("address %q %w: expected an IP address without a zone", a, ErrAddress)
	}
	shown := a
	a = a.Unmap() // ::ffff:127.0.0.1 is 127.0.0.1
	if what := find(neverDialled(), a); what != "" {
		return fmt.Errorf("address %s %w: it is %s, which no setting opens", shown, ErrAddress, what)
	}
	if inner, ok := embedded(a); ok {
		if err := r.CheckAddr(inner); err != nil {
			return fmt.Errorf("address %s carries another one: %w", shown, err)
		}
	}
	if a.IsLoopback() && !r.Loopback {
		return fmt.Errorf("address %s %w: it is loopback, which only `serve` may dial", shown, ErrAddress)
	}
	for _, p := range r.AllowedCIDRs {
		if p.Contains(a) {
			return nil
		}
	}
	what := find(notPublic(), a)
	if what == "" && a.Is6() && !netip.MustParsePrefix("2000::/3").Contains(a) {
		what = "not global unicast"
	}
	if what != "" {
		return fmt.Errorf("address %s %w: it is %s; if that is meant, list a range that holds it in network.allowedCIDRs", shown, ErrAddress, what)
	}
	return nil
}

// embedded returns the IPv4 address that a carries and a translator on the way
// would send the packets to. It must be allowed in its own right.
func embedded(a netip.Addr) (netip.Addr, bool) {
	if !a.Is6() {
		return netip.Addr{}, false
	}
	b := a.As16()
	switch {
	case netip.MustParsePrefix("2002::/16").Contains(a): // 6to4: bits 16 to 47
		return netip.AddrFrom4([4]byte(b[2:6])), true
	case netip.MustParsePrefix("64:ff9b::/96").Contains(a), // NAT64: the last 32 bits
		netip.MustParsePrefix("64:ff9b:1::/48").Contains(a),                                 // local use; a /96 of it in practice
		netip.MustParsePrefix("::/96").Contains(a) && !a.IsLoopback() && !a.IsUnspecified(): // IPv4-compatible (RFC 4291, deprecated)
		return netip.AddrFrom4([4]byte(b[12:16])), true
	}
	return netip.Addr{}, false
}
