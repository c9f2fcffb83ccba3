// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package signer

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/exchequer-dev/exchequer/exchanger/jose"
	"github.com/exchequer-dev/exchequer/exchanger/keys/signer/signerapi"
)

// quarantine is how long a key is not used after a signature that did not verify.
// It ends by itself because no such signature is ever released, and whoever mends
// the signer should not have to restart every replica.
const quarantine = time.Minute

// Key is one key that a signer keeps. It is a [jose.Remote].
type Key struct {
	client *Client
	label  string
	// until is when its quarantine ends, in nanoseconds.
	until atomic.Int64
}

// Sign has the signer sign the two encoded segments.
func (k *Key) Sign(ctx context.Context, header, payload string) ([]byte, error) {
	if k.Quarantined() {
		return nil, fmt.Errorf("%w: its key is in quarantine, because a signature did not verify", ErrUnavailable)
	}
	return k.client.sign(ctx, k.label, header, payload)
}

// Distrust puts the key into quarantine.
func (k *Key) Distrust() { k.until.Store(k.client.now().Add(quarantine).UnixNano()) }

// Quarantined says that the key is not used, because a signature of it did not
// verify.
func (k *Key) Quarantined() bool { return k.client.now().UnixNano() < k.until.Load() }

// Offer is a key that a signer offers.
type Offer struct {
	Label  string
	Public *jose.PublicKey
}

// mostOffers is several rotations at once.
const (
	mostOffers    = 16
	maxLabelBytes = 1024
)

// FetchKeys asks which keys the signer has, the one to use first; and after how
// long to ask again, 0 when that is the caller's choice. A set in which anything is
// wrong is refused as a whole: half of it could name the wrong key as the first.
func (c *Client) FetchKeys(ctx context.Context) ([]Offer, time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	answer, err := c.api.FetchKeys(ctx, &signerapi.FetchKeysRequest{})
	if err != nil {
		return nil, 0, failure(err)
	}
	if n := len(answer.GetKeys()); n == 0 || n > mostOffers {
		return nil, 0, fmt.Errorf("the external signer has %d keys, expected 1 to %d", n, mostOffers)
	}
	var offers []Offer
	seen := map[string]bool{}
	for i, k := range answer.GetKeys() {
		if k.GetLabel() == "" || len(k.GetLabel()) > maxLabelBytes {
			return nil, 0, fmt.Errorf("key %d of the external signer has a label of %d bytes, expected 1 to %d", i, len(k.GetLabel()), maxLabelBytes)
		}
		public, err := jose.ParsePublicKeyDER(k.GetPublicKey(), k.GetAlgorithm())
		if err != nil {
			return nil, 0, fmt.Errorf("key %d of the external signer: %w", i, err)
		}
		if seen[k.GetLabel()] || seen["kid "+public.KeyID()] {
			return nil, 0, fmt.Errorf("key %d of the external signer is there twice", i)
		}
		seen[k.GetLabel()], seen["kid "+public.KeyID()] = true, true
		offers = append(offers, Offer{k.GetLabel(), public})
	}
	// A hint beyond a day would be a mistake of units.
	hint := min(max(0, answer.GetRefreshHintSeconds()), 86400)
	return offers, time.Duration(hint) * time.Second, nil
}

// Prove has the signer sign the empty object, which is no token for anybody, and
// verifies that: a key that does not sign, or is not the one it says, is found
// before it is published.
func (c *Client) Prove(ctx context.Context, o Offer) error {
	s, err := jose.NewRemoteSigner(o.Public, "at+jwt", c.Key(o.Label))
	if err != nil {
		return err
	}
	token, err := s.SignContext(ctx, []byte("{}"))
	if err != nil {
		return err
	}
	parsed, err := jose.Parse(token, jose.Limits{})
	if err == nil {
		_, err = parsed.Verify(o.Public, []string{o.Public.Algorithm()})
	}
	if err != nil {
		s.Distrust()
		return fmt.Errorf("what the external signer signed does not verify with the public key that it names: "+
			"it may hold another key under that label, or use another form than RFC 7518's: %w", err)
	}
	return nil
}

// Metadata returns what the signer says of itself, for people.
func (c *Client) Metadata(ctx context.Context) (name, version string, err error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	answer, err := c.api.Metadata(ctx, &signerapi.MetadataRequest{})
	if err != nil {
		return "", "", failure(err)
	}
	const most = 256
	return answer.GetName()[:min(most, len(answer.GetName()))], answer.GetVersion()[:min(most, len(answer.GetVersion()))], nil
}
