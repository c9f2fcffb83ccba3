// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package signer

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/status"

	"github.com/exchequer-dev/exchequer/exchanger/keys/signer/signerapi"
	"github.com/exchequer-dev/exchequer/exchanger/limit"
)

const (
	// signTimeout is what is left of a request that a client waits for; an HSM in
	// the same network signs in 1 to 10 ms.
	signTimeout  = 2 * time.Second
	fetchTimeout = 5 * time.Second
	// mostCalls at 10 ms each are 6,400 signatures a second, more than an HSM makes.
	mostCalls = 64
	// mostWaiting at that rate have their turn within 30 ms.
	mostWaiting = 3 * mostCalls
	// maxAnswerBytes holds 16 keys of 16 KiB and their labels, with room to spare.
	maxAnswerBytes = 512 << 10
)

// ErrUnavailable means that the signer did not sign: later it may.
var ErrUnavailable = errors.New("the external signer is not available")

// Client talks to one signer. It is safe for concurrent use.
type Client struct {
	connection *grpc.ClientConn
	api        signerapi.SignerClient
	calls      chan struct{} // one place for each call under way
	waiting    chan struct{}
	circuit    limit.Circuit
	now        func() time.Time
	timeout    time.Duration

	mu   sync.Mutex // guards keys
	keys map[string]*Key
}

// New prepares a client; it does not connect before it is asked something.
func New(c Config) (*Client, error) {
	target, credentials, err := c.dial()
	if err != nil {
		return nil, err
	}
	retry := backoff.DefaultConfig
	retry.MaxDelay = 3 * time.Second // default 120 s: a signer that is back would wait for us
	connection, err := grpc.NewClient(target,
		grpc.WithTransportCredentials(credentials),
		grpc.WithNoProxy(),
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: retry, MinConnectTimeout: signTimeout}),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxAnswerBytes)),
		grpc.WithDisableServiceConfig(),
	)
	if err != nil {
		return nil, errors.New("the signer's address cannot be dialled")
	}
	return &Client{
		connection: connection, api: signerapi.NewSignerClient(connection), now: time.Now, timeout: signTimeout,
		calls: make(chan struct{}, mostCalls), waiting: make(chan struct{}, mostWaiting), keys: map[string]*Key{},
	}, nil
}

// Close ends the connection; calls under way fail.
func (c *Client) Close() error { return c.connection.Close() }

// Retire closes the client once the calls that are under way had their time.
func (c *Client) Retire() {
	time.AfterFunc(2*c.timeout, func() { _ = c.Close() })
}

// Key returns the key with that label. It is the same one for the same label, so
// that what is known against it is not forgotten.
func (c *Client) Key(label string) *Key {
	c.mu.Lock()
	defer c.mu.Unlock()
	k := c.keys[label]
	if k == nil {
		k = &Key{client: c, label: label}
		c.keys[label] = k
	}
	return k
}

// enter waits for a place among the calls under way.
func (c *Client) enter(ctx context.Context) error {
	select {
	case c.calls <- struct{}{}:
		return nil
	default:
	}
	select {
	case c.waiting <- struct{}{}:
		defer func() { <-c.waiting }()
	default:
		return fmt.Errorf("%w: too many tokens wait for it", ErrUnavailable)
	}
	select {
	case c.calls <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%w: no turn came within %s", ErrUnavailable, c.timeout)
	}
}

func (c *Client) sign(ctx context.Context, label, header, payload string) ([]byte, error) {
	caller := ctx
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	if err := c.enter(ctx); err != nil {
		return nil, err
	}
	defer func() { <-c.calls }()
	// Whoever waited asks now, not before: the signer may have failed meanwhile.
	if !c.circuit.Admit(c.now()) {
		return nil, fmt.Errorf("%w: it failed %d times in a row and is left alone for %s", ErrUnavailable, limit.CircuitFailures, limit.CircuitPause)
	}
	answer, err := c.api.Sign(ctx, &signerapi.SignRequest{Label: label, Header: header, Payload: payload})
	if err != nil && caller.Err() != nil {
		c.circuit.Abandoned() // the client went away, which says nothing about the signer
		return nil, fmt.Errorf("%w: the request was given up", ErrUnavailable)
	}
	c.circuit.Report(err == nil, c.now())
	if err != nil {
		return nil, failure(err)
	}
	return answer.GetSignature(), nil
}

// failure keeps the code of an error and drops its words.
func failure(err error) error {
	return fmt.Errorf("%w: it answered %s", ErrUnavailable, status.Code(err))
}
