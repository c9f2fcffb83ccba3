// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
	"time"

	"github.com/exchequer-dev/exchequer/exchanger/proof"
	"github.com/exchequer-dev/exchequer/test/fakes/spiffe"
)

func TestWhoseCertificateARequestHas(t *testing.T) {
	t.Parallel()
	d, err := spiffe.New("example.org", time.Now)
	if err != nil {
		t.Fatal(err)
	}
	issue := func() *x509.Certificate {
		cert, err := d.Issue(&x509.Certificate{})
		if err != nil {
			t.Fatal(err)
		}
		return cert.Leaf
	}
	shown, forwarded := issue(), issue()
	header := ":" + base64.StdEncoding.EncodeToString(forwarded.Raw) + ":"
	on := ClientCertificates{Header: proof.HeaderClientCert, Proxies: []netip.Prefix{netip.MustParsePrefix("10.1.2.0/24")}}
	const proxy, stranger = "10.1.2.3", "10.1.3.4"
	for name, tc := range map[string]struct {
		config ClientCertificates
		peer   string
		tls    bool
		header string
		want   *x509.Certificate
		fails  bool
	}{
		"the one that it showed": {config: ClientCertificates{}, peer: stranger, tls: true, want: shown},
		"none without TLS":       {config: ClientCertificates{}, peer: stranger},
		"F70: where no proxy is declared a header is ignored":               {config: ClientCertificates{}, peer: proxy, header: header},
		"proxies without a header are clients like any other":               {config: ClientCertificates{Proxies: on.Proxies}, peer: proxy, tls: true, header: header, want: shown},
		"F70: the header of somebody who is no proxy is ignored":            {config: on, peer: stranger, header: header},
		"F70: somebody who is no proxy is who the certificate says":         {config: on, peer: stranger, tls: true, header: header, want: shown},
		"a proxy's client is who the header says":                           {config: on, peer: proxy, header: header, want: forwarded},
		"a proxy's own certificate is not its client's":                     {config: on, peer: proxy, tls: true},
		"a proxy's own certificate is not its client's, who showed another": {config: on, peer: proxy, tls: true, header: header, want: forwarded},
		"a proxy's header that cannot be read":                              {config: on, peer: proxy, header: "x", fails: true},
		"F70: without a peer nobody is a proxy":                             {config: on, peer: "", header: header},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequest(http.MethodPost, "/token", nil)
			r.TLS = nil
			if tc.tls {
				r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{shown}}
			}
			if tc.header != "" {
				r.Header.Set("Client-Cert", tc.header)
			}
			var peer netip.Addr
			if tc.peer != "" {
				peer = netip.MustParseAddr(tc.peer)
			}
			got, rejected := New(Config{ClientCertificates: tc.config}).certificates(r, peer)
			if (rejected != nil) != tc.fails {
				t.Fatalf("found %+v", rejected)
			}
			if (len(got) > 0) != (tc.want != nil) || len(got) > 0 && !got[0].Equal(tc.want) {
				t.Errorf("found %d certificates, or another's", len(got))
			}
		})
	}
}
