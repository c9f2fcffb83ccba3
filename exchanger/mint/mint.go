// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package mint

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"maps"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/exchequer-dev/exchequer/exchanger/jose"
	"github.com/exchequer-dev/exchequer/exchanger/keys"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

// sampleEvery is how often the signature of a minted token is verified once its
// key has proved itself: 1 in 256 costs a quarter of a microsecond a token, and a
// key that begins to fail is noticed within seconds at any load worth the name.
const sampleEvery = 256

// Token is a minted token and what the audit record says of it.
type Token struct {
	Value       string
	KeyID       string
	TokenID     string
	Transaction string
	// ExpiresIn is the lifetime in seconds.
	ExpiresIn int64
}

// Minter mints tokens. The zero value is ready; it is safe for concurrent use.
type Minter struct {
	minted   atomic.Uint64
	verified atomic.Uint64
	mu       sync.Mutex // for replacing proved
	proved   atomic.Pointer[map[string]proof]
	// buffers hold claims while they are signed and compared.
	buffers sync.Pool
}

// proof is what the last verified token of a token service was made and verified
// with. A token that is made with anything else is verified anew.
type proof struct {
	signing *jose.PrivateKey
	public  *jose.PublicKey
	seal    *jose.SealKey
}

// Mint makes the token that the decision allows, with the token service's active
// key. now is looked at before and after the signature, which can take its time:
// a token that expired meanwhile is not one. The context bounds the wait for a
// signer that keeps the key elsewhere. A refusal means that nothing left.
func (m *Minter) Mint(ctx context.Context, d *policy.Decision, k *keys.Current, now func() time.Time) (Token, *policy.Refusal) {
	grant, ok := d.Grant()
	if !ok {
		return Token{}, refuse(policy.Denied, policy.Internal, "the decision does not allow")
	}
	if k == nil || k.AccessToken == nil || k.Seal == nil {
		return Token{}, refuse(policy.Unable, policy.SignerUnavailable, "token service "+grant.TokenService+" has no active signing key")
	}
	if !now().Before(grant.ExpiresAt) {
		return Token{}, expired("before")
	}
	form, ok := shapeFor(grant)
	if !ok {
		return Token{}, refuse(policy.Denied, policy.Internal, "tokens of type "+string(grant.TokenType)+" are not minted")
	}
	signer := k.AccessToken
	if form.typ != signer.Type() {
		var err error
		if signer, err = signer.As(form.typ); err != nil {
			return Token{}, refuse(policy.Unable, policy.Internal, "the key does not sign under typ "+form.typ)
		}
	}
	// A key of another algorithm signs while its successor is being published:
	// the service's algorithm says what new keys are, the ring says which signs.
	t := Token{KeyID: k.AccessToken.KeyID(), ExpiresIn: int64(grant.ExpiresAt.Sub(grant.IssuedAt).Seconds())}
	t.TokenID, t.Transaction = identifiers()
	if grant.Subject.Transaction != "" {
		t.Transaction = grant.Subject.Transaction
	}
	w := work{shape: form, grant: grant, keys: k, signer: signer}
	if !form.unsealed {
		w.facts = grant.Sealed.AppendJSON(make([]byte, 0, 512))
		var err error
		if w.sealed, err = k.Seal.Seal(w.facts); err != nil {
			return Token{}, refuse(policy.Denied, policy.TokenTooLarge, "the sealed facts are too large")
		}
	}
	if ref := m.sign(ctx, &t, &w); ref != nil {
		return Token{}, ref
	}
	if len(t.Value) > grant.TokenBytes {
		return Token{}, refuse(policy.Denied, policy.TokenTooLarge, "the token is larger than limits.tokenBytes of TokenService "+grant.TokenService)
	}
	if what := m.selfCheck(&t, &w); what != "" {
		return Token{}, refuse(policy.Unable, policy.Internal, "self-check: "+what)
	}
	if !now().Before(grant.ExpiresAt) {
		return Token{}, expired("while")
	}
	return t, nil
}

// work is one token in the making.
type work struct {
	shape
	grant  *policy.Grant
	keys   *keys.Current
	signer *jose.Signer
	// sealed are the facts as the token carries them; both are empty where it carries
	// none.
	sealed string
	facts  []byte
}

// sign writes the claims and signs them.
func (m *Minter) sign(ctx context.Context, t *Token, w *work) *policy.Refusal {
	buf := m.buffer()
	defer m.buffers.Put(buf)
	var err error
	if *buf, err = w.payload((*buf)[:0], w.grant, t, w.sealed); err != nil {
		return refuse(policy.Denied, policy.ClaimInvalid, err.Error())
	}
	if t.Value, err = w.signer.SignContext(ctx, *buf); err != nil {
		return refuse(policy.Unable, policy.SignerUnavailable, "the key did not sign: "+err.Error())
	}
	return nil
}

func expired(when string) *policy.Refusal {
	return refuse(policy.Denied, policy.LifetimeTooShort, "the token's exp passed "+when+" it was signed")
}

// selfCheck reads the claims out of the token that is about to leave and compares
// them with the grant. It returns what differs. For every new key, for every token
// of a key that is kept elsewhere, and on a sample, the token is also parsed and
// verified as a stranger would, and its seal opened.
func (m *Minter) selfCheck(t *Token, w *work) string {
	public, ok := w.keys.Public.Key(t.KeyID)
	if !ok {
		return "the signing key is not published"
	}
	with := proof{w.signer.Key(), public, w.keys.Seal}
	remote := w.signer.Remote()
	if remote || m.minted.Add(1)%sampleEvery == 0 || m.proof(w.grant.TokenService) != with {
		m.verified.Add(1)
		if what := asStranger(t, w, public); what != "" {
			return what
		}
		if !remote && !w.unsealed {
			m.prove(w.grant.TokenService, with)
		}
	}
	buf := m.buffer()
	defer m.buffers.Put(buf)
	header, payload, ok := payloadOf(t.Value, buf)
	switch {
	case !ok:
		return "the token has no payload"
	case header != w.signer.Header() || t.KeyID != w.signer.KeyID():
		return "the header differs"
	}
	return w.compare(payload, w.grant, t, w.sealed)
}

// asStranger verifies the token with the published key alone.
func asStranger(t *Token, w *work, public *jose.PublicKey) string {
	parsed, err := jose.Parse(t.Value, jose.Limits{TokenBytes: w.grant.TokenBytes})
	if err != nil {
		return "the token is not one that we would accept"
	}
	if parsed.KeyID() != t.KeyID || !strings.EqualFold(parsed.Type(), w.typ) || parsed.Alg() != public.Algorithm() || len(parsed.Header()) != 3 {
		return "the header differs"
	}
	if _, err := parsed.Verify(public, []string{public.Algorithm()}); err != nil {
		w.signer.Distrust()
		return "the signature does not verify"
	}
	if w.unsealed {
		return ""
	}
	if opened, err := w.keys.Seals.Open(w.sealed); err != nil || !bytes.Equal(opened, w.facts) {
		return "the sealed facts cannot be opened"
	}
	return ""
}

// payloadOf decodes the middle segment of a token into buf.
func payloadOf(token string, buf *[]byte) (header string, payload []byte, ok bool) {
	header, rest, ok := strings.Cut(token, ".")
	middle, signature, two := strings.Cut(rest, ".")
	if !ok || !two || signature == "" {
		return "", nil, false
	}
	var err error
	*buf, err = base64.RawURLEncoding.Strict().AppendDecode((*buf)[:0], []byte(middle))
	return header, *buf, err == nil
}

// buffer returns room for one payload.
func (m *Minter) buffer() *[]byte {
	if b, ok := m.buffers.Get().(*[]byte); ok {
		return b
	}
	b := make([]byte, 0, 4096)
	return &b
}

func (m *Minter) proof(service string) proof {
	if all := m.proved.Load(); all != nil {
		return (*all)[service]
	}
	return proof{}
}

// maxProved bounds the token services whose proofs are kept. There are a handful;
// one that is not kept is proved at every token, no more.
const maxProved = 1024

func (m *Minter) prove(service string, p proof) {
	if m.proof(service) == p {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	next := map[string]proof{}
	if all := m.proved.Load(); all != nil && len(*all) < maxProved {
		next = maps.Clone(*all)
	}
	next[service] = p
	m.proved.Store(&next)
}

// identifiers returns a token ID and a transaction ID, 128 random bits each as 32
// hexadecimal digits. crypto/rand does not fail: the process ends instead.
func identifiers() (tokenID, transaction string) {
	var b [32]byte
	_, _ = rand.Read(b[:])
	text := hex.EncodeToString(b[:])
	return text[:32], text[32:]
}

func refuse(outcome policy.Outcome, reason policy.Reason, detail string) *policy.Refusal {
	return &policy.Refusal{Outcome: outcome, Reason: reason, Check: "mint", Detail: detail}
}
