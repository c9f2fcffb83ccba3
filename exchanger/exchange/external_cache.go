// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package exchange

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"slices"
	"sync"
	"time"

	"github.com/exchequer-dev/exchequer/exchanger/policy"
	"github.com/exchequer-dev/exchequer/exchanger/store"
	"github.com/exchequer-dev/exchequer/exchanger/subject/trust"
)

const (
	// keptShort is how long before its end a kept token is not handed out any more: its
	// next user has to have some time for it.
	keptShort = 30 * time.Second
	// keptLongest bounds how long one is kept, however long it lives: what its server
	// revoked is handed out that much longer at most.
	keptLongest = time.Hour
	// keptTokens and keptBytes bound all of them: 4,096 of 4 KiB each.
	keptTokens = 4096
	keptBytes  = 16 << 20
)

// foreignTokens are tokens of other servers that may be handed out again. The zero
// value is ready.
type foreignTokens struct {
	mu    sync.Mutex
	cache *trust.Cache[*keptForeign]
}

// keptForeign is a token with what it was derived from.
type keptForeign struct {
	foreign
	// from are the tokens that were presented for it, and what those were derived from:
	// the revocation of any of them ends it.
	from []string
}

func (f *foreignTokens) all() *trust.Cache[*keptForeign] {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.cache == nil {
		f.cache = trust.NewCache[*keptForeign](trust.Limits{Entries: keptTokens, Bytes: keptBytes})
	}
	return f.cache
}

// foreignName is everything that another server's token depends on. A field that is
// forgotten here hands somebody's token to somebody else.
type foreignName struct {
	// Policy is the digest of the whole snapshot: any change of what is declared, and so
	// any TokenRevocation, begins with nothing kept. Generation is the target's.
	Policy, Target string
	Generation     int64
	Client         string
	// Subject is who the token is about, with every fact that the other server is told.
	Issuer, Origin, RawIssuer, RawSubject, Subject, Username string
	Groups                                                   []string
	Extra                                                    map[string]any
	Class                                                    policy.Class
	ACR                                                      string
	AMR                                                      []string
	AuthTime                                                 int64
	MayAct, Act                                              map[string]any
	Actors                                                   []policy.Actor
	Impersonator                                             *policy.Impersonator
	Scopes, Audiences                                        []string
	Confirmation                                             policy.Confirmation
	TokenType                                                policy.TokenType
	// Forwarded are the digests of the tokens that are sent on as they are.
	Forwarded [][sha256.Size]byte
}

// foreignKey names the token that this request is to have.
func (x *exchange) foreignKey(g *policy.Grant) (trust.Key, error) {
	s := g.Subject
	n := foreignName{
		Policy: x.call.Snapshot.Digest(), Target: g.External.Name, Generation: g.External.Generation, Client: g.ClientID,
		Issuer: s.Issuer, Origin: s.Origin, RawIssuer: s.RawIssuer, RawSubject: s.RawSubject, Subject: s.Subject, Username: s.Username,
		Groups: s.Groups, Extra: s.Extra, Class: s.Class, ACR: s.ACR, AMR: s.AMR, AuthTime: s.AuthTime,
		MayAct: s.MayAct, Act: g.Act, Actors: g.Sealed.Actors, Impersonator: g.Impersonator,
		Scopes: sorted(g.Granted), Audiences: sorted(g.Audiences), Confirmation: g.Confirmation, TokenType: g.TokenType,
	}
	if g.Assertion == nil {
		n.Forwarded = append(n.Forwarded, x.subject.Digest)
		if x.actor != nil {
			n.Forwarded = append(n.Forwarded, x.actor.Digest)
		}
	}
	b, err := json.Marshal(n)
	if err != nil {
		return trust.Key{}, err
	}
	return trust.Key{Service: g.TokenService, Digest: sha256.Sum256(b)}, nil
}

func sorted(list []string) []string {
	out := slices.Clone(list)
	slices.Sort(out)
	return out
}

// kept is a token of that name that may be handed out again, nil for none.
func (x *exchange) kept(ctx context.Context, key *trust.Key) *foreign {
	k, ok := x.outside.all().Get(key, x.now)
	if !ok {
		return nil
	}
	if len(k.from) > 0 {
		if revoked, err := x.Store.Any(ctx, store.Revoked, k.from); err != nil || revoked {
			x.outside.all().Drop(key) // whoever cannot tell asks the other server anew
			return nil
		}
	}
	return &k.foreign
}

// keep keeps a token until shortly before its end. One of which nobody knows when it
// ends is not kept.
func (x *exchange) keep(key trust.Key, f *foreign) {
	until := f.until.Add(-keptShort)
	if latest := x.now.Add(keptLongest); until.After(latest) {
		until = latest
	}
	if f.until.IsZero() || !until.After(x.now) {
		return
	}
	k := &keptForeign{foreign: *f, from: x.presentedIDs()}
	if len(k.from) > store.MaxAny {
		return // nobody could ask about all of them at once
	}
	cost := 512 + len(f.value) + len(f.scope) + len(f.issuedType)
	for _, id := range k.from {
		cost += 16 + len(id)
	}
	x.outside.all().Put(key, k, cost, until)
}

// presentedIDs are the tokens of ours that were presented, and those that they were
// derived from, as the store knows revoked ones.
func (x *exchange) presentedIDs() []string {
	var out []string
	for _, t := range []*policy.Token{x.subject, x.actor} {
		if t == nil {
			continue
		}
		for _, id := range t.OwnTokenIDs() {
			out = append(out, revokedID(x.call.Service.Name(), id))
		}
	}
	return out
}
