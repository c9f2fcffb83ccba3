// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package keys

import (
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"math/big"
	"slices"
	"sync"
	"time"

	"github.com/exchequer-dev/exchequer/exchanger/jose"
)

// certificateYears is longer than any key signs, and keeps within the years up to
// 2049, which certificates write in one form.
const certificateYears = 10

// Certified is a key's certificate, for relying parties that know no key sets.
type Certified struct {
	KeyID       string
	State       State
	Certificate *x509.Certificate
}

// Certificates are those of the keys that make XML signatures: RSA and ECDSA keys
// that are held here, in the order of Public. Each is the same, byte for byte,
// wherever and whenever it is made, so that every replica makes its own and nobody
// keeps one: it is a box for its key, and nobody's word about anything. The active
// key, and those to come, sign their own; a retired key can sign no more, and the
// active one signs for it.
//
// They are made when somebody asks first.
func (c *Current) Certificates() []Certified {
	if c.certificates == nil {
		return nil
	}
	return c.certificates()
}

// certify returns what Certificates returns.
func certify(slots []Slot, keys map[string]pair) func() []Certified {
	slots = slices.Clone(slots)
	pairs := make([]pair, len(slots))
	for n, s := range slots {
		pairs[n] = keys[s.KeyID]
	}
	return sync.OnceValue(func() []Certified {
		var all []Certified
		var active crypto.Signer
		for n, s := range slots {
			own, public := certifier(pairs[n])
			if s.State == Active {
				active = own
			}
			if own == nil && s.State == Retired && s.Source != External {
				own = active
			}
			if own == nil || public == nil {
				continue
			}
			if c, err := certificateOf(s, public, own); err == nil {
				all = append(all, Certified{KeyID: s.KeyID, State: s.State, Certificate: c})
			}
		}
		return all
	})
}

// certifier is what signs with a key, nil where it cannot, and the key's public half.
func certifier(p pair) (crypto.Signer, crypto.PublicKey) {
	if p.signing != nil {
		if s, ok := p.signing.CryptoSigner(); ok {
			return s, s.Public()
		}
		return nil, nil
	}
	if p.public == nil || p.public.Algorithm() == jose.EdDSA {
		return nil, nil
	}
	der, err := p.public.MarshalDER()
	if err != nil {
		return nil, nil
	}
	public, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return nil, nil
	}
	return nil, public
}

func certificateOf(s Slot, public crypto.PublicKey, by crypto.Signer) (*x509.Certificate, error) {
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return nil, err
	}
	// The serial number is 120 bits of a hash: positive, and its own for each key.
	sum := sha256.Sum256(der)
	since := s.PublishedAt.UTC().Truncate(time.Second)
	template := &x509.Certificate{
		SerialNumber: new(big.Int).SetBytes(sum[:15]),
		Subject:      pkix.Name{CommonName: "exchequer " + s.KeyID},
		// A verifier's clock may be behind when the key is new.
		NotBefore: since.Add(-time.Hour),
		NotAfter:  since.AddDate(certificateYears, 0, 0),
		KeyUsage:  x509.KeyUsageDigitalSignature,
	}
	made, err := x509.CreateCertificate(nil, template, template, public, determined{by})
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(made)
}

// determined signs without randomness: RSA with PKCS #1 has none, ECDSA takes it
// from the key and the message (RFC 6979).
type determined struct{ crypto.Signer }

func (d determined) Sign(_ io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	return d.Signer.Sign(nil, digest, opts)
}
