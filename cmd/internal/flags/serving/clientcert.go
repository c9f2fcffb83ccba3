// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package serving

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/exchequer-dev/exchequer/exchanger/proof"
	"github.com/exchequer-dev/exchequer/exchanger/server"
)

// ClientCertificates is how a program learns the certificates of clients whose TLS
// ends at a proxy. Nothing is read from any header unless both flags are set.
type ClientCertificates struct {
	header  string
	proxies []string

	// ClientCertificates is what Check has read; its zero value trusts nobody.
	ClientCertificates server.ClientCertificates
}

// Add adds --client-cert-header and --trusted-proxies.
func (c *ClientCertificates) Add(f *pflag.FlagSet) {
	f.StringVar(&c.header, "client-cert-header", "", "header in which a proxy that ends TLS hands on the client's certificate: Client-Cert (RFC 9440) or X-Forwarded-Client-Cert (Envoy); read from --trusted-proxies and nobody else, who must remove it from what clients send")
	f.StringSliceVar(&c.proxies, "trusted-proxies", nil, "address ranges of those proxies, such as 10.1.2.0/24")
}

// Check reads what was set; it is a check for [Parse].
func (c *ClientCertificates) Check() error {
	var out server.ClientCertificates
	var errs []error
	if c.header != "" {
		at := slices.IndexFunc(proof.Headers(), func(h proof.Header) bool { return strings.EqualFold(string(h), c.header) })
		if at < 0 {
			return fmt.Errorf("--client-cert-header: expected Client-Cert or X-Forwarded-Client-Cert, found %q", c.header)
		}
		out.Header = proof.Headers()[at]
	}
	for _, text := range c.proxies {
		p, err := netip.ParsePrefix(text)
		switch {
		case err != nil || p != p.Masked():
			errs = append(errs, fmt.Errorf("--trusted-proxies: expected address ranges such as 10.1.2.0/24, found %q", text))
		case p.Bits() == 0:
			errs = append(errs, fmt.Errorf("--trusted-proxies: %s is every address there is: whoever can connect could be any client", text))
		default:
			out.Proxies = append(out.Proxies, p)
		}
	}
	if (out.Header == proof.HeaderNone) != (len(c.proxies) == 0) {
		errs = append(errs, errors.New("--client-cert-header and --trusted-proxies: expected both or neither: a header is read from declared proxies only"))
	}
	if len(errs) == 0 {
		c.ClientCertificates = out
	}
	return errors.Join(errs...)
}
