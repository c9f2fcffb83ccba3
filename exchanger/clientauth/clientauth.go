// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package clientauth

import (
	"context"
	"crypto/x509"
	"time"

	"github.com/exchequer-dev/exchequer/exchanger/jose"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
	"github.com/exchequer-dev/exchequer/exchanger/proof"
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
	// MethodTLS and MethodSelfSigned are those of RFC 8705, sections 2.1 and 2.2.
	MethodTLS        = "tls_client_auth"
	MethodSelfSigned = "self_signed_tls_client_auth"
	// MethodJWTSVID and MethodX509SVID are those of SPIFFE client authentication
	// (draft-ietf-oauth-spiffe-client-auth).
	MethodJWTSVID  = "spiffe_jwt"
	MethodX509SVID = "spiffe_x509"
	// MethodNone is that of public clients.
	MethodNone = "none"
)

// The values of client_assertion_type: RFC 7523, section 2.2, as which service-account
// tokens and JWT-SVIDs are sent too, and the one that says that it is a JWT-SVID.
const (
	AssertionType     = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
	AssertionTypeSVID = "urn:ietf:params:oauth:client-assertion-type:jwt-spiffe"
)

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
	// Certificate is the client's TLS certificate, nil when it showed none. It is a
	// credential only where no other one was sent.
	Certificate *proof.Certificate
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
	pools    *trust.Cache[*x509.CertPool]
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
		// A token service has one list of authorities, and there are few of them.
		pools: trust.NewCache[*x509.CertPool](trust.Limits{Entries: 256, Bytes: 64 << 20}),
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
	}
	return a.withoutCredential(svc, c, now)
}

// withoutCredential finds a client that sends none with the request: a public one,
// which says who it is and no more, or one whose certificate says so.
func (a *Authenticator) withoutCredential(svc *policy.TokenService, c Credentials, now time.Time) (Authenticated, *policy.Refusal) {
	if known, ok := svc.Client(c.ClientID); ok && known.Spec().Public && !known.Spec().Suspended {
		return Authenticated{ClientAuth: policy.ClientAuth{ID: known.ID(), Method: MethodNone, Public: true}}, nil
	}
	switch {
	case c.Certificate != nil:
		return a.certificate(svc, c, now)
	case c.ClientID != "":
		return refuse(policy.ClientCredentials, "client_id without a credential: only a client that is declared public may send none")
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
