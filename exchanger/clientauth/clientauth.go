// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package clientauth

import (
	"context"
	"time"

	"github.com/exchequer-dev/exchequer/exchanger/jose"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
	"github.com/exchequer-dev/exchequer/exchanger/store"
	"github.com/exchequer-dev/exchequer/exchanger/subject/trust"
)

// The methods, as [policy.ClientAuth] and the audit record name them. The first
// three are those of the IANA registry of token endpoint authentication methods.
const (
	MethodBasic          = "client_secret_basic"
	MethodPost           = "client_secret_post"
	MethodPrivateKeyJWT  = "private_key_jwt"
	MethodServiceAccount = "kubernetes_service_account"
)

// AssertionType is the only client_assertion_type there is (RFC 7523, section
// 2.2). A service-account token is sent as one too.
const AssertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// skew is what a client's clock may be off by. Issuers have a skew of their own
// (TrustedIssuer.clockSkew); this is for what clients sign themselves.
const skew = 30 * time.Second

// Credentials are what a request says about its client: the Authorization header
// of the Basic scheme, decoded, and the form's members of that name. An empty
// member is an absent one (RFC 6749, section 3.2).
type Credentials struct {
	BasicPresent  bool
	BasicID       string
	BasicSecret   string
	ClientID      string
	ClientSecret  string
	AssertionType string
	Assertion     string
}

// Authenticated is a client that is who it says.
type Authenticated struct {
	policy.ClientAuth
	// Consume uses up a single-use credential. It is nil when there is nothing to
	// use up. It must be called after everything else has passed and before
	// anything is signed; a refusal by it refuses the request.
	Consume func(ctx context.Context) *policy.Refusal
}

// Options are the knobs of an Authenticator; a zero field means its default.
type Options struct {
	// Limits bound an assertion before it is read.
	Limits jose.Limits
	// Cache bounds what is remembered of verified service-account tokens.
	Cache trust.Limits
	// Reviewer asks the API server about tokens whose TrustedIssuer wants that; nil:
	// nobody can, and such tokens are not accepted.
	Reviewer trust.Reviewer
}

// Authenticator authenticates clients. It is safe for concurrent use.
type Authenticator struct {
	issuers  trust.Keys
	uses     store.Store
	limits   jose.Limits
	accounts *trust.Cache[*account]
	reviews  *trust.Reviews
	keySets  *trust.Cache[*jose.KeySet]
}

// New makes an Authenticator that takes trusted issuers' keys from issuers and
// keeps what was used once in uses.
func New(issuers trust.Keys, uses store.Store, o Options) *Authenticator {
	return &Authenticator{
		issuers: issuers, uses: uses, limits: o.Limits,
		accounts: trust.NewCache[*account](o.Cache),
		reviews:  trust.NewReviews(o.Reviewer),
		// A client has at most eight key sets of a few keys; 4,096 sets of 4 KiB
		// are 16 MiB. What does not fit is parsed again when it is needed.
		keySets: trust.NewCache[*jose.KeySet](trust.Limits{Entries: 4096, Bytes: 64 << 20}),
	}
}

// Stats are the counts of the cache of verified service-account tokens.
func (a *Authenticator) Stats() trust.Stats { return a.accounts.Stats() }

// Authenticate finds out which client asks. What it returns is not a permission
// yet: [policy.Snapshot.Decide] looks whether the client may use the grant.
func (a *Authenticator) Authenticate(ctx context.Context, svc *policy.TokenService, c Credentials, now time.Time) (Authenticated, *policy.Refusal) {
	auth, ref := a.authenticate(ctx, svc, c, now)
	if ref != nil {
		if ref.Check == "" {
			ref.Check = "clientAuthentication"
		}
		return Authenticated{}, ref
	}
	return auth, nil
}

func (a *Authenticator) authenticate(ctx context.Context, svc *policy.TokenService, c Credentials, now time.Time) (Authenticated, *policy.Refusal) {
	methods := 0
	for _, present := range [...]bool{c.BasicPresent, c.ClientSecret != "", c.Assertion != "" || c.AssertionType != ""} {
		if present {
			methods++
		}
	}
	switch {
	case methods > 1:
		return refuse(policy.FormInvalid, "the request has more than one client credential: exactly one is expected")
	case c.BasicPresent:
		return a.basic(svc, c)
	case c.ClientSecret != "":
		return a.post(svc, c)
	case methods == 1:
		return a.assertion(ctx, svc, c, now)
	case c.ClientID != "":
		return refuse(policy.ClientCredentials, "client_id without a credential: public clients are not served")
	}
	return refuse(policy.ClientCredentials, "the request has no client credential")
}

func refuse(reason policy.Reason, detail string) (Authenticated, *policy.Refusal) {
	return Authenticated{}, trust.Deny(reason, detail)
}

// client finds a client that may authenticate.
func client(svc *policy.TokenService, id string) (*policy.AskingClient, *policy.Refusal) {
	c, ok := svc.Client(id)
	if !ok {
		return nil, trust.Deny(policy.ClientUnknown, "no ExchangeClient in force has this client_id")
	}
	if s := c.Spec(); s.Suspended {
		return nil, trust.Deny(policy.ClientSuspended, "ExchangeClient "+s.Namespace+"/"+s.Name+" is suspended")
	}
	return c, nil
}
