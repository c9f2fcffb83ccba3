// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

// Package signer is an external signer for tests: real gRPC, keys in memory, and
// every way to misbehave.
//
// It promises nothing beyond that; only tests import it.
package signer

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"

	"github.com/exchequer-dev/exchequer/exchanger/keys/signer/signerapi"
)

// Signer is a running signer.
type Signer struct {
	signerapi.UnimplementedSignerServer
	// Address is where it listens.
	Address string
	// Signed counts the calls of Sign, UnderWay those that have not ended.
	Signed, UnderWay atomic.Int64

	server *grpc.Server
	mu     sync.Mutex
	keys   []key
	before func(context.Context) error
	after  func([]byte) []byte
	refuse error
}

type key struct {
	label, algorithm string
	private          crypto.Signer
}

// Start runs a signer on a unix socket until the test ends.
func Start(tb testing.TB) *Signer {
	tb.Helper()
	socket := filepath.Join(tb.TempDir(), "s")
	l, err := new(net.ListenConfig).Listen(tb.Context(), "unix", socket)
	if err != nil {
		tb.Fatal(err)
	}
	return serve(tb, l, "unix://"+socket)
}

// StartTLS runs a signer on a loopback port with TLS until the test ends.
func StartTLS(tb testing.TB, config *tls.Config) *Signer {
	tb.Helper()
	l, err := new(net.ListenConfig).Listen(tb.Context(), "tcp", "localhost:0")
	if err != nil {
		tb.Fatal(err)
	}
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		tb.Fatal(err)
	}
	return serve(tb, l, "localhost:"+port, grpc.Creds(credentials.NewTLS(config)))
}

func serve(tb testing.TB, l net.Listener, address string, options ...grpc.ServerOption) *Signer {
	tb.Helper()
	s := &Signer{Address: address, server: grpc.NewServer(options...)}
	signerapi.RegisterSignerServer(s.server, s)
	done := make(chan struct{})
	go func() { defer close(done); _ = s.server.Serve(l) }()
	tb.Cleanup(func() { s.server.Stop(); <-done })
	return s
}

// Stop ends it before the test does.
func (s *Signer) Stop() { s.server.Stop() }

// Offer makes a new key and offers it first.
func (s *Signer) Offer(tb testing.TB, label, algorithm string) {
	tb.Helper()
	var private crypto.Signer
	var err error
	switch algorithm {
	case "ES256":
		private, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "ES384":
		private, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case "EdDSA":
		_, private, err = ed25519.GenerateKey(rand.Reader)
	default:
		private, err = rsa.GenerateKey(rand.Reader, 2048)
	}
	if err != nil {
		tb.Fatal(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys = append([]key{{label, algorithm, private}}, s.keys...)
}

// Drop takes a key away.
func (s *Signer) Drop(label string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, k := range s.keys {
		if k.label == label {
			s.keys = append(s.keys[:i:i], s.keys[i+1:]...)
			return
		}
	}
}

// Before has hook run ahead of every signature; an error is the answer.
func (s *Signer) Before(hook func(context.Context) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.before = hook
}

// Spoil has every signature altered before it is sent; nil ends it.
func (s *Signer) Spoil(hook func([]byte) []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.after = hook
}

// Refuse has FetchKeys fail; nil ends it.
func (s *Signer) Refuse(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refuse = err
}

// Sign is the contract's.
func (s *Signer) Sign(ctx context.Context, in *signerapi.SignRequest) (*signerapi.SignResponse, error) {
	s.Signed.Add(1)
	s.UnderWay.Add(1)
	defer s.UnderWay.Add(-1)
	s.mu.Lock()
	before, after := s.before, s.after
	var found *key
	for i := range s.keys {
		if s.keys[i].label == in.GetLabel() {
			found = &s.keys[i]
		}
	}
	s.mu.Unlock()
	if before != nil {
		if err := before(ctx); err != nil {
			return nil, err
		}
	}
	if found == nil {
		return nil, status.Error(codes.NotFound, "there is no such key")
	}
	signature, err := found.sign([]byte(in.GetHeader() + "." + in.GetPayload()))
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	if after != nil {
		signature = after(signature)
	}
	return &signerapi.SignResponse{Signature: signature}, nil
}

func (k *key) sign(input []byte) ([]byte, error) {
	switch k.algorithm {
	case "ES256":
		digest := sha256.Sum256(input)
		return k.signEC(digest[:], 32)
	case "ES384":
		digest := sha512.Sum384(input)
		return k.signEC(digest[:], 48)
	case "EdDSA":
		return k.private.Sign(rand.Reader, input, crypto.Hash(0))
	case "PS256":
		digest := sha256.Sum256(input)
		return k.private.Sign(rand.Reader, digest[:], &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA256})
	}
	digest := sha256.Sum256(input)
	return k.private.Sign(rand.Reader, digest[:], crypto.SHA256)
}

func (k *key) signEC(digest []byte, size int) ([]byte, error) {
	private, ok := k.private.(*ecdsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("the key %s is not of a curve", k.label)
	}
	r, s, err := ecdsa.Sign(rand.Reader, private, digest)
	if err != nil {
		return nil, err
	}
	out := make([]byte, 2*size)
	r.FillBytes(out[:size])
	s.FillBytes(out[size:])
	return out, nil
}

// FetchKeys is the contract's.
func (s *Signer) FetchKeys(context.Context, *signerapi.FetchKeysRequest) (*signerapi.FetchKeysResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.refuse != nil {
		return nil, s.refuse
	}
	out := &signerapi.FetchKeysResponse{}
	for _, k := range s.keys {
		der, err := x509.MarshalPKIXPublicKey(k.private.Public())
		if err != nil {
			return nil, fmt.Errorf("encode a key: %w", err)
		}
		out.Keys = append(out.Keys, &signerapi.Key{Label: k.label, Algorithm: k.algorithm, PublicKey: der})
	}
	return out, nil
}

// Metadata is the contract's.
func (*Signer) Metadata(context.Context, *signerapi.MetadataRequest) (*signerapi.MetadataResponse, error) {
	return &signerapi.MetadataResponse{Name: "fake", Version: "1"}, nil
}
