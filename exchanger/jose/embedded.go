// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package jose

import (
	"encoding/base64"
	"encoding/json"

	gojose "github.com/go-jose/go-jose/v4"
)

// maxProofModulus bounds the modulus of a key that a token brings along: whoever sends
// one chooses what it costs. 4096 bits are 683 characters of base64url, or 684 with the
// leading zero octet that some write; reading and verifying them costs a
// millisecond.
const maxProofModulus = 684

// maxProofBytes bounds a token that brings its key: header and claims of a DPoP
// proof are below 1 KiB, with an RSA key of 4096 bits and its signature below 3.
const maxProofBytes = 8 << 10

// VerifyEmbedded reads a token that is signed by the key in its own header (`jwk`),
// as a DPoP proof is (RFC 9449, section 4.2), and checks the signature with it. It
// proves that the sender has that key, and says nothing about who has it: the key's
// RFC 7638 thumbprint is the KeyID of what is returned.
//
// `typ` must be the given one. All that [Parse] refuses is refused here, but for
// `jwk`, which must be a public key without any private member, and `kid`, which
// means nothing beside it.
func VerifyEmbedded(token, typ string, allowed []string) (Verified, error) {
	lim := Limits{TokenBytes: maxProofBytes}.orDefaults()
	first, second, err := segments(token, lim)
	if err != nil {
		return Verified{}, err
	}
	h, key, err := readEmbedded(token[:first], lim)
	if err != nil {
		return Verified{}, err
	}
	if h.typ != typ {
		return Verified{}, refuse(BadType, "typ must be "+typ)
	}
	rest := token[first+1:]
	buf := make([]byte, strictBase64.DecodedLen(len(rest)))
	p, err := decodeSegment(buf, token[first+1:second])
	if err != nil {
		return Verified{}, err
	}
	s, err := decodeSegment(buf[p:], token[second+1:])
	if err != nil {
		return Verified{}, err
	}
	c := &Compact{signed: token[:second], signature: buf[p : p+s], parsedHeader: h}
	var why string
	if c.claims, why = decodeObject(string(buf[:p]), lim.JSONDepth); why != "" {
		return Verified{}, refuse(BadPayload, why)
	}
	return c.Verify(key, allowed)
}

// readEmbedded reads a header that has a key.
func readEmbedded(segment string, lim Limits) (*parsedHeader, *PublicKey, error) {
	buf := make([]byte, strictBase64.DecodedLen(len(segment)))
	n, err := decodeSegment(buf, segment)
	if err != nil {
		return nil, nil, err
	}
	if n > lim.HeaderBytes {
		return nil, nil, refuse(TooLarge, "the header is above its limit")
	}
	all, why := decodeObject(string(buf[:n]), lim.JSONDepth)
	if why != "" {
		return nil, nil, refuse(BadHeader, why)
	}
	jwk, ok := all["jwk"].(map[string]any)
	if !ok {
		return nil, nil, refuse(EmbeddedKey, "the header has no jwk")
	}
	if n, _ := jwk["n"].(string); len(n) > maxProofModulus {
		// Before it is looked at: what is asked of a modulus costs more with its length.
		return nil, nil, refuse(EmbeddedKey, "the RSA modulus has more than 4096 bits")
	}
	key := &PublicKey{}
	if why = members(jwk).purpose("sig"); why == "" {
		why = key.parseMaterial(jwk)
	}
	if why != "" {
		return nil, nil, refuse(EmbeddedKey, why)
	}
	if err := key.name(); err != nil {
		return nil, nil, err
	}
	// From here on it is a header like any other, whose kid is the key's thumbprint.
	rest := make(map[string]any, len(all))
	for name, v := range all {
		if name != "jwk" {
			rest[name] = v
		}
	}
	rest["kid"] = key.keyID
	h := &parsedHeader{members: rest}
	return h, key, h.check()
}

// SignEmbedded returns payload as a compact JWS whose header has the public half of
// the key that signed it: what [VerifyEmbedded] reads.
func SignEmbedded(key *PrivateKey, typ string, payload []byte) (string, error) {
	header, err := json.Marshal(map[string]any{
		"alg": key.Algorithm(), "typ": typ, "jwk": gojose.JSONWebKey{Key: key.public.material()},
	})
	if err != nil {
		return "", refuse(BadHeader, "the header cannot be encoded")
	}
	enc := base64.RawURLEncoding
	signed := enc.EncodeToString(header) + "." + enc.EncodeToString(payload)
	signature, err := key.sign([]byte(signed))
	if err != nil {
		return "", refuse(BadKey, "the key did not sign")
	}
	return signed + "." + enc.EncodeToString(signature), nil
}
