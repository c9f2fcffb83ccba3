// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"
	"time"
)

// Snapshot is a compiled [Spec]: immutable, indexed, safe for concurrent use.
// The zero value knows no token service and denies everything.
type Snapshot struct {
	revision uint64
	digest   string
	services map[string]*TokenService
	names    []string
}

// Revision is the number under which the snapshot was published.
func (s *Snapshot) Revision() uint64 { return s.revision }

// Renumbered is the same snapshot under the number under which it was published
// again. It shares everything with this one, which costs nothing.
func (s *Snapshot) Renumbered(revision uint64) *Snapshot {
	again := *s
	again.revision = revision
	return &again
}

// Digest is the lower-case hex SHA-256 of the canonical Spec.
func (s *Snapshot) Digest() string { return s.digest }

// Service returns the token service of that name.
func (s *Snapshot) Service(name string) (*TokenService, bool) {
	svc, ok := s.services[name]
	return svc, ok
}

// Services returns all token services, sorted by name.
func (s *Snapshot) Services() []*TokenService {
	out := make([]*TokenService, 0, len(s.names))
	for _, n := range s.names {
		out = append(out, s.services[n])
	}
	return out
}

// TokenService is one token service of a snapshot with all that refers to it.
type TokenService struct {
	spec    *Service
	clients map[string]*AskingClient
	issuers map[string]*TrustedIssuer
	byURL   map[string][]*TrustedIssuer
	// byEntity has the issuers of SAML assertions, which are in no other index.
	byEntity map[string]*TrustedIssuer
	// byTokenType has the issuers of opaque tokens.
	byTokenType map[string]*TrustedIssuer
	// linked has names of the external targets with linked tokens, by provider.
	linked map[string][]string
	byAcct map[accountKey][]*AskingClient
	// clients by certificate and SVID
	identities identities
	// targets by what a request may call them
	byAudience map[string]*target
	byResource map[string]*target
	// policies by (target, client); allClients by target alone
	byPair     map[pair][]*grantPolicy
	allClients map[string][]*grantPolicy
	// impersonation grants by name, and by client
	grants     map[string]*impersonationGrant
	grantsOf   map[string][]*impersonationGrant
	scopes     map[scopeKey]*grantScope
	scopeOwner map[string][]string
	scopeStars []ScopeOwner
	credAud    map[string]bool
	// revocations is nil where there are none.
	revocations    *revocations
	longestRenewal time.Duration
}

type accountKey struct{ issuer, namespace, name string }

type pair struct{ target, client string }

type scopeKey struct{ namespace, scope string }

// target is a client in its role as a target.
type target struct {
	client *Client
	party  *Party
	// external is set for a target whose tokens another server mints; its client
	// stands for it, and is nobody's.
	external *External
	// attributes are those of assertions for it.
	attributes []compiledClaim
}

// Spec returns the service's part of the Spec; it must not be changed.
func (t *TokenService) Spec() *Service { return t.spec }

// Name is the TokenService object's name.
func (t *TokenService) Name() string { return t.spec.Name }

// Issuer is the exact iss of what the service mints.
func (t *TokenService) Issuer() string { return t.spec.Issuer }

// Client returns the client with that client_id, suspended ones included.
func (t *TokenService) Client(id string) (*AskingClient, bool) {
	c, ok := t.clients[id]
	return c, ok
}

// TrustedIssuer returns the trusted issuer of that name, suspended ones included.
func (t *TokenService) TrustedIssuer(name string) (*TrustedIssuer, bool) {
	i, ok := t.issuers[name]
	return i, ok
}

// TrustedIssuers returns all trusted issuers, sorted by name.
func (t *TokenService) TrustedIssuers() []*TrustedIssuer {
	out := make([]*TrustedIssuer, 0, len(t.issuers))
	for _, i := range t.issuers {
		out = append(out, i)
	}
	slices.SortFunc(out, func(a, b *TrustedIssuer) int { return strings.Compare(a.spec.Name, b.spec.Name) })
	return out
}

// IssuersByURL returns the trusted issuers whose iss is exactly url. More than
// one are Kubernetes clusters that share a URL: the key ID tells them apart.
func (t *TokenService) IssuersByURL(url string) []*TrustedIssuer { return t.byURL[url] }

// ClientsByServiceAccount returns the clients that the service account of the
// cluster that issuer names authenticates. More than one: client_id must choose.
func (t *TokenService) ClientsByServiceAccount(issuer, namespace, name string) []*AskingClient {
	return t.byAcct[accountKey{issuer, namespace, name}]
}

// IsCredentialAudience says whether aud makes a token a client credential.
func (t *TokenService) IsCredentialAudience(aud string) bool { return t.credAud[aud] }

// AskingClient is a client of a snapshot.
type AskingClient struct {
	spec    *Client
	party   *Party
	secrets [][sha256.Size]byte
}

// Spec returns the client's part of the Spec; it must not be changed.
func (c *AskingClient) Spec() *Client { return c.spec }

// ID is the client_id.
func (c *AskingClient) ID() string { return c.spec.ID }

// SecretDigests are the SHA-256 digests of the client's secrets, at most two.
func (c *AskingClient) SecretDigests() [][sha256.Size]byte { return c.secrets }

// HasUID says whether the service account, with the UID that its token carries,
// is one that authenticates this client.
func (c *AskingClient) HasUID(issuer, namespace, name, uid string) bool {
	return slices.ContainsFunc(c.spec.ServiceAccounts, func(a ServiceAccount) bool {
		return a.Issuer == issuer && a.Namespace == namespace && a.Name == name && (a.UID == "" || a.UID == uid)
	})
}

// TrustedIssuer is a trusted issuer of a snapshot with its expressions compiled.
type TrustedIssuer struct {
	spec           *Issuer
	digest         string
	keysDigest     string
	classifyAccess Program
	classifyID     Program
	claimRules     []compiledClaimRule
	userRules      []compiledRule
	subject        compiledValue
	username       compiledValue
	groups         compiledValue
	scopes         compiledValue
	extra          []compiledExtra
	acr            compiledValue
	amr            compiledValue
	authTime       compiledValue
	scopeMap       map[string]string
	aliases        map[string]string
}

// Spec returns the issuer's part of the Spec; it must not be changed.
func (i *TrustedIssuer) Spec() *Issuer { return i.spec }

// Name is the TrustedIssuer object's name.
func (i *TrustedIssuer) Name() string { return i.spec.Name }

// Digest identifies everything that the issuer's object says: what was verified
// or mapped under another digest must not be used.
func (i *TrustedIssuer) Digest() string { return i.digest }

// KeysDigest identifies where the issuer's keys come from.
func (i *TrustedIssuer) KeysDigest() string { return i.keysDigest }

type compiledRule struct {
	program Program
	message string
	text    string
}

type compiledClaimRule struct {
	compiledRule
	claim    string
	required string
}

// compiledValue is a mapping: a claim, a program, or nothing.
type compiledValue struct {
	claim   string
	program Program
}

type compiledExtra struct {
	key string
	compiledValue
}

type compiledClaim struct {
	name    string
	program Program
}

// grantPolicy is a policy with its expressions compiled and its lists indexed.
type grantPolicy struct {
	spec         *Policy
	ref          string
	subjectRules []compiledRule
	actorRules   []compiledRule
	rules        []compiledRule
	claims       []compiledClaim
}

// grantScope is a scope of one namespace.
type grantScope struct {
	spec      *Scope
	parameter Program
	rules     []compiledRule
	claims    []compiledClaim
}

func (g *grantScope) belongsTo(clientID string) bool {
	return g.spec.AllTargets || slices.Contains(g.spec.Targets, clientID)
}

func digestOf(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		// The Spec's types cannot fail to marshal; an empty digest matches nothing.
		return ""
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
