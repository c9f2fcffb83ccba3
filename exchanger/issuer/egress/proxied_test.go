// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package egress_test

import (
	"errors"
	"net/netip"
	"testing"

	"github.com/exchequer-dev/exchequer/exchanger/issuer/egress"
)

func TestWhatMayBeNamedToTheEgressProxy(t *testing.T) {
	t.Parallel()
	for name, of := range map[string]struct {
		host string
		ok   bool
	}{
		"a public name":                      {"login.corp.example", true},
		"a public address":                   {"93.184.215.14", true},
		"F159: a private address":            {"10.0.0.1", false},
		"F159: a metadata service's address": {"169.254.169.254", false},
		"F159: loopback":                     {"127.0.0.1", false},
		"F159: loopback as IPv6":             {"::1", false},
		"F159: an address within another":    {"64:ff9b::7f00:1", false},
		"a metadata service's name":          {"metadata.google.internal", false},
		"a name of the cluster":              {"kubernetes.default.svc.cluster.local", false},
		"a short name of the cluster":        {"kubernetes.default.svc", false},
		"a name without a dot":               {"metadata", false},
		"this machine":                       {"localhost", false},
		"this machine by another name":       {"corp.LOCALHOST", false},
		"a name of the local network":        {"printer.Local", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := egress.Rules{}.CheckProxied(of.host)
			if (err == nil) != of.ok || (err != nil && !errors.Is(err, egress.ErrAddress)) {
				t.Errorf("%s: %v", of.host, err)
			}
		})
	}
	if (egress.Rules{}).Direct() || !(egress.Rules{AllowedCIDRs: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}).Direct() {
		t.Error("the proxy is passed by where no private range is listed, or not where one is")
	}
}
