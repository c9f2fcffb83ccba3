// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package saml

import "time"

// Namespaces and names of SAML 2.0 (saml-core-2.0-os) and XML Signature.
const (
	nsAssertion = "urn:oasis:names:tc:SAML:2.0:assertion"
	nsMetadata  = "urn:oasis:names:tc:SAML:2.0:metadata"
	nsProtocol  = "urn:oasis:names:tc:SAML:2.0:protocol"
	nsSignature = "http://www.w3.org/2000/09/xmldsig#"
	nsExclusive = "http://www.w3.org/2001/10/xml-exc-c14n#"
	nsInstance  = "http://www.w3.org/2001/XMLSchema-instance"

	bearer           = "urn:oasis:names:tc:SAML:2.0:cm:bearer"
	formatEntity     = "urn:oasis:names:tc:SAML:2.0:nameid-format:entity"
	enveloped        = "http://www.w3.org/2000/09/xmldsig#enveloped-signature"
	classUnspecified = "urn:oasis:names:tc:SAML:2.0:ac:classes:unspecified"
)

// The formats in which a NameID can name its subject (saml-core-2.0-os, 8.3).
const (
	FormatUnspecified  = "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified"
	FormatEmailAddress = "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress"
	FormatPersistent   = "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent"
	FormatTransient    = "urn:oasis:names:tc:SAML:2.0:nameid-format:transient"
)

// AttributeBasic is the format of attribute names that are plain words
// (saml-core-2.0-os, 8.2.3).
const AttributeBasic = "urn:oasis:names:tc:SAML:2.0:attrname-format:basic"

// NameID is how an assertion names its subject. The two qualifiers say in whose
// book the name stands; they are empty where the assertion leaves them out.
type NameID struct {
	Value           string
	Format          string
	NameQualifier   string
	SPNameQualifier string
}

// Attribute is what an assertion says of its subject under one name.
type Attribute struct {
	Name       string
	NameFormat string
	Values     []string
}

// Assertion is what an assertion says. Verify returns one of which every word
// was signed; Sign makes one. Nobody has looked at its times and audiences.
type Assertion struct {
	// ID is unique among the issuer's assertions.
	ID string
	// Issuer is the issuer's entity ID.
	Issuer   string
	NameID   NameID
	IssuedAt time.Time
	// NotBefore is the latest of those that the assertion has; zero without any.
	NotBefore time.Time
	// ExpiresAt is the earliest NotOnOrAfter of conditions, subject confirmation
	// and session. It is never zero in what Verify returns.
	ExpiresAt time.Time
	// Audiences are those of the one audience restriction.
	Audiences []string
	// Recipient is that of the one bearer confirmation.
	Recipient string
	// OneTimeUse says that the assertion may be used once.
	OneTimeUse bool
	// AuthnContext, AuthenticatedAt and SessionIndex are those of the one
	// authentication statement; zero without any.
	AuthnContext    string
	AuthenticatedAt time.Time
	SessionIndex    string
	Attributes      []Attribute
}
