// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/onsi/gomega"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/exchequer-dev/exchequer/exchanger/wire"
	plane "github.com/exchequer-dev/exchequer/test/cluster"
	"github.com/exchequer-dev/exchequer/test/fakes/operator"
)

func TestAReplicaServesWhatIsPublishedAndAcknowledgesItAfterwards(t *testing.T) {
	t.Parallel()
	o := operator.New(t, plane.Shared(t))
	first := o.Publish(world(3, "main"))
	slots := &counter{}
	r := start(t, o, "one", through(slots.wrap))
	r.mustServe(first)
	if _, ok := r.ring.Active("main"); !ok {
		t.Error("the policy is in force before its keys are")
	}
	eventually(t, func(g gomega.Gomega) {
		a := r.said(g)
		g.Expect(a.Spec.Revision).To(gomega.Equal(int64(1)))
		g.Expect(a.Spec.Digest).To(gomega.Equal(first.Digest))
		g.Expect(a.Spec.ReadsFormats).To(gomega.Equal(wire.ReadsFormats()))
		g.Expect(a.Spec.Refused).To(gomega.BeNil())
		g.Expect(a.OwnerReferences).To(gomega.HaveLen(1))
		g.Expect(a.OwnerReferences[0].Kind).To(gomega.Equal("Pod"))
		g.Expect(string(a.OwnerReferences[0].UID)).To(gomega.Equal("uid-of-one"))
	})

	second := o.Publish(world(300, "main", "other"))
	r.mustServe(second)
	r.mustAcknowledge(second)
	if _, ok := r.ring.Active("other"); !ok {
		t.Error("a new token service is in force without its keys")
	}
	slots.reset()
	changed := world(300, "main", "other")
	changed.Scopes[7].InToken = true
	r.mustServe(o.Publish(changed))
	if n := slots.count(); n != 1 {
		t.Errorf("%d slots were read for one changed object", n)
	}
	if got := r.Heartbeat(); !got.Equal(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)) {
		t.Errorf("the heartbeat is read as %v", got)
	}
	r.mustConfirm()
}

// counter counts reads of slots.
type counter struct {
	mu sync.Mutex
	n  int
}

func (c *counter) wrap(next http.RoundTripper) http.RoundTripper {
	return roundTrip(func(r *http.Request) (*http.Response, error) {
		if strings.Contains(r.URL.Path, "/"+wire.PointerName+"-") {
			c.mu.Lock()
			c.n++
			c.mu.Unlock()
		}
		return next.RoundTrip(r)
	})
}

func (c *counter) count() int { c.mu.Lock(); defer c.mu.Unlock(); return c.n }
func (c *counter) reset()     { c.mu.Lock(); defer c.mu.Unlock(); c.n = 0 }

func TestTheShippedRoleIsEnoughAndListsNoOtherSecret(t *testing.T) {
	t.Parallel()
	o := operator.New(t, plane.Shared(t))
	r := start(t, o, "one")
	r.mustServe(o.Publish(world(1, "main")))
	eventually(t, func(g gomega.Gomega) { r.said(g) })

	o.Secret("somebody-elses", map[string][]byte{"password": []byte("x")})
	c, err := kubernetes.NewForConfig(o.Plane.ServiceAccount(t, o.Namespace, operator.Account))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.CoreV1().Secrets(o.Namespace).List(t.Context(), metav1.ListOptions{}); !apierrors.IsForbidden(err) {
		t.Errorf("the exchanger may list Secrets: %v", err)
	}
	if _, err := c.CoreV1().Secrets(o.Namespace).Get(t.Context(), "somebody-elses", metav1.GetOptions{}); !apierrors.IsForbidden(err) {
		t.Errorf("the exchanger may read a Secret of another name: %v", err)
	}
}

func TestF321WithoutAPIServerNothingIsServed(t *testing.T) {
	t.Parallel()
	o := operator.New(t, plane.Shared(t))
	o.Publish(world(1, "main"))
	r := start(t, o, "one", at("https://127.0.0.1:1"), checkpointIn(t.TempDir()))
	eventually(t, func(g gomega.Gomega) { g.Expect(r.log.String()).To(gomega.ContainSubstring("there is no checkpoint")) })
	if got := r.revisions(); len(got) > 0 || !r.Confirmed().IsZero() {
		t.Errorf("revisions %v are served", got)
	}
}

func TestF322PartOfTheSecretsIsNothing(t *testing.T) {
	t.Parallel()
	for _, hidden := range []string{wire.PointerName, wire.KeysName, wire.CredentialsName} {
		t.Run(hidden, func(t *testing.T) {
			t.Parallel()
			o := operator.New(t, plane.Shared(t))
			o.Grant(without(hidden))
			p := o.Publish(world(1, "main"))
			r := start(t, o, "one", checkpointIn(t.TempDir()))
			eventually(t, func(g gomega.Gomega) { g.Expect(r.log.String()).To(gomega.ContainSubstring("there is no checkpoint")) })
			if got := r.revisions(); len(got) > 0 {
				t.Errorf("revisions %v are served", got)
			}
			o.Grant(func(*rbacv1.Role) {})
			r.mustServe(p)
		})
	}
}

func without(name string) func(*rbacv1.Role) {
	return func(role *rbacv1.Role) {
		for i := range role.Rules {
			role.Rules[i].ResourceNames = slices.DeleteFunc(role.Rules[i].ResourceNames, func(n string) bool { return n == name })
		}
	}
}

func TestF323RightsThatAreTakenAwayMakeWhatIsServedOlder(t *testing.T) {
	t.Parallel()
	o := operator.New(t, plane.Shared(t))
	r := start(t, o, "one")
	first := o.Publish(world(1, "main"))
	r.mustServe(first)
	r.mustConfirm()
	o.Grant(without(wire.PointerName))
	eventually(t, func(g gomega.Gomega) { g.Expect(r.log.String()).To(gomega.ContainSubstring("does not confirm")) })
	// A watch that was opened before goes on; what it tells counts as an answer.
	o.Grant(func(*rbacv1.Role) {})
	r.mustConfirm()
	r.mustServe(first)
}

func TestWhatCannotBeServedIsRefusedAndTheLastGoodGoesOn(t *testing.T) {
	t.Parallel()
	second := world(2, "main")
	second.Services[0].Issuer = "https://second.example"
	for name, tc := range map[string]struct {
		spoil    func(o *operator.Operator, r *replica)
		revision uint64
		reason   string
		says     string
	}{
		"F328: compiling fails": {
			func(o *operator.Operator, r *replica) { r.compiler.set(false, errors.New("no")); o.Publish(second) }, 2, refusedCompile, "expression",
		},
		"F328: compiling panics": {
			func(o *operator.Operator, r *replica) { r.compiler.set(true, nil); o.Publish(second) }, 2, refusedPanic, "report",
		},
		"a lower revision": {
			func(o *operator.Operator, r *replica) {
				r.mustServe(o.Publish(second))
				o.PublishAs(world(3, "main"), 1)
			}, 1, refusedRevision, "revision 2 is in force here",
		},
		"another policy under the same revision": {
			func(o *operator.Operator, _ *replica) { o.PublishAs(second, 1) }, 1, refusedRevision, "another one of the same number",
		},
		"a format of the future": {
			func(o *operator.Operator, _ *replica) {
				p := o.Slots(second, 2).Pointer
				p.Format = 9
				o.Secret(wire.PointerName, map[string][]byte{wire.PointerKey: p.Marshal()})
			}, 2, refusedFormat, "format 9",
		},
		"a pointer that is none": {
			func(o *operator.Operator, _ *replica) {
				o.Secret(wire.PointerName, map[string][]byte{wire.PointerKey: []byte("garbage")})
			}, 0, refusedPointer, "JSON",
		},
		"a revision that no controller comes to": {
			func(o *operator.Operator, _ *replica) { o.Current = nil; o.PublishAs(second, 1<<53-1) }, 0, refusedPointer, "no controller",
		},
		"a revision that no controller comes to, of what is in force": {
			func(o *operator.Operator, _ *replica) { o.PublishAs(world(1, "main"), 2+1<<32) }, 0, refusedPointer, "no controller",
		},
		"a damaged chunk": {
			func(o *operator.Operator, _ *replica) {
				plan := o.Slots(second, 2)
				o.Secret(plan.Write[0].Name, map[string][]byte{wire.ChunkKey: []byte("garbage")})
				o.Secret(wire.PointerName, map[string][]byte{wire.PointerKey: plan.Pointer.Marshal()})
			}, 2, refusedChunk, wire.PointerName + "-b-00",
		},
		"a missing chunk": {
			func(o *operator.Operator, _ *replica) {
				plan, err := wire.Encode(second, 2, o.Current)
				if err != nil {
					t.Fatal(err)
				}
				o.Secret(wire.PointerName, map[string][]byte{wire.PointerKey: plan.Pointer.Marshal()})
			}, 2, refusedChunk, "not found",
		},
		"chunks that are whole and not what the digest names": {
			func(o *operator.Operator, _ *replica) {
				p := o.Slots(second, 2).Pointer
				p.Digest = strings.Repeat("0", 64)
				o.Secret(wire.PointerName, map[string][]byte{wire.PointerKey: p.Marshal()})
			}, 2, refusedContent, "digest",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := operator.New(t, plane.Shared(t))
			r := start(t, o, "one")
			first := o.Publish(world(1, "main"))
			r.mustServe(first)
			tc.spoil(o, r)
			a := r.mustRefuse(tc.revision, tc.reason)
			if !strings.Contains(a.Spec.Refused.Message, tc.says) || strings.Contains(a.Spec.Refused.Message, "secret of") {
				t.Errorf("the refusal says %q, want something about %q", a.Spec.Refused.Message, tc.says)
			}
			was, digest := r.serves()
			if a.Spec.Revision != int64(was) || a.Spec.Digest != digest {
				t.Errorf("revision %d is acknowledged, %d is in force", a.Spec.Revision, was)
			}
			confirmed := r.Confirmed()

			// What comes next, above all that was acknowledged and refused, mends it.
			r.compiler.set(false, nil)
			next := o.PublishAs(world(5, "main"), max(was, tc.revision)+1)
			r.mustServe(next)
			eventually(t, func(g gomega.Gomega) {
				a := r.said(g)
				g.Expect(a.Spec.Refused).To(gomega.BeNil())
				g.Expect(a.Spec.Revision).To(gomega.Equal(int64(next.Revision)))
				r.mu.Lock()
				refusing := r.refusing
				r.mu.Unlock()
				g.Expect(refusing).To(gomega.BeFalse())
			})
			if !r.Confirmed().After(confirmed) {
				t.Error("what is served again counts as old")
			}
		})
	}
}

func TestWhatIsRefusedDoesNotConfirmWhatIsServed(t *testing.T) {
	t.Parallel()
	o := operator.New(t, plane.Shared(t))
	r := start(t, o, "one")
	o.Publish(world(1, "main"))
	r.mustConfirm()
	o.Secret(wire.PointerName, map[string][]byte{wire.PointerKey: []byte("garbage")})
	r.mustRefuse(0, refusedPointer)
	before, reads := r.Confirmed(), r.pointer.get().at
	eventually(t, func(g gomega.Gomega) {
		g.Expect(r.pointer.get().at).To(gomega.BeTemporally(">", reads.Add(3*r.times.confirm)))
	})
	if !r.Confirmed().Equal(before) {
		t.Error("the age of what is served is counted anew though something else is published")
	}
}

func TestAMendedSlotIsTakenUpWithoutAnotherPointer(t *testing.T) {
	t.Parallel()
	o := operator.New(t, plane.Shared(t))
	r := start(t, o, "one")
	r.mustServe(o.Publish(world(1, "main")))
	plan := o.Slots(world(2, "main"), 2)
	o.Secret(plan.Write[0].Name, map[string][]byte{wire.ChunkKey: []byte("garbage")})
	o.Secret(wire.PointerName, map[string][]byte{wire.PointerKey: plan.Pointer.Marshal()})
	r.mustRefuse(2, refusedChunk)
	o.Secret(plan.Write[0].Name, map[string][]byte{wire.ChunkKey: plan.Write[0].Data})
	r.mustServe(plan.Pointer)
}

func TestAPointerThatMovesWhileItsSlotsAreReadIsReadAgain(t *testing.T) {
	t.Parallel()
	o := operator.New(t, plane.Shared(t))
	first := o.Publish(world(1, "main"))
	var third wire.Pointer
	var once sync.Once
	moving := func(next http.RoundTripper) http.RoundTripper {
		return roundTrip(func(r *http.Request) (*http.Response, error) {
			if strings.HasSuffix(r.URL.Path, "/"+first.Chunks[0].Name()) {
				// Two publications later the slot is another's.
				once.Do(func() { o.Publish(world(2, "main")); third = o.Publish(world(3, "main")) })
			}
			return next.RoundTrip(r)
		})
	}
	r := start(t, o, "one", through(moving))
	eventually(t, func(g gomega.Gomega) { g.Expect(r.revisions()).NotTo(gomega.BeEmpty()) })
	r.mustServe(third)
	if got := r.revisions(); !slices.Equal(got, []uint64{3}) {
		t.Errorf("revisions %v were served; 1 was gone and 2 overtaken", got)
	}
	if strings.Contains(r.log.String(), "is not served") {
		t.Error("a pointer that moved is called damaged")
	}
}

func TestAnEtcdThatWasRestoredRecoversThroughAcknowledgements(t *testing.T) {
	t.Parallel()
	o := operator.New(t, plane.Shared(t))
	r := start(t, o, "one")
	backup := o.Publish(world(1, "main"))
	chunk, err := o.Client.CoreV1().Secrets(o.Namespace).Get(t.Context(), backup.Chunks[0].Name(), metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	r.mustServe(backup)
	for range 4 {
		o.Publish(world(2, "main"))
		o.Publish(world(3, "main"))
	}
	newest := o.Publish(world(4, "main"))
	r.mustServe(newest)
	r.mustAcknowledge(newest)

	// Everything is as it was, acknowledgements included.
	o.Secret(chunk.Name, chunk.Data)
	o.Secret(wire.PointerName, map[string][]byte{wire.PointerKey: backup.Marshal()})
	if out, err := o.Plane.Kubectl(t, "delete", "exchangerreplica", "one", "-n", o.Namespace); err != nil {
		t.Fatal(out, err)
	}
	a := r.mustRefuse(backup.Revision, refusedRevision)
	if a.Spec.Revision != int64(newest.Revision) {
		t.Fatalf("revision %d is acknowledged, %d is in force: the next revision would be too low", a.Spec.Revision, newest.Revision)
	}
	r.mustServe(o.PublishAs(world(1, "main"), uint64(max(a.Spec.Revision, a.Spec.Refused.Revision))+1))
}

func TestSigningKeysThatCannotBeFollowedLeaveTheLastGoodOnes(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(t *testing.T, o *operator.Operator){
		"F278: a Secret of garbage": func(_ *testing.T, o *operator.Operator) {
			o.Secret(wire.KeysName, map[string][]byte{"main.json": []byte("garbage")})
		},
		"F278: an emptied Secret": func(_ *testing.T, o *operator.Operator) { o.Secret(wire.KeysName, nil) },
		"F278: a deleted Secret": func(t *testing.T, o *operator.Operator) {
			t.Helper()
			if err := o.Client.CoreV1().Secrets(o.Namespace).Delete(t.Context(), wire.KeysName, metav1.DeleteOptions{}); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := operator.New(t, plane.Shared(t))
			r := start(t, o, "one")
			r.mustServe(o.Publish(world(1, "main")))
			before, _ := r.ring.Current("main")
			spoil(t, o)
			eventually(t, func(g gomega.Gomega) {
				g.Expect(r.log.String()).To(gomega.Or(gomega.ContainSubstring("were not followed"), gomega.ContainSubstring("keys in use go on")))
			})
			if now, _ := r.ring.Current("main"); now != before {
				t.Error("the keys that were good are not served any more")
			}
			if _, ok := r.ring.Active("main"); !ok {
				t.Error("nothing signs")
			}
			if strings.Contains(r.log.String(), "garbage") {
				t.Error("the log quotes the Secret")
			}
			// A key of a new token service comes with the Secret's repair.
			r.mustServe(o.Publish(world(1, "main", "other")))
			eventually(t, func(g gomega.Gomega) {
				_, ok := r.ring.Active("other")
				g.Expect(ok).To(gomega.BeTrue())
			})
		})
	}
}

func TestAPointerThatIsDeletedLeavesWhatIsInForce(t *testing.T) {
	t.Parallel()
	o := operator.New(t, plane.Shared(t))
	r := start(t, o, "one")
	first := o.Publish(world(1, "main"))
	r.mustServe(first)
	if err := o.Client.CoreV1().Secrets(o.Namespace).Delete(t.Context(), wire.PointerName, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, func(g gomega.Gomega) { g.Expect(r.log.String()).To(gomega.ContainSubstring("nothing is published")) })
	if got := r.revisions(); !slices.Equal(got, []uint64{1}) {
		t.Errorf("revisions %v", got)
	}
	r.mustServe(o.Publish(world(2, "main")))
}

func TestABurstOfChangesEndsWithTheLast(t *testing.T) {
	t.Parallel()
	o := operator.New(t, plane.Shared(t))
	r := start(t, o, "one")
	r.mustServe(o.Publish(world(1, "main")))
	var last wire.Pointer
	for i := range 20 {
		last = o.Publish(world(2+i, "main"))
	}
	r.mustServe(last)
	r.mustAcknowledge(last)
	if got := r.revisions(); !slices.IsSorted(got) {
		t.Errorf("revisions went back: %v", got)
	}
}

func TestASnapshotThatIsPublishedAgainUnderAHigherNumberIsNeitherFetchedNorCompiled(t *testing.T) {
	t.Parallel()
	o := operator.New(t, plane.Shared(t))
	slots := &counter{}
	dir := t.TempDir()
	r := start(t, o, "one", through(slots.wrap), checkpointIn(dir))
	first := o.Publish(world(3, "main"))
	r.mustServe(first)
	slots.reset()
	r.compiler.set(true, nil) // whoever compiles now panics
	for _, revision := range []uint64{1000, 2000, 1 << 31} {
		// Whole, in slots of its own.
		o.Current = nil
		p := o.PublishAs(world(3, "main"), revision)
		r.mustServe(p)
		if a := r.mustAcknowledge(p); a.Spec.Refused != nil {
			t.Errorf("refused: %+v", a.Spec.Refused)
		}
	}
	if n := slots.count(); n != 0 {
		t.Errorf("%d slots were read for what is in force", n)
	}
	r.mustConfirm()
	r.compiler.set(false, nil)
	r.stop()
	// The checkpoint has the number too, so that a restart does not go back.
	again := start(t, o, "two", at("https://127.0.0.1:1"), checkpointIn(dir))
	eventually(t, func(g gomega.Gomega) { g.Expect(again.revisions()).To(gomega.Equal([]uint64{1 << 31})) })
}
