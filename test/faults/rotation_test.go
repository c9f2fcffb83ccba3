// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package faults_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/exchequer-dev/exchequer/test/faults/rig"
)

// quickRotation is a rotation of eight minutes, sixty times as fast.
const quickRotation = `
apiVersion: exchequer.dev/v1alpha1
kind: TokenService
metadata: {name: default}
spec:
  issuer: https://sts.example.com
  allowedNamespaces: {all: true}
  signing: {rotation: {period: 8s, prePublish: 6s}}
  lifetimes: {accessToken: {default: 60s, max: 60s}}
`

func TestF303KeysRotateUnderLoadAndAVerifierThatCachesAsLongAsItMayNeverFails(t *testing.T) {
	t.Parallel()
	rotations := 3
	if full() {
		rotations = 20
	}
	i := install(t, plan{programs: with(t, hurried()...), controllers: 1, replicas: 2, manifests: quickRotation})
	load, verifier := i.load(4, 10*time.Millisecond)
	must(t, rig.Until(t.Context(), fmt.Sprintf("%d keys have signed", rotations+1), func(context.Context) error {
		if _, keys := verifier.Seen(); len(keys) <= rotations {
			return fmt.Errorf("there were %d", len(keys))
		}
		return nil
	}))
	must(t, load.Await(t.Context(), 200))
	answered := load.Stop()
	if failed := answered.Failed(); len(failed) > 0 {
		t.Errorf("of %d exchanges %d failed: %s: %v", len(answered), len(failed), failed, failed[0].Err)
	}
	fetches, keys := verifier.Seen()
	figure(t, "signing keys rotate under load, all times at a sixtieth (period 8 min, pre-published 6 min, cached 5 min)",
		"%d keys signed one after the other; %d exchanges, %d failed, all verified with a key set cached for its full max-age (%d fetches, none for an unknown key)",
		len(keys), len(answered), len(answered.Failed()), fetches)
}

// TestF304ARevokedKeySignsNothingMoreAnywhere: the key leaves at once, and the
// next one signs.
func TestF304ARevokedKeySignsNothingMoreAnywhere(t *testing.T) {
	t.Parallel()
	i := install(t, plan{controllers: 1, replicas: 2})
	client := rig.NewClient(2)
	defer client.CloseIdleConnections()
	kid := func(r *rig.Replica) string {
		a := rig.Ask(t.Context(), client, r.Address, i.Form("media/images"))
		if !a.Allowed() {
			t.Fatalf("%s answers %d %s", r.Name, a.Status, a.Code)
		}
		return keyID(t, a.Token)
	}
	var took []time.Duration
	for range 5 {
		old := kid(i.Replicas()[0])
		began := time.Now()
		i.apply(fmt.Sprintf("apiVersion: exchequer.dev/v1alpha1\nkind: TokenService\nmetadata: {name: default}\nspec:\n  issuer: https://sts.example.com\n  allowedNamespaces: {all: true}\n  signing: {revokedKeyIDs: [%q]}\n", old))
		for _, r := range i.Replicas() {
			must(t, rig.Until(t.Context(), "the key is gone from "+r.Name, func(ctx context.Context) error {
				set, err := rig.Get(ctx, "http://"+r.Address+"/jwks")
				if err == nil && contains(set, old) {
					err = fmt.Errorf("key %s is still published", old)
				}
				return err
			}))
			if now := kid(r); now == old {
				t.Errorf("%s still signs with the revoked key", r.Name)
			}
		}
		took = append(took, time.Since(began))
	}
	figure(t, "signing key revoked (revokedKeyIDs)", "gone from every replica's key set and signing nothing more after %d ms (p50) and %d ms (most) of %d",
		rig.Percentile(took, 50).Milliseconds(), rig.Percentile(took, 100).Milliseconds(), len(took))
}
