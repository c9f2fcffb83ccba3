// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package status

import (
	"fmt"
	"maps"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/exchequer-dev/exchequer/api/v1alpha1"
	"github.com/exchequer-dev/exchequer/exchanger/translate"
)

// Verdict is what is known about one object besides its stored status.
type Verdict struct {
	// UID is of the object that was judged; one that was made again under its name
	// is another.
	UID string
	// Said is what translation said.
	Said *translate.ObjectStatus
	// Since is the first revision that has what Said speaks of; 0: none has yet.
	Since uint64
	// Anew says that it was something else before, and that the replicas have not all
	// acknowledged it since then: what a stored status says of them may be about the
	// time before that.
	Anew bool
	// Service is for a TokenService, Keys for a TrustedIssuer.
	Service *Service
	KeyIDs  []string
}

// Service is what is known about a TokenService.
type Service struct {
	Keys []v1alpha1.SigningKeyStatus
	// Certificate is the one with which assertions are signed, in PEM.
	Certificate v1alpha1.PEM
	// KeysReady tells how they are; nil before they were looked at.
	KeysReady *metav1.Condition
	// OneTime is how many clients in force need one-time state that all replicas see.
	OneTime int
}

// World is what the status of every object hangs on.
type World struct {
	Replicas Replicas
	// Revision is the newest that was published.
	Revision uint64
	// PublishedAt is when that was.
	PublishedAt time.Time
	// Memory says that one replica is there, and no other in any state, which serves
	// and keeps one-time state in its memory.
	Memory bool
	// Held says why nothing is published at all; empty when it is.
	Held *Held
	Now  time.Time
}

// Held is why nothing is published, as every TokenService says it.
type Held struct{ Reason, Message string }

// Difference is how a stored status differs from what it should be.
type Difference int

// The differences.
const (
	// None: there is nothing to write.
	None Difference = iota
	// Later: what would be written is about to change again, since replicas are just
	// taking over what was published. One write then says it all.
	Later
	// Now: somebody waits for it.
	Now
)

// soon is how long replicas usually take to acknowledge, with room: goal is 1 s.
const soon = time.Second

// Next returns the status that an object should have, and how that differs from the
// one that is stored.
func Next(stored *unstructured.Unstructured, v *Verdict, w *World) (next map[string]any, differs Difference) {
	old, _ := stored.Object["status"].(map[string]any)
	before := conditionsOf(old)
	conditions := v.conditions(old, before, w)
	for i := range conditions {
		c := &conditions[i]
		c.LastTransitionTime = metav1.NewTime(w.Now.UTC().Truncate(time.Second))
		if was, ok := before[c.Type]; ok && was.Status == c.Status && !was.LastTransitionTime.IsZero() {
			c.LastTransitionTime = was.LastTransitionTime
		}
	}
	next = map[string]any{
		"observedGeneration": v.Said.Generation,
		"conditions":         toList(conditions),
		"inputDigest":        v.Said.InputDigest,
	}
	if len(v.Said.Unmatched) > 0 {
		next["unmatched"] = texts(v.Said.Unmatched)
	}
	if v.Said.ClientID != "" {
		next["clientID"] = v.Said.ClientID
	}
	if v.Service != nil {
		v.Service.into(next, w)
	}
	if len(v.KeyIDs) > 0 {
		keys := make([]any, 0, len(v.KeyIDs))
		for _, kid := range v.KeyIDs[:min(len(v.KeyIDs), maxKeys)] {
			keys = append(keys, map[string]any{"kid": kid})
		}
		next["keys"] = keys
	}
	return next, v.difference(old, next, &conditions[len(conditions)-1], w)
}

func (v *Verdict) difference(old, next map[string]any, ready *metav1.Condition, w *World) Difference {
	if holds(old, next) {
		return None
	}
	if ready.Reason == v1alpha1.ReasonPending && ready.Status == metav1.ConditionFalse && w.Now.Sub(w.PublishedAt) < soon {
		return Later
	}
	if counts, there := next["replicas"]; there {
		// Counts of replicas alone keep nobody waiting.
		was := maps.Clone(old)
		if was == nil {
			was = map[string]any{}
		}
		was["replicas"] = counts
		if holds(was, next) {
			return Later
		}
	}
	return Now
}

// maxKeys is how many keys a status has room for.
const maxKeys = 64

func texts(list []string) []any {
	out := make([]any, 0, len(list))
	for _, s := range list {
		out = append(out, s)
	}
	return out
}

// conditions are those of translation, with the ones that are about replicas filled
// in, and Ready made anew.
func (v *Verdict) conditions(old map[string]any, before map[string]metav1.Condition, w *World) []metav1.Condition {
	out := make([]metav1.Condition, 0, len(v.Said.Conditions))
	var counted []metav1.Condition
	for _, c := range v.Said.Conditions {
		switch c.Type {
		case v1alpha1.ConditionReady:
			continue
		case v1alpha1.ConditionProgrammed:
			v.programmed(&c, old, before, w)
		case v1alpha1.ConditionStoreReady:
			if v.Service != nil && v.Service.KeysReady != nil {
				out, counted = append(out, *v.Service.KeysReady), append(counted, *v.Service.KeysReady)
			}
			v.storeReady(&c, w)
			out = append(out, c) // It does not count: whom it refuses says so, and is not everybody.
			continue
		}
		out = append(out, c)
		counted = append(counted, c)
	}
	if v.Said.OneTime && len(w.Replicas.Acknowledged) > 0 && !w.stored() {
		// Where nothing serves at all, as while a replica is replaced, this is no other
		// than everything else.
		counted = append(counted, v.refused())
	}
	return append(out, translate.Summarize(counted, v.Said.Generation))
}

// programmed says whether every serving replica has what the object is built from.
func (v *Verdict) programmed(c *metav1.Condition, old map[string]any, before map[string]metav1.Condition, w *World) {
	set := func(status metav1.ConditionStatus, reason, message string) {
		c.Status, c.Reason, c.Message = status, reason, message
	}
	was, digest := before[v1alpha1.ConditionProgrammed], ""
	if s, ok := old["inputDigest"].(string); ok {
		digest = s
	}
	latched := !v.Anew && was.Status == metav1.ConditionTrue && was.ObservedGeneration == v.Said.Generation && digest == v.Said.InputDigest
	switch {
	case v.Service != nil && w.Held != nil:
		set(metav1.ConditionFalse, w.Held.Reason, w.Held.Message)
	case latched:
		set(was.Status, was.Reason, was.Message)
	case len(w.Replicas.Acknowledged) == 0:
		set(metav1.ConditionFalse, v1alpha1.ReasonNoReplica, "no replica of the exchanger serves")
	case v.Acknowledged(&w.Replicas):
		set(metav1.ConditionTrue, v1alpha1.ReasonProgrammed, "every replica that serves has acknowledged this generation")
	case v.Since > 0 && w.Replicas.refuses(v.Since):
		set(metav1.ConditionFalse, v1alpha1.ReasonPending, "a replica refuses what was published: its ExchangerReplica says why")
	case w.Held != nil:
		set(metav1.ConditionFalse, v1alpha1.ReasonPending, "nothing is published at present: the TokenServices say why")
	default:
		set(metav1.ConditionFalse, v1alpha1.ReasonPending, "replicas have yet to acknowledge this generation")
	}
}

// Acknowledged says whether every replica that serves has what the verdict speaks of.
func (v *Verdict) Acknowledged(r *Replicas) bool { return v.Since > 0 && r.all(v.Since) }

func (v *Verdict) storeReady(c *metav1.Condition, w *World) {
	if w.stored() {
		c.Status, c.Reason, c.Message = metav1.ConditionTrue, v1alpha1.ReasonStoreReady, "one-time state is kept where every replica that serves sees it"
		return
	}
	c.Status, c.Reason = metav1.ConditionFalse, v1alpha1.ReasonNoSharedStore
	switch len(w.Replicas.Acknowledged) {
	case 0:
		c.Message = "no replica of the exchanger serves, so that there is none to keep one-time state"
	case 1:
		c.Message = "the replica that serves keeps no one-time state, or is not the only one that there is"
	default:
		c.Message = "several replicas serve and do not share one-time state"
	}
	if v.Service == nil || v.Service.OneTime == 0 {
		c.Message += "; nothing in force needs it"
		return
	}
	c.Message += fmt.Sprintf(", so that client assertions (privateKeyJWT) are refused, which %d clients may send: share a store (exchanger.store: redis in the chart), run one replica with --store=memory "+
		"(exchanger.replicas: 1), or have those clients authenticate with their service account", v.Service.OneTime)
}

// refused is why a client is not ready that has nothing but what is good only once.
// It is no condition of its own: nothing about the client is wrong.
func (v *Verdict) refused() metav1.Condition {
	return metav1.Condition{
		Type: "authentication", Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonNoSharedStore, ObservedGeneration: v.Said.Generation,
		Message: "client assertions (privateKeyJWT) are refused, since no one-time state is kept: the TokenService's condition StoreReady says why. " +
			"Another way to authenticate, such as kubernetesServiceAccount, would work",
	}
}

// into adds what TokenServices alone have.
func (s *Service) into(next map[string]any, w *World) {
	next["replicas"] = map[string]any{
		"serving": int64(len(w.Replicas.Acknowledged)), "current": int64(w.Replicas.current(w.Revision)), "revision": int64(w.Revision),
	}
	if s.Certificate != "" {
		next["samlCertificate"] = string(s.Certificate)
	}
	if len(s.Keys) == 0 {
		return
	}
	keys := make([]any, 0, len(s.Keys))
	for _, k := range s.Keys[:min(len(s.Keys), maxKeys)] {
		entry := map[string]any{"kid": k.KeyID}
		for field, text := range map[string]string{
			"algorithm": k.Algorithm, "state": string(k.State), "activatedAt": string(k.ActivatedAt), "retiresAt": string(k.RetiresAt),
		} {
			if text != "" {
				entry[field] = text
			}
		}
		keys = append(keys, entry)
	}
	next["keys"] = keys
}
