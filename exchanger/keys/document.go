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
	"github.com/exchequer-dev/exchequer/exchanger/keys/signer"
)

const (
	// maxDocumentBytes holds maxSlots slots of the largest keys: an 8192-bit RSA key
	// is 6.4 KiB of PEM, times 32 is 205 KiB, and as much again for revoked kids.
	maxDocumentBytes = 512 << 10
	// documentDepth is document, slots, slot.
	documentDepth   = 4
	documentVersion = 1
	// maxGeneration is far above any second that a clock shows (1.8e9 in 2026, 2.5e11 in
	// the year 9999), and far below where adding one overflows. It is what every reader
	// of JSON can hold.
	maxGeneration = 1 << 53
)

// document is the JSON of a line; doc.go shows it.
type document struct {
	Version      int            `json:"version"`
	TokenService string         `json:"tokenService"`
	Generation   int64          `json:"generation"`
	Revoked      []string       `json:"revoked,omitempty"`
	Signer       *signer.Config `json:"signer,omitempty"`
	Slots        []slotJSON     `json:"slots"`
}

type slotJSON struct {
	KeyID       string    `json:"keyID"`
	Algorithm   string    `json:"algorithm"`
	State       State     `json:"state"`
	Source      Source    `json:"source,omitempty"`
	PublishedAt time.Time `json:"publishedAt"`
	ActivatedAt time.Time `json:"activatedAt,omitzero"`
	RetiredAt   time.Time `json:"retiredAt,omitzero"`
	PrivateKey  string    `json:"privateKey,omitempty"`
	PublicKey   []byte    `json:"publicKey,omitempty"`
	Label       string    `json:"label,omitempty"`
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
	case doc.Generation < 1 || doc.Generation > maxGeneration || len(doc.Slots) > maxSlots:
		return nil, errors.New("it is not a key document: its generation or its number of slots is out of range")
	}
	l := &line{generation: doc.Generation, keys: map[string]pair{}, revoked: doc.Revoked, digest: sha256.Sum256(b)}
	if doc.Signer != nil {
		if err := doc.Signer.Validate(); err != nil {
			return nil, err
		}
		l.signer = *doc.Signer
	}
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
		if s.Source == External && s.State != Retired && doc.Signer == nil {
			return nil, fmt.Errorf("slot %d: its key is with a signer, and none is named", i)
		}
		l.overdue = l.overdue || s.State == Retired && s.PrivateKey != ""
		l.keys[s.KeyID] = key
		l.slots = append(l.slots, Slot{s.KeyID, s.Algorithm, s.State, s.Source, s.PublishedAt, s.ActivatedAt, s.RetiredAt})
	}
	if active > 1 {
		return nil, errors.New("more than one slot is Active")
	}
	l.dropUnused()
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
	key, err := s.material()
	if err != nil {
		return pair{}, err
	}
	if key.public.KeyID() != s.KeyID {
		return pair{}, errors.New("its keyID is not the thumbprint of its key")
	}
	secret, err := base64.RawURLEncoding.Strict().DecodeString(s.SealKey)
	if err != nil {
		return pair{}, errors.New("its sealing key is not base64url")
	}
	key.seal, err = jose.NewSealKey(s.KeyID, secret)
	return key, err
}

func (s slotJSON) material() (key pair, err error) {
	external := s.Source == External
	// Nobody signs with a retired key: it is public alone. Documents that were written
	// before that was so have its private part, and are read.
	public := external || s.State == Retired && s.PrivateKey == ""
	switch {
	case s.Source != Managed && s.Source != SecretRef && !external:
		return pair{}, errors.New("its source is not one of SecretRef, External")
	case public != (s.PrivateKey == "") || public != (len(s.PublicKey) > 0) || external != (s.Label != ""):
		return pair{}, errors.New("a key that is with a signer has publicKey and label, one that has retired has publicKey, any other has privateKey")
	case len(s.Label) > maxLabelBytes:
		return pair{}, errors.New("its label is too long")
	case public:
		key.label = s.Label
		key.public, err = jose.ParsePublicKeyDER(s.PublicKey, s.Algorithm)
		return key, err
	}
	if key.signing, err = jose.ParsePrivateKeyPEM([]byte(s.PrivateKey), s.Algorithm); err == nil {
		key.public = key.signing.Public()
	}
	return key, err
}

func encodeLine(service string, l *line) ([]byte, error) {
	doc := document{Version: documentVersion, TokenService: service, Generation: l.generation, Revoked: l.revoked, Slots: []slotJSON{}}
	if l.signer != (signer.Config{}) {
		doc.Signer = &l.signer
	}
	for _, s := range l.slots {
		key := l.keys[s.KeyID]
		out := slotJSON{
			KeyID: s.KeyID, Algorithm: s.Algorithm, State: s.State, Source: s.Source, Label: key.label,
			PublishedAt: s.PublishedAt.UTC(), ActivatedAt: s.ActivatedAt.UTC(), RetiredAt: s.RetiredAt.UTC(),
			SealKey: base64.RawURLEncoding.EncodeToString(key.seal.Bytes()),
		}
		var err error
		if key.signing == nil {
			out.PublicKey, err = key.public.MarshalDER()
		} else {
			var private []byte
			private, err = key.signing.MarshalPEM()
			out.PrivateKey = string(private)
		}
		if err != nil {
			return nil, err
		}
		doc.Slots = append(doc.Slots, out)
	}
	b, err := json.MarshalIndent(doc, "", "  ")
	return append(b, '\n'), err
}
