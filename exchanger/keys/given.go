// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package keys

import (
	"errors"
	"fmt"

	"github.com/exchequer-dev/exchequer/exchanger/jose"
	"github.com/exchequer-dev/exchequer/exchanger/keys/signer"
)

// Given is a key that is not made here.
type Given struct {
	// Private is the key when the source is SecretRef.
	Private *jose.PrivateKey
	// Public is its public half when the source is External.
	Public *jose.PublicKey
	// Label is what the external signer calls it.
	Label string
	// Gone are the key IDs that the external signer does not have any more.
	Gone []string
}

// KeyID is the key's RFC 7638 thumbprint.
func (g *Given) KeyID() string {
	if g.Private != nil {
		return g.Private.KeyID()
	}
	return g.Public.KeyID()
}

func (g *Given) algorithm() string {
	if g.Private != nil {
		return g.Private.Algorithm()
	}
	return g.Public.Algorithm()
}

// validateGiven reports a given key that does not fit the plan.
func (p Plan) validateGiven() error {
	switch g := p.Given; {
	case p.Source == Managed:
		return errors.New("a key is given, and keys are made here")
	case (p.Source == SecretRef) != (g.Private != nil) || (p.Source == External) != (g.Public != nil):
		return fmt.Errorf("the given key does not fit the source %s", p.Source)
	case p.Source == External && (g.Label == "" || len(g.Label) > maxLabelBytes):
		return fmt.Errorf("the signer's name of its key has %d bytes, expected 1 to %d", len(g.Label), maxLabelBytes)
	case g.algorithm() != p.Algorithm:
		return fmt.Errorf("the given key is for %s, expected %s", g.algorithm(), p.Algorithm)
	}
	return nil
}

// maxLabelBytes is what an ARN, a resource name of a cloud or a PKCS #11 URI need,
// several times over.
const maxLabelBytes = 1024

// blocked says why the given key will never sign.
func (p Plan) blocked(l *line) error {
	if p.Given == nil {
		return nil
	}
	kid := p.Given.KeyID()
	for _, s := range l.slots {
		if s.KeyID != kid {
			continue
		}
		if s.Source != p.Source {
			return fmt.Errorf("%w: %s is here already, from where keys came before: a key in two places is no safer for the second; make a new one", ErrUnusable, kid)
		}
		if s.State == Retired {
			return fmt.Errorf("%w: %s signed before and has retired, and a key does not come back: provide a new one", ErrUnusable, kid)
		}
	}
	for _, revoked := range p.RevokedKeyIDs {
		if revoked == kid {
			return fmt.Errorf("%w: %s is revoked: provide a new one", ErrUnusable, kid)
		}
	}
	return nil
}

// pair is what a slot holds.
type pair struct {
	// signing is nil when the key is with an external signer, or has retired.
	signing *jose.PrivateKey
	public  *jose.PublicKey
	// label is what the external signer calls the key.
	label string
	seal  *jose.SealKey
}

// next makes the next key of a line, or takes the given one.
func (p Plan) next(generate func(alg string) (*jose.PrivateKey, error)) (key pair, err error) {
	switch p.Source {
	case External:
		key.public, key.label = p.Given.Public, p.Given.Label
	case SecretRef:
		key.signing = p.Given.Private
		key.public = key.signing.Public()
	case Managed:
		if key.signing, err = generate(p.Algorithm); err != nil {
			return pair{}, fmt.Errorf("make a %s key: %w", p.Algorithm, err)
		}
		key.public = key.signing.Public()
	}
	if key.seal, err = jose.GenerateSealKey(key.public.KeyID()); err != nil {
		return pair{}, fmt.Errorf("make a sealing key: %w", err)
	}
	return key, nil
}

// ask settles which signer signs for the line: the plan's, and no other one longer
// than a key of it is to sign.
func (l *line) ask(p Plan) {
	if p.Source == External && p.Signer != (signer.Config{}) {
		l.signer = p.Signer
		return
	}
	for _, s := range l.slots {
		if s.Source == External && s.State != Retired {
			return
		}
	}
	l.signer = signer.Config{}
}

// signers makes what signs access tokens. The client of an external signer is
// kept: it knows how the signer fares.
type signers struct {
	clients map[signer.Config]*signer.Client
}

func (s *signers) of(key pair, c signer.Config) (*jose.Signer, error) {
	if key.signing != nil {
		return jose.NewSigner(key.signing, accessTokenType)
	}
	client := s.clients[c]
	if client == nil {
		var err error
		if client, err = signer.New(c); err != nil {
			return nil, err
		}
		if s.clients == nil {
			s.clients = map[signer.Config]*signer.Client{}
		}
		s.clients[c] = client
	}
	return jose.NewRemoteSigner(key.public, accessTokenType, client.Key(key.label))
}

// sweep ends the connections to signers that no line names any more.
func (s *signers) sweep(lines map[string]*line) {
	for c, client := range s.clients {
		used := false
		for _, l := range lines {
			used = used || l != nil && l.signer == c
		}
		if !used {
			client.Retire()
			delete(s.clients, c)
		}
	}
}
