// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"strings"
	"testing"
)

// Three keys and two certificates, as thumbprints.
var (
	keyA  = strings.Repeat("A", 43) //nolint:gochecknoglobals // a constant
	keyB  = strings.Repeat("B", 43) //nolint:gochecknoglobals // a constant
	keyC  = strings.Repeat("C", 43) //nolint:gochecknoglobals // a constant
	certA = strings.Repeat("a", 43) //nolint:gochecknoglobals // a constant
	certB = strings.Repeat("b", 43) //nolint:gochecknoglobals // a constant
)

// boundTo binds a token.
func boundTo(t *Token, c Confirmation) *Token {
	t.Confirmed, t.Confirmation = true, c
	return t
}

// binding is one case: what is presented and proved, what the policy says, and to
// what the result is bound, or that it is refused.
type bindingCase struct {
	binding Binding
	subject *Confirmation
	actor   *Confirmation
	family  *Confirmation
	proof   Proof
	change  func(*Spec, *Request)
	want    Confirmation
	refused bool
}

func bindingCases() map[string]bindingCase {
	jkt := func(k string) *Confirmation { return &Confirmation{JKT: k} }
	x5t := func(c string) *Confirmation { return &Confirmation{X5T: c} }
	both := &Confirmation{JKT: keyA, X5T: certA}
	public := func(s *Spec, r *Request) {
		r.Client.Public = true
		policyNamed(s, "images").PublicClients = []string{"shop/frontend"}
	}
	return map[string]bindingCase{
		"what is not bound stays so":                                     {},
		"a DPoP proof asks for a bound token":                            {proof: Proof{JKT: keyA}, want: Confirmation{JKT: keyA}},
		"a certificate by itself binds nothing":                          {proof: Proof{X5T: certA}},
		"F144: a bound token without proof is refused":                   {subject: jkt(keyA), refused: true},
		"F144: a stolen token with the thief's proof is refused":         {subject: jkt(keyA), proof: Proof{JKT: keyB}, refused: true},
		"F144: a certificate is no proof of a DPoP key":                  {subject: jkt(keyA), proof: Proof{X5T: certA}, refused: true},
		"F144: a received proof does not stand in where the key is kept": {subject: jkt(keyA), proof: Proof{SubjectJKT: keyA}, refused: true},
		"Preserve keeps the key":                                         {subject: jkt(keyA), proof: Proof{JKT: keyA}, want: Confirmation{JKT: keyA}},
		"F144: a certificate-bound token without certificate is refused": {subject: x5t(certA), refused: true},
		"F144: with another certificate it is refused":                   {subject: x5t(certA), proof: Proof{X5T: certB}, refused: true},
		"F144: with a DPoP proof instead it is refused":                  {subject: x5t(certA), proof: Proof{JKT: keyA}, refused: true},
		"Preserve keeps the certificate":                                 {subject: x5t(certA), proof: Proof{X5T: certA}, want: Confirmation{X5T: certA}},
		"a DPoP proof beside the certificate binds to both":              {subject: x5t(certA), proof: Proof{X5T: certA, JKT: keyA}, want: *both},
		"a token that is bound to both needs both":                       {subject: both, proof: Proof{JKT: keyA}, refused: true},
		"a token that is bound to both, with both":                       {subject: both, proof: Proof{JKT: keyA, X5T: certA}, want: *both},
		"F144: a member of cnf that nobody knows refuses":                {subject: &Confirmation{Unknown: true}, proof: Proof{JKT: keyA, X5T: certA}, refused: true},
		"F144: it refuses under Rebind too":                              {binding: BindingRebind, subject: &Confirmation{Unknown: true}, proof: Proof{JKT: keyA, SubjectJKT: keyB}, refused: true},
		"F144: a cnf that says nothing refuses":                          {subject: &Confirmation{}, proof: Proof{JKT: keyA}, refused: true},
		"an actor's key is asked for as the subject's is":                {actor: jkt(keyA), refused: true},
		"an actor's key binds what is given":                             {actor: jkt(keyA), proof: Proof{JKT: keyA}, want: Confirmation{JKT: keyA}},
		"subject and actor of one key":                                   {subject: jkt(keyA), actor: jkt(keyA), proof: Proof{JKT: keyA}, want: Confirmation{JKT: keyA}},
		"F144: keys of subject and actor that differ are refused":        {subject: jkt(keyA), actor: jkt(keyB), proof: Proof{JKT: keyA}, refused: true},
		"F144: whichever of them is proved":                              {subject: jkt(keyA), actor: jkt(keyB), proof: Proof{JKT: keyB}, refused: true},
		"a key of the subject and a certificate of the actor":            {subject: jkt(keyA), actor: x5t(certA), proof: Proof{JKT: keyA, X5T: certA}, want: *both},
		"F144: an actor that is not bound takes no binding away":         {subject: jkt(keyA), actor: nil, proof: Proof{}, refused: true},
		"Rebind: the new key by DPoP, the old one as it was received":    {binding: BindingRebind, subject: jkt(keyA), proof: Proof{JKT: keyB, SubjectJKT: keyA}, want: Confirmation{JKT: keyB}},
		"Rebind: the old key by its certificate":                         {binding: BindingRebind, subject: x5t(certA), proof: Proof{JKT: keyB, X5T: certA}, want: Confirmation{JKT: keyB}},
		"Rebind: both old keys are asked for":                            {binding: BindingRebind, subject: both, proof: Proof{JKT: keyB, SubjectJKT: keyA}, refused: true},
		"Rebind: both old keys are proved":                               {binding: BindingRebind, subject: both, proof: Proof{JKT: keyB, SubjectJKT: keyA, X5T: certA}, want: Confirmation{JKT: keyB}},
		"F144: Rebind without the received proof is refused":             {binding: BindingRebind, subject: jkt(keyA), proof: Proof{JKT: keyB}, refused: true},
		"F144: Rebind with a received proof of another key is refused":   {binding: BindingRebind, subject: jkt(keyA), proof: Proof{JKT: keyB, SubjectJKT: keyC}, refused: true},
		"F144: Rebind without a new key is refused":                      {binding: BindingRebind, subject: jkt(keyA), proof: Proof{SubjectJKT: keyA}, refused: true},
		"F144: Rebind of a certificate without a new key keeps it":       {binding: BindingRebind, subject: x5t(certA), proof: Proof{X5T: certA}, want: Confirmation{X5T: certA}},
		"F144: Rebind of another certificate is refused":                 {binding: BindingRebind, subject: x5t(certA), proof: Proof{JKT: keyB, X5T: certB}, refused: true},
		"Rebind: who has the old key needs no other":                     {binding: BindingRebind, subject: jkt(keyA), proof: Proof{JKT: keyA}, want: Confirmation{JKT: keyA}},
		"Rebind: an actor's key is not replaced":                         {binding: BindingRebind, subject: jkt(keyA), actor: jkt(keyA), proof: Proof{JKT: keyB, SubjectJKT: keyA}, refused: true},
		"F144: Rebind by a client that the token was not for is refused": {binding: BindingRebind, subject: jkt(keyA), proof: Proof{JKT: keyB, SubjectJKT: keyA}, change: func(_ *Spec, r *Request) {
			r.Subject.Audiences, r.Subject.ClientID = []string{"elsewhere"}, "shop/frontend"
		}, refused: true},
		"F144: Rebind by a public client is refused":          {binding: BindingRebind, subject: jkt(keyA), proof: Proof{JKT: keyB, SubjectJKT: keyA}, change: public, refused: true},
		"Require: without any key it is refused":              {binding: BindingRequire, refused: true},
		"Require: a received proof is no key of the client's": {binding: BindingRequire, proof: Proof{SubjectJKT: keyA}, refused: true},
		"Require: by DPoP":                                               {binding: BindingRequire, proof: Proof{JKT: keyA}, want: Confirmation{JKT: keyA}},
		"Require: by certificate":                                        {binding: BindingRequire, proof: Proof{X5T: certA}, want: Confirmation{X5T: certA}},
		"Require: DPoP before the certificate":                           {binding: BindingRequire, proof: Proof{JKT: keyA, X5T: certA}, want: Confirmation{JKT: keyA}},
		"Require: a bound token keeps its key":                           {binding: BindingRequire, subject: jkt(keyA), proof: Proof{JKT: keyB}, refused: true},
		"F77: a public client with a token that is not bound is refused": {proof: Proof{JKT: keyA}, change: public, refused: true},
		"F77: a public client with a bound token and its proof":          {subject: jkt(keyA), proof: Proof{JKT: keyA}, change: public, want: Confirmation{JKT: keyA}},
		"F77: a public client without the proof is refused":              {subject: jkt(keyA), change: public, refused: true},
		"F77: a public client that no policy admits by name is refused":  {subject: jkt(keyA), proof: Proof{JKT: keyA}, change: func(_ *Spec, r *Request) { r.Client.Public = true }, refused: true},
		"F77: a public client is admitted by its own name": {subject: jkt(keyA), proof: Proof{JKT: keyA}, change: func(s *Spec, r *Request) {
			public(s, r)
			policyNamed(s, "images").PublicClients = []string{"shop/other"}
		}, refused: true},
		"a policy that wants a bound subject refuses one that is not":     {proof: Proof{JKT: keyA}, change: func(s *Spec, _ *Request) { policyNamed(s, "images").BoundSubject = true }, refused: true},
		"a policy that wants a bound subject takes one":                   {subject: jkt(keyA), proof: Proof{JKT: keyA}, change: func(s *Spec, _ *Request) { policyNamed(s, "images").BoundSubject = true }, want: Confirmation{JKT: keyA}},
		"a hand-over of what is not bound needs no key":                   {change: handover},
		"a hand-over to a key":                                            {proof: Proof{HandoverJKT: keyC}, change: handover, want: Confirmation{JKT: keyC}},
		"a hand-over of a bound token goes to a key":                      {subject: jkt(keyA), proof: Proof{JKT: keyA, HandoverJKT: keyC}, change: handover, want: Confirmation{JKT: keyC}},
		"F144: a hand-over of a bound token to nobody is refused":         {subject: jkt(keyA), proof: Proof{JKT: keyA}, change: handover, refused: true},
		"F144: a hand-over of a bound token without its proof is refused": {subject: jkt(keyA), proof: Proof{HandoverJKT: keyC}, change: handover, refused: true},
		"a hand-over where the policy requires a binding goes to a key":   {binding: BindingRequire, change: handover, refused: true},
		"F144: an assertion of SAML 2.0 cannot be bound":                  {subject: jkt(keyA), proof: Proof{JKT: keyA}, change: func(_ *Spec, r *Request) { r.TokenType = TypeSAML2 }, refused: true},
		"a refresh token is bound to the key of what it renews":           {family: jkt(keyB), subject: jkt(keyA), proof: Proof{JKT: keyB}, want: Confirmation{JKT: keyB}},
		"F144: a stolen refresh token is refused":                         {family: jkt(keyB), subject: jkt(keyA), proof: Proof{JKT: keyA}, refused: true},
		"F77: a public client renews what is bound":                       {family: jkt(keyB), proof: Proof{JKT: keyB}, change: public, want: Confirmation{JKT: keyB}},
		"F77: a public client does not renew what is bound to nothing":    {family: &Confirmation{}, proof: Proof{JKT: keyB}, change: public, refused: true},
		"a refresh token that is bound to a certificate":                  {family: x5t(certA), proof: Proof{X5T: certA}, want: Confirmation{X5T: certA}},
	}
}

func handover(_ *Spec, r *Request) { r.TokenType = TypeHandover }

// judged is the one policy about images being asked for its binding.
func judged(t *testing.T, c bindingCase) *judging {
	t.Helper()
	s, r := world(), ask()
	policyNamed(s, "images").Binding = c.binding
	r.Proof = c.proof
	if c.subject != nil {
		boundTo(r.Subject, *c.subject)
	}
	if c.actor != nil {
		r.Actor = boundTo(alice(), *c.actor)
	}
	if c.family != nil {
		r.Grant, r.Family = GrantRefresh, &Family{Confirmation: *c.family}
	}
	if c.change != nil {
		c.change(s, r)
	}
	snapshot, err := Compile(s, 1, words{})
	if err != nil {
		t.Fatal(err)
	}
	service, _ := snapshot.Service("default")
	issuer, _ := service.TrustedIssuer("corp")
	client, _ := service.Client("shop/frontend")
	d := &deciding{snapshot: snapshot, request: r, service: service, client: client, issuer: issuer}
	return &judging{deciding: d, policy: &grantPolicy{spec: policyNamed(s, "images")}}
}

func TestNothingIsEverUnbound(t *testing.T) {
	t.Parallel()
	for name, c := range bindingCases() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			j := judged(t, c)
			ref := j.bindingKept()
			if (ref != nil) != c.refused || ref != nil && ref.Reason != SubjectBinding {
				t.Fatalf("found %v, expected a refusal: %v", ref, c.refused)
			}
			if ref != nil {
				return
			}
			got, ref := confirmations([]*judging{j})
			if ref != nil || got != c.want {
				t.Errorf("bound to %+v (%v), expected %+v", got, ref, c.want)
			}
		})
	}
}

// What holds for every combination of keys: a token that was bound gives a token
// that is bound, and to a key that the request proved.
func TestABoundTokenGivesABoundToken(t *testing.T) {
	t.Parallel()
	keys, certs := []string{"", keyA, keyB}, []string{"", certA, certB}
	n := 0
	for _, b := range []Binding{BindingPreserve, BindingRebind, BindingRequire} {
		for _, c := range []Confirmation{{JKT: keyA}, {X5T: certA}, {JKT: keyA, X5T: certA}} {
			for _, jkt := range keys {
				for _, received := range keys {
					for _, x5t := range certs {
						p := Proof{JKT: jkt, X5T: x5t, SubjectJKT: received}
						j := judged(t, bindingCase{binding: b, subject: &c, proof: p})
						if j.bindingKept() != nil {
							continue
						}
						n++
						got, ref := confirmations([]*judging{j})
						proved := (got.JKT == "" || got.JKT == jkt) && (got.X5T == "" || got.X5T == x5t)
						old := (c.JKT == "" || c.JKT == jkt || c.JKT == received && b == BindingRebind) && (c.X5T == "" || c.X5T == x5t)
						if ref != nil || got == (Confirmation{}) || !proved || !old {
							t.Errorf("%q: %+v with %+v gives %+v (%v)", b, c, p, got, ref)
						}
					}
				}
			}
		}
	}
	if n == 0 {
		t.Error("nothing was allowed at all")
	}
}

func TestAConfirmationIsReadStrictly(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		cnf  any
		want Confirmation
	}{
		"a DPoP key":             {map[string]any{"jkt": keyA}, Confirmation{JKT: keyA}},
		"a certificate":          {map[string]any{"x5t#S256": certA}, Confirmation{X5T: certA}},
		"both":                   {map[string]any{"jkt": keyA, "x5t#S256": certA}, Confirmation{JKT: keyA, X5T: certA}},
		"a key itself":           {map[string]any{"jwk": map[string]any{}}, Confirmation{Unknown: true}},
		"a kid beside a key":     {map[string]any{"jkt": keyA, "kid": "x"}, Confirmation{Unknown: true}},
		"nothing":                {map[string]any{}, Confirmation{Unknown: true}},
		"null":                   {nil, Confirmation{Unknown: true}},
		"text":                   {"jkt", Confirmation{Unknown: true}},
		"a thumbprint too short": {map[string]any{"jkt": "A"}, Confirmation{Unknown: true}},
		"an empty thumbprint":    {map[string]any{"jkt": ""}, Confirmation{Unknown: true}},
		"a thumbprint in hex":    {map[string]any{"x5t#S256": strings.Repeat("0", 64)}, Confirmation{Unknown: true}},
		"a list of thumbprints":  {map[string]any{"jkt": []any{keyA}}, Confirmation{Unknown: true}},
		"another letter case":    {map[string]any{"JKT": keyA}, Confirmation{Unknown: true}},
		"an escaped thumbprint":  {map[string]any{"jkt": strings.Repeat("A", 42) + "="}, Confirmation{Unknown: true}},
	} {
		tok := alice()
		tok.Claims = map[string]any{"cnf": c.cnf}
		if ref := chainClaims(tok); ref != nil || !tok.Confirmed || tok.Confirmation != c.want {
			t.Errorf("%s: %+v, %v", name, tok.Confirmation, ref)
		}
	}
	if c := (Confirmation{}).Claim(); c != nil {
		t.Errorf("no key is written as %v", c)
	}
}

func TestADecisionSaysToWhichKeyATokenIsBound(t *testing.T) {
	t.Parallel()
	s, r := world(), ask()
	for i := range s.Policies {
		s.Policies[i].Scopes = append(s.Policies[i].Scopes, "wide")
	}
	policyNamed(s, "contacts").Binding = BindingRequire
	r.Audiences, r.Scopes = []string{"media/images-resource", "media/contacts-resource"}, []string{"contacts", "images"}
	r.Proof = Proof{X5T: certA}
	snapshot, err := Compile(s, 1, words{})
	if err != nil {
		t.Fatal(err)
	}
	d := snapshot.Decide(r)
	g, ok := d.Grant()
	if !ok || g.Confirmation != (Confirmation{X5T: certA}) {
		t.Fatalf("found %v %s: expected the strictest of the two bindings", d.Reason, d.Detail)
	}
	r.Proof = Proof{}
	if d = snapshot.Decide(r); d.Reason != SubjectBinding || d.Check != "binding" {
		t.Errorf("found %v by %s", d.Reason, d.Check)
	}
}
