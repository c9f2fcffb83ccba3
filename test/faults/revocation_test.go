// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package faults_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/exchequer-dev/exchequer/test/faults/rig"
)

func keyID(t *testing.T, token string) string {
	t.Helper()
	parsed, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.ES256})
	must(t, err)
	return parsed.Signatures[0].Header.KeyID
}

func contains(text, part string) bool { return strings.Contains(text, part) }

// trustedIssuer is the issuer of rig.Manifests.
const trustedIssuer = `
apiVersion: exchequer.dev/v1alpha1
kind: TrustedIssuer
metadata: {name: corp}
spec:
  jwt:
    issuer: {url: "https://login.corp.example", audiences: ["https://sts.example.com"]}
    keys: {inline: $CORPKEYS}
  allowedNamespaces: {all: true}
  claimMappings: {groups: {claim: groups}, scopes: {claim: scope}}
`

// TestF330WhatIsDeletedUnderLoadIsRefusedEverywhereSoon: the last token that was
// given counts, on any replica.
func TestF330WhatIsDeletedUnderLoadIsRefusedEverywhereSoon(t *testing.T) {
	t.Parallel()
	const rounds = 12
	i := install(t, plan{controllers: 1, replicas: 3, manifests: probeClient("gone")})
	var took []time.Duration
	for round := range rounds {
		i.apply(probePolicy("gone"))
		i.everywhere("media/gone", true)
		load := rig.StartLoad(t.Context(), rig.LoadOptions{
			Targets: i.Serving, Workers: 6, Pace: 5 * time.Millisecond,
			Form: func() url.Values { return i.Form("media/gone") },
		})
		must(t, load.Await(t.Context(), 100))
		began := time.Now()
		if round%2 == 0 {
			i.remove(probePolicy("gone"))
		} else {
			must(t, i.Dynamic.Resource(rig.Kind("trustedissuers")).Delete(t.Context(), "corp", metav1.DeleteOptions{}))
		}
		i.everywhere("media/gone", false)
		must(t, load.Await(t.Context(), 200))
		last := began
		for _, a := range load.Stop() {
			if a.Allowed() && a.Began.After(last) {
				last = a.Began
			}
		}
		took = append(took, last.Sub(began))
		if round%2 == 1 {
			i.apply(trustedIssuer)
		}
	}
	p50, p99 := rig.Percentile(took, 50), rig.Percentile(took, 99)
	if p99 > 5*time.Second {
		t.Errorf("the last token was given %s after the deletion, expected at most 5 s", p99)
	}
	figure(t, "policy or trusted issuer deleted under load, 3 replicas", "the last token on any replica was asked for %d ms (p50) and %d ms (p99) after the deletion, of %d", p50.Milliseconds(), p99.Milliseconds(), len(took))
}

// revokedTokens takes back what corp's tokens of the load's subject are: those of
// now and of the next hour.
const revokedTokens = `
apiVersion: exchequer.dev/v1alpha1
kind: TokenRevocation
metadata: {name: stolen-laptop}
spec: {subject: "corp:alice", issuedBefore: "$UNTIL", expiresAt: "$LATER"}
`

// A TokenRevocation is as fast as a deletion, and what it held back is accepted
// again when it is gone.
func TestATokenRevocationUnderLoadIsInForceEverywhereSoon(t *testing.T) {
	t.Parallel()
	const rounds = 6
	i := install(t, plan{controllers: 1, replicas: 3, manifests: probeClient("held")})
	i.apply(probePolicy("held"))
	now := time.Now()
	revocation := strings.NewReplacer(
		"$UNTIL", now.Add(time.Hour).UTC().Format(time.RFC3339), "$LATER", now.Add(48*time.Hour).UTC().Format(time.RFC3339),
	).Replace(revokedTokens)
	var took []time.Duration
	for range rounds {
		i.everywhere("media/held", true)
		load := rig.StartLoad(t.Context(), rig.LoadOptions{
			Targets: i.Serving, Workers: 6, Pace: 5 * time.Millisecond,
			Form: func() url.Values { return i.Form("media/held") },
		})
		must(t, load.Await(t.Context(), 100))
		began := time.Now()
		i.apply(revocation)
		i.everywhere("media/held", false)
		must(t, load.Await(t.Context(), 200))
		last := began
		for _, a := range load.Stop() {
			if a.Allowed() && a.Began.After(last) {
				last = a.Began
			}
		}
		took = append(took, last.Sub(began))
		i.remove(revocation)
	}
	p50, p99 := rig.Percentile(took, 50), rig.Percentile(took, 99)
	if p99 > 5*time.Second {
		t.Errorf("the last token was given %s after the TokenRevocation, expected at most 5 s", p99)
	}
	figure(t, "TokenRevocation applied under load, 3 replicas", "the last token on any replica was asked for %d ms (p50) and %d ms (p99) after it, of %d", p50.Milliseconds(), p99.Milliseconds(), len(took))
}
