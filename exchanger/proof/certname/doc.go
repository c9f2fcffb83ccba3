// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

// Package certname gives the names in client certificates one spelling each, so
// that what a person declares and what a certificate says can be compared byte by
// byte:
//
//	dns:frontend.shop.svc            a DNS name of the subject alternative names
//	uri:https://shop.example/agent   a URI of them
//	dn:CN=frontend,OU=shop,O=Example the subject, as RFC 4514 writes it
//	x5t#S256:<43 base64url>          the certificate itself (RFC 8705, section 3.1)
//
// It refuses what has more than one reading: wildcards, attribute types that it does
// not know by name (their dotted form stands for them), values that are no text.
//
// It is pure, and is imported by translate, which reads what was declared, and by
// proof and clientauth, which read certificates.
package certname
