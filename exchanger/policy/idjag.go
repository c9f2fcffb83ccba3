// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"slices"
	"strings"
)

// IDJAG is what only an identity assertion authorization grant says
// (draft-ietf-oauth-identity-assertion-authz-grant, section 3): for which domain's
// server it is, what that server calls the client, and what the client means to use
// there.
type IDJAG struct {
	Audience  string
	ClientID  string
	Resources []string
}

// makesIDJAG holds a request for an ID-JAG against what the draft wants of every one:
// what the client shows was made for it, where it signed the user in. That it
// authenticates is certain: no external target admits public clients.
func (j *judging) makesIDJAG() *Refusal {
	t, client := j.request.Subject, j.client.spec
	if j.request.TokenType != TypeIDJAG {
		return nil
	}
	switch {
	case !j.elsewhere():
		return deny(TokenTypeNotGranted, "an ID-JAG is for another domain's server, which an ExternalTarget names")
	case t.Class != ClassIDToken && t.Class != ClassSAML2:
		return deny(SubjectTokenType, "an ID-JAG is made of an ID token or a SAML 2.0 assertion, and the subject token is of class "+string(t.Class))
	case !slices.ContainsFunc(t.Audiences, func(a string) bool { return a == client.ID || j.deciding.issuer.aliases[a] == client.ID }):
		return deny(SubjectAudience, "an ID-JAG is made of a token whose aud is the asking client, "+client.ID)
	case slices.ContainsFunc(j.request.Resources, func(r string) bool { return !isResource(r) }):
		return deny(TargetUnknown, "a resource is no absolute URI without fragment (RFC 8707 section 2)")
	}
	return nil
}

// isResource says whether a name can be a resource of another domain's. What it is
// there, nobody here knows.
func isResource(r string) bool {
	scheme, rest, ok := strings.Cut(r, ":")
	return ok && scheme != "" && rest != "" && !strings.ContainsAny(scheme, "/?# ") && !strings.Contains(rest, "#") && !hasControl(r) && len(r) <= maxEntry
}

// idJAG is what an ID-JAG for an external target says.
func (d *deciding) idJAG(e *External) *IDJAG {
	out := &IDJAG{Audience: e.UpstreamAudience, ClientID: d.client.spec.ID, Resources: d.request.Resources}
	for i := range e.Names {
		if e.Names[i].Client == d.client.spec.ID {
			out.ClientID = e.Names[i].ID
		}
	}
	return out
}

// elsewhere says whether the resources that are asked for are another domain's: of an
// ID-JAG, where the one audience is its external target.
func (d *deciding) elsewhere() bool {
	e := d.external()
	return e != nil && e.Kind == ExternalIDJAG
}
