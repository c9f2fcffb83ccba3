// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

// Package egress says which URLs may be declared and which addresses may be
// dialled.
//
// It promises that a URL has one reading: a host that some resolver or library
// could take for another one (decimal, hexadecimal or short IPv4, a trailing
// dot, dots of other scripts, percent-encoding) is refused when it is parsed.
// It promises that the address that was checked is the address that is
// dialled: names are resolved once, every answer is judged, and the dial goes
// to the judged address, so a second DNS answer has no say.
//
// It refuses every address that is not public unicast, except where an allowed
// CIDR holds it. Link-local addresses and the metadata services of clouds are
// refused even then; loopback only passes where the program says that it is
// one person's machine. An address that carries another one (IPv4-mapped,
// NAT64, 6to4) must pass for both. Plain http goes to loopback only.
//
// Through an egress proxy there is no address to check: the proxy resolves. Then the
// host alone is judged (CheckProxied), and whoever lists private ranges is dialled
// directly (Direct).
//
// The parsing half is pure (no I/O, no clock), so translation may use it to
// refuse a manifest with the same words that a fetch would use. Any package
// that dials an address from a manifest must dial through Dialer.
package egress
