// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import "slices"

// IDJAG is what only an identity assertion authorization grant says
// (draft-ietf-oauth-identity-assertion-authz-grant, section 3): for which domain's
// server it is, what that server calls the client, and what the client means to use
// there.
type IDJAG struct {
	Audience  string
	ClientID  string
	Resources []string
}

// issueIDJAG holds a request for an ID-JAG at an external target against what the
// draft wants of every one, and writes it into the grant. The assertion that it is made of
// was made for the asking client: it signed the user in, and nobody else did for it.
func (d *deciding) issueIDJAG(e *External, g *Grant) *Refusal {
	t, client := d.request.Subject, d.client.spec
	switch {
	case d.request.TokenType != TypeIDJAG:
		return deny(TokenTypeNotGranted, "of ExternalTarget "+e.Name+" there are ID-JAGs alone: ask for requested_token_type "+string(TypeIDJAG))
	case d.request.Client.Public:
		return deny(ClientGrant, "ID-JAGs are for clients that authenticate, and "+client.ID+" is public")
	case t.Class != ClassIDToken && t.Class != ClassSAML2:
		return deny(SubjectTokenType, "an ID-JAG is made of an ID token or a SAML 2.0 assertion, and the subject token is of class "+string(t.Class))
	case !slices.ContainsFunc(t.Audiences, func(a string) bool { return a == client.ID || d.issuer.aliases[a] == client.ID }):
		return deny(SubjectAudience, "an ID-JAG is made of an assertion whose aud is the asking client, "+client.ID)
	}
	name := client.ID
	for i := range e.Names {
		if e.Names[i].Client == client.ID {
			name = e.Names[i].ID
		}
	}
	g.IDJAG = &IDJAG{Audience: e.UpstreamAudience, ClientID: name, Resources: d.request.Resources}
	return nil
}
