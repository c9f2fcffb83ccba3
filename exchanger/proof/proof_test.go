// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package proof_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"strings"
	"testing"
	"time"

	"github.com/exchequer-dev/exchequer/exchanger/policy"
	"github.com/exchequer-dev/exchequer/exchanger/proof"
	"github.com/exchequer-dev/exchequer/exchanger/store"
)

func ath(token string) string {
	sum := sha256.Sum256([]byte(token))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

func TestAProofIsAboutThisRequest(t *testing.T) {
	t.Parallel()
	svc := service(t, "default", "sts.exchequer-system.svc:8443")
	endpoints := proof.Endpoints(svc, "token")
	v := verifier(t)
	for name, tc := range map[string]struct {
		change map[string]any
		want   policy.Reason
	}{
		"a good one":                                      {nil, ""},
		"htu with a query and a fragment":                 {map[string]any{"htu": endpoint + "?a=b#c"}, ""},
		"htu with the scheme's own port, and in capitals": {map[string]any{"htu": "HTTPS://STS.example.com:443/token"}, ""},
		"htu by a host that the platform declared":        {map[string]any{"htu": "http://sts.exchequer-system.svc:8443/token"}, ""},
		"htu of another host":                             {map[string]any{"htu": "https://evil.example/token"}, policy.ProofInvalid},
		"htu of another path":                             {map[string]any{"htu": "https://sts.example.com/revoke"}, policy.ProofInvalid},
		"htu with a path in capitals":                     {map[string]any{"htu": "https://sts.example.com/TOKEN"}, policy.ProofInvalid},
		"htu of another port":                             {map[string]any{"htu": "https://sts.example.com:8443/token"}, policy.ProofInvalid},
		"htu without TLS":                                 {map[string]any{"htu": "http://sts.example.com/token"}, policy.ProofInvalid},
		"htu with a user name":                            {map[string]any{"htu": "https://sts.example.com@evil.example/token"}, policy.ProofInvalid},
		"htu that is only a path":                         {map[string]any{"htu": "/token"}, policy.ProofInvalid},
		"no htu":                                          {map[string]any{"htu": nil}, policy.ProofInvalid},
		"htu that is a list":                              {map[string]any{"htu": []any{endpoint}}, policy.ProofInvalid},
		"htm of another method":                           {map[string]any{"htm": "GET"}, policy.ProofInvalid},
		"htm in small letters":                            {map[string]any{"htm": "post"}, policy.ProofInvalid},
		"no htm":                                          {map[string]any{"htm": nil}, policy.ProofInvalid},
		"no jti":                                          {map[string]any{"jti": nil}, policy.ProofInvalid},
		"an empty jti":                                    {map[string]any{"jti": ""}, policy.ProofInvalid},
		"a jti that is a number":                          {map[string]any{"jti": 1}, policy.ProofInvalid},
		"a jti above its bound":                           {map[string]any{"jti": strings.Repeat("a", 257)}, policy.ProofInvalid},
		"no iat":                                          {map[string]any{"iat": nil}, policy.ProofInvalid},
		"iat that is text":                                {map[string]any{"iat": "now"}, policy.ProofInvalid},
		"iat of a minute ago":                             {map[string]any{"iat": now.Unix() - 60}, ""},
		"iat of longer ago":                               {map[string]any{"iat": now.Unix() - 61}, policy.ProofInvalid},
		"iat a little ahead":                              {map[string]any{"iat": now.Unix() + 30}, ""},
		"iat in the future":                               {map[string]any{"iat": now.Unix() + 31}, policy.ProofInvalid},
		"exp that has passed":                             {map[string]any{"exp": now.Unix() - 30}, policy.ProofInvalid},
		"nbf in the future":                               {map[string]any{"nbf": now.Unix() + 31}, policy.ProofInvalid},
		"exp that is text":                                {map[string]any{"exp": "never"}, policy.ProofInvalid},
		"ath of the subject token":                        {map[string]any{"ath": ath("subject-token")}, ""},
		"ath of another token":                            {map[string]any{"ath": ath("another")}, policy.ProofInvalid},
		"ath of no token":                                 {map[string]any{"ath": ath("")}, policy.ProofInvalid},
		"a nonce that is not ours":                        {map[string]any{"nonce": "abc"}, policy.ProofNonce},
		"a nonce that is a number":                        {map[string]any{"nonce": 1}, policy.ProofInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, ref := v.DPoP(svc, endpoints, []string{made(t, tc.change)}, []string{"subject-token", ""}, now)
			if reasonOf(ref) != tc.want {
				t.Fatalf("found %v, expected %q", ref, tc.want)
			}
			if ref == nil && p.JKT != holder().KeyID() {
				t.Errorf("found key %s, expected the thumbprint of the key", p.JKT)
			}
			if ref != nil && (ref.Outcome != policy.Denied || ref.Check == "") {
				t.Errorf("found outcome %v and check %q", ref.Outcome, ref.Check)
			}
		})
	}
	t.Run("two headers", func(t *testing.T) {
		t.Parallel()
		if _, ref := v.DPoP(svc, endpoints, []string{made(t, nil), made(t, nil)}, nil, now); reasonOf(ref) != policy.ProofInvalid {
			t.Errorf("found %v", ref)
		}
	})
	t.Run("two proofs in one header", func(t *testing.T) {
		t.Parallel()
		if _, ref := v.DPoP(svc, endpoints, []string{made(t, nil) + ", " + made(t, nil)}, nil, now); reasonOf(ref) != policy.ProofInvalid {
			t.Errorf("found %v", ref)
		}
	})
	t.Run("an empty header", func(t *testing.T) {
		t.Parallel()
		if _, ref := v.DPoP(svc, endpoints, []string{""}, nil, now); reasonOf(ref) != policy.ProofInvalid {
			t.Errorf("found %v", ref)
		}
	})
}

// use verifies a proof and uses it up.
func use(t testing.TB, v *proof.Verifier, svc *policy.TokenService, token string, at time.Time) policy.Reason {
	t.Helper()
	p, ref := v.DPoP(svc, proof.Endpoints(svc, "token"), []string{token}, nil, at)
	if ref == nil {
		ref = p.Consume(t.Context(), svc, "shop/frontend")
	}
	return reasonOf(ref)
}

func TestAProofIsGoodOnce(t *testing.T) {
	t.Parallel()
	svc, v := service(t, "default"), verifier(t)
	token := made(t, nil)
	if got := use(t, v, svc, token, now); got != "" {
		t.Fatalf("the first use: %s", got)
	}
	if got := use(t, v, svc, token, now); got != policy.ProofInvalid {
		t.Errorf("the second use: %q", got)
	}
	if got := use(t, v, svc, made(t, map[string]any{"ath": nil, "extra": "other bytes"}), now); got != policy.ProofInvalid {
		t.Errorf("the same jti in other bytes: %q", got)
	}
	if got := use(t, v, svc, made(t, map[string]any{"jti": "proof-2"}), now); got != "" {
		t.Errorf("another jti: %q", got)
	}
}

func TestAProofThatIsNotConsumedStaysGood(t *testing.T) {
	t.Parallel()
	svc, v := service(t, "default"), verifier(t)
	token := made(t, nil)
	for range 2 {
		if _, ref := v.DPoP(svc, proof.Endpoints(svc, "token"), []string{token}, nil, now); ref != nil {
			t.Fatal(ref)
		}
	}
	if got := use(t, v, svc, token, now); got != "" {
		t.Errorf("found %q", got)
	}
}

func TestWhereNobodyCanTellANonceMakesAProofFresh(t *testing.T) {
	t.Parallel()
	svc, r := service(t, "default"), ring(t)
	// Two replicas that share keys, and no store.
	here, there := proof.New(store.None{}, r), proof.New(store.None{}, r)
	if got := use(t, here, svc, made(t, nil), now); got != policy.ProofNonce {
		t.Fatalf("without a nonce: %q, expected a demand for one", got)
	}
	nonce := here.Nonce(svc, now)
	if nonce == "" || strings.ContainsAny(nonce, "\"\\ ") {
		t.Fatalf("the nonce %q is none that a header can carry (RFC 9449, section 8.1)", nonce)
	}
	with := made(t, map[string]any{"nonce": nonce})
	if got := use(t, there, svc, with, now); got != "" {
		t.Errorf("with the other replica's nonce: %q", got)
	}
	if got := use(t, there, svc, with, now.Add(60*time.Second)); got != "" {
		t.Errorf("a minute later: %q", got)
	}
	if got := use(t, there, svc, with, now.Add(61*time.Second)); got != policy.ProofNonce {
		t.Errorf("more than a minute later: %q", got)
	}
	if got := use(t, there, svc, with, now.Add(-31*time.Second)); got != policy.ProofNonce {
		t.Errorf("a nonce from the future: %q", got)
	}
	stranger := proof.New(store.None{}, ring(t))
	if got := use(t, there, svc, made(t, map[string]any{"nonce": stranger.Nonce(svc, now)}), now); got != policy.ProofNonce {
		t.Errorf("with the nonce of another installation: %q", got)
	}
}

func TestWithANonceTheClientsClockDoesNotMatter(t *testing.T) {
	t.Parallel()
	svc, v := service(t, "default"), verifier(t)
	late := made(t, map[string]any{"iat": now.Add(-24 * time.Hour).Unix(), "nonce": v.Nonce(svc, now)})
	if got := use(t, v, svc, late, now); got != "" {
		t.Errorf("found %q", got)
	}
	if got := use(t, v, svc, late, now); got != policy.ProofInvalid {
		t.Errorf("the second use: %q, expected that a store which can tell is asked whatever the nonce", got)
	}
}

func TestAProofFromBeforeTheStartNeedsANonce(t *testing.T) {
	t.Parallel()
	svc := service(t, "default")
	v := proof.New(memory(now.Add(-10*time.Second)), ring(t))
	if got := use(t, v, svc, made(t, map[string]any{"iat": now.Add(-11 * time.Second).Unix()}), now); got != policy.ProofNonce {
		t.Errorf("from before the start: %q, expected a demand for a nonce", got)
	}
	if got := use(t, v, svc, made(t, map[string]any{"nonce": v.Nonce(svc, now)}), now); got != "" {
		t.Errorf("with a nonce: %q", got)
	}
	if got := use(t, v, svc, made(t, map[string]any{"jti": "2", "nonce": v.Nonce(svc, now.Add(-11*time.Second))}), now); got != policy.ProofNonce {
		t.Errorf("with a nonce from before the start: %q", got)
	}
}

func TestSealedFactsAreNoNonce(t *testing.T) {
	t.Parallel()
	svc, r := service(t, "default"), ring(t)
	current, _ := r.Current("default")
	v := proof.New(store.None{}, r)
	for name, plain := range map[string]string{
		"sealed facts":          `{"o":"corp","r":"https://login.corp.example","t":1}`,
		"a label without time":  "dpop-nonce:",
		"a label and long time": "dpop-nonce:123456789",
		"a time without label":  string(binary.BigEndian.AppendUint64(nil, uint64(now.Unix()))),
	} {
		sealed, err := current.Seal.Seal([]byte(plain))
		if err != nil {
			t.Fatal(err)
		}
		if got := use(t, v, svc, made(t, map[string]any{"nonce": sealed}), now); got != policy.ProofNonce {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestOneClientsProofsDoNotCrowdOutAnothers(t *testing.T) {
	t.Parallel()
	svc := service(t, "default")
	uses := store.NewMemory(func() time.Time { return now.Add(-time.Hour) }, store.MemoryLimits{PerOwner: 1})
	v := proof.New(uses, ring(t))
	one := func(jti, client string) policy.Reason {
		p, ref := v.DPoP(svc, proof.Endpoints(svc, "token"), []string{made(t, map[string]any{"jti": jti})}, nil, now)
		if ref != nil {
			t.Fatal(ref)
		}
		return reasonOf(p.Consume(t.Context(), svc, client))
	}
	if got := one("1", "a/a"); got != "" {
		t.Fatal(got)
	}
	if got := one("2", "a/a"); got != policy.RateLimited {
		t.Errorf("above its quota: %q", got)
	}
	if got := one("3", "b/b"); got != "" {
		t.Errorf("another client: %q", got)
	}
}

func TestAProofThatOneClientUsedIsUsedUpForAll(t *testing.T) {
	t.Parallel()
	svc := service(t, "default")
	v := verifier(t)
	token := made(t, map[string]any{"jti": "copied"})
	by := func(client string) policy.Reason {
		p, ref := v.DPoP(svc, proof.Endpoints(svc, "token"), []string{token}, nil, now)
		if ref != nil {
			t.Fatal(ref)
		}
		return reasonOf(p.Consume(t.Context(), svc, client))
	}
	if got := by("shop/web"); got != "" {
		t.Fatal(got)
	}
	if got := by("shop/mobile"); got != policy.ProofInvalid {
		t.Errorf("whoever has copied it, as another client: %q", got)
	}
}

func TestAReceivedProofIsOfTheClientsOwnResourceAndThisToken(t *testing.T) {
	t.Parallel()
	const token = "the-subject-token"
	resources := []string{"https://shop.example.com/api", "https://shop.example.com/other/"}
	v := verifier(t)
	for name, tc := range map[string]struct {
		change map[string]any
		want   policy.Reason
	}{
		"at the resource itself":                {nil, ""},
		"below the resource":                    {map[string]any{"htu": "https://shop.example.com/api/orders/5?x=1"}, ""},
		"by another method":                     {map[string]any{"htm": "GET"}, ""},
		"below a resource that ends in a slash": {map[string]any{"htu": "https://shop.example.com/other/x"}, ""},
		"with a nonce of the resource":          {map[string]any{"nonce": "shop-1"}, ""},
		"at a resource whose name goes on":      {map[string]any{"htu": "https://shop.example.com/apis"}, policy.ProofInvalid},
		"above the resource":                    {map[string]any{"htu": "https://shop.example.com/"}, policy.ProofInvalid},
		"at somebody else's":                    {map[string]any{"htu": "https://evil.example/api"}, policy.ProofInvalid},
		"at our own endpoint":                   {map[string]any{"htu": endpoint}, policy.ProofInvalid},
		"out of the resource by dots":           {map[string]any{"htu": "https://shop.example.com/api/../admin"}, policy.ProofInvalid},
		"out of the resource by escaped dots":   {map[string]any{"htu": "https://shop.example.com/api/%2E%2e/admin"}, policy.ProofInvalid},
		"without ath":                           {map[string]any{"ath": nil}, policy.ProofInvalid},
		"with ath of another token":             {map[string]any{"ath": ath("another")}, policy.ProofInvalid},
		"of longer than a minute ago":           {map[string]any{"iat": now.Unix() - 61}, policy.ProofInvalid},
		"from the future":                       {map[string]any{"iat": now.Unix() + 31}, policy.ProofInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			change := map[string]any{"htu": "https://shop.example.com/api", "ath": ath(token)}
			for k, value := range tc.change {
				change[k] = value
			}
			p, ref := v.Received(resources, made(t, change), token, now)
			if reasonOf(ref) != tc.want {
				t.Fatalf("found %v, expected %q", ref, tc.want)
			}
			if ref == nil && p.JKT != holder().KeyID() {
				t.Errorf("found key %s", p.JKT)
			}
		})
	}
	t.Run("a client without resources", func(t *testing.T) {
		t.Parallel()
		if _, ref := v.Received(nil, made(t, map[string]any{"ath": ath(token)}), token, now); reasonOf(ref) != policy.ProofInvalid {
			t.Errorf("found %v", ref)
		}
	})
	t.Run("used twice, and where nobody can tell", func(t *testing.T) {
		t.Parallel()
		svc := service(t, "default")
		token := made(t, map[string]any{"htu": resources[0], "ath": ath(token)})
		for n, want := range []policy.Reason{"", policy.ProofInvalid} {
			p, ref := v.Received(resources, token, "the-subject-token", now)
			if ref == nil {
				ref = p.Consume(t.Context(), svc, "shop/frontend")
			}
			if reasonOf(ref) != want {
				t.Errorf("use %d: %v", n+1, ref)
			}
		}
		p, ref := proof.New(store.None{}, ring(t)).Received(resources, token, "the-subject-token", now)
		if ref != nil {
			t.Fatal(ref)
		}
		if ref := p.Consume(t.Context(), svc, "shop/frontend"); reasonOf(ref) != policy.StoreUnavailable || ref.Outcome != policy.Unable {
			t.Errorf("without a store: %v, expected that nobody can tell", ref)
		}
		late := proof.New(memory(now.Add(-10*time.Second)), ring(t))
		if _, ref := late.Received(resources, made(t, map[string]any{"htu": resources[0], "ath": ath("t"), "iat": now.Unix() - 11}), "t", now); reasonOf(ref) != policy.ProofInvalid {
			t.Errorf("from before the start: %v", ref)
		}
	})
}
