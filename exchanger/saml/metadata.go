// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build !nosaml

package saml

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"slices"
	"strings"
	"time"

	"github.com/beevik/etree"
)

// MaxMetadataBytes bounds a metadata document: those of the big providers are
// 60 to 120 KiB.
const MaxMetadataBytes = DefaultBytes

// ParseMetadata reads the signing certificates of an identity provider from its
// metadata (saml-metadata-2.0-os): those of the IDPSSODescriptor of the one
// EntityDescriptor, which must be of entityID. Its signature is not asked for:
// that the document is the provider's is said by the https connection it came
// over. Certificates that cannot be used are left out.
func ParseMetadata(document []byte, entityID string, now time.Time) ([]*x509.Certificate, error) {
	document, err := withoutComments(document)
	if err != nil {
		return nil, err
	}
	root, err := read(document, MaxMetadataBytes)
	if err != nil {
		return nil, err
	}
	if !is(root, nsMetadata, "EntityDescriptor") || attr(root, "entityID", "") != entityID {
		return nil, refuse(BadMetadata, "the root element is not the EntityDescriptor of the issuer's entityID")
	}
	var all []*x509.Certificate
	for _, descriptor := range root.ChildElements() {
		if !is(descriptor, nsMetadata, "IDPSSODescriptor") || !slices.Contains(strings.Fields(attr(descriptor, "protocolSupportEnumeration", "")), nsProtocol) {
			continue
		}
		if err := errorsOf(validUntil(root, now), validUntil(descriptor, now)); err != nil {
			return nil, err
		}
		all = appendCertificates(all, descriptor)
	}
	if len(all) == 0 || len(all) > maxCertificates {
		return nil, refuse(BadMetadata, "not between one and eight usable signing certificates in the IDPSSODescriptor for SAML 2.0")
	}
	return all, nil
}

func errorsOf(all ...error) error {
	for _, err := range all {
		if err != nil {
			return err
		}
	}
	return nil
}

func validUntil(el *etree.Element, now time.Time) error {
	if !has(el, "validUntil") {
		return nil
	}
	until, err := instant(el, "validUntil")
	if err != nil || !now.Before(until) {
		return refuse(BadMetadata, "the metadata's validUntil has passed")
	}
	return nil
}

func appendCertificates(all []*x509.Certificate, descriptor *etree.Element) []*x509.Certificate {
	for _, key := range descriptor.ChildElements() {
		if !is(key, nsMetadata, "KeyDescriptor") || attr(key, "use", "signing") != "signing" {
			continue
		}
		for _, el := range descend(key, "KeyInfo", "X509Data", "X509Certificate") {
			text, ok := textOf(el)
			if !ok {
				continue
			}
			der, err := base64.StdEncoding.DecodeString(unspaced(text))
			if err != nil {
				continue
			}
			c, err := parseCertificate(der)
			if err == nil && !slices.ContainsFunc(all, c.Equal) {
				all = append(all, c)
			}
		}
	}
	return all
}

// descend returns what is found along a path of names of XML Signature.
func descend(el *etree.Element, path ...string) []*etree.Element {
	level := []*etree.Element{el}
	for _, name := range path {
		var next []*etree.Element
		for _, parent := range level {
			for _, child := range parent.ChildElements() {
				if is(child, nsSignature, name) {
					next = append(next, child)
				}
			}
		}
		level = next
	}
	return level
}

// withoutComments takes out a byte order mark and comments, which metadata that
// people edit is full of. Nothing that is read from it is a name that a comment
// could cut short.
func withoutComments(document []byte) ([]byte, error) {
	if len(document) > MaxMetadataBytes {
		return nil, refuse(TooLarge, "the metadata is larger than its bound")
	}
	rest := bytes.TrimPrefix(document, []byte("\xEF\xBB\xBF"))
	out := make([]byte, 0, len(rest))
	for {
		before, after, found := bytes.Cut(rest, []byte("<!--"))
		out = append(out, before...)
		if !found {
			return out, nil
		}
		comment, tail, closed := bytes.Cut(after, []byte("-->"))
		if !closed || bytes.Contains(comment, []byte("--")) {
			return nil, refuse(BadXML, "a comment that does not end, or has two hyphens inside")
		}
		rest = tail
	}
}

// Metadata writes the EntityDescriptor of a token service in the role of an
// identity provider. Its certificates come first to last as verifiers should try
// them. The one service it offers is the token endpoint, by token exchange.
func Metadata(entityID, endpoint string, certificates []*x509.Certificate) ([]byte, error) {
	root := etree.NewElement("md:EntityDescriptor")
	root.CreateAttr("xmlns:md", nsMetadata)
	root.CreateAttr("xmlns:ds", nsSignature)
	root.CreateAttr("entityID", entityID)
	descriptor := root.CreateElement("md:IDPSSODescriptor")
	descriptor.CreateAttr("protocolSupportEnumeration", nsProtocol)
	for _, c := range certificates {
		key := descriptor.CreateElement("md:KeyDescriptor")
		key.CreateAttr("use", "signing")
		key.CreateElement("ds:KeyInfo").CreateElement("ds:X509Data").CreateElement("ds:X509Certificate").
			SetText(base64.StdEncoding.EncodeToString(c.Raw))
	}
	for _, format := range []string{FormatUnspecified, FormatEmailAddress, FormatPersistent, FormatTransient} {
		descriptor.CreateElement("md:NameIDFormat").SetText(format)
	}
	service := descriptor.CreateElement("md:SingleSignOnService")
	service.CreateAttr("Binding", "urn:ietf:params:oauth:grant-type:token-exchange")
	service.CreateAttr("Location", endpoint)
	doc := etree.NewDocument()
	doc.SetRoot(root)
	doc.Indent(2)
	b, err := doc.WriteToBytes()
	if err != nil {
		return nil, refuse(BadMetadata, "the metadata cannot be written")
	}
	return b, nil
}
