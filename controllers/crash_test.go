// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/exchequer-dev/exchequer/controllers/publish"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
	"github.com/exchequer-dev/exchequer/exchanger/wire"
)

// bigSpec has enough clients for several chunks; version makes some of them differ.
func bigSpec(version int) *policy.Spec {
	s := &policy.Spec{Format: policy.Format}
	for i := range 1500 {
		c := policy.Client{ID: fmt.Sprintf("shop/c%04d", i), Namespace: "shop", Name: fmt.Sprintf("c%04d", i), TokenService: "default", Labels: map[string]string{"app": fmt.Sprintf("%0100d", i)}}
		if i%7 == 0 {
			c.Labels["version"] = fmt.Sprint(version)
		}
		s.Clients = append(s.Clients, c)
	}
	return s
}

// versionOf is the version of a spec of bigSpec; an error when it is a mixture.
func versionOf(s *policy.Spec) (string, error) {
	version := ""
	for i := range s.Clients {
		switch v, ok := s.Clients[i].Labels["version"]; {
		case !ok:
		case version == "":
			version = v
		case version != v:
			return "", errors.New("a mixture of two versions")
		}
	}
	return version, nil
}

var errKilled = errors.New("killed")

// dying is a client that ends at a write, before or after it took effect.
func dying(at int, after bool) client.Client {
	config := plane.Admin()
	config.QPS = -1
	inner, err := client.NewWithWatch(config, client.Options{})
	Expect(err).NotTo(HaveOccurred())
	count := 0
	die := func(write func() error) error {
		count++
		switch {
		case count < at:
			return write()
		case count == at && after:
			if err := write(); err != nil {
				return err
			}
		}
		return errKilled
	}
	return interceptor.NewClient(inner, interceptor.Funcs{
		Create: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.CreateOption) error {
			return die(func() error { return c.Create(ctx, o, opts...) })
		},
		Update: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.UpdateOption) error {
			return die(func() error { return c.Update(ctx, o, opts...) })
		},
	})
}

var _ = Describe("Publishing", func() {
	publisher := func(w *world, c client.Client) *publish.Publisher { return publish.New(c, w.namespace, time.Now) }
	read := func(ctx context.Context, w *world) string {
		s, err := w.spec(ctx)
		Expect(err).NotTo(HaveOccurred())
		v, err := versionOf(s)
		Expect(err).NotTo(HaveOccurred())
		return v
	}

	It("F276: survives being killed at every write, before and after it, and always leaves a whole snapshot", func(ctx context.Context) {
		w := newWorld()
		first, err := publisher(w, api).Publish(ctx, bigSpec(1), 0)
		Expect(err).NotTo(HaveOccurred())
		Expect(first.Revision).To(BeEquivalentTo(1))
		version, died := 1, 0
		for at := 1; ; at++ {
			done := false
			for _, after := range []bool{false, true} {
				_, err := publisher(w, dying(at, after)).Publish(ctx, bigSpec(version+1), 0)
				if err == nil {
					done = true
					Expect(read(ctx, w)).To(Equal(fmt.Sprint(version + 1)))
					break
				}
				died++
				Expect(err).To(MatchError(errKilled))
				Expect(read(ctx, w)).To(BeElementOf(fmt.Sprint(version), fmt.Sprint(version+1)))
				// Whoever comes next ends where the one that was killed would have.
				next, err := publisher(w, api).Publish(ctx, bigSpec(version+1), 0)
				Expect(err).NotTo(HaveOccurred())
				Expect(read(ctx, w)).To(Equal(fmt.Sprint(version + 1)))
				Expect(next.Revision).To(Equal(w.mustPointer(ctx).Revision))
				version++
			}
			if done {
				break
			}
		}
		Expect(died).To(BeNumerically(">", 8), "several chunks and the pointer were to be written")
	})

	It("F277: by two at once ends with one whole snapshot, whose revision grew with every move", func(ctx context.Context) {
		w := newWorld()
		a, b := publisher(w, api), publisher(w, api)
		done := make(chan error, 2)
		for i, p := range []*publish.Publisher{a, b} {
			go func() {
				for n := range 10 {
					if _, err := p.Publish(ctx, bigSpec(10*n+i), 0); err != nil && ctx.Err() != nil {
						done <- err
						return
					}
				}
				done <- nil
			}()
		}
		last := uint64(0)
		for ended := 0; ended < 2; {
			select {
			case err := <-done:
				Expect(err).NotTo(HaveOccurred())
				ended++
			default:
				if p := w.pointer(ctx); p != nil {
					Expect(p.Revision).To(BeNumerically(">=", last))
					last = p.Revision
				}
			}
		}
		_, err := a.Publish(ctx, bigSpec(1000), 0)
		Expect(err).NotTo(HaveOccurred())
		Expect(read(ctx, w)).To(Equal("1000"))
	})

	It("F327: goes beyond whatever a replica has acknowledged or refused, after etcd was set back", func(ctx context.Context) {
		w := newWorld()
		p := publisher(w, api)
		one, err := p.Publish(ctx, bigSpec(1), 0)
		Expect(err).NotTo(HaveOccurred())
		same, err := p.Publish(ctx, bigSpec(1), one.Revision)
		Expect(err).NotTo(HaveOccurred())
		Expect(same.Moved).To(BeFalse())
		ahead, err := p.Publish(ctx, bigSpec(1), 812)
		Expect(err).NotTo(HaveOccurred())
		Expect(ahead.Moved).To(BeTrue())
		Expect(ahead.Revision).To(BeEquivalentTo(813))
		Expect(ahead.Digest).To(Equal(one.Digest))
	})

	It("mends slots that somebody else altered or deleted", func(ctx context.Context) {
		w := newWorld()
		p := publisher(w, api)
		_, err := p.Publish(ctx, bigSpec(1), 0)
		Expect(err).NotTo(HaveOccurred())
		for round := range 3 {
			name := w.mustPointer(ctx).Chunks[round%len(w.mustPointer(ctx).Chunks)].Name()
			var s corev1.Secret
			Expect(api.Get(ctx, types.NamespacedName{Namespace: w.namespace, Name: name}, &s)).To(Succeed())
			if round == 1 {
				Expect(api.Delete(ctx, &s)).To(Succeed())
			} else {
				s.Data[wire.ChunkKey] = s.Data[wire.ChunkKey][:100]
				Expect(api.Update(ctx, &s)).To(Succeed())
			}
			_, err := w.spec(ctx)
			Expect(err).To(HaveOccurred())
			altered, err := p.Recheck(ctx)
			Expect(err).NotTo(HaveOccurred())
			Expect(altered).To(BeTrue())
			out, err := p.Publish(ctx, bigSpec(1), 0)
			Expect(err).NotTo(HaveOccurred())
			Expect(out.Moved).To(BeTrue())
			Expect(read(ctx, w)).To(Equal("1"))
			again, err := p.Publish(ctx, bigSpec(1), 0)
			Expect(err).NotTo(HaveOccurred())
			Expect(again.Moved).To(BeFalse())
		}
	})

	It("writes one chunk and the pointer for one changed object, and nothing for none", func(ctx context.Context) {
		w := newWorld()
		p := publisher(w, api)
		spec := bigSpec(1)
		whole, err := p.Publish(ctx, spec, 0)
		Expect(err).NotTo(HaveOccurred())
		version := w.version(ctx)
		none, err := publisher(w, api).Publish(ctx, bigSpec(1), 0)
		Expect(err).NotTo(HaveOccurred())
		Expect(none.Moved).To(BeFalse())
		Expect(w.version(ctx)).To(Equal(version))
		spec = bigSpec(1)
		spec.Clients[5].Suspended = true
		one, err := p.Publish(ctx, spec, 0)
		Expect(err).NotTo(HaveOccurred())
		Expect(one.Bytes).To(BeNumerically("<", whole.Bytes/2))
	})
})

// version is the resource version of the pointer.
func (w *world) version(ctx context.Context) string {
	var s corev1.Secret
	Expect(api.Get(ctx, types.NamespacedName{Namespace: w.namespace, Name: wire.PointerName}, &s)).To(Succeed())
	return s.ResourceVersion
}
