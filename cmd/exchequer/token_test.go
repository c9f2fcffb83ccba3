// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/exchequer-dev/exchequer/exchanger/jose"
	fake "github.com/exchequer-dev/exchequer/test/fakes/issuer"
	"github.com/exchequer-dev/exchequer/test/fakes/saml"
)

const corpKey = "testdata/keys/corp.pem"

// minted is a token of the corporate issuer, with more flags.
func minted(t *testing.T, more ...string) string {
	t.Helper()
	args := append([]string{"token", "mint", "--key", corpKey, "--issuer", "https://login.corp.example"}, more...)
	return strings.TrimSpace(exchequer(t, "", args...).must(t, exitOK).out)
}

func TestAMintedTokenSaysWhatTheFlagsSay(t *testing.T) {
	t.Parallel()
	claims := file(t, "claims.yaml", "sub: somebody\ngroups: [staff]\nbig: 12345678901234567890\nunwanted: 1\n")
	token := minted(t, "--claims", claims, "--sub", "alice", "--aud", "a", "--aud", "b", "--scope", "images contacts", "--claim", "email_verified=true",
		"--claim", "name=Alice A.", "--claim", `text="true"`, "--claim", "unwanted=", "--claim", "jti=t1", "--typ", "at+jwt", "--expires-in", "5m")
	c, err := jose.Parse(token, jose.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	got := c.UnverifiedClaims()
	for name, want := range map[string]any{
		"iss": "https://login.corp.example", "sub": "alice", "scope": "images contacts", "email_verified": true, "name": "Alice A.", "text": "true",
		"jti": "t1", "iat": today().Unix(), "exp": today().Add(5 * time.Minute).Unix(),
	} {
		if got[name] != want {
			t.Errorf("%s = %v, want %v", name, got[name], want)
		}
	}
	if aud, _ := got["aud"].([]any); !slices.Equal(aud, []any{"a", "b"}) {
		t.Errorf("aud = %v", got["aud"])
	}
	if _, there := got["unwanted"]; there || c.Type() != "at+jwt" {
		t.Errorf("typ = %q, claims = %v", c.Type(), got)
	}
}

func TestANewKeyIsItsOwnersAloneAndIsNeverReplaced(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "new.pem")
	args := []string{"token", "mint", "--issuer", "https://a.example", "--new-key", "--key", path}
	exchequer(t, "", args...).must(t, exitOK)
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	before, _ := os.ReadFile(path)
	r := exchequer(t, "", args...).must(t, exitUsage)
	says(t, r.errs, "is there already")
	if after, _ := os.ReadFile(path); string(after) != string(before) {
		t.Error("the key was replaced")
	}
}

func TestADirectoryOfKeysGivesOneToSignWithAndAllToVerify(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "keys[1]")
	for _, alg := range []string{"ES256", "EdDSA"} {
		exchequer(t, "", "token", "mint", "--issuer", "https://a.example", "--new-key", "--keys", dir, "--alg", alg).must(t, exitOK)
	}
	r := exchequer(t, "", "token", "mint", "--issuer", "https://a.example", "--keys", dir).must(t, exitUsage)
	says(t, r.errs, "has several keys: choose one with --kid ")
	jwks := exchequer(t, "", "token", "jwks", "--keys", dir).must(t, exitOK).out
	set, warnings, err := jose.ParseKeySet([]byte(jwks), jose.KeySetOptions{})
	if err != nil || len(warnings) > 0 || set.Len() != 2 || strings.Contains(jwks, `"d"`) {
		t.Fatalf("set %v, %v, %v\n%s", set, warnings, err, jwks)
	}
	kid := set.KeyIDs()[1]
	token := exchequer(t, "", "token", "mint", "--issuer", "https://a.example", "--keys", dir, "--kid", kid).must(t, exitOK).out
	r = exchequer(t, token, "token", "verify", "--issuer", "https://a.example", "--jwks", file(t, "jwks.json", jwks), "-o", "json").must(t, exitOK)
	if v := decode[verification](t, r.out); !v.Verified {
		t.Errorf("%+v", v)
	}
	exchequer(t, "", "token", "mint", "--issuer", "https://a.example", "--keys", dir, "--kid", "other").must(t, exitUsage)
}

func TestMintRefusesWhatMakesNoToken(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		args []string
		want string
	}{
		"no key":             {[]string{"--issuer", "https://a.example"}, "exactly one of --key FILE and --keys DIR"},
		"two keys":           {[]string{"--issuer", "x", "--key", corpKey, "--keys", "."}, "exactly one of"},
		"no issuer":          {[]string{"--key", corpKey}, "--issuer is missing"},
		"a missing key":      {[]string{"--issuer", "x", "--key", "testdata/none.pem"}, "no such file"},
		"a key that is none": {[]string{"--issuer", "x", "--key", "testdata/good/shop.yaml"}, `a PEM block "PRIVATE KEY"`},
		"a wrong algorithm":  {[]string{"--issuer", "x", "--key", corpKey, "--alg", "RS256"}, "alg does not fit"},
		"HS256":              {[]string{"--issuer", "x", "--key", corpKey, "--alg", "HS256"}, "expected ES256"},
		"an empty directory": {[]string{"--issuer", "x", "--keys", t.TempDir()}, "--new-key makes one"},
		"a claim no value":   {[]string{"--issuer", "x", "--key", corpKey, "--claim", "groups"}, "NAME=VALUE"},
		"a bad typ":          {[]string{"--issuer", "x", "--key", corpKey, "--typ", "a b"}, "--typ"},
		"claims in a list":   {[]string{"--issuer", "x", "--key", corpKey, "--claims", file(t, "c.json", "[]")}, "expected an object"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := exchequer(t, "", append([]string{"token", "mint"}, tc.args...)...).must(t, exitUsage)
			says(t, r.errs, tc.want)
		})
	}
}

func TestDecodeShowsClaimsTimesAndWhoActs(t *testing.T) {
	t.Parallel()
	token := minted(t, "--sub", "alice", "--aud", "shop/frontend", "--claim", "jti=t1", "--claim", "nbf=1893412800", "--claim", "xqr=sealed",
		"--claim", `act={"iss": "https://sts.example.com", "sub": "orders", "act": {"sub": "web", "client_id": "shop/web", "more": 1}}`)
	r := exchequer(t, token+"\n", "token", "decode").must(t, exitOK)
	golden(t, "decode.txt", r.out)
	j := exchequer(t, "", "token", "decode", file(t, "token.jwt", token), "-o", "json").must(t, exitOK)
	d := decode[decodedToken](t, j.out)
	if d.Verified || len(d.Actors) != 2 || d.Actors[1].Client != "shop/web" || d.Refused != "" {
		t.Errorf("%+v", d)
	}
}

func TestDecodeShowsAnAssertionAsTheExchangeSeesIt(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 2, 15, 0, 0, 0, time.UTC)
	idp, err := saml.New("https://idp.example/saml", at)
	if err != nil {
		t.Fatal(err)
	}
	token, err := idp.Token(idp.Assertion(at, "https://sts.example.com", "https://sts.example.com/token"))
	if err != nil {
		t.Fatal(err)
	}
	d := decode[decodedToken](t, exchequer(t, token, "token", "decode", "-o", "json").must(t, exitOK).out)
	if d.Verified || d.Claims["sub"] != "alice" || d.Claims["mail"] != "alice@corp.example" || d.Header["recipient"] != "https://sts.example.com/token" || len(d.Times) != 4 {
		t.Errorf("%+v", d)
	}
	exchequer(t, token[:len(token)-8], "token", "decode").must(t, exitUsage)
}

func TestAMintedAssertionSaysWhatTheFlagsSay(t *testing.T) {
	t.Parallel()
	token := minted(t, "--issuer", "https://idp.example/saml", "--saml", "--sub", "alice", "--aud", "https://sts.example.com/saml",
		"--recipient", "https://sts.example.com/token", "--claim", `groups=["staff","doctors"]`, "--claim", "floor=3", "--claim", "mail=a@b.example")
	d := decode[decodedToken](t, exchequer(t, token, "token", "decode", "-o", "json").must(t, exitOK).out)
	if d.Claims["sub"] != "alice" || d.Claims["floor"] != "3" || d.Claims["mail"] != "a@b.example" || len(d.Claims["groups"].([]any)) != 2 || d.Claims["iss"] != "https://idp.example/saml" {
		t.Errorf("%+v", d)
	}
	for _, wrong := range [][]string{{"--saml"}, {"--saml", "--recipient", "https://x.example"}, {"--recipient", "https://x.example"}} {
		exchequer(t, "", append([]string{"token", "mint", "--key", corpKey, "--issuer", "https://x.example"}, wrong...)...).must(t, exitUsage)
	}
}

func TestDecodeShowsWhatWouldBeRefused(t *testing.T) {
	t.Parallel()
	// {"alg":"none"} . {"sub":"alice"} . x
	r := exchequer(t, "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbGljZSJ9.eA", "token", "decode").must(t, exitOK)
	says(t, r.out, "would be refused as it is: BadAlgorithm", "alice")
	for name, stdin := range map[string]string{
		"nothing": "", "one word": "token", "no base64": "*.*.*", "no JSON": "eA.eA.eA", "an encrypted token": "a.b.c.d.e",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			exchequer(t, stdin, "token", "decode").must(t, exitUsage)
		})
	}
}

func TestADecodedTokenCannotMoveTheCursor(t *testing.T) {
	t.Parallel()
	token := minted(t, "--sub", "ali\x1b[2Jce\u202e", "--claim", `act={"sub": "\u001b[0m"}`)
	r := exchequer(t, token, "token", "decode").must(t, exitOK)
	if strings.ContainsAny(r.out, "\x1b\u202e") {
		t.Errorf("%q", r.out)
	}
}

func TestVerifyNamesTheCheckThatFailed(t *testing.T) {
	t.Parallel()
	jwks := file(t, "jwks.json", exchequer(t, "", "token", "jwks", "--key", corpKey).must(t, exitOK).out)
	good := minted(t, "--sub", "alice", "--aud", "a")
	parts := strings.Split(good, ".")
	other := exchequer(t, "", "token", "mint", "--issuer", "https://login.corp.example", "--new-key", "--key", filepath.Join(t.TempDir(), "k.pem")).must(t, exitOK).out
	for name, tc := range map[string]struct {
		token  string
		more   []string
		failed string
	}{
		"a good token":          {good, nil, ""},
		"the right audience":    {good, []string{"--audience", "x", "--audience", "a"}, ""},
		"the right type":        {good, []string{"--typ", "JWT"}, ""},
		"another audience":      {good, []string{"--audience", "b"}, "audience"},
		"another type":          {good, []string{"--typ", "at+jwt"}, "type"},
		"another issuer":        {good, []string{"--issuer", "https://login.corp.example/"}, "issuer"},
		"an expired token":      {minted(t, "--expires-in", "-1m"), nil, "expiry"},
		"no end":                {minted(t, "--claim", "exp="), nil, "expiry"},
		"a token of tomorrow":   {minted(t, "--claim", "nbf=1893600000"), nil, "not before"},
		"an nbf that is a text": {minted(t, "--claim", `nbf="1"`), nil, "not before"},
		"another key":           {other, nil, "key"},
		"changed claims":        {parts[0] + "." + strings.Split(other, ".")[1] + "." + parts[2], nil, "signature"},
		"no token":              {"a.b", nil, "structure"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			args := append([]string{"token", "verify", "-o", "json", "--jwks", jwks, "--issuer", "https://login.corp.example"}, tc.more...)
			want := exitOK
			if tc.failed != "" {
				want = exitNo
			}
			v := decode[verification](t, exchequer(t, tc.token, args...).must(t, want).out)
			i := slices.IndexFunc(v.Checks, func(c verifyCheck) bool { return !c.OK })
			if v.Verified != (tc.failed == "") || (tc.failed != "" && (i < 0 || v.Checks[i].Check != tc.failed)) {
				t.Errorf("%+v", v)
			}
		})
	}
	r := exchequer(t, good, "token", "verify", "--jwks", jwks, "--issuer", "https://login.corp.example", "--audience", "b").must(t, exitNo)
	golden(t, "verify-refused.txt", strings.ReplaceAll(r.out, keyOf(t, good), "KID"))
}

func keyOf(t *testing.T, token string) string {
	t.Helper()
	c, err := jose.Parse(token, jose.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return c.KeyID()
}

func TestVerifyFindsKeysByDiscovery(t *testing.T) {
	t.Parallel()
	idp, err := fake.Start(fake.Options{Now: today})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(idp.Close)
	token, err := idp.Mint(fake.Claims{"sub": "alice"})
	if err != nil {
		t.Fatal(err)
	}
	exchequer(t, token, "token", "verify", "--issuer", idp.URL()).must(t, exitOK)
	exchequer(t, token, "token", "verify", "--issuer", idp.URL(), "--jwks", idp.JWKSURL()).must(t, exitOK)
	idp.Break(fake.Discovery, fake.Status(503))
	r := exchequer(t, token, "token", "verify", "--issuer", idp.URL()).must(t, exitUnable)
	says(t, r.errs, "cannot be had", "found 503")
}

func TestVerifyDialsNoSecretService(t *testing.T) {
	t.Parallel()
	token := minted(t)
	for name, args := range map[string][]string{
		"the metadata service of a cloud": {"--issuer", "https://169.254.169.254/"},
		"plain http":                      {"--issuer", "http://login.corp.example"},
		"plain http for keys":             {"--issuer", "https://a.example", "--jwks", "http://a.example/jwks"},
		"no issuer":                       {},
		"a missing file":                  {"--issuer", "https://a.example", "--jwks", "testdata/none.json"},
		"a set without keys":              {"--issuer", "https://a.example", "--jwks", file(t, "k.json", `{"keys": []}`)},
		"an unknown authority file":       {"--issuer", "https://a.example", "--ca-file", "testdata/none.pem"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			exchequer(t, token, append([]string{"token", "verify"}, args...)...).must(t, exitUsage)
		})
	}
}

func TestExplainReadsATokenAndVerifiesIt(t *testing.T) {
	t.Parallel()
	ask := func(t *testing.T, token string, code int, more ...string) explanation {
		t.Helper()
		args := append([]string{
			"explain", "--manifests", "testdata/good", "--client", "shop/frontend", "--subject-token", "-",
			"--audience", "media/images-resource", "--scope", "images", "-o", "json",
		}, more...)
		return decode[explanation](t, exchequer(t, token, args...).must(t, code).out)
	}
	good := []string{"--sub", "alice", "--aud", "shop-web", "--scope", "images", "--claim", "email_verified=true", "--claim", `groups=["staff"]`}
	token := minted(t, good...)

	got := ask(t, token, exitOK)
	if !strings.HasPrefix(got.Subject.Signature, "verified with key") || got.Subject.Subject != "corp:alice" || len(got.Notes) != 0 {
		t.Errorf("%+v", got.Subject)
	}
	parts := strings.Split(token, ".")
	if got := ask(t, parts[0]+"."+parts[1]+"."+strings.Repeat("A", len(parts[2])), exitNo); got.Reason != "TokenSignature" || got.Check != checkSubjectToken {
		t.Errorf("a forged token: %+v", got)
	}
	partner := minted(t, append(good, "--issuer", "https://login.partner.example", "--aud", "shop/frontend")...)
	got = ask(t, partner, exitOK)
	if !strings.HasPrefix(got.Subject.Signature, "NOT verified") || len(got.Notes) == 0 {
		t.Errorf("a token whose keys are elsewhere: %+v", got)
	}
	if got := ask(t, token, exitNo, "--issuer", "partner"); got.Reason != "IssuerUnknown" {
		t.Errorf("another issuer than it names: %+v", got)
	}
	if got := ask(t, "a.b.c", exitNo); got.Reason != "TokenMalformed" {
		t.Errorf("no token: %+v", got)
	}
	if got := ask(t, minted(t, "--issuer", "https://login.stranger.example"), exitNo); got.Reason != "IssuerUnknown" {
		t.Errorf("a stranger's token: %+v", got)
	}
	own := minted(t, "--issuer", "https://sts.example.com")
	r := exchequer(t, own, "explain", "--manifests", "testdata/good", "--client", "shop/frontend", "--subject-token", "-").must(t, exitUsage)
	says(t, r.errs, "its facts are sealed")
}
