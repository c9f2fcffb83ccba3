// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/exchequer-dev/exchequer/controllers/gather"
	"github.com/exchequer-dev/exchequer/controllers/publish"
	"github.com/exchequer-dev/exchequer/controllers/status"
	"github.com/exchequer-dev/exchequer/exchanger/translate"
	"github.com/exchequer-dev/exchequer/exchanger/wire"
)

// judged has the book judge one policy with a digest, published under a revision.
func judged(b *book, uid, digest string, revision uint64) *status.Verdict {
	key := gather.Key{Kind: gather.ExchangePolicy, NamespacedName: types.NamespacedName{Namespace: "shop", Name: "staff"}}
	u := gather.New(gather.ExchangePolicy)
	u.SetUID(types.UID(uid))
	result := &translate.Result{Statuses: []translate.ObjectStatus{{Kind: key.Kind, Namespace: key.Namespace, Name: key.Name, InputDigest: digest}}}
	var published *publish.Published
	if revision > 0 {
		published = &publish.Published{Revision: revision, Digest: "of all", Moved: true}
	}
	b.judge(&gather.Gathered{Stored: map[gather.Key]*unstructured.Unstructured{key: u}}, result, published, nil, func(*translate.Result, *status.Verdict) {})
	return verdictOf(b)
}

func verdictOf(b *book) *status.Verdict {
	all, _ := b.everything()
	for _, v := range all {
		return v
	}
	return nil
}

func TestWhatGoesOutOfForceAndComesBackIsAcknowledgedAnew(t *testing.T) {
	t.Parallel()
	b := &book{}
	b.hear([]voice{{revision: 4}}, false)
	if v := judged(b, "u", "in", 4); v.Anew || v.Since != 4 {
		t.Fatalf("what a status says before this process began is not believed: %+v", v)
	}
	if v := judged(b, "u", "out", 5); !v.Anew || v.Since != 5 {
		t.Errorf("out of force: %+v", v)
	}
	v := judged(b, "u", "in", 6)
	if !v.Anew || v.Since != 6 {
		t.Errorf("back before the status was written: %+v", v)
	}
	b.hear([]voice{{revision: 5}}, false)
	if v := judged(b, "u", "in", 7); !v.Anew || v.Since != 6 {
		t.Errorf("no replica has it yet: %+v", v)
	}
	b.hear(nil, false)
	if !verdictOf(b).Anew {
		t.Error("nobody is there, and yet all have it")
	}
	b.hear([]voice{{revision: 6}}, false)
	if verdictOf(b).Anew {
		t.Error("all replicas have it")
	}
	if !v.Anew {
		t.Error("a verdict that somebody reads was altered")
	}
	// From here on it latches as before, also for a replica that comes.
	b.hear([]voice{{revision: 6}, {}}, false)
	if v := judged(b, "u", "in", 8); v.Anew {
		t.Errorf("the latch opened: %+v", v)
	}
	if v := judged(b, "another", "in", 9); v.Anew {
		t.Errorf("made again under its name, it has no status from before: %+v", v)
	}
}

func TestAnAcknowledgementBeyondWhatIsPublishedCountsOnlyForTheSame(t *testing.T) {
	t.Parallel()
	for name, of := range map[string]struct {
		voice     voice
		published uint64
		want      uint64
	}{
		"what is published":                     {voice{revision: 7, digest: "of all"}, 7, 7},
		"what was published before":             {voice{revision: 6, digest: "older"}, 7, 6},
		"a forged revision":                     {voice{revision: 1 << 42, digest: "forged"}, 7, 0},
		"a forged revision without digest":      {voice{revision: 8}, 7, 0},
		"the same, from before etcd was set":    {voice{revision: 812, digest: "of all"}, 7, 812},
		"beyond 2^42, when that is published":   {voice{revision: 1<<42 + 1}, 1<<42 + 1, 1<<42 + 1},
		"before anything is known as published": {voice{revision: 3, digest: "x"}, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, order := range []string{"heard before", "heard after"} {
				b := &book{}
				if order == "heard before" {
					b.hear([]voice{of.voice}, true)
				}
				judged(b, "u", "in", of.published)
				if order == "heard after" {
					b.hear([]voice{of.voice}, true)
				}
				_, w := b.everything()
				if got := w.Replicas.Acknowledged; len(got) != 1 || got[0] != of.want || !w.Replicas.SharedStore {
					t.Errorf("%s: %+v", order, w.Replicas)
				}
			}
		})
	}
}

func TestMostThatAReplicaCanKnowOfIsBounded(t *testing.T) {
	t.Parallel()
	for published, want := range map[uint64]uint64{0: 1<<32 - 1, 1: 1 + 1<<24, 1 << 42: 1<<42 + 1<<24, 1<<53 - 1<<32 - 2: 1<<53 - 1<<32 - 2} {
		if got := most(published); got != want {
			t.Errorf("%d is published: %d, want %d", published, got, want)
		}
		// It is of no use to go where no replica follows.
		if next := most(published) + 1; !wire.Plausible(next, 0) || !wire.Plausible(next, max(published, 1)) {
			t.Errorf("%d is published: nobody follows to %d", published, next)
		}
	}
	for given, want := range map[int64]uint64{-1: 0, 0: 0, 1<<53 - 1: 1<<53 - 1, 1 << 53: 0} {
		if got := numbered(given); got != want {
			t.Errorf("%d is %d, want %d", given, got, want)
		}
	}
}
