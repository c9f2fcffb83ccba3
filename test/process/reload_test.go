// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package process_test

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

func TestChangesUnderLoadFailNoRequest(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.serve()
	token := s.user()
	var stop atomic.Bool
	var sent atomic.Int64
	var workers sync.WaitGroup
	for range 4 {
		workers.Go(func() {
			for !stop.Load() {
				r, err := s.ask(token).app().images().try()
				if err != nil || r.status != http.StatusOK {
					t.Errorf("a request failed: %v %+v", err, r)
					return
				}
				sent.Add(1)
			}
		})
	}
	for i := range 10 {
		w.write("other.yaml", fmt.Sprintf(`
apiVersion: exchequer.dev/v1alpha1
kind: ExchangeClient
metadata: {namespace: media, name: another-%d}
spec: {}
---
apiVersion: exchequer.dev/v1alpha1
kind: ExchangePolicy
metadata: {namespace: media, name: another}
spec:
  clients: [{namespace: shop, name: app}]
  subject: {issuers: [{name: corp}]}
  target: {clients: [{name: another-%d}], scopes: []}
`, i, i))
		eventually(t, "change after change is in force", func() bool {
			r, err := s.ask(token).app().with("audience", fmt.Sprintf("media/another-%d", i)).try()
			return err == nil && r.status == http.StatusOK
		})
	}
	stop.Store(true)
	workers.Wait()
	if sent.Load() < 100 {
		t.Errorf("only %d requests were sent", sent.Load())
	}
}

func TestASecretThatIsReferencedIsRotatedByItsOwner(t *testing.T) {
	t.Parallel()
	const next = "the-images-api-has-a-new-one-0123456789abcde"
	w := newWorld(t)
	s := w.serve()
	token := s.ask(s.user()).app().images().send().allowed()
	try := func(secret string) int {
		return s.ask(token).basic(imagesAPI, secret).with("audience", contactsAPI).send().status
	}
	if got := try(imagesSecret); got != http.StatusOK {
		t.Fatalf("got %d", got)
	}
	s.applied(func() { w.change("media.yaml", imagesSecret, next) })
	if first, second := try(imagesSecret), try(next); first != http.StatusUnauthorized || second != http.StatusOK {
		t.Errorf("the old secret gets %d, the new one %d", first, second)
	}
	t.Run("F75: one that is too short is none", func(t *testing.T) {
		s.in(t).applied(func() { w.change("media.yaml", next, "short") })
		if got := try("short"); got != http.StatusUnauthorized {
			t.Errorf("the short secret gets %d", got)
		}
		s.said("SecretNotFound")
		if strings.Contains(s.errs.String(), "short}") {
			t.Error("the secret is printed")
		}
	})
}

func TestKeysInConfigMaps(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.change("clients.yaml", "privateKeyJWT: {inline: "+w.words["$SIGNERKEYS"]+"}", "privateKeyJWT: {configMapRef: {name: keys, key: jwks.json}}")
	w.change("platform.yaml", "keys: {inline: "+w.words["$CLUSTERKEYS"]+"}", "keys: {configMapRef: {name: keys, key: jwks.json}}")
	keys := func(east, signer string) {
		w.write("keys.yaml", fmt.Sprintf(`
{apiVersion: v1, kind: ConfigMap, metadata: {namespace: shop, name: keys}, data: {jwks.json: %q}}
---
{apiVersion: v1, kind: ConfigMap, metadata: {namespace: exchequer-system, name: keys}, data: {jwks.json: %q}}
`, signer, east))
	}
	keys(w.words["$CLUSTERKEYS"], w.words["$SIGNERKEYS"])
	s := w.serve()
	worker := func() int { return s.ask(s.forWorker()).assertion(s.account("shop", "worker")).images().send().status }
	signer := func() int { return s.ask(s.forSigner()).assertion(s.assertion()).images().send().status }
	if worker() != http.StatusOK || signer() != http.StatusOK {
		t.Fatalf("the worker gets %d, the signer %d", worker(), signer())
	}
	old := *w
	w.eastKey, w.signerKey = newKey(t, "east-2"), newKey(t, "signer-2")
	s.applied(func() { keys(keySet(t, w.eastKey), keySet(t, w.signerKey)) })
	if worker() != http.StatusOK || signer() != http.StatusOK {
		t.Errorf("with new keys the worker gets %d, the signer %d", worker(), signer())
	}
	t.Run("F173: tokens of the keys that were taken out are refused, and so are remembered ones", func(t *testing.T) {
		s := s.in(t)
		if r := s.ask(s.forWorker()).assertion(old.account("shop", "worker")).images().send(); r.status != http.StatusUnauthorized {
			t.Errorf("the service account's gets %d %s", r.status, r.body)
		}
		if r := s.ask(s.forSigner()).assertion(old.assertion()).images().send(); r.status != http.StatusUnauthorized {
			t.Errorf("the client's gets %d %s", r.status, r.body)
		}
	})
}

func TestARememberedTokenDiesWithItsKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.serve()
	account := s.account("shop", "worker")
	try := func() int { return s.ask(s.forWorker()).assertion(account).images().send().status }
	if got := try(); got != http.StatusOK {
		t.Fatalf("got %d", got)
	}
	s.applied(func() { w.change("platform.yaml", w.words["$CLUSTERKEYS"], keySet(t, newKey(t, "east-2"))) })
	if got := try(); got != http.StatusUnauthorized {
		t.Errorf("the same token gets %d", got)
	}
}

func TestNamespacesAreChosenByTheirLabels(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.change("platform.yaml", "allowedNamespaces: {names: [shop, media]}", "allowedNamespaces: {selector: {matchLabels: {exchange: \"yes\"}}}")
	labels := func(shop string) {
		w.write("namespaces.yaml", fmt.Sprintf(`
{apiVersion: v1, kind: Namespace, metadata: {name: media, labels: {exchange: "yes"}}}
---
{apiVersion: v1, kind: Namespace, metadata: {name: shop, labels: {exchange: %q}}}
`, shop))
	}
	labels("yes")
	s := w.serve()
	try := func() int { return images(s).send().status }
	if got := try(); got != http.StatusOK {
		t.Fatalf("got %d", got)
	}
	s.applied(func() { labels("no") })
	if got := try(); got != http.StatusUnauthorized {
		t.Errorf("when the namespace is out, its client gets %d", got)
	}
	s.said("NamespaceNotAllowed")
	s.applied(func() { labels("yes") })
	if got := try(); got != http.StatusOK {
		t.Errorf("when the namespace is back, its client gets %d", got)
	}
}

func TestTheOperatorsNamespaceIsTheOneThatIsNamed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.change("platform.yaml", "{names: [shop, media]}", "{names: [shop, media, platform]}")
	w.write("own.yaml", `
apiVersion: exchequer.dev/v1alpha1
kind: ExchangeClient
metadata: {namespace: platform, name: api}
spec: {audiences: ["https://needs-no-delegation.example"]}
---
apiVersion: exchequer.dev/v1alpha1
kind: ExchangePolicy
metadata: {namespace: platform, name: api}
spec:
  clients: [{namespace: shop, name: app}]
  subject: {issuers: [{name: corp}]}
  target: {clients: [{name: api}], scopes: []}
`)
	ask := func(s *server) *reply {
		return s.ask(s.user()).app().with("audience", "https://needs-no-delegation.example").send()
	}
	ask(w.serve("--namespace", "platform")).allowed()
	other := w.serve()
	other.said("NameNotDelegated")
	ask(other).refused(http.StatusBadRequest, "invalid_target", "TargetUnknown")
}

func TestWhatCannotBeChangedStaysAsItWas(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.serve()
	w.change("platform.yaml", "issuer: https://sts.example.com\n", "issuer: https://other.example.com\n")
	s.said("issuer cannot be changed")
	if d := s.verify(images(s).send().allowed()); d.text("iss") != sts {
		t.Errorf("iss %q", d.text("iss"))
	}
}

func TestADirectoryThatGoesAwayKeepsWhatWasInForce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.serve()
	if err := os.Rename(w.dir, w.dir+".away"); err != nil {
		t.Fatal(err)
	}
	s.said("what was in force stays")
	images(s).send().allowed()
	if err := os.Rename(w.dir+".away", w.dir); err != nil {
		t.Fatal(err)
	}
	w.policy("suspend: true")
	eventually(t, "it is followed again", func() bool { return images(s).send().status == http.StatusBadRequest })
}

func TestF351WithoutARecordThereIsNoToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = full.Close() }()
	s := w.serveTo(full, "--audit", "")
	r := images(s).send()
	if r.status != http.StatusServiceUnavailable || r.text("error") != "temporarily_unavailable" || r.header.Get("Retry-After") == "" {
		t.Errorf("got %d %s %v", r.status, r.body, r.header)
	}
	if body := s.get("/metrics").body; !strings.Contains(body, `reason="AuditUnavailable"`) {
		t.Error("the metrics do not tell")
	}
}
