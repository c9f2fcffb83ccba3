// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package egress_test

import (
	"errors"
	"net/netip"
	"testing"

	"github.com/exchequer-dev/exchequer/exchanger/issuer/egress"
)

func cidrs(t *testing.T, in ...string) []netip.Prefix {
	t.Helper()
	var out []netip.Prefix
	for _, s := range in {
		p, err := netip.ParsePrefix(s)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, p)
	}
	return out
}

func TestAnAddressIsDialledOnlyWhenPublicOrListed(t *testing.T) {
	t.Parallel()
	everything := []string{"0.0.0.0/0", "::/0"}
	cases := map[string]struct {
		addr     string
		allowed  []string
		loopback bool
		ok       bool
	}{
		"a public IPv4 address passes":                                 {addr: "93.184.215.14", ok: true},
		"a public IPv6 address passes":                                 {addr: "2606:2800:21f:cb07:6820:80da:af6b:8b2c", ok: true},
		"a mapped public address passes":                               {addr: "::ffff:93.184.215.14", ok: true},
		"F159: 127.0.0.1 is refused":                                   {addr: "127.0.0.1"},
		"F159: 10/8 is refused":                                        {addr: "10.0.0.1"},
		"F159: 172.16/12 is refused":                                   {addr: "172.31.255.255"},
		"F159: 192.168/16 is refused":                                  {addr: "192.168.0.1"},
		"F159: 169.254/16 is refused":                                  {addr: "169.254.169.254"},
		"F159: 100.64/10 is refused":                                   {addr: "100.64.0.1"},
		"F159: 0.0.0.0 is refused":                                     {addr: "0.0.0.0"},
		"F159: ::1 is refused":                                         {addr: "::1"},
		"F159: :: is refused":                                          {addr: "::"},
		"F159: fe80:: is refused":                                      {addr: "fe80::1"},
		"F159: fc00:: is refused":                                      {addr: "fc00::1"},
		"F159: ::ffff:127.0.0.1 is refused":                            {addr: "::ffff:127.0.0.1"},
		"F159: NAT64 of loopback is refused":                           {addr: "64:ff9b::7f00:1"},
		"F159: local NAT64 is refused":                                 {addr: "64:ff9b:1::7f00:1"},
		"F159: 6to4 of loopback is refused":                            {addr: "2002:7f00:1::"},
		"F159: IPv4-compatible is refused":                             {addr: "::127.0.0.1"},
		"F159: Teredo is refused":                                      {addr: "2001::1"},
		"F159: documentation is refused":                               {addr: "2001:db8::1"},
		"F159: benchmarking is refused":                                {addr: "198.18.0.1"},
		"F159: class E is refused":                                     {addr: "240.0.0.1"},
		"F159: broadcast is refused":                                   {addr: "255.255.255.255", allowed: everything, loopback: true},
		"F159: multicast is refused":                                   {addr: "224.0.0.251", allowed: everything, loopback: true},
		"F159: IPv6 multicast is refused":                              {addr: "ff02::1", allowed: everything, loopback: true},
		"F159: IPv6 beyond 2000::/3 is refused":                        {addr: "5f00::1"},
		"F159: a private address that is listed passes":                {addr: "10.1.2.3", allowed: []string{"10.1.0.0/16"}, ok: true},
		"F159: a mapped private address that is listed passes":         {addr: "::ffff:10.1.2.3", allowed: []string{"10.1.0.0/16"}, ok: true},
		"F159: a private address beside the listed range is refused":   {addr: "10.2.0.1", allowed: []string{"10.1.0.0/16"}},
		"F159: a unique local address that is listed passes":           {addr: "fd12::1", allowed: []string{"fd12::/16"}, ok: true},
		"F159: loopback that is listed is refused outside of serve":    {addr: "127.0.0.1", allowed: []string{"127.0.0.0/8"}},
		"F159: loopback under serve is refused when not listed":        {addr: "127.0.0.1", loopback: true},
		"F159: loopback under serve passes when listed":                {addr: "127.0.0.1", allowed: []string{"127.0.0.0/8"}, loopback: true, ok: true},
		"F159: link-local is refused even when listed":                 {addr: "169.254.169.254", allowed: everything, loopback: true},
		"F159: mapped link-local is refused even when listed":          {addr: "::ffff:169.254.169.254", allowed: everything, loopback: true},
		"F159: IPv6 link-local is refused even when listed":            {addr: "fe80::a9fe:a9fe", allowed: everything, loopback: true},
		"F159: NAT64 of link-local is refused even when listed":        {addr: "64:ff9b::a9fe:a9fe", allowed: everything, loopback: true},
		"F159: 6to4 of link-local is refused even when listed":         {addr: "2002:a9fe:a9fe::1", allowed: everything, loopback: true},
		"F159: a cloud's metadata address is refused even when listed": {addr: "fd00:ec2::254", allowed: everything, loopback: true},
		"F159: Azure's metadata address is refused even when listed":   {addr: "168.63.129.16", allowed: everything, loopback: true},
		"F159: Alibaba's metadata address is refused even when listed": {addr: "100.100.100.200", allowed: everything, loopback: true},
		"F159: Oracle's metadata address is refused even when listed":  {addr: "192.0.0.192", allowed: everything, loopback: true},
		"F159: NAT64 that is listed passes for a public address":       {addr: "64:ff9b::5db8:d70e", allowed: []string{"64:ff9b::/96"}, ok: true},
		"F159: NAT64 that is listed is refused for a private address":  {addr: "64:ff9b::a00:1", allowed: []string{"64:ff9b::/96"}},
		"F159: NAT64 passes for a private address when both are listed": {
			addr: "64:ff9b::a00:1", allowed: []string{"64:ff9b::/96", "10.0.0.0/8"}, ok: true,
		},
		"F159: an address with a zone is refused": {addr: "fe80::1%eth0", allowed: everything},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := egress.Rules{AllowedCIDRs: cidrs(t, tc.allowed...), Loopback: tc.loopback}
			err := r.CheckAddr(netip.MustParseAddr(tc.addr))
			if (err == nil) != tc.ok {
				t.Fatalf("CheckAddr(%s) = %v, want ok %v", tc.addr, err, tc.ok)
			}
			if err != nil && !errors.Is(err, egress.ErrAddress) {
				t.Fatalf("%v is not ErrAddress", err)
			}
		})
	}
	if err := (egress.Rules{}).CheckAddr(netip.Addr{}); !errors.Is(err, egress.ErrAddress) {
		t.Fatalf("the zero address: %v", err)
	}
}
