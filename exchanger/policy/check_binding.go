// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import "slices"

// bindingKept asks for the proof of every key that a presented token is bound to,
// and for one at all where the policy wants that (RFC 9449, RFC 8705). A bound token
// never becomes one that anybody can use.
func (j *judging) bindingKept() *Refusal {
	if ref := j.publicAllowed(); ref != nil {
		return ref
	}
	if j.policy.spec.BoundSubject && !j.request.Subject.Confirmed {
		return deny(SubjectBinding, "subject.audience "+string(j.policy.spec.SubjectAudience.Match)+" with clients that are not named wants a bound subject token")
	}
	if e := j.external(); e != nil && e.Kind != ExternalIDJAG {
		return j.externalUnbound()
	}
	_, ref := j.confirmation()
	return ref
}

// publicAllowed keeps public clients, which prove nothing of themselves, to policies
// that name them and to tokens whose keys they prove to have.
func (j *judging) publicAllowed() *Refusal {
	switch {
	case !j.request.Client.Public:
		return nil
	case !slices.Contains(j.policy.spec.PublicClients, j.client.spec.ID):
		return deny(SubjectBinding, "the client is public, and clients does not admit it by name with public: true")
	case j.request.Family != nil && j.request.Family.Confirmation == (Confirmation{}):
		return deny(SubjectBinding, "a public client can use a refresh token only that is bound to its key")
	case j.request.Family == nil && !j.request.Subject.Confirmed:
		return deny(SubjectBinding, "a public client can exchange a subject token only that is bound to its key (cnf)")
	case j.request.Actor != nil && !j.request.Actor.Confirmed:
		return deny(SubjectBinding, "a public client can send an actor token only that is bound to its key (cnf)")
	}
	return nil
}

// confirmation is the key that this policy binds the token to; zero is none.
//
// Whatever the policy says, every bound token needs the proof of its own key, and
// there is one DPoP proof and one certificate for all of them. What is given is
// bound to the keys of all of them together, and besides to that of a DPoP proof,
// which is how a client asks for a bound token (RFC 9449, section 5).
func (j *judging) confirmation() (Confirmation, *Refusal) {
	var out Confirmation
	for _, t := range j.boundTokens() {
		kept, ref := j.possessed(t)
		if ref != nil {
			return out, ref
		}
		out = out.with(kept)
	}
	if j.request.TokenType == TypeHandover {
		return j.handedOver(out)
	}
	out = out.with(Confirmation{JKT: j.request.Proof.JKT})
	if out == (Confirmation{}) && j.policy.spec.Binding == BindingRequire {
		if out.X5T = j.request.Proof.X5T; out.X5T == "" {
			return out, deny(SubjectBinding, "token.binding is Require: send a DPoP proof, or a client certificate")
		}
	}
	if out != (Confirmation{}) && j.request.TokenType == TypeSAML2 {
		return out, deny(SubjectBinding, "a SAML 2.0 assertion cannot be bound to a key, and a bound token does not become one that anybody can use")
	}
	return out, nil
}

// boundToken is a key that somebody bound something to which the request presents.
type boundToken struct {
	what string
	cnf  Confirmation
	// subject is the subject token itself, whose key may be replaced.
	subject bool
}

func (j *judging) boundTokens() []boundToken {
	var out []boundToken
	r := j.request
	if f := r.Family; f != nil && f.Confirmation != (Confirmation{}) {
		out = append(out, boundToken{what: "the refresh token", cnf: f.Confirmation})
	}
	// A refresh token is bound to the key of the token that it renews, not to that of
	// the token of then.
	if r.Subject.Confirmed && r.Family == nil {
		out = append(out, boundToken{what: "the subject token", cnf: r.Subject.Confirmation, subject: true})
	}
	if r.Actor != nil && r.Actor.Confirmed {
		out = append(out, boundToken{what: "the actor token", cnf: r.Actor.Confirmation})
	}
	return out
}

// possessed asks for the proof of a bound token's key, and returns what stays of it.
func (j *judging) possessed(t boundToken) (Confirmation, *Refusal) {
	c, p := t.cnf, j.request.Proof
	switch {
	case c.Unknown || c.JKT == "" && c.X5T == "":
		return c, deny(SubjectBinding, t.what+" is bound by a member of cnf that this service cannot verify: it knows jkt and x5t#S256")
	case j.rebinds(t):
		return Confirmation{}, nil
	case c.JKT != "" && p.JKT == "":
		return c, deny(SubjectBinding, t.what+" is bound to a DPoP key (cnf.jkt): send a DPoP proof of that key")
	case c.JKT != "" && p.JKT != c.JKT:
		return c, deny(SubjectBinding, t.what+" is bound to another DPoP key (cnf.jkt) than that of the proof")
	case c.X5T != "" && p.X5T == "":
		return c, deny(SubjectBinding, t.what+" is bound to a client certificate (cnf.x5t#S256): present that certificate")
	case c.X5T != "" && p.X5T != c.X5T:
		return c, deny(SubjectBinding, t.what+" is bound to another client certificate (cnf.x5t#S256) than that which was presented")
	}
	return c, nil
}

// rebinds says whether the key of the subject token is replaced: the DPoP proof has
// the new one, and every old one is proved, that of DPoP by the proof which the client
// received at its own resource (subject_token_proof), that of a certificate by the
// certificate. Only a client that the token was for receives such a proof, and only
// one that authenticates can be told from whoever else has it.
func (j *judging) rebinds(t boundToken) bool {
	c, p := t.cnf, j.request.Proof
	if !t.subject || j.policy.spec.Binding != BindingRebind || p.JKT == "" || c.X5T != "" && c.X5T != p.X5T {
		return false
	}
	if c.JKT == "" {
		return true
	}
	return c.JKT == p.SubjectJKT && !j.request.Client.Public && j.receivedByClient()
}

// receivedByClient says whether `aud` of the subject token has the asking client.
func (j *judging) receivedByClient() bool {
	t, c := j.request.Subject, j.client.spec
	return slices.ContainsFunc(t.Audiences, func(a string) bool {
		if t.Issuer == SelfIssuer {
			return a == c.ID || slices.Contains(c.Audiences, a) || slices.Contains(c.Resources, a)
		}
		return a == c.ID || slices.Contains(c.Resources, a) || j.deciding.issuer.aliases[a] == c.ID
	})
}

// handedOver binds a hand-over token to the key that the request names for the
// client which will present it: it can prove neither of the keys of this one.
func (j *judging) handedOver(bound Confirmation) (Confirmation, *Refusal) {
	to := Confirmation{JKT: j.request.Proof.HandoverJKT}
	if to.JKT == "" && (bound != (Confirmation{}) || j.policy.spec.Binding == BindingRequire) {
		return to, deny(SubjectBinding, "a bound token is handed over to a key: send handover_jkt, the thumbprint of the other client's key")
	}
	return to, nil
}

// with are the keys of both. Each proof was compared with each of them, so that they
// do not differ.
func (c Confirmation) with(other Confirmation) Confirmation {
	if other.JKT != "" {
		c.JKT = other.JKT
	}
	if other.X5T != "" {
		c.X5T = other.X5T
	}
	return c
}

// confirmations are the keys that all of the policies bind the token to: the
// strictest is all of them.
func confirmations(chosen []*judging) (Confirmation, *Refusal) {
	var out Confirmation
	for _, j := range chosen {
		c, ref := j.confirmation()
		if ref != nil {
			return out, ref
		}
		out = out.with(c)
	}
	return out, nil
}

// Claim is the `cnf` of a token that is bound to these keys; nil for none.
func (c Confirmation) Claim() map[string]any {
	out := map[string]any{}
	if c.JKT != "" {
		out["jkt"] = c.JKT
	}
	if c.X5T != "" {
		out["x5t#S256"] = c.X5T
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

// readConfirmation reads a `cnf` (RFC 7800, section 3). A member that is not known,
// or not as it should be, is a key that nobody here can verify.
func readConfirmation(v any) Confirmation {
	members, ok := v.(map[string]any)
	if !ok || len(members) == 0 {
		return Confirmation{Unknown: true}
	}
	var c Confirmation
	for name, value := range members {
		text, isText := value.(string)
		if !isText || !isThumbprint(text) {
			return Confirmation{Unknown: true}
		}
		switch name {
		case "jkt":
			c.JKT = text
		case "x5t#S256":
			c.X5T = text
		default:
			return Confirmation{Unknown: true}
		}
	}
	return c
}

// isThumbprint says whether a text is a SHA-256 in base64url.
func isThumbprint(s string) bool {
	if len(s) != 43 {
		return false
	}
	for _, c := range []byte(s) {
		if !(c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '_') {
			return false
		}
	}
	return true
}
