// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/exchequer-dev/exchequer/exchanger/policy"
	"github.com/exchequer-dev/exchequer/exchanger/wire"
)

// attempts bounds how often one publication starts over because somebody else
// wrote; the caller tries again later.
const attempts = 5

// errRaced means that somebody else wrote meanwhile.
var errRaced = errors.New("another controller wrote meanwhile")

// Publisher writes snapshots. It is for one goroutine.
type Publisher struct {
	client    client.Client
	namespace string
	now       func() time.Time
	// slots are all slots as they were last seen or written; nil: not looked yet.
	slots map[string]slot
	bytes int
	sole  sole
	// last is the largest revision that this one has published or found published.
	last uint64
}

// slot is the Secret of one slot.
type slot struct {
	version string
	// hash is of what it holds; empty: not known.
	hash string
}

// New returns a Publisher that writes Secrets of a namespace. The client must not
// read from a cache.
func New(c client.Client, namespace string, now func() time.Time) *Publisher {
	return &Publisher{client: c, namespace: namespace, now: now}
}

// Published is what is current.
type Published struct {
	Revision uint64
	Digest   string
	// Moved says that the pointer was moved for it.
	Moved bool
	// Bytes is what was written for it: chunks, compressed, and the pointer.
	Bytes int
}

// Publish makes spec the current snapshot. floor is the largest revision that any
// replica has acknowledged or refused: the pointer is moved beyond it also when
// nothing else changed, since a replica never goes back.
func (p *Publisher) Publish(ctx context.Context, spec *policy.Spec, floor uint64) (Published, error) {
	p.bytes = 0
	var err error
	for range attempts {
		var out Published
		if out, err = p.try(ctx, spec, floor); err == nil {
			p.last = max(p.last, out.Revision)
			return out, nil
		}
		if errors.Is(err, wire.ErrTooLarge) {
			return Published{}, err // Nothing was written.
		}
		p.slots = nil // whatever was known may be wrong
		if !errors.Is(err, errRaced) {
			return Published{}, err
		}
	}
	return Published{}, err
}

func (p *Publisher) try(ctx context.Context, spec *policy.Spec, floor uint64) (Published, error) {
	if err := p.look(ctx); err != nil {
		return Published{}, err
	}
	pointer, current, last, err := p.pointer(ctx)
	if err != nil {
		return Published{}, err
	}
	forged := !wire.Plausible(last, max(floor, p.last))
	if forged {
		last = p.last // No replica has followed it, and what is published next is beyond what they know.
	}
	whole, err := p.whole(ctx, current)
	if err != nil {
		return Published{}, err
	}
	plan, err := wire.Encode(spec, max(last, floor)+1, whole)
	if err != nil {
		return Published{}, err
	}
	if !forged && whole == current && plan.Unchanged(current) && current.Revision >= floor {
		return Published{Revision: current.Revision, Digest: current.Digest}, nil
	}
	owners := p.owners(ctx)
	for i := range plan.Write {
		if err := p.write(ctx, &plan.Write[i], &plan.Pointer, owners); err != nil {
			return Published{}, err
		}
	}
	if err := p.move(ctx, pointer, &plan.Pointer); err != nil {
		return Published{}, err
	}
	return Published{Revision: plan.Pointer.Revision, Digest: plan.Pointer.Digest, Moved: true, Bytes: p.bytes}, nil
}

// Read reads what is published; nil when nothing is.
func (p *Publisher) Read(ctx context.Context) (*policy.Spec, error) {
	_, current, _, err := p.pointer(ctx)
	if err != nil || current == nil {
		return nil, err
	}
	return wire.Decode(*current, func(name string) ([]byte, error) {
		var secret corev1.Secret
		err := p.client.Get(ctx, types.NamespacedName{Namespace: p.namespace, Name: name}, &secret)
		return secret.Data[wire.ChunkKey], err
	})
}

// look lists the slots that there are. It comes before the pointer is read: a slot
// that somebody writes after that has another version, so that we cannot overwrite
// what a newer pointer names.
func (p *Publisher) look(ctx context.Context) error {
	list := &metav1.PartialObjectMetadataList{}
	list.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("SecretList"))
	if p.slots != nil {
		return nil
	}
	if err := p.client.List(ctx, list, client.InNamespace(p.namespace), client.MatchingLabels(labels(slotPart))); err != nil {
		return fmt.Errorf("list the slots: %w", err)
	}
	p.slots = make(map[string]slot, len(list.Items))
	for i := range list.Items {
		p.slots[list.Items[i].Name] = slot{version: list.Items[i].ResourceVersion}
	}
	return nil
}

// Recheck compares the slots with what was written, so that the next Publish finds
// those that somebody else altered. It says whether there are any.
func (p *Publisher) Recheck(ctx context.Context) (bool, error) {
	before := p.slots
	if before == nil {
		return false, nil // The next Publish looks at all of them.
	}
	p.slots = nil
	if err := p.look(ctx); err != nil {
		p.slots = before
		return false, err
	}
	altered := len(before) != len(p.slots)
	for name, now := range p.slots {
		if was, ok := before[name]; ok && was.version == now.version {
			p.slots[name] = was
		} else {
			altered = true
		}
	}
	return altered, nil
}

// pointer reads the pointer. current is nil when there is none, or none that this
// build can read; last is its revision all the same, as far as it can be told.
func (p *Publisher) pointer(ctx context.Context) (secret *corev1.Secret, current *wire.Pointer, last uint64, err error) {
	secret = &corev1.Secret{}
	err = p.client.Get(ctx, types.NamespacedName{Namespace: p.namespace, Name: wire.PointerName}, secret)
	switch {
	case apierrors.IsNotFound(err):
		return nil, nil, 0, nil
	case err != nil:
		return nil, nil, 0, fmt.Errorf("read the pointer: %w", err)
	}
	parsed, err := wire.ParsePointer(secret.Data[wire.PointerKey])
	if err == nil {
		return secret, &parsed, parsed.Revision, nil
	}
	// Damaged, or of a later version: it is replaced. Its revision still counts.
	var head struct {
		Revision uint64 `json:"revision"`
	}
	if json.Unmarshal(secret.Data[wire.PointerKey], &head) != nil {
		head.Revision = 0
	}
	return secret, nil, head.Revision, nil
}

// whole returns current with the chunks forgotten that their slots do not hold, so
// that they are written anew, elsewhere; current itself when all are as they should be.
func (p *Publisher) whole(ctx context.Context, current *wire.Pointer) (*wire.Pointer, error) {
	if current == nil {
		return nil, nil //nolint:nilnil // nothing is published yet
	}
	var mended *wire.Pointer
	for i, ref := range current.Chunks {
		s, ok := p.slots[ref.Name()]
		if ok && s.hash == "" {
			var err error
			if s, err = p.read(ctx, ref); err != nil {
				return nil, err
			}
			p.slots[ref.Name()] = s
		}
		if ok && s.hash == ref.Hash {
			continue
		}
		if mended == nil {
			c := *current
			c.Chunks = append([]wire.ChunkRef(nil), current.Chunks...)
			mended = &c
		}
		mended.Chunks[i].Hash = strings.Repeat("0", 2*sha256.Size)
	}
	if mended != nil {
		return mended, nil
	}
	return current, nil
}

// damaged is the hash of what cannot be read.
const damaged = "damaged"

func (p *Publisher) read(ctx context.Context, ref wire.ChunkRef) (slot, error) {
	var secret corev1.Secret
	err := p.client.Get(ctx, types.NamespacedName{Namespace: p.namespace, Name: ref.Name()}, &secret)
	if apierrors.IsNotFound(err) {
		return slot{}, errRaced
	}
	if err != nil {
		return slot{}, fmt.Errorf("read slot %s: %w", ref.Name(), err)
	}
	s := slot{version: secret.ResourceVersion, hash: damaged}
	r, err := gzip.NewReader(bytes.NewReader(secret.Data[wire.ChunkKey]))
	if err != nil {
		return s, nil //nolint:nilerr // it is damaged, which is what the caller asks
	}
	content, err := io.ReadAll(io.LimitReader(r, int64(ref.Bytes)+1))
	if err != nil {
		return s, nil //nolint:nilerr // a chunk that cannot be unpacked is damaged, too
	}
	sum := sha256.Sum256(content)
	s.hash = hex.EncodeToString(sum[:])
	return s, nil
}

// write fills a slot, if it still is as it was seen. It replaces the whole Secret,
// its owners included.
func (p *Publisher) write(ctx context.Context, c *wire.Chunk, pointer *wire.Pointer, owners []metav1.OwnerReference) error {
	secret := p.secret(c.Name, slotPart)
	secret.OwnerReferences = owners
	secret.Data = map[string][]byte{wire.ChunkKey: c.Data}
	known, ok := p.slots[c.Name]
	secret.ResourceVersion = known.version
	if err := p.put(ctx, secret, ok); err != nil {
		return fmt.Errorf("write slot %s: %w", c.Name, err)
	}
	p.bytes += len(c.Data)
	hash := damaged
	for _, ref := range pointer.Chunks {
		if ref.Name() == c.Name {
			hash = ref.Hash
		}
	}
	p.slots[c.Name] = slot{version: secret.ResourceVersion, hash: hash}
	return nil
}

func (p *Publisher) move(ctx context.Context, from *corev1.Secret, to *wire.Pointer) error {
	document := to.Marshal()
	next := p.secret(wire.PointerName, pointerPart)
	if from != nil {
		next = from.DeepCopy()
	}
	next.Labels = maps.Clone(next.Labels)
	if next.Labels == nil {
		next.Labels = map[string]string{}
	}
	maps.Copy(next.Labels, labels(pointerPart))
	if from == nil {
		next.OwnerReferences = p.owners(ctx)
	}
	had := next.Data[wire.SoleKey]
	next.Data = map[string][]byte{wire.PointerKey: document, wire.HeartbeatKey: []byte(p.now().UTC().Format(time.RFC3339)), wire.SoleKey: had}
	p.sole.into(next)
	if err := p.put(ctx, next, from != nil); err != nil {
		return fmt.Errorf("move the pointer: %w", err)
	}
	p.bytes += len(document)
	return nil
}

// put creates a Secret, or updates it if nobody else did.
func (p *Publisher) put(ctx context.Context, secret *corev1.Secret, exists bool) error {
	var err error
	if exists {
		err = p.client.Update(ctx, secret)
	} else {
		err = p.client.Create(ctx, secret)
	}
	if apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) || (exists && apierrors.IsNotFound(err)) {
		return fmt.Errorf("%w: %w", errRaced, err)
	}
	return err
}

// Beat writes the heartbeat, and who is the only replica, beside the pointer: the controller lives, and the
// pointer is as it should be.
func (p *Publisher) Beat(ctx context.Context) error {
	var secret corev1.Secret
	err := p.client.Get(ctx, types.NamespacedName{Namespace: p.namespace, Name: wire.PointerName}, &secret)
	switch {
	case apierrors.IsNotFound(err):
		return nil // Nothing is published, so that there is nothing to vouch for.
	case err != nil:
		return fmt.Errorf("read the pointer: %w", err)
	}
	if secret.Data == nil {
		secret.Data = map[string][]byte{}
	}
	secret.Data[wire.HeartbeatKey] = []byte(p.now().UTC().Format(time.RFC3339))
	p.sole.into(&secret)
	if err := p.client.Update(ctx, &secret); err != nil && !apierrors.IsConflict(err) {
		return fmt.Errorf("write the heartbeat: %w", err)
	}
	return nil
}

// readerAccount is the ServiceAccount of the exchangers.
const readerAccount = "exchequer-exchanger"

// owners makes what is published go with those who read it: without their account
// there are no exchangers, and what is left of an installation are its keys. A
// Deployment would be the wrong owner: people delete it to start it anew. Where the
// account is not there, as outside of the chart, there is no owner.
func (p *Publisher) owners(ctx context.Context) []metav1.OwnerReference {
	var account metav1.PartialObjectMetadata
	account.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("ServiceAccount"))
	if err := p.client.Get(ctx, types.NamespacedName{Namespace: p.namespace, Name: readerAccount}, &account); err != nil || account.UID == "" {
		return nil
	}
	return []metav1.OwnerReference{{APIVersion: "v1", Kind: "ServiceAccount", Name: readerAccount, UID: account.UID}}
}

// The values of the label that says what a Secret is for.
const (
	partLabel   = "exchequer.dev/part"
	slotPart    = "slot"
	pointerPart = "pointer"
)

func labels(part string) map[string]string {
	return map[string]string{
		"app.kubernetes.io/name": "exchequer", "app.kubernetes.io/component": "controller",
		"app.kubernetes.io/part-of": "exchequer", "app.kubernetes.io/managed-by": "exchequer-controller", partLabel: part,
	}
}

func (p *Publisher) secret(name, part string) *corev1.Secret {
	return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: p.namespace, Name: name, Labels: labels(part)}}
}
