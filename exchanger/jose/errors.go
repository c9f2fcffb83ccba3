// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package jose

// Code is the closed set of reasons why this package refuses something.
type Code uint8

// The reasons, in the order in which a token meets them.
const (
	_ Code = iota
	// TooLarge is a token, header, key set or sealed claim above its bound.
	TooLarge
	// NotCompact is anything but three non-empty segments joined by dots.
	NotCompact
	// Encrypted is a JWE where a signed token is expected.
	Encrypted
	// BadBase64 is a segment that is not strict, unpadded base64url.
	BadBase64
	// BadJSON is a document that DecodeStrict refuses.
	BadJSON
	// BadHeader is a header that is not strict JSON, or has a member that is
	// not allowed there.
	BadHeader
	// BadAlgorithm is an `alg` that is unknown, symmetric, none or not allowed.
	BadAlgorithm
	// BadCritical is a header with `crit` or `b64`.
	BadCritical
	// BadKeyID is a `kid` that is missing, empty, too long or not a string.
	BadKeyID
	// EmbeddedKey is a header that carries a key or the address of one.
	EmbeddedKey
	// BadType is a `typ` that is no media type, or any `cty`.
	BadType
	// BadPayload is a payload that is not one strict JSON object.
	BadPayload
	// KeyUnknown is a `kid` that does not name the key.
	KeyUnknown
	// KeyUnsuitable is a key that does not fit the token's algorithm.
	KeyUnsuitable
	// BadSignature is a signature that does not verify.
	BadSignature
	// BadKeySet is a JWK Set that is refused as a whole.
	BadKeySet
	// BadKey is a private or sealing key that cannot be used.
	BadKey
	// Unsealable is a sealed claim that no sealing key opens.
	Unsealable
	endOfCodes
)

var codeNames = [...]string{
	TooLarge:      "TooLarge",
	NotCompact:    "NotCompact",
	Encrypted:     "Encrypted",
	BadBase64:     "BadBase64",
	BadJSON:       "BadJSON",
	BadHeader:     "BadHeader",
	BadAlgorithm:  "BadAlgorithm",
	BadCritical:   "BadCritical",
	BadKeyID:      "BadKeyID",
	EmbeddedKey:   "EmbeddedKey",
	BadType:       "BadType",
	BadPayload:    "BadPayload",
	KeyUnknown:    "KeyUnknown",
	KeyUnsuitable: "KeyUnsuitable",
	BadSignature:  "BadSignature",
	BadKeySet:     "BadKeySet",
	BadKey:        "BadKey",
	Unsealable:    "Unsealable",
}

// String is the code's name, fit for a metric label or an audit reason.
func (c Code) String() string {
	if c == 0 || c >= endOfCodes {
		return "Unknown"
	}
	return codeNames[c]
}

// Error is a refusal by this package. Detail is constant text of this package,
// so an Error may be logged and audited; it never holds input.
type Error struct {
	Code   Code
	Detail string
}

// Error says what was expected and what was found, without quoting input.
func (e *Error) Error() string { return e.Code.String() + ": " + e.Detail }

func refuse(code Code, detail string) error { return &Error{Code: code, Detail: detail} }
