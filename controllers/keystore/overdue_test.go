// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package keystore

import (
	"errors"
	"testing"
	"time"

	"github.com/exchequer-dev/exchequer/exchanger/jose"
)

func TestAKeyThatShouldHaveHandedOverIsOverdue(t *testing.T) {
	t.Parallel()
	late := func(t *testing.T, m *Manager, want time.Duration) {
		t.Helper()
		if got := m.Overdue()["main"]; got != want {
			t.Errorf("it is overdue for %s, want %s", got, want)
		}
	}
	t.Run("not while it rotates as it should", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		m := w.manager()
		for range 24 * 65 {
			w.mustEnsure(t, m, newService("main"))
			late(t, m, 0)
			w.later(time.Hour)
		}
	})
	t.Run("when nothing can be written, from its period on", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		m := w.manager()
		w.mustEnsure(t, m, newService("main"))
		w.write = func() error { return errors.New("etcd is full") }
		w.later(720 * time.Hour) // and the next one needs an hour to be published
		_ = w.ensure(t, m, newService("main"))
		late(t, m, 0)
		w.later(4 * time.Hour)
		_ = w.ensure(t, m, newService("main"))
		late(t, m, 3*time.Hour)
		again := w.manager()
		_ = w.ensure(t, again, newService("main"))
		late(t, again, 3*time.Hour)
		w.write = nil
		w.mustEnsure(t, m, newService("main"))
		w.later(time.Hour)
		w.mustEnsure(t, m, newService("main"))
		late(t, m, 0)
	})
	t.Run("when another algorithm is wanted, from the wish on", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		m := w.manager()
		w.mustEnsure(t, m, newService("main"))
		w.later(100 * time.Hour)
		w.mustEnsure(t, m, newService("main"))
		w.write = func() error { return errors.New("etcd is full") }
		eddsa := newService("main", func(s *service) { s.spec.Algorithm = jose.EdDSA })
		_ = w.ensure(t, m, eddsa)
		late(t, m, 0)
		w.later(90 * time.Minute)
		_ = w.ensure(t, m, eddsa)
		late(t, m, 30*time.Minute)
	})
	t.Run("not for a TokenService that is gone", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		m := w.manager()
		w.mustEnsure(t, m, newService("main"), newService("other"))
		w.mustEnsure(t, m, newService("other"))
		if _, there := m.Overdue()["main"]; there {
			t.Error("it is still told")
		}
	})
}
