// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package keys

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/exchequer-dev/exchequer/exchanger/jose"
)

const (
	// maxDocumentBytes holds maxSlots slots of the largest keys: an 8192-bit RSA key
	// is 6.4 KiB of PEM, times 32 is 205 KiB, and as much again for revoked kids.
	maxDocumentBytes = 512 << 10
	// documentDepth is document, slots, slot.
	documentDepth   = 4
	documentVersion = 1
)

// document is the JSON of a line; doc.go shows it.
type document struct {
	Version      int        `json:"version"`
	TokenService string     `json:"tokenService"`
	Generation   int64      `json:"generation"`
	Revoked      []string   `json:"revoked,omitempty"`
	Slots        []slotJSON `json:"slots"`
}

type slotJSON struct {
	KeyID       string    `json:"keyID"`
	Algorithm   string    `json:"algorithm"`
	State       State     `json:"state"`
	PublishedAt time.Time `json:"publishedAt"`
	ActivatedAt time.Time `json:"activatedAt,omitzero"`
	RetiredAt   time.Time `json:"retiredAt,omitzero"`
	PrivateKey  string    `json:"privateKey"`
	SealKey     string    `json:"sealKey"`
}

// decodeLine never puts the document's content into an error: it is full of keys.
func decodeLine(service string, b []byte) (*line, error) {
	if len(b) > maxDocumentBytes {
		return nil, fmt.Errorf("it is larger than %d bytes", maxDocumentBytes)
	}
	// encoding/json lets the last of two equal members win; refuse that first.
	if _, err := jose.DecodeStrict(b, documentDepth); err != nil {
		return nil, fmt.Errorf("it is not a key document: %w", err)
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	var doc document
	switch err := dec.Decode(&doc); {
	case err != nil:
		return nil, errors.New("it is not a key document: a member is unknown or has the wrong type")
	case doc.Version != documentVersion:
		return nil, fmt.Errorf("it has version %d, this program reads version %d", doc.Version, documentVersion)
	case doc.TokenService != service:
		return nil, errors.New("it belongs to another TokenService than its name says")
	case doc.Generation < 1 || len(doc.Slots) > maxSlots:
		return nil, errors.New("it is not a key document: its generation or its number of slots is out of range")
	}
	l := &line{generation: doc.Generation, keys: map[string]pair{}, revoked: doc.Revoked, digest: sha256.Sum256(b)}
	active := 0
	for i, s := range doc.Slots {
		key, err := s.keys()
		if err != nil {
			return nil, fmt.Errorf("slot %d: %w", i, err)
		}
		if _, twice := l.keys[s.KeyID]; twice {
			return nil, fmt.Errorf("slot %d: it holds the same private key as another slot", i)
		}
		if s.State == Active {
			active++
		}
		l.keys[s.KeyID] = key
		l.slots = append(l.slots, Slot{s.KeyID, s.Algorithm, s.State, s.PublishedAt, s.ActivatedAt, s.RetiredAt})
	}
	if active > 1 {
		return nil, errors.New("more than one slot is Active")
	}
	return l, nil
}

func (s slotJSON) keys() (pair, error) {
	// A state without its times would be overdue for everything.
	wantActivated := s.State == Active || s.State == Retired
	wantRetired := s.State == Retired
	switch {
	case s.State != Prepared && !wantActivated:
		return pair{}, errors.New("its state is not one of Prepared, Active, Retired")
	case s.PublishedAt.IsZero() || s.ActivatedAt.IsZero() == wantActivated || s.RetiredAt.IsZero() == wantRetired:
		return pair{}, errors.New("its times do not fit its state")
	}
	signing, err := jose.ParsePrivateKeyPEM([]byte(s.PrivateKey), s.Algorithm)
	if err != nil {
		return pair{}, err
	}
	if signing.KeyID() != s.KeyID {
		return pair{}, errors.New("its keyID is not the thumbprint of its private key")
	}
	secret, err := base64.RawURLEncoding.Strict().DecodeString(s.SealKey)
	if err != nil {
		return pair{}, errors.New("its sealing key is not base64url")
	}
	seal, err := jose.NewSealKey(s.KeyID, secret)
	return pair{signing, seal}, err
}

func encodeLine(service string, l *line) ([]byte, error) {
	doc := document{Version: documentVersion, TokenService: service, Generation: l.generation, Revoked: l.revoked, Slots: []slotJSON{}}
	for _, s := range l.slots {
		key := l.keys[s.KeyID]
		private, err := key.signing.MarshalPEM()
		if err != nil {
			return nil, err
		}
		doc.Slots = append(doc.Slots, slotJSON{
			KeyID: s.KeyID, Algorithm: s.Algorithm, State: s.State,
			PublishedAt: s.PublishedAt.UTC(), ActivatedAt: s.ActivatedAt.UTC(), RetiredAt: s.RetiredAt.UTC(),
			PrivateKey: string(private), SealKey: base64.RawURLEncoding.EncodeToString(key.seal.Bytes()),
		})
	}
	b, err := json.MarshalIndent(doc, "", "  ")
	return append(b, '\n'), err
}
