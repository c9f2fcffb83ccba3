// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

// encode writes the parameters as a form again.
func (p *Params) encode() string {
	v := url.Values{"audience": p.Audiences, "resource": p.Resources}
	urn := map[policy.PresentedAs]string{policy.AsAccessToken: URNAccessToken, policy.AsIDToken: URNIDToken, policy.AsJWT: URNJWT, policy.AsSAML2: URNSAML2}
	wanted := map[policy.TokenType]string{
		policy.TypeAccessToken: URNAccessToken, policy.TypeJWT: URNJWT, policy.TypeIDToken: URNIDToken, policy.TypeRefreshToken: URNRefreshToken,
		policy.TypeSAML2: URNSAML2, policy.TypeTransaction: URNTransaction, policy.TypeIDJAG: URNIDJAG, policy.TypeHandover: URIHandover,
	}
	for name, value := range map[string]string{
		"grant_type": p.GrantType, "client_id": p.ClientID, "client_secret": p.ClientSecret,
		"client_assertion_type": p.ClientAssertionType, "client_assertion": p.ClientAssertion,
		"subject_token": p.SubjectToken, "subject_token_type": urn[p.SubjectAs],
		"actor_token": p.ActorToken, "actor_token_type": urn[p.ActorAs],
		"scope": strings.Join(p.Scopes, " "), "requested_token_type": wanted[p.TokenType],
	} {
		if value != "" {
			v.Set(name, value)
		}
	}
	return v.Encode()
}

// F52: arbitrary bytes are typed parameters or one closed reason, and what the
// parameters say means the same when it is written down again.
func FuzzParseForm(f *testing.F) {
	f.Add(good().Encode())
	f.Add(escapeAll(good()))
	f.Add(set("actor_token", "a.b.c", "actor_token_type", URNIDToken, "resource", "https://a.example/?q#f", "requested_token_type", URIHandover))
	f.Add("a=%zz&;=\xff&&=%00+%2B")
	f.Fuzz(func(t *testing.T, body string) {
		p, ref := ParseForm([]byte(body))
		switch {
		case (p == nil) == (ref == nil):
			t.Fatalf("parameters and refusal: %v, %v", p, ref)
		case ref != nil:
			if !slices.Contains(policy.Reasons(), ref.Reason) || ref.Outcome == policy.Allowed || ref.Detail == "" {
				t.Fatalf("refusal %+v", ref)
			}
			return
		}
		again, ref := ParseForm([]byte(p.encode()))
		if ref != nil || !reflect.DeepEqual(p, again) {
			t.Fatalf("%+v is %+v, %v when it is read again", p, again, ref)
		}
		// Whatever we accept, the standard library reads the same way.
		std, err := url.ParseQuery(body)
		if err != nil {
			t.Fatalf("accepted what net/url refuses: %v", err)
		}
		if std.Get("subject_token") != p.SubjectToken || std.Get("client_id") != p.ClientID || std.Get("client_secret") != p.ClientSecret {
			t.Fatalf("net/url reads %v, we read %+v", std, p)
		}
	})
}

func TestF52FormsAreTypedOrRefused(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"F52: a whole form is the same when it is written again": with(func(v url.Values) {
			v.Set("actor_token", "a.b.c")
			v.Set("actor_token_type", URNIDToken)
			v["resource"] = []string{"https://b.example/?q=%20+#f", "https://a.example"}
			v.Set("requested_token_type", URNTransaction)
		}),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, ref := ParseForm([]byte(body))
			if ref != nil {
				t.Fatal(ref)
			}
			if again, ref := ParseForm([]byte(p.encode())); ref != nil || !reflect.DeepEqual(p, again) {
				t.Errorf("got %+v, %v", again, ref)
			}
		})
	}
}

func FuzzParseBasic(f *testing.F) {
	f.Add("Basic c2hvcC9mcm9udGVuZDpzM2NyZXQ=")
	f.Add("basic YSUzQWI6Yw==")
	f.Add("Bearer x")
	f.Fuzz(func(t *testing.T, header string) {
		id, secret, present, ref := ParseBasic(header)
		switch {
		case present != (header != ""):
			t.Fatalf("present = %v", present)
		case ref != nil && (ref.Reason != policy.ClientCredentials || id != "" || secret != ""):
			t.Fatalf("refused with %v, and still %q", ref, id)
		case ref == nil && present && (id == "" || len(id) > maxClientID || !clean(id) || !clean(secret)):
			t.Fatalf("accepted client_id %q", id)
		}
	})
}
