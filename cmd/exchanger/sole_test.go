// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/onsi/gomega"

	fake "github.com/exchequer-dev/exchequer/test/fakes/issuer"
)

// crowd are replicas that keep one-time state in memory, and a client whose every
// assertion is presented to all of them, again and again.
type crowd struct {
	*world
	t    *testing.T
	key  *fake.Key
	here map[string]*program
	made int
	// used are the assertions that were accepted, in order, and accepted how often.
	used     []string
	accepted map[string]int
}

func newCrowd(t *testing.T) *crowd {
	t.Helper()
	w := newWorld(t)
	key, err := fake.NewKey("k", "ES256")
	if err != nil {
		t.Fatal(err)
	}
	set, err := json.Marshal(map[string]any{"keys": []any{key.JWK()}})
	if err != nil {
		t.Fatal(err)
	}
	spec := w.spec()
	spec.Clients[1].AssertionKeys = []string{string(set)}
	w.Publish(spec)
	return &crowd{world: w, t: t, key: key, here: map[string]*program{}, accepted: map[string]int{}}
}

// comes starts a replica, and waits until it serves those who need no such state.
func (c *crowd) comes(uid string) {
	c.t.Helper()
	c.here[uid] = c.start(unchanged, "--store=memory", "--pod-name="+uid, "--pod-uid="+uid)
	c.here[uid].mustBecome(http.StatusOK)
}

func (c *crowd) goes(uid string) {
	c.t.Helper()
	c.here[uid].end()
	delete(c.here, uid)
}

func (c *crowd) present(p *program, assertion string) int {
	c.t.Helper()
	subject, err := c.corp.Mint(fake.Claims{"sub": "alice", "aud": "shop/app"})
	if err != nil {
		c.t.Fatal(err)
	}
	code, body, err := do(c.t.Context(), http.MethodPost, p.token, url.Values{
		"grant_type": {"urn:ietf:params:oauth:grant-type:token-exchange"}, "audience": {"media/images"},
		"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}, "client_assertion": {assertion},
		"subject_token": {subject}, "subject_token_type": {"urn:ietf:params:oauth:token-type:access_token"},
	})
	switch {
	case err != nil:
		c.t.Fatal(err)
	case code == http.StatusOK:
		if c.accepted[assertion]++; c.accepted[assertion] > 1 {
			c.t.Fatal("an assertion was accepted twice")
		}
		c.used = append(c.used, assertion)
	case code == http.StatusTooManyRequests:
		// On a slow machine there are more rounds, and more that is refused.
	case code != http.StatusServiceUnavailable && code != http.StatusUnauthorized:
		c.t.Fatalf("%d %s", code, body)
	}
	return code
}

// round makes an assertion, and presents it to every replica, and after it the last
// one that was accepted. It returns who accepted the new one; empty is nobody.
func (c *crowd) round() string {
	c.t.Helper()
	c.made++
	assertion, err := c.corp.MintWith(c.key, nil, fake.Claims{"iss": "shop/app", "sub": "shop/app", "aud": "https://sts.example", "jti": fmt.Sprint(c.made)})
	if err != nil {
		c.t.Fatal(err)
	}
	by := ""
	for uid, p := range c.here {
		if c.present(p, assertion) == http.StatusOK {
			by = uid
		}
	}
	c.replay(1)
	return by
}

// replay presents the last that were accepted to every replica. They are few, since
// sixty that are refused make a client wait.
func (c *crowd) replay(n int) {
	c.t.Helper()
	for _, assertion := range c.used[max(0, len(c.used)-n):] {
		for _, p := range c.here {
			c.present(p, assertion)
		}
	}
}

// mustAccept waits until that one accepts new assertions, or nobody does.
func (c *crowd) mustAccept(uid string) {
	c.t.Helper()
	gomega.NewWithT(c.t).Eventually(c.round).WithTimeout(patience).WithPolling(250 * time.Millisecond).Should(gomega.Equal(uid))
	c.replay(4)
}

func TestNoAssertionIsAcceptedTwiceInWhateverOrderReplicasComeAndGo(t *testing.T) {
	t.Parallel()
	c := newCrowd(t)
	c.comes("a")
	c.mustAccept("") // nobody is named yet
	c.Appoint("a")
	c.mustAccept("a")

	c.comes("b") // kubectl scale: until it is heard of, the first goes on
	c.mustAccept("a")
	c.Appoint("")
	c.mustAccept("")
	c.goes("a")
	c.mustAccept("")
	c.Appoint("b")
	c.mustAccept("b")

	c.comes("c") // and back: the one that stays starts anew
	c.Appoint("")
	c.mustAccept("")
	c.goes("c")
	c.Appoint("b")
	c.mustAccept("b")

	c.goes("b") // replaced, with what was named last told late
	c.comes("d")
	c.mustAccept("")
	c.Appoint("b")
	c.mustAccept("")
	c.Appoint("d")
	c.mustAccept("d")

	c.goes("d") // a container that starts again in its Pod
	c.comes("d")
	c.mustAccept("d")

	c.api.sever() // without the API server nobody else can be named
	c.mustAccept("d")
}
