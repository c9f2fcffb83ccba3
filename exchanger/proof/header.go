// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package proof

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"net/url"
	"strings"
)

// Header is the form in which a proxy that ends TLS hands the client's certificate
// on. It is read from proxies that were declared and from nobody else.
type Header string

// The forms.
const (
	// HeaderNone reads no header.
	HeaderNone Header = ""
	// HeaderClientCert is RFC 9440: Client-Cert and Client-Cert-Chain, each a byte
	// sequence of a certificate in DER.
	HeaderClientCert Header = "Client-Cert"
	// HeaderXFCC is Envoy's X-Forwarded-Client-Cert, with its members Cert or Chain.
	HeaderXFCC Header = "X-Forwarded-Client-Cert"
)

// Headers lists the forms that can be declared.
func Headers() []Header { return []Header{HeaderClientCert, HeaderXFCC} }

// maxForwarded bounds what is decoded: four certificates of 4 KiB, in PEM and
// escaped.
const maxForwarded = 64 << 10

var errForwarded = errors.New("the proxy's header with the client certificate cannot be read") //nolint:gochecknoglobals // a constant error

// Forwarded reads the certificate that a proxy handed on; nil when the client had
// none. values returns all lines of a header. What cannot be read is an error, never
// an absent certificate.
func (h Header) Forwarded(values func(name string) []string) (*Certificate, error) {
	lines := values(string(h))
	if len(lines) == 0 {
		return nil, nil //nolint:nilnil // no certificate and no fault
	}
	if len(lines) > 1 || len(lines[0]) > maxForwarded {
		return nil, errForwarded
	}
	switch h {
	case HeaderClientCert:
		return clientCert(lines[0], values("Client-Cert-Chain"))
	case HeaderXFCC:
		return forwardedByEnvoy(lines[0])
	case HeaderNone:
	}
	return nil, errForwarded
}

// clientCert reads RFC 9440, section 2: structured fields (RFC 8941) of byte
// sequences, which are base64 between colons.
func clientCert(leaf string, chain []string) (*Certificate, error) {
	der, ok := byteSequence(leaf)
	if !ok {
		return nil, errForwarded
	}
	all := [][]byte{der}
	if len(chain) > 0 {
		for item := range strings.SplitSeq(strings.Join(chain, ","), ",") {
			der, ok := byteSequence(strings.Trim(item, " \t"))
			if !ok || len(all) == MaxChain {
				return nil, errForwarded
			}
			all = append(all, der)
		}
	}
	return parseAll(all)
}

func byteSequence(s string) ([]byte, bool) {
	if len(s) < 3 || s[0] != ':' || s[len(s)-1] != ':' {
		return nil, false
	}
	der, err := base64.StdEncoding.Strict().DecodeString(s[1 : len(s)-1])
	return der, err == nil
}

// forwardedByEnvoy reads one element: `Hash=...;Cert="<escaped PEM>";Chain="..."`. Several
// elements are several proxies, of which the first may be anybody's writing.
func forwardedByEnvoy(line string) (*Certificate, error) {
	members, ok := elementOf(line)
	if !ok {
		return nil, errForwarded
	}
	text := members["chain"]
	if text == "" {
		text = members["cert"]
	}
	unescaped, err := url.PathUnescape(text)
	if err != nil || unescaped == "" {
		return nil, errForwarded
	}
	var all [][]byte
	for rest := []byte(unescaped); len(bytes.TrimSpace(rest)) > 0; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil || block.Type != "CERTIFICATE" || len(all) == MaxChain {
			return nil, errForwarded
		}
		all = append(all, block.Bytes)
	}
	return parseAll(all)
}

// elementOf splits one element into its members. Names are compared in lower case;
// a second element, or a name twice, is refused, save URI and DNS, which repeat.
func elementOf(line string) (map[string]string, bool) {
	out := map[string]string{}
	for len(line) > 0 {
		name, rest, ok := strings.Cut(line, "=")
		if !ok {
			return nil, false
		}
		var value string
		if strings.HasPrefix(rest, `"`) {
			if value, rest, ok = quoted(rest[1:]); !ok {
				return nil, false
			}
		} else {
			end := strings.IndexAny(rest, ";,")
			if end < 0 {
				end = len(rest)
			}
			value, rest = rest[:end], rest[end:]
		}
		name = strings.ToLower(strings.TrimSpace(name))
		if _, twice := out[name]; twice && name != "uri" && name != "dns" {
			return nil, false
		}
		out[name] = value
		switch {
		case rest == "":
			return out, true
		case rest[0] != ';':
			return nil, false // a comma: another element
		}
		line = rest[1:]
	}
	return out, len(out) > 0
}

func quoted(s string) (value, rest string, ok bool) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '"':
			return b.String(), s[i+1:], true
		case '\\':
			if i++; i == len(s) {
				return "", "", false
			}
			b.WriteByte(s[i])
		default:
			b.WriteByte(s[i])
		}
	}
	return "", "", false
}

func parseAll(all [][]byte) (*Certificate, error) {
	c := &Certificate{}
	for n, der := range all {
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, errForwarded
		}
		if n == 0 {
			c.Leaf = cert
		} else {
			c.Intermediates = append(c.Intermediates, cert)
		}
	}
	if c.Leaf == nil {
		return nil, errForwarded
	}
	return c, nil
}
