// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"sync"
	"testing"

	"github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/exchequer-dev/exchequer/exchanger/wire"
	plane "github.com/exchequer-dev/exchequer/test/cluster"
	"github.com/exchequer-dev/exchequer/test/fakes/operator"
)

// presented remembers what other servers are shown.
type presented struct {
	mu   sync.Mutex
	last map[string][]byte
	n    int
}

func (p *presented) option() option {
	return func(_ *replica, o *Options, _ *rest.Config) {
		o.Credentials = func(all map[string][]byte) {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.last, p.n = all, p.n+1
		}
	}
}

func (p *presented) get(name string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return string(p.last[name])
}

func TestCredentialsAreFollowedWithoutANewRevision(t *testing.T) {
	t.Parallel()
	o := operator.New(t, plane.Shared(t))
	o.Secret(wire.CredentialsName, map[string][]byte{"a": []byte("first")})
	p, dir := &presented{}, t.TempDir()
	r := start(t, o, "one", p.option(), checkpointIn(dir))
	r.mustServe(o.Publish(world(1, "main")))
	if got := p.get("a"); got != "first" {
		t.Fatalf("the policy is in force, and what it presents is %q", got)
	}
	o.Secret(wire.CredentialsName, map[string][]byte{"a": []byte("second")})
	eventually(t, func(g gomega.Gomega) { g.Expect(p.get("a")).To(gomega.Equal("second")) })
	if got := r.revisions(); len(got) != 1 {
		t.Errorf("revisions %v: a secret is no part of the policy", got)
	}

	t.Run("a Secret that is gone says nothing, an empty one says that there is nothing", func(t *testing.T) {
		if err := o.Client.CoreV1().Secrets(o.Namespace).Delete(t.Context(), wire.CredentialsName, metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		r.mustServe(o.Publish(world(2, "main")))
		if got := p.get("a"); got != "second" {
			t.Errorf("what is presented became %q", got)
		}
		o.Secret(wire.CredentialsName, nil)
		eventually(t, func(g gomega.Gomega) { g.Expect(p.get("a")).To(gomega.BeEmpty()) })
		o.Secret(wire.CredentialsName, map[string][]byte{"a": []byte("third")})
		eventually(t, func(g gomega.Gomega) { g.Expect(p.get("a")).To(gomega.Equal("third")) })
	})
	t.Run("a start from the checkpoint has them", func(t *testing.T) {
		r.stop()
		again := &presented{}
		from := start(t, o, "one", again.option(), checkpointIn(dir), at("https://127.0.0.1:1"))
		eventually(t, func(g gomega.Gomega) { g.Expect(from.revisions()).NotTo(gomega.BeEmpty()) })
		if got := again.get("a"); got != "third" {
			t.Errorf("what is presented is %q", got)
		}
	})
}
