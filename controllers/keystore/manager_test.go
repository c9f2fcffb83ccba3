// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package keystore

import (
	"bytes"
	"encoding/pem"
	"errors"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/exchequer-dev/exchequer/api/v1alpha1"
	"github.com/exchequer-dev/exchequer/exchanger/jose"
	"github.com/exchequer-dev/exchequer/exchanger/keys"
	"github.com/exchequer-dev/exchequer/exchanger/wire"
)

func TestTheSecretHasOneDocumentForEachTokenServiceAndIsFound(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := w.manager()
	w.mustEnsure(t, m, newService("a"), newService("b"))
	s := w.keys(t)
	if got := names(s.Data); len(got) != 2 || got[0] != "a.json" || got[1] != "b.json" {
		t.Errorf("data keys %v, want a.json and b.json", got)
	}
	for name, value := range Labels() {
		if s.Labels[name] != value {
			t.Errorf("label %s is %q, want %q", name, s.Labels[name], value)
		}
	}
	if s.Annotations["helm.sh/resource-policy"] != "keep" {
		t.Error("uninstalling the chart would take the keys away")
	}
	follower := keys.NewFollower()
	if err := follower.Follow(map[string][]byte{"a": s.Data["a.json"], "b": s.Data["b.json"]}); err != nil {
		t.Fatal(err)
	}
	if c, ok := follower.Current("a"); !ok || c.Signing.KeyID() != current(t, m, "a").Signing.KeyID() {
		t.Error("a replica cannot follow the Secret")
	}
	if c := condition(t, m, "a"); c.Status != metav1.ConditionTrue || c.ObservedGeneration != 7 {
		t.Errorf("condition %+v, want true for generation 7", c)
	}
	if got := m.Keys("a"); len(got) != 1 || got[0].State != v1alpha1.SigningKeyActive || got[0].ActivatedAt != "2026-01-02T15:00:00Z" {
		t.Errorf("status.keys: %+v", got)
	}
	if c, ok := follower.Current("a"); !ok || string(m.Certificate("a")) == "" ||
		string(m.Certificate("a")) != string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Certificates()[0].Certificate.Raw})) {
		t.Error("status.samlCertificate is not the one that a replica signs assertions with")
	}
	version := s.ResourceVersion
	for range 10 {
		w.later(time.Minute)
		w.mustEnsure(t, m, newService("a"), newService("b"))
	}
	if w.keys(t).ResourceVersion != version {
		t.Error("the Secret was written although nothing changed")
	}
}

func TestTwoControllersMakeOneKey(t *testing.T) {
	t.Parallel()
	t.Run("F277: at the first key, whoever comes second takes the first's", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		a, b := w.manager(), w.manager()
		w.mustEnsure(t, a, newService("main"))
		w.mustEnsure(t, b, newService("main"))
		if current(t, a, "main").Signing.KeyID() != current(t, b, "main").Signing.KeyID() {
			t.Error("two keys sign")
		}
	})
	t.Run("F277: in between reading and writing, the compare-and-swap decides", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		a, b := w.manager(), w.manager()
		w.write = func() error {
			w.write = nil
			return b.Ensure(t.Context(), []v1alpha1.TokenService{newService("main").object}, specOf(newService("main")))
		}
		w.mustEnsure(t, a, newService("main"))
		if current(t, a, "main").Signing.KeyID() != current(t, b, "main").Signing.KeyID() {
			t.Error("two keys sign")
		}
	})
	t.Run("F277: through a rotation, with both at work", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		a, b := w.manager(), w.manager()
		for range 4 * 62 {
			w.mustEnsure(t, a, newService("main"))
			w.mustEnsure(t, b, newService("main"))
			if !bytes.Equal(current(t, a, "main").JWKS, current(t, b, "main").JWKS) {
				w.later(time.Minute)
				w.mustEnsure(t, a, newService("main"))
			}
			if x, y := current(t, a, "main"), current(t, b, "main"); !bytes.Equal(x.JWKS, y.JWKS) || states(x)[keys.Active] != 1 {
				t.Fatalf("the controllers differ: %v and %v", x.Slots, y.Slots)
			}
			w.later(6 * time.Hour)
		}
	})
}

func TestWhatCannotBeReadIsLeftAlone(t *testing.T) {
	t.Parallel()
	for name, garbage := range map[string][]byte{"F278: garbage": []byte("garbage"), "F278: nothing": {}, "F278: half a document": []byte(`{"version": 1`)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			m := w.manager()
			w.mustEnsure(t, m, newService("main"), newService("other"))
			first := current(t, m, "main")
			w.spoil(t, func(data map[string][]byte) { data["main.json"] = garbage })
			for _, step := range []time.Duration{time.Minute, 719 * time.Hour, 2 * time.Hour} {
				w.later(step)
				if err := w.ensure(t, m, newService("main"), newService("other")); err == nil {
					t.Error("nothing is reported")
				}
				c := condition(t, m, "main")
				if c.Status != metav1.ConditionFalse || c.Reason != v1alpha1.ReasonKeysUnreadable ||
					!strings.Contains(c.Message, "main.json of Secret exchequer-system/exchequer-keys") || !strings.Contains(c.Message, "restore it from a backup") ||
					!strings.Contains(c.Message, "last valid keys go on") {
					t.Errorf("the condition does not say what to do: %+v", c)
				}
				if current(t, m, "main").Signing != first.Signing {
					t.Error("the last valid key does not go on")
				}
				if !bytes.Equal(w.keys(t).Data["main.json"], garbage) {
					t.Error("it was overwritten")
				}
			}
			if c := condition(t, m, "other"); c.Status != metav1.ConditionTrue || current(t, m, "other").Public.Len() != 2 {
				t.Error("another TokenService's keys do not rotate")
			}
			if err := w.ensure(t, w.manager(), newService("main")); err == nil {
				t.Error("a restarted controller made new keys in its place")
			}
		})
	}
	t.Run("F278: a Secret that was deleted is made again, with the keys in use", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		m := w.manager()
		w.mustEnsure(t, m, newService("main"))
		first := current(t, m, "main")
		if err := w.client.Delete(t.Context(), w.keys(t)); err != nil {
			t.Fatal(err)
		}
		w.later(time.Minute)
		w.mustEnsure(t, m, newService("main"))
		restarted := w.manager()
		w.mustEnsure(t, restarted, newService("main"))
		if current(t, restarted, "main").Signing.KeyID() != first.Signing.KeyID() {
			t.Error("the key is lost")
		}
	})
}

func TestCrashesAndFailures(t *testing.T) {
	t.Parallel()
	crash := errors.New("crash")
	t.Run("F300: after the Secret was written, before anything else", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		m := w.manager()
		w.mustEnsure(t, m, newService("main")) // and no status was written
		restarted := w.manager()
		w.later(time.Minute)
		w.mustEnsure(t, restarted, newService("main"))
		if current(t, restarted, "main").Public.Len() != 1 || current(t, restarted, "main").Signing.KeyID() != current(t, m, "main").Signing.KeyID() {
			t.Error("there is another key")
		}
	})
	t.Run("F301: at every write of two rotations", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		m := w.manager()
		seen := map[string]bool{}
		for turn := range 4 * 65 {
			w.write = func() error { w.write = nil; return crash }
			if err := w.ensure(t, m, newService("main")); err != nil {
				m = w.manager() // the process starts again
				w.write = nil
				w.mustEnsure(t, m, newService("main"))
			}
			w.write = nil
			c := current(t, m, "main")
			for _, s := range c.Slots {
				seen[s.KeyID] = true
			}
			if states(c)[keys.Active] != 1 || len(c.Slots) > 3 {
				t.Fatalf("after %d turns: %v", turn, c.Slots)
			}
			w.later(6 * time.Hour)
		}
		if len(seen) != 3 {
			t.Errorf("%d keys were made in two rotations, want 3", len(seen))
		}
	})
	t.Run("F306: while the API server takes no writes, the present key goes on", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		m := w.manager()
		w.mustEnsure(t, m, newService("main"))
		first := current(t, m, "main")
		w.write = func() error { return crash }
		w.later(719 * time.Hour)
		if err := w.ensure(t, m, newService("main")); err == nil {
			t.Error("nothing is reported")
		}
		if c := condition(t, m, "main"); c.Status != metav1.ConditionFalse || c.Reason != v1alpha1.ReasonKeysNotStored {
			t.Errorf("condition %+v", c)
		}
		if c := current(t, m, "main"); c.Signing != first.Signing || c.Public.Len() != 1 {
			t.Error("a key that is not stored is used, or the present one is not")
		}
	})
	t.Run("F305: a clock that goes back an hour at the rotation", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		m := w.manager()
		for _, step := range []time.Duration{0, 719 * time.Hour, time.Hour} {
			w.later(step)
			w.mustEnsure(t, m, newService("main"))
		}
		before, generation := current(t, m, "main"), current(t, m, "main").Generation
		w.later(-time.Hour)
		w.mustEnsure(t, m, newService("main"))
		restarted := w.manager()
		w.mustEnsure(t, restarted, newService("main"))
		after := current(t, restarted, "main")
		if after.Signing.KeyID() != before.Signing.KeyID() || len(after.Slots) != len(before.Slots) || after.Generation <= generation {
			t.Errorf("before %v in generation %d, after %v in generation %d", before.Slots, generation, after.Slots, after.Generation)
		}
	})
}

func TestKeysThatOutliveTheirTokenService(t *testing.T) {
	t.Parallel()
	deleted := func(s *service) { s.object.Spec.Signing.KeyRetention = v1alpha1.KeyRetentionDelete }
	t.Run("Retain keeps them, and a TokenService that comes back takes them up", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		m := w.manager()
		w.mustEnsure(t, m, newService("main"), newService("other"))
		first := current(t, m, "main")
		for range 3 {
			w.later(time.Hour)
			w.mustEnsure(t, m, newService("other"))
		}
		if len(w.keys(t).Data) != 2 {
			t.Fatal("the keys are gone")
		}
		restarted := w.manager()
		w.mustEnsure(t, restarted, newService("main"), newService("other"))
		if current(t, restarted, "main").Signing.KeyID() != first.Signing.KeyID() {
			t.Error("the TokenService that came back has another key")
		}
	})
	t.Run("Delete drops them once the TokenService is gone, and one that comes back gets new ones", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		m := w.manager()
		w.mustEnsure(t, m, newService("main", deleted), newService("other"))
		first := current(t, m, "main")
		w.later(time.Minute)
		w.mustEnsure(t, m, newService("main", deleted), newService("other"))
		if len(w.keys(t).Data) != 2 {
			t.Fatal("the keys went before the TokenService")
		}
		w.later(time.Minute)
		w.mustEnsure(t, m, newService("other"))
		if got := names(w.keys(t).Data); len(got) != 1 || got[0] != "other.json" {
			t.Fatalf("data keys %v, want other.json alone", got)
		}
		if _, there := m.Ring().Current("main"); there {
			t.Error("the keys are still in memory")
		}
		w.later(time.Minute)
		w.mustEnsure(t, m, newService("main", deleted), newService("other"))
		if current(t, m, "main").Signing.KeyID() == first.Signing.KeyID() {
			t.Error("the deleted key is back")
		}
	})
	t.Run("Delete works across a restart", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.mustEnsure(t, w.manager(), newService("main", deleted), newService("other"))
		w.mustEnsure(t, w.manager(), newService("other"))
		if len(w.keys(t).Data) != 1 {
			t.Error("the keys of a TokenService that was deleted while nobody looked are still there")
		}
	})
	t.Run("Delete that became Retain again keeps them", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		m := w.manager()
		w.mustEnsure(t, m, newService("main", deleted))
		w.later(time.Minute)
		w.mustEnsure(t, m, newService("main"))
		w.later(time.Minute)
		w.mustEnsure(t, m)
		if len(w.keys(t).Data) != 1 {
			t.Error("the keys are gone")
		}
	})
	t.Run("a list that lacks what is there deletes nothing", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		m := w.manager()
		w.mustEnsure(t, m, newService("main", deleted))
		w.later(time.Minute)
		if err := m.Ensure(t.Context(), nil, specOf()); err != nil {
			t.Fatal(err)
		}
		if len(w.keys(t).Data) != 1 {
			t.Error("the keys of a TokenService that exists are gone")
		}
	})
	t.Run("one that is not in force keeps them as they are", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		m := w.manager()
		s := newService("main", deleted)
		w.mustEnsure(t, m, s)
		w.later(time.Minute)
		if err := m.Ensure(t.Context(), []v1alpha1.TokenService{s.object}, specOf()); err != nil {
			t.Fatal(err)
		}
		if len(w.keys(t).Data) != 1 {
			t.Error("the keys are gone")
		}
	})
}

func TestASecretThatIsFull(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := w.manager()
	w.mustEnsure(t, m, newService("main"))
	first := current(t, m, "main")
	w.spoil(t, func(data map[string][]byte) {
		data["huge.json"] = bytes.Repeat([]byte("x"), corev1.MaxSecretSize-(24<<10))
	})
	w.later(719 * time.Hour)
	err := w.ensure(t, m, newService("main"))
	if err == nil || !strings.Contains(err.Error(), "huge.json") || !strings.Contains(err.Error(), wire.KeysName) {
		t.Errorf("the error does not say which key is the largest: %v", err)
	}
	if current(t, m, "main").Signing != first.Signing {
		t.Error("the present key does not go on")
	}
}

func TestAChangeOfAlgorithm(t *testing.T) {
	t.Parallel()
	t.Run("F317: both are published until the cutover", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		m := w.manager()
		w.mustEnsure(t, m, newService("main"))
		old := current(t, m, "main")
		eddsa := newService("main", func(s *service) { s.spec.Algorithm = jose.EdDSA })
		w.later(time.Minute)
		w.mustEnsure(t, m, eddsa)
		if c := current(t, m, "main"); c.Signing != old.Signing || c.Public.Len() != 2 {
			t.Errorf("before the cutover: %v", c.Slots)
		}
		w.later(time.Hour)
		w.mustEnsure(t, m, eddsa)
		if c := current(t, m, "main"); c.Signing.Algorithm() != jose.EdDSA || c.Public.Len() != 2 {
			t.Errorf("after the cutover: %v", c.Slots)
		}
	})
}
