// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/rand"
	"embed"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/exchequer-dev/exchequer/test/fakes/issuer"
)

//go:embed manifests/*.yaml
var manifests embed.FS

// The addresses that stand in the manifests; each run has its own.
const (
	writtenIssuer = "http://127.0.0.1:8080"
	writtenCorp   = "http://127.0.0.1:8081"
)

// The two APIs, by the names that tokens for them carry.
const (
	imagesAPI   = "media/images-resource"
	contactsAPI = "media/contacts-resource"
)

// story is what happens, in order.
type story struct {
	*page
	program, dir string
	corp         *issuer.Issuer
	issuer       string
	auditFile    string
	http         *http.Client
	serving      *child
	asked        int

	app, lab workload
	// full is what the app got at sign-in, narrowed what it hands on.
	full, narrowed *token
}

// signIn lets the corporate issuer give the app a token for alice.
func (s *story) signIn() error {
	s.http = &http.Client{Timeout: 20 * time.Second}
	s.chapter("Alice signs in at the app: the corporate issuer gives it a token")
	raw, err := s.corp.Mint(issuer.Claims{
		"sub": "alice", "aud": "shop-app", "scope": "images contacts", "groups": []string{"staff"},
		"exp": time.Now().Add(time.Hour).Unix(), "jti": rand.Text(),
	})
	if err != nil {
		return fmt.Errorf("mint alice's token: %w", err)
	}
	if s.full, err = decode(raw); err != nil {
		return err
	}
	s.say("A real little OpenID provider runs at %s, with discovery and keys over HTTP.", s.corp.URL())
	s.token(s.full)
	s.say("It is good for everything that the app may do for alice, for an hour. Whoever holds it can do all of that.")
	return nil
}

// serve writes the manifests and starts exchequer on them.
func (s *story) serve(ctx context.Context) (stop func(), err error) {
	s.chapter("Three teams write manifests, and `exchequer serve` puts them in force")
	s.app, s.lab = workload{"shop/app", rand.Text() + rand.Text()}, workload{"partner/photo-lab", rand.Text() + rand.Text()}
	address, err := freeAddress(ctx)
	if err != nil {
		return nil, err
	}
	s.issuer = "http://" + address
	if err := s.write(); err != nil {
		return nil, err
	}
	s.auditFile = filepath.Join(s.dir, "audit.jsonl")
	s.serving, err = start(ctx, s.program, "serve", "--manifests", filepath.Join(s.dir, "manifests"),
		"--listen", address, "--keys", filepath.Join(s.dir, "keys"), "--audit", s.auditFile)
	if err != nil {
		return nil, err
	}
	return s.serving.stop, nil
}

// write fills this run's addresses and fresh secrets into the manifests.
func (s *story) write() error {
	to := filepath.Join(s.dir, "manifests")
	if err := os.MkdirAll(to, 0o700); err != nil {
		return fmt.Errorf("write the manifests: %w", err)
	}
	s.say("In hack/demo/manifests:")
	files, err := manifests.ReadDir("manifests")
	if err != nil {
		return fmt.Errorf("read the manifests: %w", err)
	}
	for _, f := range files {
		b, err := manifests.ReadFile("manifests/" + f.Name())
		if err != nil {
			return fmt.Errorf("read the manifests: %w", err)
		}
		text := strings.NewReplacer(writtenIssuer, s.issuer, writtenCorp, s.corp.URL()).Replace(string(b))
		if err := os.WriteFile(filepath.Join(to, f.Name()), []byte(text), 0o600); err != nil {
			return fmt.Errorf("write the manifests: %w", err)
		}
		title, _, _ := strings.Cut(strings.TrimPrefix(text, "# "), "\n")
		s.say("%-16s %s", f.Name(), s.colour(faint, title))
	}
	var secrets strings.Builder
	for _, c := range []workload{s.app, s.lab} {
		namespace, name, _ := strings.Cut(c.id, "/")
		fmt.Fprintf(&secrets, "---\napiVersion: v1\nkind: Secret\nmetadata: {namespace: %s, name: %s-oauth}\nstringData: {client-secret: %s}\n",
			namespace, name, c.secret)
	}
	s.say("%-16s %s", "secrets.yaml", s.colour(faint, "Two Secrets, made for this run and nowhere else."))
	s.say("`exchequer serve` says what became of every object, and what it now allows:")
	return os.WriteFile(filepath.Join(to, "secrets.yaml"), []byte(secrets.String()), 0o600)
}

// conditions shows what every object became.
func (s *story) conditions(ctx context.Context) error {
	words := s.serving.words()
	for l := range strings.Lines(words) {
		s.quote(inShort(strings.TrimRight(l, "\n")))
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.issuer+"/readyz", http.NoBody)
	if err != nil {
		return fmt.Errorf("ask whether it is ready: %w", err)
	}
	res, err := s.http.Do(req)
	if err != nil {
		return fmt.Errorf("ask whether it is ready: %w", err)
	}
	_ = res.Body.Close()
	s.check(res.StatusCode == http.StatusOK, "it answers, and is ready", res.Status)

	var notReady []string
	latest := map[string]string{}
	for line := range strings.Lines(words) {
		name, conditions, ok := strings.Cut(strings.TrimSpace(line), " ")
		if ok && strings.Contains(conditions, "Accepted=") {
			latest[name] = conditions
		}
	}
	passed := 0
	for name, conditions := range latest {
		if !strings.Contains(conditions, "Ready=True") {
			notReady = append(notReady, name)
		}
		if strings.Contains(conditions, "ExamplesPassed=True") {
			passed++
		}
	}
	slices.Sort(notReady)
	s.check(len(latest) == 10 && len(notReady) == 0, "all 10 objects are Ready: accepted, resolved, in force", fmt.Sprintf("%d objects, not ready: %v", len(latest), notReady))
	s.check(strings.Contains(latest["TrustedIssuer/corp"], "Verified=True"), "the corporate issuer's keys were found by discovery", latest["TrustedIssuer/corp"])
	s.check(s.corp.Requests(issuer.JWKS) > 0, "the corporate issuer was asked for its keys over HTTP", s.corp.Requests(issuer.JWKS))
	s.check(passed == 2, "the examples in both policies came out as they say", passed)
	return nil
}

// inShort leaves of an object's conditions Ready, and those that are not true.
func inShort(line string) string {
	at := strings.Index(line, "Accepted=")
	if at < 0 {
		return line
	}
	kept := slices.DeleteFunc(strings.Fields(line[at:]), func(c string) bool {
		return strings.HasSuffix(c, "=True") && c != "Ready=True"
	})
	return line[:at] + strings.Join(kept, " ")
}

// narrow is the main job.
func (s *story) narrow(ctx context.Context) error {
	s.chapter("The app exchanges its token for one with `images` alone")
	s.say("the app ──► Exchequer")
	r := &request{by: s.app, token: s.full, audience: imagesAPI, scope: "images"}
	s.post(r)
	a, err := s.send(ctx, r)
	if err != nil {
		return err
	}
	if a.status != http.StatusOK {
		s.check(false, "the exchange is allowed", fmt.Sprintf("%d %s", a.status, a.Error))
		return s.explain(ctx, a, "")
	}
	if s.narrowed, err = decode(a.AccessToken); err != nil {
		return err
	}
	s.say("Exchequer ──► the app")
	s.quote(fmt.Sprintf("200  token_type: %s  expires_in: %d  scope: %s\n     issued_token_type: …:access_token", a.TokenType, a.ExpiresIn, a.Scope))
	t := s.narrowed
	s.token(t)
	s.check(a.IssuedTokenType == tokenType && a.TokenType == "Bearer" && a.noStore, "the answer is what RFC 8693 asks for, and may not be stored", fmt.Sprintf("%+v", a))
	s.check(a.Scope == "images" && t.text("scope") == "images", "its scope is images, and nothing else", t.text("scope"))
	s.check(slices.Equal(t.audience(), []string{imagesAPI}), "it is for the images API alone", t.audience())
	s.check(t.text("iss") == s.issuer && t.header["typ"] == "at+jwt", "it is an RFC 9068 access token of this token service", t.header)
	s.check(t.text("sub") == "corp:alice" && t.text("client_id") == s.app.id, "it still says whose it is, and who asked for it", t.text("sub"))
	s.check(t.lives() <= 5*time.Minute && t.lives() < s.full.lives(), "it lives five minutes instead of an hour", t.lives())
	return nil
}

// post shows a request.
func (s *story) post(r *request) {
	s.quote(fmt.Sprintf("POST %s/token   (Basic: %s)\nsubject_token=%s\naudience=%s\nscope=%s",
		s.issuer, r.by.id, short(r.token.raw, 30), r.audience, r.scope))
}
