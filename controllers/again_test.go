// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"sync"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/exchequer-dev/exchequer/controllers"
	"github.com/exchequer-dev/exchequer/controllers/gather"
)

func keyOf(o client.Object) types.NamespacedName { return client.ObjectKeyFromObject(o) }

// meddler is a transport that does something right before one write of the
// controller, and notes what came of it.
type meddler struct {
	next http.RoundTripper
	path string

	mu     sync.Mutex
	before func() error
	after  func() error
	code   int
	err    error
}

// arm makes it meddle with the next write.
func (m *meddler) arm(before, after func() error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.before, m.after = before, after
}

func (m *meddler) RoundTrip(r *http.Request) (*http.Response, error) {
	m.mu.Lock()
	before, after := m.before, m.after
	if r.Method != http.MethodPatch || !strings.HasSuffix(r.URL.Path, m.path) || before == nil {
		m.mu.Unlock()
		return m.next.RoundTrip(r)
	}
	m.before = nil
	defer m.mu.Unlock()
	if m.err = before(); m.err != nil {
		return m.next.RoundTrip(r)
	}
	response, err := m.next.RoundTrip(r)
	if err != nil {
		m.err = err
		return nil, err
	}
	m.code, m.err = response.StatusCode, after()
	return response, nil
}

func (m *meddler) outcome() (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.code, m.err
}

var _ = Describe("A status", func() {
	It("F268: of an object that is made again while it is written is not written into the new one", func(ctx context.Context) {
		w := newWorld()
		shop := w.tenant()
		apply(ctx, everything(shop))
		m := &meddler{path: "/namespaces/" + shop + "/exchangepolicies/staff/status"}
		w.run(func(_ *controllers.Options, _ *controllers.Process, config *rest.Config) {
			config.Wrap(func(next http.RoundTripper) http.RoundTripper { m.next = next; return m })
		})
		pod := w.replica(ctx, "exchanger-1")
		Eventually(w.policies(ctx)).Should(ConsistOf(shop + "/staff"))
		Eventually(condition(ctx, gather.ExchangePolicy, shop, "staff", "Ready")).Should(Equal("False/Pending"))
		first := get(ctx, gather.ExchangePolicy, shop, "staff")

		// The replica has the first one. While the controller writes that down, another
		// one takes its name: it is of the same generation and permits something else.
		again := gather.New(gather.ExchangePolicy)
		Expect(yamlInto(strings.ReplaceAll(grant(shop, "staff"), "corp:staff", "corp:press"), again)).To(Succeed())
		found := gather.New(gather.ExchangePolicy)
		m.arm(func() error {
			if err := api.Delete(ctx, first.DeepCopy()); err != nil {
				return err
			}
			return api.Create(ctx, again)
		}, func() error { return api.Get(ctx, keyOf(first), found) })
		w.acknowledge(ctx, pod, w.mustPointer(ctx).Revision, 0)

		Eventually(func() (int, error) { return m.outcome() }).Should(Equal(http.StatusConflict), "the API server's answer to the status of the first one")
		Expect(found.GetUID()).NotTo(Equal(first.GetUID()))
		Expect(found.GetGeneration()).To(Equal(first.GetGeneration()))
		_, said, err := unstructured.NestedMap(found.Object, "status")
		Expect(err).NotTo(HaveOccurred())
		Expect(said).To(BeFalse(), "the new one says what holds of the first")

		By("the new one is judged by itself")
		Eventually(condition(ctx, gather.ExchangePolicy, shop, "staff", "Accepted")).Should(Equal("True/Accepted"))
		Eventually(func() (string, error) {
			s, err := w.spec(ctx)
			if err != nil {
				return "", err
			}
			text, err := json.Marshal(s.Policies)
			return string(text), err
		}).Should(ContainSubstring("corp:press"))
		w.acknowledge(ctx, pod, w.mustPointer(ctx).Revision, 0)
		Eventually(condition(ctx, gather.ExchangePolicy, shop, "staff", "Ready")).Should(Equal("True/Ready"))
		Expect(nested(get(ctx, gather.ExchangePolicy, shop, "staff"), "inputDigest")).NotTo(Equal(nested(first, "inputDigest")))
	})
})
