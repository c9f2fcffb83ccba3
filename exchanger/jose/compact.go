// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package jose

import (
	"encoding/base64"
	"strings"
)

// Limits bound a token before it is read. A zero field means its default.
type Limits struct {
	// TokenBytes bounds the whole token; default 16 KiB. The largest tokens met
	// in practice, with 200 groups, are about 8 KiB.
	TokenBytes int
	// HeaderBytes bounds the decoded header; default 4 KiB: alg, typ and a kid
	// of 256 bytes are below 512 bytes, the rest is room for what we ignore.
	HeaderBytes int
	// JSONDepth bounds nesting in header and payload; default 16: eight actors
	// nest nine levels, a claim of a cloud provider four.
	JSONDepth int
}

// The defaults of Limits.
const (
	DefaultTokenBytes  = 16 << 10
	DefaultHeaderBytes = 4 << 10
	DefaultJSONDepth   = 16
)

// maxKeyIDBytes bounds a `kid`: a SHA-512 thumbprint in hex is 128 bytes.
const maxKeyIDBytes = 256

func (l Limits) orDefaults() Limits {
	if l.TokenBytes <= 0 {
		l.TokenBytes = DefaultTokenBytes
	}
	if l.HeaderBytes <= 0 {
		l.HeaderBytes = DefaultHeaderBytes
	}
	if l.JSONDepth <= 0 {
		l.JSONDepth = DefaultJSONDepth
	}
	return l
}

// Compact is a parsed token of which nothing is verified yet. Only Parse makes
// one. What its methods return must not be altered.
type Compact struct {
	signed    string // header.payload, the very bytes that were signed
	signature []byte
	*parsedHeader
	claims map[string]any
}

// parsedHeader is the first segment of a token, read and checked.
type parsedHeader struct {
	segment   string
	members   map[string]any
	algorithm string
	keyID     string
	typ       string
}

// Alg is the algorithm that the header names: one that this package knows.
func (c *Compact) Alg() string { return c.algorithm }

// KeyID is the header's `kid`, never empty. It is good for a map lookup and for
// nothing else: the sender chose it.
func (c *Compact) KeyID() string { return c.keyID }

// Type is the header's `typ` in lower case without one leading "application/",
// or "" when the header has none.
func (c *Compact) Type() string { return c.typ }

// Header is the header as sent.
func (c *Compact) Header() map[string]any { return c.members }

// UnverifiedIssuer is the `iss` that the token claims to have, for choosing the
// keys to verify it with. It reports false when `iss` is not a non-empty string.
func (c *Compact) UnverifiedIssuer() (string, bool) {
	iss, _ := c.claims["iss"].(string)
	return iss, iss != ""
}

// UnverifiedClaims are the claims as sent. Nobody has vouched for them: use
// them to choose a key and to decode for display, never to decide.
func (c *Compact) UnverifiedClaims() map[string]any { return c.claims }

// strictBase64 refuses padding and non-zero trailing bits. It skips CR and LF
// even so, which decode excludes beforehand.
var strictBase64 = base64.RawURLEncoding.Strict()

// Parse reads a signed token in compact serialisation. It verifies nothing, but
// what it accepts has exactly one reading.
func Parse(token string, lim Limits) (*Compact, error) {
	return parse(token, lim.orDefaults(), true, nil)
}

// parse leaves the payload unread unless withClaims is set: the published JWS
// test vectors sign arbitrary bytes, and only so can their signatures be tried.
// A parser, where there is one, knows headers that were read before.
func parse(token string, lim Limits, withClaims bool, parser *Parser) (*Compact, error) {
	first, second, err := segments(token, lim)
	if err != nil {
		return nil, err
	}
	// One buffer for the two decoded segments; one string for the payload, of
	// which most JSON strings will be slices.
	rest := token[first+1:]
	buf := make([]byte, strictBase64.DecodedLen(len(rest)))
	p, err := decodeSegment(buf, token[first+1:second])
	if err != nil {
		return nil, err
	}
	s, err := decodeSegment(buf[p:], token[second+1:])
	if err != nil {
		return nil, err
	}
	// What a segment is comes before what it says: a token with a broken segment
	// is not one whose header is worth reading.
	h := parser.known(token[:first])
	if h == nil {
		if h, err = readHeader(token[:first], lim); err != nil {
			return nil, err
		}
		parser.keep(h)
	}
	c := &Compact{signed: token[:second], signature: buf[p : p+s], parsedHeader: h}
	if !withClaims {
		return c, nil
	}
	var why string
	if c.claims, why = decodeObject(string(buf[:p]), lim.JSONDepth); why != "" {
		return nil, refuse(BadPayload, why)
	}
	return c, nil
}

// readHeader decodes and checks a header. What it keeps of the segment is a copy:
// the token is not to live as long as that.
func readHeader(segment string, lim Limits) (*parsedHeader, error) {
	buf := make([]byte, strictBase64.DecodedLen(len(segment)))
	n, err := decodeSegment(buf, segment)
	if err != nil {
		return nil, err
	}
	if n > lim.HeaderBytes {
		return nil, refuse(TooLarge, "the header is above its limit")
	}
	members, why := decodeObject(string(buf[:n]), lim.JSONDepth)
	if why != "" {
		return nil, refuse(BadHeader, why)
	}
	h := &parsedHeader{segment: strings.Clone(segment), members: members}
	return h, h.check()
}

// segments finds the two dots. Dots are counted before anything is cut, so a
// token of a million dots costs one pass over at most TokenBytes and no memory
// (CVE-2025-30204).
func segments(token string, lim Limits) (first, second int, err error) {
	if len(token) > lim.TokenBytes {
		return 0, 0, refuse(TooLarge, "the token is above its limit")
	}
	if strings.HasPrefix(token, "{") {
		return 0, 0, refuse(NotCompact, "the JSON serialisation is not accepted")
	}
	switch strings.Count(token, ".") {
	case 2:
	case 4:
		return 0, 0, refuse(Encrypted, "five segments: encrypted tokens are not accepted")
	default:
		return 0, 0, refuse(NotCompact, "three segments are expected")
	}
	first, second = strings.IndexByte(token, '.'), strings.LastIndexByte(token, '.')
	switch {
	case first == 0:
		return 0, 0, refuse(NotCompact, "the header is empty")
	case second == len(token)-1:
		return 0, 0, refuse(BadSignature, "the signature is empty")
	}
	return first, second, nil
}

func decodeSegment(dst []byte, segment string) (int, error) {
	if strings.IndexByte(segment, '\n') >= 0 || strings.IndexByte(segment, '\r') >= 0 {
		return 0, refuse(BadBase64, "a segment has a line break")
	}
	n, err := strictBase64.Decode(dst, []byte(segment))
	if err != nil {
		return 0, refuse(BadBase64, "a segment is not strict base64url without padding")
	}
	return n, nil
}
