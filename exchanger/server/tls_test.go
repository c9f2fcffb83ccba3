// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package server_test

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/exchequer-dev/exchequer/exchanger/oauth"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
	"github.com/exchequer-dev/exchequer/exchanger/server"
	"github.com/exchequer-dev/exchequer/exchanger/telemetry"
)

// certify writes a self-signed pair with that serial number.
func certify(t *testing.T, files server.TLSFiles, serial int64) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "sts.example.com"}, DNSNames: []string{"sts.example.com"},
		NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<33, 0),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{
		files.Certificate: {Type: "CERTIFICATE", Bytes: der}, files.Key: {Type: "PRIVATE KEY", Bytes: pkcs8},
	} {
		if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func pair(t *testing.T) server.TLSFiles {
	t.Helper()
	dir := t.TempDir()
	files := server.TLSFiles{Certificate: filepath.Join(dir, "tls.crt"), Key: filepath.Join(dir, "tls.key")}
	certify(t, files, 1)
	return files
}

// handshake returns the serial number of the certificate that the server shows.
func handshake(conn net.Conn, config *tls.Config) (int64, error) {
	defer conn.Close()
	config.InsecureSkipVerify = true
	c := tls.Client(conn, config)
	if err := c.Handshake(); err != nil {
		return 0, err
	}
	return c.ConnectionState().PeerCertificates[0].SerialNumber.Int64(), nil
}

func TestWeakTLSIsRefused(t *testing.T) {
	t.Parallel()
	files := pair(t)
	r := start(t, &fake{}, func(c *server.Config) { c.TLS = files })
	for name, tc := range map[string]struct {
		config *tls.Config
		want   bool
	}{
		"F18: TLS 1.3":                {&tls.Config{MinVersion: tls.VersionTLS13}, true},
		"F18: TLS 1.2 with AEAD":      {&tls.Config{MaxVersion: tls.VersionTLS12}, true},
		"F18: TLS 1.1":                {&tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}, false},
		"F18: TLS 1.0":                {&tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS10}, false},
		"F18: TLS 1.2 with CBC":       {&tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA}}, false},
		"F18: TLS 1.2 with plain RSA": {&tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_RSA_WITH_AES_128_GCM_SHA256}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", r.addr)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := handshake(conn, tc.config); (err == nil) != tc.want {
				t.Errorf("got %v", err)
			}
		})
	}
	t.Run("F17: plain HTTP at the TLS port is closed, not redirected", func(t *testing.T) {
		t.Parallel()
		got := exchangeRaw(t, r.addr, head+"Content-Length: 0\r\n\r\n")
		if !strings.HasPrefix(got, "HTTP/1.0 400 ") || strings.Contains(got, "Location") {
			t.Errorf("got %q", got)
		}
	})
}

func TestF19ARotatedCertificateIsUsedAndABadOneIsNot(t *testing.T) {
	t.Parallel()
	files, metrics := pair(t), telemetry.NewMetrics()
	change := func(c *server.Config) { c.TLS, c.Metrics = files, metrics }
	bubble(t, &fake{}, change, func(t *testing.T, p *pipes, _ func() error) {
		serial := func() int64 {
			t.Helper()
			got, err := handshake(p.dial(t), &tls.Config{MinVersion: tls.VersionTLS13})
			if err != nil {
				t.Fatal(err)
			}
			return got
		}
		failures := func() float64 {
			families, err := metrics.Gatherer().Gather()
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range families {
				if f.GetName() == "exchequer_serving_certificate_errors_total" {
					return f.GetMetric()[0].GetCounter().GetValue()
				}
			}
			return -1
		}
		if got := serial(); got != 1 {
			t.Fatalf("serial %d", got)
		}
		certify(t, files, 2)
		<-time.After(11 * time.Second)
		if got := serial(); got != 2 || failures() != 0 {
			t.Errorf("after the reload interval: serial %d, %v failures", got, failures())
		}
		if err := os.WriteFile(files.Key, []byte("half a fi"), 0o600); err != nil {
			t.Fatal(err)
		}
		<-time.After(10 * time.Second)
		if got := serial(); got != 2 || failures() != 1 {
			t.Errorf("with a bad key: serial %d, %v failures", got, failures())
		}
		if err := os.Remove(files.Certificate); err != nil {
			t.Fatal(err)
		}
		<-time.After(10 * time.Second)
		if got := serial(); got != 2 || failures() != 2 {
			t.Errorf("without a certificate: serial %d, %v failures", got, failures())
		}
		certify(t, files, 3)
		<-time.After(10 * time.Second)
		if got := serial(); got != 3 {
			t.Errorf("with a good pair again: serial %d", got)
		}
	})
}

func TestABadCertificateStopsTheStart(t *testing.T) {
	t.Parallel()
	files := pair(t)
	if err := os.WriteFile(files.Certificate, []byte("no PEM"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, files := range map[string]server.TLSFiles{
		"a certificate that is none": files,
		"a key that is not there":    {Certificate: files.Certificate, Key: files.Key + ".missing"},
		"a certificate without key":  {Certificate: files.Certificate},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			s := server.New(server.Config{Snapshot: func() *policy.Snapshot { return nil }, Exchanger: &fake{}, TLS: files})
			if err := s.Run(t.Context(), server.Listeners{Main: ln}); err == nil {
				t.Error("it started")
			}
			if err := ln.Close(); !errors.Is(err, net.ErrClosed) {
				t.Error("the listener was left open")
			}
		})
	}
}

// frame writes one HTTP/2 frame (RFC 9113 section 4.1).
func frame(w io.Writer, kind, flags byte, stream uint32, payload []byte) error {
	head := make([]byte, 9, 9+len(payload))
	head[0], head[1], head[2] = byte(len(payload)>>16), byte(len(payload)>>8), byte(len(payload))
	head[3], head[4] = kind, flags
	binary.BigEndian.PutUint32(head[5:], stream)
	_, err := w.Write(append(head, payload...))
	return err
}

// literal is an HPACK field without indexing: the name by its static index, the
// value as it is (RFC 7541 section 6.2.2).
func literal(index byte, value string) []byte {
	out := []byte{index}
	if index >= 15 {
		out = []byte{15, index - 15}
	}
	return append(append(out, byte(len(value))), value...)
}

func TestHTTP2StreamsAreBounded(t *testing.T) {
	t.Parallel()
	var running, most atomic.Int32
	release := make(chan struct{})
	f := &fake{answer: func(context.Context, *oauth.Call) oauth.Answer {
		n := running.Add(1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		<-release
		running.Add(-1)
		return allowed()
	}}
	files := pair(t)
	r := start(t, f, func(c *server.Config) { c.TLS = files })
	t.Cleanup(func() { close(release) }) // Before the server stops.

	conn, err := (&tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}}}).DialContext(t.Context(), "tcp", r.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	request := append([]byte{0x83, 0x87}, literal(4, "/token")...) // :method POST, :scheme https, :path
	request = append(request, literal(1, "sts.example.com")...)
	request = append(request, literal(31, "application/x-www-form-urlencoded")...)
	go func() {
		w := bufio.NewWriter(conn)
		_, _ = w.WriteString("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
		_ = frame(w, 4, 0, 0, nil) // SETTINGS
		for i := range uint32(2000) {
			id := 2*i + 1
			if frame(w, 1, 0x5, id, request) != nil || frame(w, 3, 0, id, []byte{0, 0, 0, 8}) != nil { // HEADERS, then RST_STREAM CANCEL
				return
			}
		}
		_ = w.Flush()
	}()
	// The server ends the connection: GOAWAY with ENHANCE_YOUR_CALM (11).
	answer, _ := io.ReadAll(io.LimitReader(conn, 1<<20))
	t.Run("F16: a peer that resets streams as fast as it opens them has 100 handlers at most", func(t *testing.T) {
		if got := most.Load(); got == 0 || got > 100 {
			t.Errorf("%d handlers at once", got)
		}
		last := answer[max(0, len(answer)-17):]
		for at := 0; at+9 <= len(answer); {
			n := int(answer[at])<<16 | int(answer[at+1])<<8 | int(answer[at+2])
			if answer[at+3] == 7 { // GOAWAY
				last = answer[at : at+9+n]
			}
			at += 9 + n
		}
		if len(last) < 17 || last[3] != 7 || binary.BigEndian.Uint32(last[13:]) != 11 {
			t.Errorf("the connection ended with %x", last)
		}
	})
	t.Run("F16: no HTTP/2 without TLS", func(t *testing.T) {
		plain := start(t, &fake{}, nil)
		if got := exchangeRaw(t, plain.addr, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"); !strings.HasPrefix(got, "HTTP/1.1 ") {
			t.Errorf("got %.50q", got)
		}
	})
}
