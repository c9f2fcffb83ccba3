// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/exchequer-dev/exchequer/api/v1alpha1"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

// StoreKind is where one-time state is kept.
type StoreKind string

// The places. The zero value is for a process that serves alone.
const (
	StoreMemory StoreKind = ""
	StoreShared StoreKind = "shared"
	StoreNone   StoreKind = "none"
)

// Input is everything that a translation depends on.
type Input struct {
	Objects Objects
	// Secrets and ConfigMaps hold the data of those that exist and may be read.
	Secrets    map[types.NamespacedName]map[string][]byte
	ConfigMaps map[types.NamespacedName]map[string]string
	// SecretVersions and ConfigMapVersions tell states of them apart, as resource
	// versions do; what has none is taken not to change.
	SecretVersions    map[types.NamespacedName]string
	ConfigMapVersions map[types.NamespacedName]string
	// SecretsDenied names the namespaces whose Secrets may not be read, each with
	// what would permit it, in words.
	SecretsDenied map[string]string
	// ConfigMapsDenied is the same for ConfigMaps.
	ConfigMapsDenied map[string]string
	// Namespaces holds the labels of namespaces. Whatever it says, or does not, a
	// namespace has the label kubernetes.io/metadata.name with its name.
	Namespaces map[string]map[string]string
	// OperatorNamespace is where the Secrets and ConfigMaps of cluster-scoped
	// objects lie; its objects need no delegation of names.
	OperatorNamespace string
	// Serve says that the process which translates is the one that exchanges, with
	// no cluster: http to loopback is possible, and there is no local cluster.
	Serve bool
	// Store is where the process that serves keeps one-time state.
	Store StoreKind
	// Anywhere says that nobody serves what is translated: it is judged for people, and
	// may be meant for a cluster. What one of the two places serves is accepted then.
	Anywhere bool
	// Now is the time of the translation, in UTC.
	Now time.Time
	// Compiler compiles the expressions of the snapshot that examples are judged
	// against.
	Compiler policy.Compiler
	// Check compiles an expression and judges its cost; the warnings are for people.
	Check func(env policy.Environment, want policy.ResultType, expression string) (warnings []string, err error)
	// CheckKeySet reads a JWK Set of public keys; an error says why none is usable.
	CheckKeySet func([]byte) error
	// CheckBundle does the same for a trust bundle of SPIFFE; nil takes any key set.
	CheckBundle func([]byte) error
	// KeyStatus tells about the keys of a TrustedIssuer of which this process fetches
	// them; nil where it does not.
	KeyStatus func(issuer string) KeyStatus
	// LocalCluster is what the API server says of its own service-account tokens; nil
	// before it was read.
	LocalCluster *LocalCluster
	// Verdicts remembers how examples went from one translation to the next; nil runs
	// all of them each time.
	Verdicts *Verdicts
	// Budget bounds what one namespace can put into the snapshot.
	Budget Budget
	// Crowded are the namespaces that the snapshot has no room for: their objects are
	// refused as if they were beyond a budget of nothing.
	Crowded []string
}

// LocalCluster is who signs the service-account tokens of the cluster that the
// operator runs in.
type LocalCluster struct {
	// Issuer is the exact `iss` of its tokens.
	Issuer string
	// JWKS are its public keys in canonical form.
	JWKS []byte
}

// Objects are the decoded objects, in any order.
type Objects struct {
	TokenServices       []v1alpha1.TokenService
	TrustedIssuers      []v1alpha1.TrustedIssuer
	ExchangeClients     []v1alpha1.ExchangeClient
	ClientScopes        []v1alpha1.ClientScope
	ExchangePolicies    []v1alpha1.ExchangePolicy
	ImpersonationGrants []v1alpha1.ImpersonationGrant
	ExternalTargets     []v1alpha1.ExternalTarget
	TokenRevocations    []v1alpha1.TokenRevocation
	// Undecodable are objects of these kinds that could not be decoded.
	Undecodable []Undecodable
}

// Undecodable is an object of which only its name could be read.
type Undecodable struct {
	Kind       string
	Namespace  string
	Name       string
	Generation int64
	// IdentityPrefix is what a TrustedIssuer would put before its subjects, where
	// that much could be read. Empty, nobody knows: the issuer without a prefix is
	// not in force then, lest it say the names of this one's people.
	IdentityPrefix string
	// Reason is the reason of its Accepted condition: Invalid when empty.
	Reason  string
	Message string
}

// Budget bounds what one namespace can put into the snapshot; a zero field means
// its default.
type Budget struct {
	// Objects is the most objects; default 10,000, ten times what the largest
	// tenants of other policy engines have.
	Objects int
	// Bytes is the most bytes of their labels and specs as JSON; default 8 MiB. A snapshot is
	// at most 64 chunks of 900 KiB compressed, about 300 MiB of JSON at 5:1, which
	// leaves room for 36 namespaces that use all of theirs. Key sets that clients
	// refer to count as often as they are referred to.
	Bytes int
	// Pairs is the most pairs of a client and a target that its policies name, by
	// name or by selector; default 1,000,000. Each is an entry of an index, of at
	// most 130 bytes: 130 MB. What a selector finds counts, not how it is written.
	Pairs int
	// Expressions is the most bytes of different expressions; default 2 MiB. To
	// compile a byte takes 4 µs at most, so that is 8 s the first time; later they
	// are found in the compiler's cache.
	Expressions int
	// Effort is the most that the examples of its policies cost when they are run, in
	// units of at most 50 ns; default 8,000,000, at most 0.4 s. An ordinary example
	// costs some 500, so that is 16,000 of them. They are run when something changed
	// that they can see; see Verdicts.
	Effort int64
}

// The defaults of Budget.
const (
	defaultBudgetObjects = 10_000
	defaultBudgetBytes   = 8 << 20
	defaultBudgetPairs   = 1_000_000
	defaultBudgetText    = 2 << 20
	defaultBudgetEffort  = 8_000_000
)

// KeyState is what is known about the keys of a TrustedIssuer.
type KeyState string

// The states of an issuer's keys.
const (
	// KeysPending: no fetch has ended yet.
	KeysPending KeyState = "Pending"
	// KeysReady: they are usable and fresh.
	KeysReady KeyState = "Ready"
	// KeysStale: the last good ones serve.
	KeysStale KeyState = "Stale"
	// KeysFailed: they were never fetched.
	KeysFailed KeyState = "Failed"
	// KeysExpired: the last good ones are past their bound.
	KeysExpired KeyState = "Expired"
)

// KeyStatus tells about the keys of a TrustedIssuer.
type KeyStatus struct {
	State KeyState
	// Message is for people, and holds nothing secret.
	Message string
	// JWKS is the last good set in canonical form, for replicas to begin with; empty
	// when there is none that may be used.
	JWKS []byte
	// Digest is the [policy.Issuer.KeysDigest] under which JWKS was fetched: keys of
	// another configuration are not carried.
	Digest string
}
