// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package exchange

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/exchequer-dev/exchequer/exchanger/audit"
	"github.com/exchequer-dev/exchequer/exchanger/jose"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
	"github.com/exchequer-dev/exchequer/exchanger/store"
)

// A refresh token is the name of its family, its number in the family, and an HMAC of
// both under a key that the family alone has: whoever sees one can tell nothing of the
// next, and one that was replaced is known for what it is as long as the family lives.
const (
	familyIDBytes = 16
	numberBytes   = 4
	refreshBytes  = familyIDBytes + numberBytes + sha256.Size
)

// keptFamily is what the store has of a family of refresh tokens.
type keptFamily struct {
	Family policy.Family
	// Key makes the tokens; Number is that of the only one that is good.
	Key    []byte
	Number uint32

	// What the first exchange was asked, with the facts of the tokens of then.
	TokenType policy.TokenType
	Subject   keptToken
	SubjectAs policy.PresentedAs
	Actor     *keptToken         `json:",omitempty"`
	ActorAs   policy.PresentedAs `json:",omitempty"`
	Audiences []string           `json:",omitempty"`
	Resources []string           `json:",omitempty"`
}

// keptToken is a verified token with its claims as JSON: they come back as the parser
// of tokens would give them.
type keptToken struct {
	Token  policy.Token
	Claims json.RawMessage
}

func keep(t *policy.Token) (keptToken, error) {
	k := keptToken{Token: *t}
	k.Token.Claims = nil
	var err error
	k.Claims, err = json.Marshal(t.Claims)
	return k, err
}

func (k *keptToken) token() (*policy.Token, bool) {
	t := k.Token
	claims, err := jose.DecodeStrict(k.Claims, jose.DefaultJSONDepth)
	if err != nil {
		return nil, false
	}
	t.Claims = claims
	t.Extra = lists(t.Extra)
	for i := range t.Actors {
		t.Actors[i].Extra = lists(t.Actors[i].Extra)
	}
	return &t, true
}

// lists gives lists of text the type that they had.
func lists(extra map[string]any) map[string]any {
	for name, v := range extra {
		list, ok := v.([]any)
		if !ok {
			continue
		}
		texts := make([]string, 0, len(list))
		for _, e := range list {
			text, _ := e.(string)
			texts = append(texts, text)
		}
		extra[name] = texts
	}
	return extra
}

// refreshToken makes the token with a number.
func (f *keptFamily) refreshToken(number uint32) (string, bool) {
	id, err := hex.DecodeString(f.Family.ID)
	if err != nil || len(id) != familyIDBytes {
		return "", false
	}
	b := binary.BigEndian.AppendUint32(id, number)
	mac := hmac.New(sha256.New, f.Key)
	mac.Write(b)
	return refreshPrefix + base64.RawURLEncoding.EncodeToString(mac.Sum(b)), true
}

// parseRefresh takes a refresh token apart; nothing of it is believed yet.
func parseRefresh(token string) (family string, number uint32, ok bool) {
	rest, ok := strings.CutPrefix(token, refreshPrefix)
	b, err := base64.RawURLEncoding.Strict().DecodeString(rest)
	if !ok || err != nil || len(b) != refreshBytes {
		return "", 0, false
	}
	return hex.EncodeToString(b[:familyIDBytes]), binary.BigEndian.Uint32(b[familyIDBytes:]), true
}

// family finds what a refresh token stands for. Its number may be one that is not good
// any more.
func (x *exchange) familyOf(ctx context.Context, token string) (f *keptFamily, number uint32, sealed []byte, ref *policy.Refusal) {
	id, number, ok := parseRefresh(token)
	if !ok {
		return nil, 0, nil, kept(policy.Denied, policy.TokenMalformed, "the refresh token is none of this token service")
	}
	value, sealed, ref := x.fetch(ctx, store.Refresh, x.keptID(id))
	switch {
	case ref != nil:
		return nil, 0, nil, ref
	case value == nil:
		return nil, 0, nil, kept(policy.Denied, policy.RefreshExpired, "the refresh token is not known: it was not used in time, its family has ended or was revoked, or it never was")
	}
	f = &keptFamily{}
	if err := json.Unmarshal(value, f); err != nil || f.Family.ID != id {
		return nil, 0, nil, kept(policy.Denied, policy.TokenMalformed, "what is kept for the refresh token cannot be read")
	}
	if made, ok := f.refreshToken(number); !ok || !hmac.Equal([]byte(made), []byte(token)) {
		return nil, 0, nil, kept(policy.Denied, policy.TokenMalformed, "the refresh token was not made here")
	}
	return f, number, sealed, nil
}

// renewed makes the facts of a family's first exchange the subject of this one.
func (x *exchange) renewed(ctx context.Context) *policy.Refusal {
	f, number, sealed, ref := x.familyOf(ctx, x.params.RefreshToken)
	if ref != nil {
		return ref
	}
	subject, ok := f.Subject.token()
	if !ok {
		return kept(policy.Denied, policy.TokenMalformed, "what is kept for the refresh token cannot be read")
	}
	x.subject = as(subject, x.params.RefreshToken)
	x.record.Subject = audit.Identity{Issuer: subject.Issuer, Subject: subject.Subject}
	if f.Actor != nil {
		if x.actor, ok = f.Actor.token(); !ok {
			return kept(policy.Denied, policy.TokenMalformed, "what is kept for the refresh token cannot be read")
		}
		x.record.Actor = audit.Identity{Issuer: x.actor.Issuer, Subject: x.actor.Subject}
	}
	if number < f.Number {
		return x.copied(ctx, f)
	}
	if f.Family.ClientID != x.client.ID {
		// Before anything that the answer could tell of what the token is good for.
		return &policy.Refusal{
			Outcome: policy.Denied, Reason: policy.SubjectAudience, Check: policy.RefreshClient,
			Detail: "the refresh token was given to another client than " + x.client.ID,
		}
	}
	if ref := x.familyRevoked(ctx, f); ref != nil {
		return ref
	}
	// A number above is of a rotation that the store has lost; it is the newest.
	f.Number = number
	x.family, x.familySealed = f, sealed
	return x.asked(f)
}

// asked makes the request ask for what the first one did, or for the part of it that
// it names.
func (x *exchange) asked(f *keptFamily) *policy.Refusal {
	p := x.params
	for _, list := range [...]struct{ names, first []string }{{p.Audiences, f.Audiences}, {p.Resources, f.Resources}} {
		for _, name := range list.names {
			if !slices.Contains(list.first, name) {
				return kept(policy.Denied, policy.TargetNotGranted, "a requested target is none of those that the first token was for")
			}
		}
	}
	if len(p.Audiences)+len(p.Resources) == 0 {
		p.Audiences, p.Resources = f.Audiences, f.Resources
	}
	if !p.ScopeGiven {
		p.Scopes = f.Family.Scopes
	}
	p.ScopeGiven = true // Nothing more than was given first, whatever the defaults are now.
	p.TokenType, p.SubjectAs, p.ActorAs = f.TokenType, f.SubjectAs, f.ActorAs
	return nil
}

// endFamily revokes a family, and the access tokens that came of it. It is no matter
// whether somebody waits: what was copied must not go on.
func (x *exchange) endFamily(ctx context.Context, f *keptFamily) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoFor)
	defer cancel()
	s := x.call.Service
	until := x.now.Add(max(s.LongestRenewal(), s.Spec().MaxLifetime) + revokedSlack)
	_, _, err := x.Store.Take(ctx, store.Refresh, x.keptID(f.Family.ID))
	return errors.Join(err, x.Store.Put(ctx, store.Revoked, store.Owner(s.Name(), f.Family.ClientID), revokedID(s.Name(), f.Family.ID), []byte{1}, until))
}

// copied ends the family of a refresh token that was used twice: somebody has a copy,
// and it cannot be told whether the client is that or who came second.
func (x *exchange) copied(ctx context.Context, f *keptFamily) *policy.Refusal {
	if err := x.endFamily(ctx, f); err != nil {
		return x.unkept(err) // and the next one who uses it ends it
	}
	return kept(policy.Denied, policy.RefreshReuse, "the refresh token was used before: its family was revoked")
}

// familyRevoked asks whether the family's first token was revoked, and so the family.
func (x *exchange) familyRevoked(ctx context.Context, f *keptFamily) *policy.Refusal {
	found, err := x.Store.Any(ctx, store.Revoked, []string{revokedID(x.call.Service.Name(), f.Family.ID)})
	switch {
	case err != nil:
		return x.unkept(err)
	case found:
		return kept(policy.Denied, policy.TokenRevoked, "the first token of the family was revoked by its client")
	}
	return nil
}

// revocableFamily finds the family whose end a client asks for by its refresh token.
func (x *exchange) revocableFamily(ctx context.Context) *policy.Refusal {
	f, _, _, ref := x.familyOf(ctx, x.params.SubjectToken)
	switch {
	case ref != nil && ref.Outcome == policy.Unable:
		return ref
	case ref != nil:
		x.inactive = ref
		return nil //nolint:nilerr // what is not known needs no revoking; the record says what it was
	case f.Family.ClientID != x.client.ID:
		return &policy.Refusal{Outcome: policy.Denied, Reason: policy.ClientGrant, Check: "issuedTo", Detail: "the token was issued to another client"}
	}
	x.record.Subject = audit.Identity{Issuer: f.Subject.Token.Issuer, Subject: f.Subject.Token.Subject}
	x.record.TokenID = f.Family.ID
	x.family = f
	return nil
}

// keepFamily begins a family, or replaces its token.
func (x *exchange) keepFamily(ctx context.Context, g *policy.Grant) *policy.Refusal {
	f := x.family
	if f == nil {
		var ref *policy.Refusal
		if f, ref = x.newFamily(g); ref != nil {
			return ref
		}
	} else {
		next := *f
		f = &next
		f.Family.EndsAt = g.Refresh.EndsAt
		f.Number++
	}
	id := x.keptID(f.Family.ID)
	value, err := json.Marshal(f)
	token, ok := f.refreshToken(f.Number)
	if err != nil || !ok || f.Number == 0 {
		return kept(policy.Unable, policy.Internal, "the refresh token cannot be made")
	}
	sealed, ref := x.seal(store.Refresh, id, value)
	if ref != nil {
		return ref
	}
	until := g.Refresh.EndsAt
	if idle := x.now.Add(g.Refresh.Idle); idle.Before(until) {
		until = idle
	}
	if ref := x.storeFamily(ctx, f, id, sealed, until); ref != nil {
		return ref
	}
	x.refreshToken = token
	return nil
}

func (x *exchange) storeFamily(ctx context.Context, f *keptFamily, id string, sealed []byte, until time.Time) *policy.Refusal {
	before := x.familySealed
	if before == nil {
		x.undo = append(x.undo, func(ctx context.Context) { _, _, _ = x.Store.Take(ctx, store.Refresh, id) })
		if err := x.Store.Put(ctx, store.Refresh, x.owner(), id, sealed, until); err != nil {
			return x.unkept(err)
		}
		return nil
	}
	// The client keeps the token that it has when the answer does not leave; also when
	// the store has done what it was asked, and its own answer was lost.
	x.undo = append(x.undo, func(ctx context.Context) {
		_, _ = x.Store.Swap(ctx, store.Refresh, id, sealed, before, until)
	})
	swapped, err := x.Store.Swap(ctx, store.Refresh, id, before, sealed, until)
	switch {
	case err != nil:
		return x.unkept(err)
	case !swapped:
		return x.copied(ctx, f) // at the same time
	}
	return nil
}

// newFamily is the family of the token that was just minted.
func (x *exchange) newFamily(g *policy.Grant) (*keptFamily, *policy.Refusal) {
	p := x.params
	f := &keptFamily{
		Family: policy.Family{
			ID: x.token.TokenID, ClientID: g.ClientID, Scopes: g.Granted, Confirmation: g.Confirmation,
			OwnCredential: x.client.CredentialDigest != [sha256.Size]byte{} && x.client.CredentialDigest == x.subject.Digest,
			Offline:       g.Refresh.Offline, IssuedAt: g.IssuedAt, EndsAt: g.Refresh.EndsAt,
		},
		Key: make([]byte, sha256.Size), Number: 1,
		TokenType: p.TokenType, SubjectAs: p.SubjectAs, ActorAs: p.ActorAs, Audiences: p.Audiences, Resources: p.Resources,
	}
	_, _ = rand.Read(f.Key) // crypto/rand does not fail: the process ends instead
	if f.TokenType == policy.TypeRefreshToken {
		f.TokenType = policy.TypeAccessToken
	}
	for _, t := range g.Targets {
		f.Family.Targets = append(f.Family.Targets, t.Target)
		if len(p.Audiences)+len(p.Resources) == 0 {
			f.Audiences = append(f.Audiences, t.Target) // implied by scopes then
		}
	}
	var err error
	if f.Subject, err = keep(x.subject); err == nil && x.actor != nil {
		f.Actor = &keptToken{}
		*f.Actor, err = keep(x.actor)
	}
	if err != nil {
		return nil, kept(policy.Unable, policy.Internal, "the facts of the first token cannot be kept")
	}
	return f, nil
}
