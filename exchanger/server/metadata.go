// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/exchequer-dev/exchequer/exchanger/jose"
	"github.com/exchequer-dev/exchequer/exchanger/oauth"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
	"github.com/exchequer-dev/exchequer/exchanger/proof"
)

// authMethods are those that every client may declare, and of the others those that
// a client does: a library that finds tls_client_auth asks for a certificate.
func authMethods(m policy.Methods) []string {
	out := []string{"client_secret_basic", "client_secret_post", "private_key_jwt"}
	for _, other := range [...]struct {
		used bool
		name string
	}{
		{m.Certificates, "tls_client_auth"},
		{m.Thumbprints, "self_signed_tls_client_auth"},
		{m.SPIFFE, "spiffe_jwt"},
		{m.SPIFFE, "spiffe_x509"},
		{m.Public, "none"},
	} {
		if other.used {
			out = append(out, other.name)
		}
	}
	return out
}

// document is RFC 8414 metadata in the shape that OpenID Connect discovery has,
// too, so that verifiers of either school find our keys. It lists what this
// build serves, nothing else.
type document struct {
	Issuer        string `json:"issuer"`
	TokenEndpoint string `json:"token_endpoint"`
	JWKSURI       string `json:"jwks_uri"`
	// RFC 8414 section 2: where tokens are asked about and revoked.
	IntrospectionEndpoint string   `json:"introspection_endpoint"`
	IntrospectionMethods  []string `json:"introspection_endpoint_auth_methods_supported"`
	IntrospectionAlgs     []string `json:"introspection_endpoint_auth_signing_alg_values_supported"`
	RevocationEndpoint    string   `json:"revocation_endpoint"`
	RevocationMethods     []string `json:"revocation_endpoint_auth_methods_supported"`
	RevocationAlgs        []string `json:"revocation_endpoint_auth_signing_alg_values_supported"`
	GrantTypes            []string `json:"grant_types_supported"`
	// GrantProfiles are what assertions of the jwt-bearer grant can be besides plain
	// ones (draft-ietf-oauth-identity-assertion-authz-grant, section 7).
	GrantProfiles []string `json:"authorization_grant_profiles_supported"`
	// ChainingTypes are the requested_token_type of grants for other domains' servers
	// (draft-ietf-oauth-identity-chaining, section 4).
	ChainingTypes []string `json:"identity_chaining_requested_token_types_supported"`
	// There is no authorization endpoint; RFC 8414 wants the member all the same.
	ResponseTypes []string `json:"response_types_supported"`
	AuthMethods   []string `json:"token_endpoint_auth_methods_supported"`
	AuthAlgs      []string `json:"token_endpoint_auth_signing_alg_values_supported"`
	SubjectTypes  []string `json:"subject_types_supported"`
	// Libraries choose the algorithms that they verify with by this member.
	IDTokenAlgs []string `json:"id_token_signing_alg_values_supported"`
	// RFC 9449 section 5.1, RFC 8705 section 3.3.
	DPoPAlgs         []string `json:"dpop_signing_alg_values_supported"`
	CertificateBound bool     `json:"tls_client_certificate_bound_access_tokens"`
}

// metadata renders the document. Every URL comes from the issuer, none from a
// request.
func metadata(svc *policy.TokenService) []byte {
	base := strings.TrimSuffix(svc.Issuer(), "/")
	d := document{
		Issuer:        svc.Issuer(),
		TokenEndpoint: base + "/token",
		JWKSURI:       base + "/jwks",
		GrantTypes:    []string{oauth.GrantTokenExchange, oauth.GrantJWTBearer, oauth.GrantRefreshToken},
		GrantProfiles: []string{oauth.GrantProfileIDJAG},
		ChainingTypes: []string{oauth.URNIDJAG},
		ResponseTypes: []string{},
		AuthMethods:   authMethods(svc.Methods()),
		AuthAlgs:      jose.Algorithms(),
		SubjectTypes:  []string{"public"},
		IDTokenAlgs:   []string{svc.Spec().Algorithm},
		DPoPAlgs:      proof.Algorithms(),

		CertificateBound: true,

		IntrospectionEndpoint: base + "/introspect",
		RevocationEndpoint:    base + "/revoke",
	}
	d.IntrospectionAlgs, d.RevocationMethods, d.RevocationAlgs = d.AuthAlgs, d.AuthMethods, d.AuthAlgs
	// Whoever has no credential cannot be told anything of a token.
	d.IntrospectionMethods = slices.DeleteFunc(slices.Clone(d.AuthMethods), func(m string) bool { return m == "none" })
	b, err := json.Marshal(d)
	if err != nil {
		return nil // Strings and lists of strings cannot fail to marshal.
	}
	return b
}
