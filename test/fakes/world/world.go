// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package world

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"log/slog"
	"maps"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/exchequer-dev/exchequer/exchanger/issuer"
	"github.com/exchequer-dev/exchequer/exchanger/keys"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
	fake "github.com/exchequer-dev/exchequer/test/fakes/issuer"
)

// The names of this world.
const (
	Service    = "main"
	Issuer     = "https://sts.example.com"
	CorpURL    = "https://login.corp.example"
	ClusterURL = "https://kubernetes.default.svc.cluster.local"
	Audience   = "https://sts.example.com/token" // one of clientAssertionAudiences
	Secret     = "correct-horse-battery-staple-and-more"
	OldSecret  = "the-secret-before-the-last-rotation!"
	UID        = "0b6f5d3e-5b4e-4a56-9d0a-6a3c1f0c1c11"
)

// Start is when the world's clock begins: in the middle of a second.
var Start = time.Date(2030, 1, 1, 12, 0, 0, 5e8, time.UTC)

// World is a token service and what is around it.
type World struct {
	tb testing.TB

	mu   sync.Mutex
	now  time.Time
	spec *policy.Spec
	snap *policy.Snapshot

	// Ring has the service's own keys, Manager those of its trusted issuers.
	Ring    *keys.Ring
	Manager *issuer.Manager
	// Corp signs for the TrustedIssuer corp, East and West for the clusters,
	// Frontend is the private_key_jwt key of the client shop/frontend.
	Corp, East, West, Frontend *fake.Key
}

// New makes a world, with its manifests changed by each change in turn.
func New(tb testing.TB, changes ...func(*policy.Spec)) *World {
	tb.Helper()
	w := &World{tb: tb, now: Start, Ring: keys.InMemory()}
	w.Manager = issuer.New(issuer.Options{Now: w.Now, Logger: slog.New(slog.DiscardHandler), FetchTimeout: time.Second})
	w.Corp, w.East, w.West = w.Key("corp-1", "ES256"), w.Key("east-1", "ES256"), w.Key("west-1", "ES256")
	w.Frontend = w.Key("frontend-1", "ES256")
	w.spec = w.manifests()
	plan := keys.Plan{Algorithm: "ES256", Rotation: keys.Rotation{Period: 720 * time.Hour, PrePublish: time.Hour}, Retain: time.Hour + time.Minute}
	if err := w.Ring.Ensure(Service, plan, w.Now()); err != nil {
		tb.Fatal(err)
	}
	w.Change(changes...)
	return w
}

// Key makes a key pair.
func (w *World) Key(id, algorithm string) *fake.Key {
	w.tb.Helper()
	k, err := fake.NewKey(id, algorithm)
	if err != nil {
		w.tb.Fatal(err)
	}
	return k
}

// JWKS is a JWK Set of the public halves.
func JWKS(all ...*fake.Key) string {
	set := struct {
		Keys []map[string]string `json:"keys"`
	}{Keys: []map[string]string{}}
	for _, k := range all {
		set.Keys = append(set.Keys, k.JWK())
	}
	b, err := json.Marshal(set)
	if err != nil {
		panic(err) // maps of strings always marshal
	}
	return string(b)
}

// Now is the world's time.
func (w *World) Now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

// Advance moves the world's clock.
func (w *World) Advance(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

// Service is the token service as the manifests say now.
func (w *World) Service() *policy.TokenService { return w.ServiceOf(Service) }

// ServiceOf is another token service that the manifests declare.
func (w *World) ServiceOf(name string) *policy.TokenService {
	w.mu.Lock()
	defer w.mu.Unlock()
	svc, _ := w.snap.Service(name)
	return svc
}

// Change changes the manifests and puts them in force.
func (w *World) Change(changes ...func(*policy.Spec)) {
	w.tb.Helper()
	b, err := json.Marshal(w.spec)
	if err != nil {
		w.tb.Fatal(err)
	}
	next := &policy.Spec{}
	if err := json.Unmarshal(b, next); err != nil {
		w.tb.Fatal(err)
	}
	for _, change := range changes {
		change(next)
	}
	snapshot, err := policy.Compile(next, 1, nil)
	if err != nil {
		w.tb.Fatal(err)
	}
	svc, ok := snapshot.Service(Service)
	if !ok {
		w.tb.Fatalf("the manifests have no token service %s", Service)
	}
	w.Manager.SetSources(sources(svc))
	w.mu.Lock()
	defer w.mu.Unlock()
	w.spec, w.snap = next, snapshot
}

func sources(svc *policy.TokenService) []issuer.Source {
	var all []issuer.Source
	for _, i := range svc.TrustedIssuers() {
		s := i.Spec()
		if s.Suspended {
			continue
		}
		src := issuer.Source{
			Name: s.Name, Digest: i.KeysDigest(), URL: s.URL, JWKSURL: s.Keys.JWKSURL, DiscoveryURL: s.Keys.DiscoveryURL,
			AllowLoopbackHTTP: true, SPIFFE: s.Kind == policy.IssuerSPIFFE, SAML: s.Kind == policy.IssuerSAML,
		}
		if s.Keys.Inline != "" {
			src.Inline = []byte(s.Keys.Inline)
		}
		for _, c := range s.Keys.AllowedCIDRs {
			src.AllowedCIDRs = append(src.AllowedCIDRs, netip.MustParsePrefix(c))
		}
		all = append(all, src)
	}
	return all
}

// EditIssuer is a change to one TrustedIssuer.
func EditIssuer(name string, edit func(*policy.Issuer)) func(*policy.Spec) {
	return func(s *policy.Spec) {
		for i := range s.Issuers {
			if s.Issuers[i].Name == name {
				edit(&s.Issuers[i])
			}
		}
	}
}

// EditClient is a change to one ExchangeClient.
func EditClient(id string, edit func(*policy.Client)) func(*policy.Spec) {
	return func(s *policy.Spec) {
		for i := range s.Clients {
			if s.Clients[i].ID == id {
				edit(&s.Clients[i])
			}
		}
	}
}

func hexDigest(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

// manifests are what the world begins with.
func (w *World) manifests() *policy.Spec {
	algorithms := []string{"RS256", "PS256", "ES256", "ES384", "EdDSA"}
	cluster := func(name, prefix string, key *fake.Key) policy.Issuer {
		return policy.Issuer{
			Name: name, TokenService: Service, Kind: policy.IssuerKubernetes, URL: ClusterURL,
			ForSubject: true, ForActor: true, ForClient: true, Audiences: []string{"https://cluster.example"},
			Algorithms: algorithms, Classes: []policy.Class{policy.ClassJWT}, Keys: policy.Keys{Inline: JWKS(key)},
			Prefix: prefix, MaxTokenAge: 24 * time.Hour, ClockSkew: 30 * time.Second,
			Mappings: policy.Mappings{Subject: policy.Value{Claim: "sub"}},
		}
	}
	return &policy.Spec{
		Format: policy.Format,
		Services: []policy.Service{{
			Name: Service, Issuer: Issuer, Algorithm: "ES256", DefaultLifetime: 5 * time.Minute, MaxLifetime: time.Hour,
			DelegationDepth: 4, TokenBytes: 8192, AssertionAudiences: []string{Issuer, Audience},
		}},
		Issuers: []policy.Issuer{
			{
				Name: "corp", TokenService: Service, Kind: policy.IssuerJWT, URL: CorpURL,
				ForSubject: true, ForActor: true, Audiences: []string{Issuer}, Algorithms: algorithms,
				Classes: []policy.Class{policy.ClassAccessToken, policy.ClassIDToken, policy.ClassJWT},
				Keys:    policy.Keys{Inline: JWKS(w.Corp)}, Prefix: "corp:", MaxTokenAge: 24 * time.Hour, ClockSkew: 30 * time.Second,
				Mappings: policy.Mappings{
					Subject: policy.Value{Claim: "sub"}, Groups: policy.Value{Claim: "groups"}, Scopes: policy.Value{Claim: "scope"},
				},
			},
			cluster("east", "east:", w.East), cluster("west", "west:", w.West),
		},
		Clients: []policy.Client{
			{
				ID: "shop/frontend", Namespace: "shop", Name: "frontend", TokenService: Service, TokenExchange: true,
				SecretDigests: []string{hexDigest(Secret), hexDigest(OldSecret)}, AssertionKeys: []string{JWKS(w.Frontend)},
				ServiceAccounts: []policy.ServiceAccount{{Issuer: "east", Namespace: "shop", Name: "frontend"}},
			},
			{ID: "shop/target", Namespace: "shop", Name: "target", TokenService: Service},
			{
				ID: "shop/suspended", Namespace: "shop", Name: "suspended", TokenService: Service, TokenExchange: true, Suspended: true,
				SecretDigests: []string{hexDigest(Secret)}, AssertionKeys: []string{JWKS(w.Frontend)},
				ServiceAccounts: []policy.ServiceAccount{{Issuer: "east", Namespace: "shop", Name: "suspended"}},
			},
			{
				ID: "shop/blue", Namespace: "shop", Name: "blue", TokenService: Service, TokenExchange: true,
				ServiceAccounts: []policy.ServiceAccount{{Issuer: "east", Namespace: "shop", Name: "painter"}},
			},
			{
				ID: "shop/green", Namespace: "shop", Name: "green", TokenService: Service, TokenExchange: true,
				ServiceAccounts: []policy.ServiceAccount{{Issuer: "east", Namespace: "shop", Name: "painter"}},
			},
			{
				ID: "shop/pinned", Namespace: "shop", Name: "pinned", TokenService: Service, TokenExchange: true,
				ServiceAccounts: []policy.ServiceAccount{{Issuer: "east", Namespace: "shop", Name: "pinned", UID: UID}},
			},
		},
	}
}

// Claims are the claims of a token; nil leaves a default out.
type Claims = map[string]any

func overlay(base Claims, over ...Claims) Claims {
	for _, o := range over {
		maps.Copy(base, o)
	}
	maps.DeleteFunc(base, func(_ string, v any) bool { return v == nil })
	return base
}
