// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"

	"github.com/miekg/pkcs11"
)

// sessions is how many signatures are made side by side: a session of PKCS #11 is
// for one at a time.
const sessions = 8

// hsm is a token of PKCS #11.
type hsm struct {
	ctx  *pkcs11.Ctx
	pool chan pkcs11.SessionHandle
}

// key is a pair of keys in the token.
type key struct {
	label, algorithm string
	private          pkcs11.ObjectHandle
	public           []byte // SubjectPublicKeyInfo
}

func open(module, label, pin string) (*hsm, error) {
	ctx := pkcs11.New(module)
	if ctx == nil {
		return nil, fmt.Errorf("%s is not a PKCS #11 library", module)
	}
	if err := ctx.Initialize(); err != nil {
		return nil, fmt.Errorf("initialise %s: %w", module, err)
	}
	slots, err := ctx.GetSlotList(true)
	if err != nil {
		return nil, fmt.Errorf("list the tokens: %w", err)
	}
	for _, slot := range slots {
		info, err := ctx.GetTokenInfo(slot)
		if err != nil || info.Label != label {
			continue
		}
		h := &hsm{ctx: ctx, pool: make(chan pkcs11.SessionHandle, sessions)}
		for i := range sessions {
			session, err := ctx.OpenSession(slot, pkcs11.CKF_SERIAL_SESSION|pkcs11.CKF_RW_SESSION)
			if err != nil {
				return nil, fmt.Errorf("open a session: %w", err)
			}
			if i == 0 { // for all sessions of the process
				if err := ctx.Login(session, pkcs11.CKU_USER, pin); err != nil {
					return nil, fmt.Errorf("log in to token %s: %w", label, err)
				}
			}
			h.pool <- session
		}
		return h, nil
	}
	return nil, fmt.Errorf("there is no token %q; make one with softhsm2-util --init-token --free --label %s", label, label)
}

func (h *hsm) close() {
	_ = h.ctx.Finalize()
	h.ctx.Destroy()
}

// with lends a session.
func (h *hsm) with(do func(pkcs11.SessionHandle) error) error {
	session := <-h.pool
	defer func() { h.pool <- session }()
	return do(session)
}

func curves() map[string]elliptic.Curve {
	return map[string]elliptic.Curve{"ES256": elliptic.P256(), "ES384": elliptic.P384()}
}

func oid(algorithm string) []byte {
	id := asn1.ObjectIdentifier{1, 2, 840, 10045, 3, 1, 7}
	if algorithm == "ES384" {
		id = asn1.ObjectIdentifier{1, 3, 132, 0, 34}
	}
	b, _ := asn1.Marshal(id) // a constant
	return b
}

// generate makes a key that cannot leave the token.
func (h *hsm) generate(label, algorithm string) error {
	if label == "" {
		return errors.New("a key needs a label")
	}
	public := []*pkcs11.Attribute{
		pkcs11.NewAttribute(pkcs11.CKA_TOKEN, true), pkcs11.NewAttribute(pkcs11.CKA_VERIFY, true),
		pkcs11.NewAttribute(pkcs11.CKA_LABEL, label), pkcs11.NewAttribute(pkcs11.CKA_ID, []byte(label)),
	}
	private := []*pkcs11.Attribute{
		pkcs11.NewAttribute(pkcs11.CKA_TOKEN, true), pkcs11.NewAttribute(pkcs11.CKA_SIGN, true), pkcs11.NewAttribute(pkcs11.CKA_PRIVATE, true),
		pkcs11.NewAttribute(pkcs11.CKA_SENSITIVE, true), pkcs11.NewAttribute(pkcs11.CKA_EXTRACTABLE, false),
		pkcs11.NewAttribute(pkcs11.CKA_LABEL, label), pkcs11.NewAttribute(pkcs11.CKA_ID, []byte(label)),
	}
	mechanism := uint(pkcs11.CKM_EC_KEY_PAIR_GEN)
	switch algorithm {
	case "ES256", "ES384":
		public = append(public, pkcs11.NewAttribute(pkcs11.CKA_EC_PARAMS, oid(algorithm)))
	case "RS256":
		mechanism = pkcs11.CKM_RSA_PKCS_KEY_PAIR_GEN
		public = append(public, pkcs11.NewAttribute(pkcs11.CKA_MODULUS_BITS, 3072), pkcs11.NewAttribute(pkcs11.CKA_PUBLIC_EXPONENT, []byte{1, 0, 1}))
	default:
		return fmt.Errorf("algorithm %q is not one of ES256, ES384, RS256", algorithm)
	}
	return h.with(func(session pkcs11.SessionHandle) error {
		_, _, err := h.ctx.GenerateKeyPair(session, []*pkcs11.Mechanism{pkcs11.NewMechanism(mechanism, nil)}, public, private)
		return err
	})
}

// list returns the keys whose labels begin with prefix, the last label first.
func (h *hsm) list(prefix string) ([]key, error) {
	var out []key
	err := h.with(func(session pkcs11.SessionHandle) error {
		handles, err := h.objects(session, pkcs11.NewAttribute(pkcs11.CKA_CLASS, pkcs11.CKO_PRIVATE_KEY))
		if err != nil {
			return err
		}
		for _, handle := range handles {
			k, err := h.read(session, handle)
			if err != nil {
				return err
			}
			if strings.HasPrefix(k.label, prefix) {
				out = append(out, k)
			}
		}
		return nil
	})
	slices.SortFunc(out, func(a, b key) int { return strings.Compare(b.label, a.label) })
	return out, err
}

func (h *hsm) find(label string) (k key, err error) {
	err = h.with(func(session pkcs11.SessionHandle) error {
		handles, err := h.objects(session, pkcs11.NewAttribute(pkcs11.CKA_CLASS, pkcs11.CKO_PRIVATE_KEY), pkcs11.NewAttribute(pkcs11.CKA_LABEL, label))
		if err != nil {
			return err
		}
		if len(handles) != 1 {
			return fmt.Errorf("%d keys are called %q, expected one", len(handles), label)
		}
		k, err = h.read(session, handles[0])
		return err
	})
	return k, err
}

func (h *hsm) objects(session pkcs11.SessionHandle, template ...*pkcs11.Attribute) ([]pkcs11.ObjectHandle, error) {
	if err := h.ctx.FindObjectsInit(session, template); err != nil {
		return nil, err
	}
	handles, _, err := h.ctx.FindObjects(session, 64)
	return handles, errors.Join(err, h.ctx.FindObjectsFinal(session))
}

// read returns a key, unless it could leave the token.
func (h *hsm) read(session pkcs11.SessionHandle, private pkcs11.ObjectHandle) (key, error) {
	a, err := h.ctx.GetAttributeValue(session, private, []*pkcs11.Attribute{
		pkcs11.NewAttribute(pkcs11.CKA_LABEL, nil), pkcs11.NewAttribute(pkcs11.CKA_ID, nil), pkcs11.NewAttribute(pkcs11.CKA_KEY_TYPE, nil),
		pkcs11.NewAttribute(pkcs11.CKA_SENSITIVE, nil), pkcs11.NewAttribute(pkcs11.CKA_EXTRACTABLE, nil),
	})
	if err != nil {
		return key{}, err
	}
	k := key{label: string(a[0].Value), private: private}
	if !bytes.Equal(a[3].Value, []byte{1}) || !bytes.Equal(a[4].Value, []byte{0}) {
		return key{}, fmt.Errorf("key %q could leave the token: it must be sensitive and not extractable", k.label)
	}
	publics, err := h.objects(session, pkcs11.NewAttribute(pkcs11.CKA_CLASS, pkcs11.CKO_PUBLIC_KEY), pkcs11.NewAttribute(pkcs11.CKA_ID, a[1].Value))
	if err != nil || len(publics) != 1 {
		return key{}, errors.Join(fmt.Errorf("key %q has %d public halves, expected one", k.label, len(publics)), err)
	}
	if bytes.Equal(a[2].Value, pkcs11.NewAttribute(pkcs11.CKA_KEY_TYPE, pkcs11.CKK_RSA).Value) {
		return h.readRSA(session, k, publics[0])
	}
	return h.readEC(session, k, publics[0])
}

func (h *hsm) readRSA(session pkcs11.SessionHandle, k key, public pkcs11.ObjectHandle) (key, error) {
	a, err := h.ctx.GetAttributeValue(session, public, []*pkcs11.Attribute{pkcs11.NewAttribute(pkcs11.CKA_MODULUS, nil), pkcs11.NewAttribute(pkcs11.CKA_PUBLIC_EXPONENT, nil)})
	if err != nil {
		return key{}, err
	}
	k.algorithm = "RS256"
	k.public, err = x509.MarshalPKIXPublicKey(&rsa.PublicKey{N: new(big.Int).SetBytes(a[0].Value), E: int(new(big.Int).SetBytes(a[1].Value).Int64())})
	return k, err
}

func (h *hsm) readEC(session pkcs11.SessionHandle, k key, public pkcs11.ObjectHandle) (key, error) {
	a, err := h.ctx.GetAttributeValue(session, public, []*pkcs11.Attribute{pkcs11.NewAttribute(pkcs11.CKA_EC_PARAMS, nil), pkcs11.NewAttribute(pkcs11.CKA_EC_POINT, nil)})
	if err != nil {
		return key{}, err
	}
	var point []byte // an OCTET STRING
	if _, err := asn1.Unmarshal(a[1].Value, &point); err != nil {
		return key{}, fmt.Errorf("key %q: its point: %w", k.label, err)
	}
	for algorithm, curve := range curves() {
		if bytes.Equal(a[0].Value, oid(algorithm)) {
			parsed, err := ecdsa.ParseUncompressedPublicKey(curve, point)
			if err != nil {
				return key{}, err
			}
			k.algorithm = algorithm
			k.public, err = x509.MarshalPKIXPublicKey(parsed)
			return k, err
		}
	}
	return key{}, fmt.Errorf("key %q has another curve than P-256 and P-384", k.label)
}

// sign returns the signature in the form of JWS, which for ECDSA is PKCS #11's own.
func (h *hsm) sign(k key, input []byte) (signature []byte, err error) {
	mechanism, data := uint(pkcs11.CKM_SHA256_RSA_PKCS), input
	switch k.algorithm {
	case "ES256":
		digest := sha256.Sum256(input)
		mechanism, data = pkcs11.CKM_ECDSA, digest[:]
	case "ES384":
		digest := sha512.Sum384(input)
		mechanism, data = pkcs11.CKM_ECDSA, digest[:]
	}
	err = h.with(func(session pkcs11.SessionHandle) error {
		if err := h.ctx.SignInit(session, []*pkcs11.Mechanism{pkcs11.NewMechanism(mechanism, nil)}, k.private); err != nil {
			return err
		}
		signature, err = h.ctx.Sign(session, data)
		return err
	})
	return signature, err
}
