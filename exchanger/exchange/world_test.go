// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package exchange_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/exchequer-dev/exchequer/exchanger/audit"
	"github.com/exchequer-dev/exchequer/exchanger/clientauth"
	"github.com/exchequer-dev/exchequer/exchanger/exchange"
	"github.com/exchequer-dev/exchequer/exchanger/expr"
	"github.com/exchequer-dev/exchequer/exchanger/issuer"
	"github.com/exchequer-dev/exchequer/exchanger/jose"
	"github.com/exchequer-dev/exchequer/exchanger/keys"
	"github.com/exchequer-dev/exchequer/exchanger/limit"
	"github.com/exchequer-dev/exchequer/exchanger/oauth"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
	"github.com/exchequer-dev/exchequer/exchanger/proof"
	"github.com/exchequer-dev/exchequer/exchanger/store"
	"github.com/exchequer-dev/exchequer/exchanger/subject"
	"github.com/exchequer-dev/exchequer/exchanger/subject/trust"
	fake "github.com/exchequer-dev/exchequer/test/fakes/issuer"
)

// The names of the world of these tests.
const (
	mainService = "main"
	mainIssuer  = "https://sts.example.com"
	sideService = "side"
	sideIssuer  = "https://side.example.com"
	corpURL     = "https://login.corp.example"
	app         = "shop/app"
	signer      = "shop/signer"
	images      = "media/images-resource"
	contacts    = "media/contacts-resource"
	secret      = "correct-horse-battery-staple-and-more"
)

// world is an exchanger with everything real behind it but the issuers' HTTP, the
// audit sink, which is the test's, and the clock.
type world struct {
	tb   testing.TB
	use  *exchange.Exchanger
	ring *keys.Ring
	// issuers has the keys of corp; nothing of it runs, so a fetch would hang.
	issuers *issuer.Manager
	corp    *fake.Key
	signer  *fake.Key
	sink    *sink
	uses    *counting
	fetches *watchedKeys
	signing *watchedRing

	snapshot atomic.Pointer[policy.Snapshot]
	mu       sync.Mutex
	now      time.Time
	spec     *policy.Spec
	serial   atomic.Int64
}

// sink keeps the records, as JSON too, unless it is told to fail.
type sink struct {
	mu      sync.Mutex
	records []audit.Record
	lines   [][]byte
	err     error
	before  func(*audit.Record)
}

func (s *sink) Write(r *audit.Record) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.before != nil {
		s.before(r)
	}
	if s.err != nil {
		return s.err
	}
	s.records = append(s.records, *r)
	s.lines = append(s.lines, r.AppendJSON(nil))
	return nil
}

func (s *sink) all() []audit.Record {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]audit.Record(nil), s.records...)
}

func (s *sink) last(tb testing.TB) audit.Record {
	tb.Helper()
	all := s.all()
	if len(all) == 0 {
		tb.Fatal("there is no audit record")
	}
	return all[len(all)-1]
}

// counting is the memory store with a count of what was used up.
type counting struct {
	store.Store
	used atomic.Int64
}

func (c *counting) Once(ctx context.Context, purpose store.Purpose, owner, id string, until time.Time) (bool, error) {
	c.used.Add(1)
	return c.Store.Once(ctx, purpose, owner, id, until)
}

// watchedKeys counts how often somebody asked for an issuer's key, which may cost
// a fetch.
type watchedKeys struct {
	behind trust.Keys
	asked  atomic.Int64
	// meanwhile runs while a key is asked for.
	meanwhile func()
}

func (k *watchedKeys) Keys(ctx context.Context, name, digest, kid string) (*jose.PublicKey, error) {
	k.asked.Add(1)
	if k.meanwhile != nil {
		k.meanwhile()
	}
	if err := ctx.Err(); err != nil {
		return nil, errors.Join(issuer.ErrUnable, err)
	}
	return k.behind.Keys(ctx, name, digest, kid)
}

func (k *watchedKeys) Peek(name, digest, kid string) (*jose.PublicKey, bool) {
	return k.behind.Peek(name, digest, kid)
}

// watchedRing counts how often a signing key was taken.
type watchedRing struct {
	exchange.SigningKeys
	taken atomic.Int64
}

func (r *watchedRing) Current(service string) (*keys.Current, bool) {
	r.taken.Add(1)
	return r.SigningKeys.Current(service)
}

func newWorld(tb testing.TB, changes ...func(*policy.Spec)) *world {
	tb.Helper()
	w := &world{tb: tb, now: time.Date(2030, 1, 1, 12, 0, 0, 250e6, time.UTC), ring: keys.InMemory(), sink: &sink{}}
	w.corp, w.signer = w.key("corp-1"), w.key("signer-1")
	w.issuers = issuer.New(issuer.Options{Now: w.Now, Logger: slog.New(slog.DiscardHandler), FetchTimeout: time.Second})
	w.uses = &counting{Store: store.NewMemory(w.Now, store.MemoryLimits{})}
	w.advance(2 * time.Second) // what was issued before the store began is refused
	w.fetches, w.signing = &watchedKeys{behind: w.issuers}, &watchedRing{SigningKeys: w.ring}
	w.use = &exchange.Exchanger{
		Proofs:   proof.New(w.uses, w.ring),
		Clients:  clientauth.New(w.fetches, w.uses, clientauth.Options{}),
		Subjects: subject.New(w.fetches, w.ring, subject.Options{}),
		Keys:     w.signing,
		Audit:    w.sink,
		Store:    w.uses,
		Now:      w.Now,
		Rates:    limit.NewRates(100),
		Failures: limit.NewFailures(100),
	}
	plan := keys.Plan{Algorithm: "ES256", Rotation: keys.Rotation{Period: 720 * time.Hour, PrePublish: time.Hour}, Retain: time.Hour}
	for _, name := range []string{mainService, sideService} {
		if err := w.ring.Ensure(name, plan, w.Now()); err != nil {
			tb.Fatal(err)
		}
	}
	w.spec = manifests(w.corp, w.signer)
	w.change(changes...)
	return w
}

func (w *world) key(id string) *fake.Key {
	w.tb.Helper()
	k, err := fake.NewKey(id, "ES256")
	if err != nil {
		w.tb.Fatal(err)
	}
	return k
}

// Now is the world's time.
func (w *world) Now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) advance(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

// change puts changed manifests in force, under the next revision.
func (w *world) change(changes ...func(*policy.Spec)) {
	w.tb.Helper()
	for _, c := range changes {
		c(w.spec)
	}
	revision := uint64(1)
	if s := w.snapshot.Load(); s != nil {
		revision = s.Revision() + 1
	}
	snapshot := w.compile(w.spec, revision)
	var sources []issuer.Source
	for _, svc := range snapshot.Services() {
		for _, i := range svc.TrustedIssuers() {
			s := i.Spec()
			src := issuer.Source{Name: s.Name, Digest: i.KeysDigest(), URL: s.URL, JWKSURL: s.Keys.JWKSURL}
			if s.Keys.Inline != "" {
				src.Inline = []byte(s.Keys.Inline)
			}
			sources = append(sources, src)
		}
	}
	w.issuers.SetSources(sources)
	w.snapshot.Store(snapshot)
}

func (w *world) compile(spec *policy.Spec, revision uint64) *policy.Snapshot {
	w.tb.Helper()
	b, err := json.Marshal(spec) // a copy: a Spec is not changed once compiled
	if err != nil {
		w.tb.Fatal(err)
	}
	own := &policy.Spec{}
	if err := json.Unmarshal(b, own); err != nil {
		w.tb.Fatal(err)
	}
	snapshot, err := policy.Compile(own, revision, expr.New())
	if err != nil {
		w.tb.Fatal(err)
	}
	return snapshot
}

func jwks(k *fake.Key) string {
	b, err := json.Marshal(map[string]any{"keys": []any{k.JWK()}})
	if err != nil {
		panic(err) // maps of strings always marshal
	}
	return string(b)
}

// manifests are what a shop and a media team would write: app may get images for
// its users, signer authenticates with assertions of its own.
func manifests(corp, signing *fake.Key) *policy.Spec {
	digest := sha256.Sum256([]byte(secret))
	service := func(name, iss string) policy.Service {
		return policy.Service{
			Name: name, Issuer: iss, Algorithm: "ES256", DefaultLifetime: 5 * time.Minute, MaxLifetime: time.Hour,
			DelegationDepth: 4, TokenBytes: 8192, AssertionAudiences: []string{iss},
			ScopeOwners: []policy.ScopeOwner{{Scope: "contacts", Namespace: "media"}, {Scope: "images", Namespace: "media"}},
		}
	}
	classes := []policy.Class{policy.ClassAccessToken, policy.ClassIDToken, policy.ClassJWT}
	grant := func(name string, target, scope string) policy.Policy {
		return policy.Policy{
			Namespace: "media", Name: name, TokenService: mainService, Clients: []string{app, signer},
			SubjectIssuers: []string{"corp"}, SelfOrigins: []string{"corp"}, SubjectClasses: classes,
			SubjectAudience: policy.AudienceRule{Match: policy.AudienceClient},
			SubjectRules:    []policy.Rule{{Expression: "'corp:staff' in subject.groups", Message: "staff only"}},
			Targets:         []string{target}, Scopes: []string{scope}, TokenTypes: []policy.TokenType{policy.TypeAccessToken, policy.TypeJWT},
			Claims: []policy.Claim{{Name: "tenant", Expression: "subject.extra.tenant"}},
		}
	}
	return &policy.Spec{
		Format:   policy.Format,
		Services: []policy.Service{service(mainService, mainIssuer), service(sideService, sideIssuer)},
		Issuers: []policy.Issuer{{
			Name: "corp", TokenService: mainService, Kind: policy.IssuerJWT, URL: corpURL, ForSubject: true, ForActor: true,
			Audiences: []string{mainIssuer}, Algorithms: []string{"ES256"}, Classes: classes, Keys: policy.Keys{Inline: jwks(corp)},
			Prefix: "corp:", MaxTokenAge: 24 * time.Hour, ClockSkew: 30 * time.Second,
			Mappings: policy.Mappings{
				Subject: policy.Value{Claim: "sub"}, Username: policy.Value{Claim: "preferred_username"}, Groups: policy.Value{Claim: "groups"},
				Scopes: policy.Value{Claim: "scope"}, Extra: []policy.ExtraValue{{Key: "tenant", Value: policy.Value{Claim: "tenant"}}},
			},
		}},
		Clients: []policy.Client{
			{ID: contacts, Namespace: "media", Name: "contacts-resource", TokenService: mainService},
			{ID: images, Namespace: "media", Name: "images-resource", TokenService: mainService, Resources: []string{"https://images.media.example/api"}},
			{
				ID: app, Namespace: "shop", Name: "app", TokenService: mainService, TokenExchange: true,
				SecretDigests: []string{hex.EncodeToString(digest[:])},
			},
			{ID: signer, Namespace: "shop", Name: "signer", TokenService: mainService, TokenExchange: true, AssertionKeys: []string{jwks(signing)}},
		},
		Scopes: []policy.Scope{
			{Namespace: "media", Name: "contacts", TokenService: mainService, Scope: "contacts", Targets: []string{contacts}, InToken: true},
			{Namespace: "media", Name: "images", TokenService: mainService, Scope: "images", Targets: []string{images}, InToken: true},
		},
		Policies: []policy.Policy{grant("app-gets-contacts", contacts, "contacts"), grant("app-gets-images", images, "images")},
	}
}

type claims = map[string]any

// token is corp's token for alice, with claims put over the usual ones; nil
// leaves one out.
func (w *world) token(over claims) string {
	now := w.Now()
	all := claims{
		"iss": corpURL, "sub": "alice", "aud": app, "iat": now.Unix(), "exp": now.Add(time.Hour).Unix(), "jti": w.unique("corp"),
		"scope": "images contacts", "groups": []string{"staff", "press"}, "preferred_username": "alice", "tenant": "acme",
	}
	return w.sign(w.corp, "at+jwt", all, over)
}

// assertion is signer's private_key_jwt.
func (w *world) assertion(over claims) string {
	now := w.Now()
	all := claims{
		"iss": signer, "sub": signer, "aud": mainIssuer, "iat": now.Unix(), "exp": now.Add(time.Minute).Unix(), "jti": w.unique("assertion"),
	}
	return w.sign(w.signer, "JWT", all, over)
}

func (w *world) unique(prefix string) string {
	return fmt.Sprintf("%s-%06d", prefix, w.serial.Add(1))
}

func (w *world) sign(k *fake.Key, typ string, all, over claims) string {
	w.tb.Helper()
	maps.Copy(all, over)
	maps.DeleteFunc(all, func(_ string, v any) bool { return v == nil })
	header, err := json.Marshal(claims{"alg": k.Algorithm, "kid": k.ID, "typ": typ})
	if err != nil {
		w.tb.Fatal(err)
	}
	payload, err := json.Marshal(all)
	if err != nil {
		w.tb.Fatal(err)
	}
	token, err := k.Sign(header, payload)
	if err != nil {
		w.tb.Fatal(err)
	}
	return token
}

// form is app's request for images for a subject token, with parameters put over
// the usual ones; an empty list leaves one out.
func form(subjectToken string, over url.Values) url.Values {
	v := url.Values{
		"grant_type": {oauth.GrantTokenExchange}, "client_id": {app}, "client_secret": {secret},
		"subject_token": {subjectToken}, "subject_token_type": {"urn:ietf:params:oauth:token-type:access_token"},
		"audience": {images}, "scope": {"images"},
	}
	maps.Copy(v, over)
	return v
}

// call is a request as the transport would hand it over.
func (w *world) call(v url.Values) *oauth.Call {
	snapshot := w.snapshot.Load()
	svc, _ := snapshot.Service(mainService)
	return &oauth.Call{
		Snapshot: snapshot, Service: svc, Body: []byte(v.Encode()), CorrelationID: w.unique("call"),
		Peer: netip.MustParseAddr("192.0.2.7"), Start: w.Now(),
	}
}

func (w *world) exchange(v url.Values) oauth.Answer {
	return w.use.Exchange(w.tb.Context(), w.call(v))
}

// asserted is signer's request for images, authenticated by an assertion.
func (w *world) asserted(assertion string, over url.Values) url.Values {
	v := form(w.token(claims{"aud": signer}), url.Values{
		"client_id": nil, "client_secret": nil,
		"client_assertion_type": {clientauth.AssertionType}, "client_assertion": {assertion},
	})
	maps.Copy(v, over)
	return v
}

// refused holds an answer against the refusal that it must be.
func refused(t *testing.T, a oauth.Answer, reason policy.Reason) {
	t.Helper()
	switch {
	case a.Response != nil:
		t.Fatalf("a token was given, want %s", reason)
	case a.Refusal == nil || a.Refusal.Reason != reason:
		t.Fatalf("refused with %v, want %s", a.Refusal, reason)
	}
}

func granted(t *testing.T, a oauth.Answer) *oauth.Response {
	t.Helper()
	if a.Refusal != nil || a.Response == nil {
		t.Fatalf("refused: %v", a.Refusal)
	}
	return a.Response
}

// claimsOf are the claims of a token that the main service issued, verified with
// its published keys.
func (w *world) claimsOf(token string) claims {
	w.tb.Helper()
	parsed, err := jose.Parse(token, jose.Limits{})
	if err != nil {
		w.tb.Fatal(err)
	}
	current, _ := w.ring.Current(mainService)
	key, ok := current.Public.Key(parsed.KeyID())
	if !ok {
		w.tb.Fatal("the token's key is not published")
	}
	v, err := parsed.Verify(key, jose.Algorithms())
	if err != nil {
		w.tb.Fatal(err)
	}
	return v.Claims
}

// noKeys is a ring that has lost its keys.
type noKeys struct{}

func (noKeys) Current(string) (*keys.Current, bool) { return nil, false }
