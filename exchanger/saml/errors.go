// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package saml

// Code is the closed set of reasons why this package refuses something.
type Code uint8

// The reasons, in the order in which an assertion meets them.
const (
	_ Code = iota
	// TooLarge is an assertion or a document above one of its bounds.
	TooLarge
	// BadBase64 is a token that is not strict, unpadded base64url.
	BadBase64
	// BadXML is a document outside the small part of XML that is read here.
	BadXML
	// Encrypted is an assertion of which a part is encrypted.
	Encrypted
	// BadStructure is XML that is not the one assertion which is read here.
	BadStructure
	// BadSignatureForm is a signature that is made otherwise than allowed.
	BadSignatureForm
	// KeyUnsuitable is that no key given could have made the signature, or that a key
	// cannot be used at all.
	KeyUnsuitable
	// BadSignature is a signature that does not verify.
	BadSignature
	// BadMetadata is a metadata document that cannot be used.
	BadMetadata
	// Unsignable is a statement that cannot be made into an assertion.
	Unsignable
	// NotBuilt is every answer of a build without SAML.
	NotBuilt
)

// String is the code's name, fit for a metric label or an audit reason.
func (c Code) String() string {
	names := [...]string{
		TooLarge: "TooLarge", BadBase64: "BadBase64", BadXML: "BadXML", Encrypted: "Encrypted", BadStructure: "BadStructure",
		BadSignatureForm: "BadSignatureForm", KeyUnsuitable: "KeyUnsuitable", BadSignature: "BadSignature",
		BadMetadata: "BadMetadata", Unsignable: "Unsignable", NotBuilt: "NotBuilt",
	}
	if int(c) >= len(names) || names[c] == "" {
		return "Unknown"
	}
	return names[c]
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
