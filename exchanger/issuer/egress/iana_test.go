// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package egress_test

import (
	"encoding/csv"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/exchequer-dev/exchequer/exchanger/issuer/egress"
)

// TestF371 holds the ranges of this package to IANA's registries, which stand
// in testdata/iana as IANA publishes them. `make special-addresses` says
// whether they are still the same there; when they are not, this test says
// which line of address.go is missing.
func TestF371EverySpecialPurposeAddressOfIANAsRegistriesIsRefused(t *testing.T) {
	t.Parallel()
	registry := append(specialPurpose(t, "iana-ipv4-special-registry-1.csv"), specialPurpose(t, "iana-ipv6-special-registry-1.csv")...)
	if len(registry) < 50 {
		t.Fatalf("the registries hold %d ranges; IANA's held more than 50 in 2026", len(registry))
	}
	for _, special := range registry {
		if special == netip.MustParsePrefix("::ffff:0:0/96") {
			continue // IPv4 in another spelling: judged as what it is, 10.0.0.1 as 8.8.8.8
		}
		for _, a := range corners(special) {
			if err := (egress.Rules{}).CheckAddr(a); err == nil {
				t.Errorf("%s is of the special-purpose range %s and is dialled", a, special)
			}
		}
		// The neighbours show that no more is refused than has to be.
		for _, a := range []netip.Addr{special.Masked().Addr().Prev(), last(special).Next()} {
			if known(registry, a) || !unicast(a) {
				continue
			}
			if err := (egress.Rules{}).CheckAddr(a); err != nil {
				t.Errorf("%s, beside %s, is public: %v", a, special, err)
			}
		}
	}
}

func specialPurpose(t *testing.T, name string) []netip.Prefix {
	t.Helper()
	file, err := os.Open(filepath.Join("testdata", "iana", name))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	rows, err := csv.NewReader(file).ReadAll()
	if err != nil || len(rows) == 0 || rows[0][0] != "Address Block" {
		t.Fatalf("%s is no registry of IANA: %v", name, err)
	}
	var out []netip.Prefix
	for _, row := range rows[1:] {
		// "192.0.0.170/32, 192.0.0.171/32", "2002::/16 [3]"
		blocks := regexp.MustCompile(`[0-9a-f.:]+/[0-9]+`).FindAllString(row[0], -1)
		if len(blocks) == 0 {
			t.Fatalf("%s: no range in %q", name, row[0])
		}
		out = append(out, cidrs(t, blocks...)...)
	}
	return out
}

// corners are the first and last addresses of a range and those on both sides
// of its middle.
func corners(p netip.Prefix) []netip.Addr {
	first := p.Masked().Addr()
	out := []netip.Addr{first, last(p)}
	if p.Bits() < first.BitLen() {
		half := last(netip.PrefixFrom(first, p.Bits()+1))
		out = append(out, half, half.Next())
	}
	return out
}

func last(p netip.Prefix) netip.Addr {
	b := p.Masked().Addr().AsSlice()
	for bit := p.Bits(); bit < 8*len(b); bit++ {
		b[bit/8] |= 0x80 >> (bit % 8)
	}
	a, _ := netip.AddrFromSlice(b) // as long as it was
	return a
}

func known(registry []netip.Prefix, a netip.Addr) bool {
	for _, p := range registry {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// unicast: of IPv6, only 2000::/3 has been given out.
func unicast(a netip.Addr) bool {
	return a.IsValid() && !a.IsMulticast() && (a.Is4() || netip.MustParsePrefix("2000::/3").Contains(a))
}
