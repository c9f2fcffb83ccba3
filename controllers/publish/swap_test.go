// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package publish_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/exchequer-dev/exchequer/controllers/publish"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
	"github.com/exchequer-dev/exchequer/exchanger/wire"
)

const namespace = "exchequer-system"

// specOf fills several chunks, all of which differ from one author to the next.
func specOf(author string) *policy.Spec {
	s := &policy.Spec{Format: policy.Format}
	for i := range 800 {
		name := fmt.Sprintf("c%04d", i)
		s.Clients = append(s.Clients, policy.Client{
			ID: "shop/" + name, Namespace: "shop", Name: name, TokenService: "default", Labels: map[string]string{"app": fmt.Sprintf("%0100d", i), "author": author},
		})
	}
	return s
}

// store is an API server that is asked after every write what a reader would find.
type store struct {
	t     *testing.T
	inner client.WithWatch
	// last is the newest pointer that anybody wrote.
	last     wire.Pointer
	document string
}

func newStore(t *testing.T) *store {
	t.Helper()
	return &store{t: t, inner: fake.NewClientBuilder().WithScheme(scheme.Scheme).Build()}
}

// writer returns a publisher; before runs before each of its writes.
func (s *store) writer(before func()) *publish.Publisher {
	now := func() time.Time { return time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC) }
	return publish.New(interceptor.NewClient(s.inner, interceptor.Funcs{
		Create: func(ctx context.Context, c client.WithWatch, o client.Object, options ...client.CreateOption) error {
			before()
			err := c.Create(ctx, o, options...)
			s.mustBeWhole(ctx, o.GetName())
			return err
		},
		Update: func(ctx context.Context, c client.WithWatch, o client.Object, options ...client.UpdateOption) error {
			before()
			err := c.Update(ctx, o, options...)
			s.mustBeWhole(ctx, o.GetName())
			return err
		},
	}), namespace, now)
}

func (s *store) publish(p *publish.Publisher, author string) publish.Published {
	s.t.Helper()
	out, err := p.Publish(s.t.Context(), specOf(author), 0)
	if err != nil {
		s.t.Fatalf("%s: %v", author, err)
	}
	return out
}

// mustBeWhole wants what the pointer names to be there, and a new document to have
// a higher revision than the one before.
func (s *store) mustBeWhole(ctx context.Context, written string) {
	s.t.Helper()
	document, author := s.read(ctx)
	if document == "" || document == s.document {
		return
	}
	p, err := wire.ParsePointer([]byte(document))
	if err != nil {
		s.t.Fatalf("after %s was written: %v", written, err)
	}
	if p.Revision <= s.last.Revision {
		s.t.Errorf("after %s was written, revision %d of %s follows revision %d", written, p.Revision, author, s.last.Revision)
	}
	s.last, s.document = p, document
}

// read returns the pointer's document, and who wrote what it names.
func (s *store) read(ctx context.Context) (document, author string) {
	s.t.Helper()
	var pointer corev1.Secret
	switch err := s.inner.Get(ctx, types.NamespacedName{Namespace: namespace, Name: wire.PointerName}, &pointer); {
	case apierrors.IsNotFound(err):
		return "", ""
	case err != nil:
		s.t.Fatal(err)
	}
	document = string(pointer.Data[wire.PointerKey])
	p, err := wire.ParsePointer([]byte(document))
	if err != nil {
		s.t.Fatal(err)
	}
	spec, err := wire.Decode(p, func(name string) ([]byte, error) {
		var slot corev1.Secret
		err := s.inner.Get(ctx, types.NamespacedName{Namespace: namespace, Name: name}, &slot)
		return slot.Data[wire.ChunkKey], err
	})
	if err != nil {
		s.t.Errorf("revision %d is not whole: %v", p.Revision, err)
		return document, ""
	}
	return document, spec.Clients[0].Labels["author"]
}

func nothing() {}

// F277: whatever is written between what a publisher read and what it writes is
// noticed, whichever of its writes it is.
func TestF277AWriterThatComesBetweenIsNeverOverwritten(t *testing.T) {
	t.Parallel()
	for name, begin := range map[string]func(s *store, before func()) *publish.Publisher{
		"when nothing is published yet": func(s *store, before func()) *publish.Publisher { return s.writer(before) },
		"with slots that it has yet to look at": func(s *store, before func()) *publish.Publisher {
			s.publish(s.writer(nothing), "first")
			s.publish(s.writer(nothing), "second") // both sides have their slots now
			return s.writer(before)
		},
		"with slots that it knows": func(s *store, before func()) *publish.Publisher {
			armed := false
			p := s.writer(func() {
				if armed {
					before()
				}
			})
			s.publish(p, "first")
			s.publish(p, "second")
			armed = true
			return p
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for at, came := 1, true; came; at++ {
				came = comeBetween(t, at, begin)
				if at < 5 && !came {
					t.Fatalf("there were only %d writes, expected several chunks and the pointer", at-1)
				}
			}
		})
	}
}

// comeBetween has a rival publish before one of a publisher's writes. It says
// whether there was that write.
func comeBetween(t *testing.T, at int, begin func(s *store, before func()) *publish.Publisher) (came bool) {
	t.Helper()
	s := newStore(t)
	var rival publish.Published
	writes := 0
	p := begin(s, func() {
		if writes++; writes == at {
			came = true
			rival = s.publish(s.writer(nothing), "rival")
		}
	})
	mine := s.publish(p, "mine")
	if _, author := s.read(t.Context()); author != "mine" {
		t.Errorf("write %d: what was published is lost: it is of %q", at, author)
	}
	if s.last.Revision != mine.Revision || (came && mine.Revision <= rival.Revision) {
		t.Errorf("write %d: revision %d is called published after a rival's %d; the pointer says %d", at, mine.Revision, rival.Revision, s.last.Revision)
	}
	return came
}

func TestF277AHeartbeatNeverTakesAPublicationBack(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	s.publish(s.writer(nothing), "first")
	came := false
	p := s.writer(func() {
		came = true
		s.publish(s.writer(nothing), "rival")
	})
	if err := p.Beat(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, author := s.read(t.Context()); !came || author != "rival" {
		t.Errorf("after the heartbeat, what is published is of %q", author)
	}
}
