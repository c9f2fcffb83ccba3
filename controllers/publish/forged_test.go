// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package publish_test

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/exchequer-dev/exchequer/exchanger/wire"
)

// forge writes a pointer by hand that differs from the one there by its revision.
func (s *store) forge(revision uint64) {
	s.t.Helper()
	var secret corev1.Secret
	if err := s.inner.Get(s.t.Context(), types.NamespacedName{Namespace: namespace, Name: wire.PointerName}, &secret); err != nil {
		s.t.Fatal(err)
	}
	p, err := wire.ParsePointer(secret.Data[wire.PointerKey])
	if err != nil {
		s.t.Fatal(err)
	}
	p.Revision = revision
	secret.Data[wire.PointerKey] = p.Marshal()
	if err := s.inner.Update(s.t.Context(), &secret); err != nil {
		s.t.Fatal(err)
	}
	s.last, s.document = wire.Pointer{}, string(p.Marshal())
}

func TestAForgedRevisionUsesUpNoNumbers(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		forged, floor uint64
		// anew says that another controller has taken over.
		anew bool
		want uint64
	}{
		"the last of all":                                   {forged: 1<<53 - 1, floor: 1, want: 2},
		"the last of all, and another controller":           {forged: 1<<53 - 1, floor: 1, anew: true, want: 2},
		"the last of all, and no replica has ever spoken":   {forged: 1<<53 - 1, want: 2},
		"the last of all, and nobody knows anything":        {forged: 1<<53 - 1, anew: true, want: 1},
		"further than any controller comes":                 {forged: 1<<32 + 2, floor: 1, want: 2},
		"further, and replicas know more than is published": {forged: 1 << 50, floor: 7, want: 8},
		"one that may be":                                   {forged: 1 << 20, floor: 1, want: 1<<20 + 1},
		"one that may be, which nobody can tell":            {forged: 1 << 50, anew: true, want: 1<<50 + 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStore(t)
			p := s.writer(nothing)
			s.publish(p, "first")
			s.forge(c.forged)
			if c.anew {
				p = s.writer(nothing)
			}
			got, err := p.Publish(t.Context(), specOf("second"), c.floor)
			if err != nil {
				t.Fatal(err)
			}
			if _, author := s.read(t.Context()); got.Revision != c.want || author != "second" {
				t.Errorf("revision %d of %q is published, want %d", got.Revision, author, c.want)
			}
			// With nothing changed, nothing is published again.
			again, err := p.Publish(t.Context(), specOf("second"), c.floor)
			if err != nil || again.Moved || again.Revision != c.want {
				t.Errorf("once more: %+v, %v", again, err)
			}
		})
	}
}

func TestAForgedRevisionIsReplacedAlsoWhereNothingElseChanged(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	p := s.writer(nothing)
	s.publish(p, "first")
	s.forge(1<<53 - 1)
	if got := s.publish(p, "first"); got.Revision != 2 || !got.Moved {
		t.Errorf("got %+v", got)
	}
}
