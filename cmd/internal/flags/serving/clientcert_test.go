// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package serving_test

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/spf13/pflag"

	"github.com/exchequer-dev/exchequer/cmd/internal/flags/serving"
	"github.com/exchequer-dev/exchequer/exchanger/proof"
)

func TestAHeaderWithCertificatesIsReadFromDeclaredProxiesOnly(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		args    []string
		header  proof.Header
		proxies []netip.Prefix
		ok      bool
	}{
		"nothing":                      {nil, proof.HeaderNone, nil, true},
		"RFC 9440":                     {[]string{"--client-cert-header=client-cert", "--trusted-proxies=10.1.2.0/24,::1/128"}, proof.HeaderClientCert, []netip.Prefix{netip.MustParsePrefix("10.1.2.0/24"), netip.MustParsePrefix("::1/128")}, true},
		"Envoy's":                      {[]string{"--client-cert-header=X-Forwarded-Client-Cert", "--trusted-proxies=10.1.2.3/32"}, proof.HeaderXFCC, []netip.Prefix{netip.MustParsePrefix("10.1.2.3/32")}, true},
		"a header from whomever":       {[]string{"--client-cert-header=Client-Cert"}, "", nil, false},
		"proxies without a header":     {[]string{"--trusted-proxies=10.1.2.0/24"}, "", nil, false},
		"another header":               {[]string{"--client-cert-header=X-Client", "--trusted-proxies=10.1.2.0/24"}, "", nil, false},
		"every address there is":       {[]string{"--client-cert-header=Client-Cert", "--trusted-proxies=0.0.0.0/0"}, "", nil, false},
		"an address without a length":  {[]string{"--client-cert-header=Client-Cert", "--trusted-proxies=10.1.2.3"}, "", nil, false},
		"a range with bits behind it":  {[]string{"--client-cert-header=Client-Cert", "--trusted-proxies=10.1.2.3/24"}, "", nil, false},
		"a good range and one that is": {[]string{"--client-cert-header=Client-Cert", "--trusted-proxies=10.1.2.0/24,x"}, "", nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var c serving.ClientCertificates
			f := pflag.NewFlagSet("test", pflag.ContinueOnError)
			c.Add(f)
			err := f.Parse(tc.args)
			if err == nil {
				err = c.Check()
			}
			if (err == nil) != tc.ok {
				t.Fatal(err)
			}
			if got := c.ClientCertificates; got.Header != tc.header || !slices.Equal(got.Proxies, tc.proxies) {
				t.Errorf("found %+v", got)
			}
		})
	}
}
