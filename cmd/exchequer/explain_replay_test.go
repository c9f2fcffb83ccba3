// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/sha256"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

func TestF358ARecordedRequestIsDecidedAgain(t *testing.T) {
	t.Parallel()
	issuer, dir, records := service(t)
	secret := file(t, "secret", "a-secret-for-tests-0123456789abcdef\n")
	mint := func(groups string) string {
		return file(t, "token.jwt", live(t, "", "token", "mint", "--key", corpKey, "--issuer", "https://login.corp.example", "--sub", "alice", "--aud", "shop-web",
			"--scope", "images contacts", "--claim", "email_verified=true", "--claim", "groups="+groups).must(t, exitOK).out)
	}
	token := mint(`["staff"]`)
	live(t, "", "exchange", "--issuer", issuer, "--client-id", "shop/frontend", "--client-secret-file", secret,
		"--subject-token-file", token, "--audience", "media/images-resource", "--scope", "images").must(t, exitOK)
	text, err := os.ReadFile(token)
	if err != nil {
		t.Fatal(err)
	}
	id := recordOf(t, records, sha256.Sum256([]byte(strings.TrimSpace(string(text))))).CorrelationID
	explain := func(more ...string) []string {
		return append([]string{"explain", "--correlation-id", id, "--audit", records}, more...)
	}
	t.Run("F358: by the manifests of then it is what is recorded", func(t *testing.T) {
		t.Parallel()
		r := live(t, "", explain("--manifests", dir, "--subject-token", token)...).must(t, exitOK)
		says(t, r.out, "✓ allowed", "decided again, as it is recorded at revision 1")
	})
	t.Run("F358: by others it need not be, and that is told", func(t *testing.T) {
		t.Parallel()
		other := t.TempDir()
		for _, name := range []string{"platform.yaml", "media.yaml", "shop.yaml"} {
			b, err := os.ReadFile(filepath.Join(dir, name))
			if err != nil {
				t.Fatal(err)
			}
			text := strings.ReplaceAll(string(b), "mode: Enforce", "mode: Audit")
			if name == "media.yaml" {
				text = strings.ReplaceAll(text, "'corp:staff' in subject.groups", "'corp:nobody' in subject.groups")
			}
			if err := os.WriteFile(filepath.Join(other, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		e := decode[explanation](t, live(t, "", explain("--manifests", other, "--subject-token", token, "-o", "json")...).must(t, exitNo).out)
		if e.Recorded == nil || e.Recorded.Same || e.Recorded.Outcome != policy.Allowed.String() || e.Outcome == e.Recorded.Outcome {
			t.Errorf("%s, and recorded %+v", e.Outcome, e.Recorded)
		}
	})
	t.Run("F358: by the claims alone, as somebody says they were", func(t *testing.T) {
		t.Parallel()
		claims := file(t, "claims.json", `{"sub": "alice", "aud": "shop-web", "scope": "images contacts", "email_verified": true, "groups": ["staff"]}`)
		live(t, "", explain("--manifests", dir, "--subject-claims", claims, "--issuer", "corp")...).must(t, exitOK)
	})
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"F358: another token is not that of the request": {[]string{"--subject-token", mint(`["staff", "press"]`)}, "no such SHA-256"},
		"F358: who asked stands in the record":           {[]string{"--subject-token", token, "--client", "shop/other"}, "--client: the record says"},
		"F358: and when":                                 {[]string{"--subject-token", token, "--time", "2030-01-01T12:00:00Z"}, "--time: the record says"},
		"F358: the token does not stand there":           {nil, "expected exactly one of --subject-claims and --subject-token"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := live(t, "", explain(append([]string{"--manifests", dir}, c.args...)...)...).must(t, exitUsage)
			says(t, r.errs, c.want)
		})
	}
}

func TestNamesInARecordAreToldApart(t *testing.T) {
	t.Parallel()
	clients := []policy.Client{
		{TokenService: "default", Resources: []string{"https://a.example/", "https://both.example"}, Audiences: []string{"https://both.example"}},
		{TokenService: "other", Resources: []string{"https://elsewhere.example"}},
	}
	audiences, resources := apart([]string{"media/a", "https://a.example/", "https://both.example", "https://elsewhere.example"}, clients, "default")
	if strings.Join(audiences, " ") != "media/a https://both.example https://elsewhere.example" || strings.Join(resources, " ") != "https://a.example/" {
		t.Errorf("audiences %q, resources %q", audiences, resources)
	}
}
