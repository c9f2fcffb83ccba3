// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package keys

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/exchequer-dev/exchequer/exchanger/jose"
	"github.com/exchequer-dev/exchequer/exchanger/keys/signer"
)

// accessTokenType is the typ of the tokens that are signed most (RFC 9068).
const accessTokenType = "at+jwt"

// Current is one TokenService's keys at one moment. It does not change; a
// request takes it once and uses nothing newer.
type Current struct {
	// Signing is the Active key; nil when it is with an external signer, or when
	// there is none because it was revoked and could not be replaced.
	Signing *jose.PrivateKey
	// AccessToken signs with the Active key under typ at+jwt, wherever that is; nil
	// when there is none.
	AccessToken *jose.Signer
	// Public are the keys of all slots: the active one first, then those to come,
	// then the retired.
	Public *jose.KeySet
	// JWKS is Public as it is served.
	JWKS []byte
	// Seal seals for the Active slot; nil when there is none.
	Seal *jose.SealKey
	// Seals opens what any slot's key has sealed.
	Seals *jose.SealKeys
	// Slots says where every key stands, in the order of Public.
	Slots        []Slot
	certificates func() []Certified
	// Generation grows with every change: it is the second of the change, or one
	// more than the one before. So it also grows where the one before is forgotten.
	Generation int64
}

// line is one TokenService's slots and their keys. A line that is in use is
// never altered; changes are made on a copy.
type line struct {
	generation int64
	slots      []Slot
	keys       map[string]pair
	revoked    []string
	// signer signs for the slots whose source is External.
	signer signer.Config
	// digest is the SHA-256 of the document that it was read from or stored as.
	digest [sha256.Size]byte
	// overdue says that this document has private keys that sign no more.
	overdue bool
}

// Ring holds the keys of every TokenService. Reading takes no lock.
type Ring struct {
	// store is nil in a follower.
	store Store
	// watch says that others may write to the store while it is in use.
	watch    bool
	generate func(alg string) (*jose.PrivateKey, error)
	signers  signers

	mu    sync.Mutex // guards lines and plans, held over storing
	lines map[string]*line
	plans map[string]Plan
	// first says that the directory held no keys when it was opened.
	first bool

	current atomic.Pointer[map[string]*Current]
}

// First says that this is the first process of its installation: it was given a
// key directory in which there were no keys. Nothing was issued or used before.
func (r *Ring) First() bool { return r.first }

// InMemory returns a Ring whose keys die with the process: every token becomes
// invalid at a restart, so the caller warns about it.
func InMemory() *Ring { return newRing(noStore{}) }

type noStore struct{}

func (noStore) Save(string, int64, []byte) error { return nil }
func (noStore) Load(string) ([]byte, error)      { return nil, nil }

func newRing(s Store) *Ring {
	r := &Ring{store: s, generate: jose.GenerateKey, lines: map[string]*line{}, plans: map[string]Plan{}}
	r.current.Store(&map[string]*Current{})
	return r
}

// Current returns a TokenService's keys. It reports false until Ensure has made
// them.
func (r *Ring) Current(service string) (*Current, bool) {
	c, ok := (*r.current.Load())[service]
	return c, ok
}

// Services are the TokenServices that have keys: the one called default first, then
// by name.
func (r *Ring) Services() []string {
	names := slices.Sorted(maps.Keys(*r.current.Load()))
	if i := slices.Index(names, "default"); i > 0 {
		names = slices.Insert(slices.Delete(names, i, i+1), 0, "default")
	}
	return names
}

// Active returns the signer of a TokenService's access tokens. It reports false
// when there is no key to sign with.
func (r *Ring) Active(service string) (*jose.Signer, bool) {
	c, ok := r.Current(service)
	if !ok || c.AccessToken == nil {
		return nil, false
	}
	return c.AccessToken, true
}

// Public returns the keys that verify a TokenService's tokens.
func (r *Ring) Public(service string) (*jose.KeySet, bool) {
	c, ok := r.Current(service)
	if !ok {
		return nil, false
	}
	return c.Public, true
}

// Ensure makes a TokenService's keys follow the plan at now: it makes the first
// key, rotates, retires and revokes. It is cheap when nothing is due, so the
// caller runs it at every change of the plan and about once a minute.
//
// When a new key cannot be made or stored, the old keys go on as they were and
// the error says so; revoked keys are gone all the same.
//
// A follower's Ensure makes nothing: it only forgets what the plan revokes, and
// says when there is no key that may sign.
func (r *Ring) Ensure(service string, p Plan, now time.Time) error {
	if err := p.Validate(); err != nil {
		return fmt.Errorf("keys of TokenService %s: %w", service, err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.plans[service] = p
	if r.store == nil {
		return r.obey(service, p)
	}
	return r.ensure(service, p, now.Round(0))
}

// taken says whether another TokenService has the given key.
func (r *Ring) taken(service string, p Plan) error {
	if p.Given == nil {
		return nil
	}
	for _, other := range slices.Sorted(maps.Keys(r.lines)) {
		if other == service || r.lines[other] == nil {
			continue
		}
		if _, has := r.lines[other].keys[p.Given.KeyID()]; has {
			return fmt.Errorf("%w: %s is a key of TokenService %s, and each needs its own", ErrUnusable, p.Given.KeyID(), other)
		}
	}
	return nil
}

// Revoke stops trusting a key for good: it is removed from the published set
// and, if it was the active one, replaced, before Revoke returns.
func (r *Ring) Revoke(service, keyID string, now time.Time) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	p, ok := r.plans[service]
	l := r.lines[service]
	if r.store == nil {
		return errors.New("revoke key: keys are not made here; add it to spec.signing.revokedKeyIDs of the TokenService")
	}
	if !ok || l == nil {
		return fmt.Errorf("revoke key: TokenService %s has no keys here", service)
	}
	if _, ok := l.keys[keyID]; !ok {
		return fmt.Errorf("revoke key: TokenService %s has no such key; it has %v", service, slices.Sorted(maps.Keys(l.keys)))
	}
	return r.ensure(service, p, now.Round(0), keyID)
}

// ensure is given a time without its monotonic reading (Round(0)): slots are
// compared with ones that were read from a file.
func (r *Ring) ensure(service string, p Plan, now time.Time, revoke ...string) error {
	rewrite, unread := r.refresh(service)
	if unread != nil && r.lines[service] == nil {
		return unread // what may be there must not be replaced by new keys
	}
	err := r.advance(service, p, now, revoke, rewrite)
	if errors.Is(err, ErrStale) {
		// Another process was quicker: take what it left and look again.
		l, loadErr := r.load(service)
		if loadErr != nil {
			return loadErr
		}
		if l != nil && r.lines[service] != nil {
			l = l.remember(r.lines[service].revoked)
		}
		r.lines[service] = l
		err = r.advance(service, p, now, revoke, false)
	}
	return errors.Join(unread, err)
}

func (r *Ring) advance(service string, p Plan, now time.Time, revoke []string, rewrite bool) error {
	old := r.lines[service]
	if old == nil {
		old = &line{}
	}
	var given error
	next := old.clone()
	for _, kid := range p.RevokedKeyIDs {
		// Those that a plan revokes are kept in mind with the keys, too: a plan can
		// forget, and a backup can come back.
		if _, had := old.keys[kid]; had {
			revoke = append(slices.Clone(revoke), kid)
		}
	}
	for _, kid := range revoke {
		if !slices.Contains(next.revoked, kid) {
			next.revoked = append(next.revoked, kid)
		}
	}
	p.RevokedKeyIDs = slices.Concat(p.RevokedKeyIDs, next.revoked)
	if err := errors.Join(p.blocked(old), r.taken(service, p)); err != nil {
		given = err
		p.Given = nil // what is there goes on
	}
	generateErr := errors.Join(given, next.follow(p, now, r.generate))
	next.dropUnused()
	next.ask(p)
	if old.same(next) && !rewrite && !old.overdue {
		return errors.Join(generateErr, r.use(service, old))
	}
	next.generation = max(old.generation+1, now.Unix())
	if err := r.save(service, next); err != nil {
		// What is not stored is not used. But a revoked key is not used either.
		err = fmt.Errorf("keep the keys of TokenService %s: %w", service, err)
		return errors.Join(err, generateErr, r.use(service, old.without(p.RevokedKeyIDs)))
	}
	return errors.Join(generateErr, r.use(service, next))
}

// save stores the line under its generation.
func (r *Ring) save(service string, l *line) error {
	if l.generation > maxGeneration {
		return fmt.Errorf("the generation of the stored document, %d, is the last there is: somebody wrote it; "+
			"restore it from a backup, and restart whoever has read it", maxGeneration)
	}
	b, err := encodeLine(service, l)
	if err != nil {
		return err
	}
	l.digest, l.overdue = sha256.Sum256(b), false
	return r.store.Save(service, l.generation, b)
}

// follow advances the slots and makes the keys that are missing: at most the
// first key and, when its successor is due already, that one.
func (l *line) follow(p Plan, now time.Time, generate func(string) (*jose.PrivateKey, error)) error {
	for range 3 {
		var missing string
		if l.slots, missing = Advance(l.slots, now, p); missing == "" {
			return nil
		}
		key, err := p.next(generate)
		if err != nil {
			return err
		}
		slot := NewSlot(key.public.KeyID(), missing, now)
		slot.Source = p.Source
		l.keys[slot.KeyID] = key
		l.slots = append(l.slots, slot)
	}
	return nil
}

func (l *line) clone() *line {
	c := &line{generation: l.generation, slots: slices.Clone(l.slots), keys: maps.Clone(l.keys), revoked: slices.Clone(l.revoked), signer: l.signer, digest: l.digest, overdue: l.overdue}
	if c.keys == nil {
		c.keys = map[string]pair{}
	}
	return c
}

// dropUnused forgets the keys that have no slot any more, and the private part of
// those that sign no more: it is of use to a thief alone.
func (l *line) dropUnused() {
	for _, s := range l.slots {
		if key := l.keys[s.KeyID]; s.State == Retired && key.signing != nil {
			key.signing = nil
			l.keys[s.KeyID] = key
		}
	}
	maps.DeleteFunc(l.keys, func(kid string, _ pair) bool {
		return !slices.ContainsFunc(l.slots, func(s Slot) bool { return s.KeyID == kid })
	})
}

func (l *line) same(other *line) bool {
	return slices.Equal(l.slots, other.slots) && slices.Equal(l.revoked, other.revoked) && l.signer == other.signer
}

// without is the line with some keys gone and nothing else changed.
func (l *line) without(kids []string) *line {
	c := l.clone()
	c.slots = slices.DeleteFunc(c.slots, func(s Slot) bool { return slices.Contains(kids, s.KeyID) })
	c.dropUnused()
	return c
}

// use makes l the line that readers see.
func (r *Ring) use(service string, l *line) error {
	c, err := r.view(l)
	if err != nil {
		return fmt.Errorf("keys of TokenService %s: %w", service, err)
	}
	r.lines[service] = l
	r.signers.sweep(r.lines)
	all := maps.Clone(*r.current.Load())
	all[service] = c
	r.current.Store(&all)
	return nil
}

// order puts the key that verifies most tokens first.
func order(s State) int { return slices.Index([]State{Active, Prepared, Retired}, s) }

func (r *Ring) view(l *line) (*Current, error) {
	c := &Current{Generation: l.generation, Slots: slices.Clone(l.slots)}
	slices.SortStableFunc(c.Slots, func(a, b Slot) int { return order(a.State) - order(b.State) })
	c.certificates = certify(c.Slots, l.keys)
	var public []*jose.PublicKey
	var seals []*jose.SealKey
	var err error
	for _, s := range c.Slots {
		key := l.keys[s.KeyID]
		public = append(public, key.public)
		seals = append(seals, key.seal)
		if s.State == Active {
			c.Signing, c.Seal = key.signing, key.seal
			if c.AccessToken, err = r.signers.of(key, l.signer); err != nil {
				return nil, err
			}
		}
	}
	if c.Public, err = jose.NewKeySet(public...); err != nil {
		return nil, err
	}
	if c.Seals, err = jose.NewSealKeys(seals...); err != nil {
		return nil, err
	}
	c.JWKS, err = json.Marshal(c.Public)
	return c, err
}
