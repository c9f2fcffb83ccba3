// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// MaxURLBytes bounds a declared or discovered URL; request lines beyond 2 KiB
// are refused by common servers anyway.
const MaxURLBytes = 2048

// ParseIssuer parses an issuer's URL: as ParseURL, and without a query, which
// no issuer identifier has (OpenID Connect Discovery 1.0, section 3).
func (r Rules) ParseIssuer(raw string) (*url.URL, error) {
	if strings.Contains(raw, "?") {
		return nil, refuse("it has a query (`?`), which an issuer URL cannot have")
	}
	return r.ParseURL(raw)
}

// ParseURL parses a URL that will be dialled, and refuses one that could be
// read in two ways, that hides a credential or that names an address that the
// rules do not let us dial. The error never repeats the URL, which may hold a
// password.
func (r Rules) ParseURL(raw string) (*url.URL, error) {
	if raw == "" || len(raw) > MaxURLBytes {
		return nil, refuse(fmt.Sprintf("expected 1 to %d bytes, found %d", MaxURLBytes, len(raw)))
	}
	for i := range len(raw) {
		if raw[i] <= ' ' || raw[i] >= 0x7f || raw[i] == '\\' {
			return nil, refuse("it holds a space, a backslash, a control or a non-ASCII character; write an international name in its xn-- form")
		}
	}
	if strings.Contains(raw, "#") {
		return nil, refuse("it has a fragment (`#`)")
	}
	u, err := url.Parse(raw)
	if err != nil {
		return nil, refuse("it is not a URL") // url.Parse's words repeat the input
	}
	switch {
	case u.User != nil:
		return nil, refuse("it holds a user name or password before `@`")
	case u.Opaque != "" || u.Host == "":
		return nil, refuse("expected https://host[:port]/path")
	case u.Scheme != "https" && u.Scheme != "http":
		return nil, refuse("expected the scheme https")
	}
	if err := checkPath(u); err != nil {
		return nil, err
	}
	if err := checkPort(u); err != nil {
		return nil, err
	}
	ip, literal, err := checkHost(u.Hostname(), authority(raw))
	if err != nil {
		return nil, err
	}
	if literal {
		if err := r.CheckAddr(ip); err != nil {
			return nil, err
		}
	}
	if u.Scheme == "http" {
		if err := r.checkPlain(u.Hostname(), ip); err != nil {
			return nil, err
		}
	}
	return u, nil
}

func refuse(why string) error { return fmt.Errorf("url %w: %s", ErrAddress, why) }

// authority is the raw text between the scheme and the path: url.Parse decodes
// percent-encoding in a host, and the check must see what was written.
func authority(raw string) string {
	_, rest, _ := strings.Cut(raw, "://")
	if i := strings.IndexAny(rest, "/?"); i >= 0 {
		rest = rest[:i]
	}
	return rest
}

func checkPath(u *url.URL) error {
	for seg := range strings.SplitSeq(u.Path, "/") {
		if seg == "." || seg == ".." {
			return refuse("its path has a `.` or `..` segment")
		}
	}
	return nil
}

func checkPort(u *url.URL) error {
	if strings.HasSuffix(u.Host, ":") {
		return refuse("its port is empty")
	}
	port := u.Port()
	if port == "" {
		return nil
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 || strconv.FormatUint(n, 10) != port {
		return refuse("expected a port from 1 to 65535 without leading zeros")
	}
	return nil
}

// checkHost returns the address when the host is an IP literal. Every host
// whose last label is a number is an IPv4 address to some parser (inet_aton,
// WHATWG URL), so it must be the dotted quad that all parsers agree on.
func checkHost(host, raw string) (netip.Addr, bool, error) {
	if strings.Contains(raw, "%") {
		return netip.Addr{}, false, refuse("its host is percent-encoded or has a zone")
	}
	if strings.HasPrefix(raw, "[") {
		ip, err := netip.ParseAddr(host)
		if err != nil || !ip.Is6() {
			return netip.Addr{}, false, refuse("expected an IPv6 address between the brackets of its host")
		}
		return ip, true, nil
	}
	labels := strings.Split(host, ".")
	if len(host) > 253 || slices.ContainsFunc(labels, func(l string) bool { return !isLabel(l) }) {
		return netip.Addr{}, false, refuse("expected a host of labels of 1 to 63 letters, digits, `-` or `_`, without a trailing dot")
	}
	if !isNumber(labels[len(labels)-1]) {
		return netip.Addr{}, false, nil
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return netip.Addr{}, false, refuse("its host is a number; write an IPv4 address as four decimal parts without leading zeros")
	}
	return ip, true, nil
}

func isLabel(l string) bool {
	if l == "" || len(l) > 63 || l[0] == '-' || l[len(l)-1] == '-' {
		return false
	}
	for i := range len(l) {
		c := l[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_' {
			return false
		}
	}
	return true
}

// isNumber is the "ends in a number" test of the URL standard: all digits, or
// 0x and hexadecimal digits.
func isNumber(l string) bool {
	if strings.Trim(l, "0123456789") == "" {
		return true
	}
	hex, ok := strings.CutPrefix(strings.ToLower(l), "0x")
	return ok && strings.Trim(hex, "0123456789abcdef") == ""
}

// checkPlain lets http pass to this machine alone.
func (r Rules) checkPlain(host string, ip netip.Addr) error {
	if !ip.Unmap().IsLoopback() && !isLocalName(host) {
		return refuse("expected the scheme https; http is for loopback hosts under `serve` only")
	}
	if !r.Loopback {
		return refuse("http to loopback is for `serve` only; expected the scheme https")
	}
	for _, p := range r.AllowedCIDRs {
		if p.Addr().Unmap().IsLoopback() {
			return nil
		}
	}
	return refuse("http to loopback needs 127.0.0.0/8 or ::1/128 in network.allowedCIDRs")
}

// isLocalName says whether a name means this machine (RFC 6761, section 6.3).
// The dialer holds such a name to loopback addresses, whatever DNS says.
func isLocalName(host string) bool {
	host = strings.ToLower(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}

var errNotLocal = errors.New("resolves to something else than loopback")
