// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

// maxChain bounds what is read of act. A token has at most 16 levels of JSON, of
// which the claims are the first.
const maxChain = 15

// chain is who act says is acting, outermost first (RFC 8693 section 4.1): for a
// token of ours as it was verified when they came into the chain, for a foreign one
// as it says, which is all that is known. Members of act other than iss, sub,
// client_id and act mean nothing here.
func (t *Token) chain() ([]Actor, *Refusal) {
	raw, ref := readChain(t.Act)
	if ref != nil || t.Issuer != SelfIssuer {
		return raw, ref
	}
	if len(raw) != len(t.Actors) {
		return nil, deny(TokenMalformed, "act and the sealed actors differ")
	}
	for i := range raw {
		if a := &t.Actors[i]; a.RawIssuer != raw[i].RawIssuer || a.RawSubject != raw[i].RawSubject {
			return nil, deny(TokenMalformed, "act and the sealed actors differ")
		}
	}
	return t.Actors, nil
}

// readChain reads act. An actor without sub or without iss could be anybody's: what
// iss would be meant is forgotten at the next hop, so it is refused at the first.
func readChain(act map[string]any) ([]Actor, *Refusal) {
	var out []Actor
	for act != nil {
		if len(out) == maxChain {
			return nil, deny(ActorDepth, "act has more than 15 levels")
		}
		var a Actor
		for _, f := range [...]struct {
			name     string
			required bool
			to       *string
		}{{"iss", true, &a.RawIssuer}, {"sub", true, &a.RawSubject}, {"client_id", false, &a.ClientID}} {
			v, present := act[f.name]
			s, ok := v.(string)
			switch {
			case !present && !f.required:
			case !ok || s == "" || len(s) > maxEntry || hasControl(s):
				return nil, deny(TokenMalformed, "act: "+f.name+" is missing, or not a string without control characters")
			}
			*f.to = s
		}
		out = append(out, a)
		v, nested := act["act"]
		if !nested {
			break
		}
		var ok bool
		if act, ok = v.(map[string]any); !ok || act == nil {
			return nil, deny(TokenMalformed, "act inside act is not an object")
		}
	}
	return out, nil
}

// asActor is a verified token as a party of a chain, in the hands of a client.
func (t *Token) asActor(clientID string) Actor {
	a := Actor{
		Issuer: t.Issuer, Origin: t.Origin, RawIssuer: t.RawIssuer, RawSubject: t.RawSubject, Subject: t.Subject, ClientID: clientID,
		Username: t.Username, Groups: t.Groups, Extra: t.Extra,
	}
	if t.Issuer == SelfIssuer {
		a.OriginURL = t.OriginURL
	}
	return a
}

// facts are what rules can know of an actor without its token. What was not carried
// is absent, so that a rule which asks for it refuses.
func (a *Actor) facts() *Token {
	t := &Token{
		Issuer: a.Issuer, Origin: a.Origin, RawIssuer: a.RawIssuer, RawSubject: a.RawSubject, Subject: a.Subject, ClientID: a.ClientID,
		Username: a.Username, Groups: a.Groups, Extra: a.Extra, Partial: true,
		Claims: map[string]any{"iss": a.RawIssuer, "sub": a.RawSubject},
	}
	if a.ClientID != "" {
		t.Claims["client_id"] = a.ClientID
	}
	if a.Issuer != "" && t.Extra == nil {
		t.Extra = map[string]any{} // all of it was carried
	}
	return t
}

// history is what is kept of an actor that is not the current one any more.
func (a Actor) history() Actor {
	a.Username, a.Groups, a.Extra = "", nil, nil
	return a
}

// claim is the act of a token whose current actor is a, with what came before.
func (a *Actor) claim(before map[string]any) map[string]any {
	act := map[string]any{"iss": a.RawIssuer, "sub": a.RawSubject, "client_id": a.ClientID}
	if before != nil {
		act["act"] = before
	}
	return act
}

// same says whether two parties are one: by what their identities mean where both
// were verified, else by what their tokens said.
func (a *Actor) same(b *Actor) bool {
	if a.Subject != "" && b.Subject != "" {
		return a.Subject == b.Subject
	}
	return a.RawIssuer == b.RawIssuer && a.RawSubject == b.RawSubject
}

// withActor is the lineage of what is derived from a subject's token and an actor's.
func withActor(subject, actor []Ancestor) []Ancestor {
	out := subject
	for _, a := range actor {
		known := false
		for _, s := range subject {
			known = known || s == a
		}
		if !known {
			out = append(out[:len(out):len(out)], a)
		}
	}
	return out
}

// currentActor is who acts for the subject, as expressions see it: the actor token's
// subject, else the outermost actor of the subject token, else nobody.
func (r *Request) currentActor() *Token {
	if r.Actor != nil || r.Subject.Act == nil {
		return r.Actor
	}
	before, ref := r.Subject.chain()
	if ref != nil || len(before) == 0 {
		return nil // refused by the check "actor"
	}
	return before[0].facts()
}
