// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package saml

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"strings"
)

// Verify is a relying party by hand: it verifies a signed assertion whose bytes are
// in canonical form already, as the product's are, with the standard library alone.
func Verify(document string, key crypto.PublicKey) error {
	begin, end := strings.Index(document, "<ds:Signature "), strings.Index(document, "</ds:Signature>")
	if begin < 0 || end < begin || strings.Count(document, "<ds:Signature ") != 1 {
		return errors.New("there is not exactly one signature")
	}
	signature := document[begin:end]
	rest := document[:begin] + document[end+len("</ds:Signature>"):]
	info := between(signature, "<ds:SignedInfo>", "</ds:SignedInfo>")
	method := between(info, `<ds:SignatureMethod Algorithm="`, `"`)
	hash := crypto.SHA256
	if strings.HasSuffix(method, "sha384") {
		hash = crypto.SHA384
	}
	sum := func(text string) []byte {
		h := hash.New()
		h.Write([]byte(text))
		return h.Sum(nil)
	}
	digest, err := base64.StdEncoding.DecodeString(between(info, "<ds:DigestValue>", "<"))
	if err != nil || !bytes.Equal(digest, sum(rest)) {
		return errors.New("the digest is another one")
	}
	if uri, id := between(info, `URI="#`, `"`), between(rest, ` ID="`, `"`); uri != id {
		return errors.New("the reference is to something else")
	}
	value, err := base64.StdEncoding.DecodeString(between(signature, "<ds:SignatureValue>", "<"))
	if err != nil {
		return fmt.Errorf("decode the signature: %w", err)
	}
	signed := sum(`<ds:SignedInfo xmlns:ds="` + NSSignature + `">` + info + `</ds:SignedInfo>`)
	switch k := key.(type) {
	case *rsa.PublicKey:
		return rsa.VerifyPKCS1v15(k, hash, signed, value)
	case *ecdsa.PublicKey:
		half := len(value) / 2
		if ecdsa.Verify(k, signed, new(big.Int).SetBytes(value[:half]), new(big.Int).SetBytes(value[half:])) {
			return nil
		}
	}
	return errors.New("the signature does not verify")
}

func between(text, after, before string) string {
	_, text, _ = strings.Cut(text, after)
	text, _, _ = strings.Cut(text, before)
	return text
}
