// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package faults_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/exchequer-dev/exchequer/exchanger/wire"
	"github.com/exchequer-dev/exchequer/test/faults/rig"
)

// TestADamagedChunkStopsNobodyAndIsWrittenAnew: what a replica serves stays,
// the controller mends, and a replica that starts meanwhile waits for that.
func TestADamagedChunkStopsNobodyAndIsWrittenAnew(t *testing.T) {
	t.Parallel()
	p := plan{controllers: 1, replicas: 2}
	if !full() {
		p.programs = with(t, hurried()...)
	}
	i := install(t, p)
	load, _ := i.load(2, 20*time.Millisecond)
	before, _ := i.publishes("images")
	slot := before.Chunks[0].Name()
	began := time.Now()
	for what, patch := range map[string]string{
		"other bytes": `{"data":{"chunk":"bm90IGEgY2h1bms="}}`,
		"no bytes":    `{"data":{"chunk":null}}`,
	} {
		_, err := i.Client.CoreV1().Secrets(rig.Namespace).Patch(t.Context(), slot, types.MergePatchType, []byte(patch), metav1.PatchOptions{})
		must(t, err)
		began = time.Now()
		must(t, rig.Until(t.Context(), what+" in a slot are mended", func(ctx context.Context) error {
			p, _, err := i.published(ctx)
			if err == nil {
				slot = p.Chunks[0].Name()
			}
			return err
		}))
	}
	mended := time.Since(began)
	must(t, i.Client.CoreV1().Secrets(rig.Namespace).Delete(t.Context(), slot, metav1.DeleteOptions{}))
	r := i.replica("exchanger-late", rig.ProcessOptions{})
	must(t, r.AwaitReady(t.Context()))
	late := time.Since(began) - mended
	must(t, answers(t.Context(), i, r, "media/images", true))
	answered := load.Stop()
	if failed := answered.Failed(); len(failed) > 0 {
		t.Errorf("of %d exchanges %d failed: %s", len(answered), len(failed), failed)
	}
	after, _ := i.publishes("images")
	figure(t, "a slot of the snapshot overwritten, emptied and deleted by hand", "written anew within %.1f s; a replica that started without the deleted slot was ready after %.1f s; revision %d → %d; %d exchanges meanwhile, %d failed",
		mended.Seconds(), late.Seconds(), before.Revision, after.Revision, len(answered), len(answered.Failed()))
}

// loose is a schema that lets everything in, as one of an earlier version might,
// or an etcd that was written past the API server; admission is off, too.
const loose = `[{"op":"replace","path":"/spec/versions/0/schema/openAPIV3Schema","value":{"type":"object","x-kubernetes-preserve-unknown-fields":true}}]`

// poison is what the schema refuses.
const poison = `
apiVersion: exchequer.dev/v1alpha1
kind: ExchangePolicy
metadata: {namespace: media, name: poison-shape}
spec: {clients: 7, subject: [], target: "everything"}
---
apiVersion: exchequer.dev/v1alpha1
kind: ExchangePolicy
metadata: {namespace: media, name: poison-null}
spec: {clients: [null], subject: {issuers: [null]}, target: {clients: [null], scopes: [null]}}
---
apiVersion: exchequer.dev/v1alpha1
kind: ExchangePolicy
metadata: {namespace: media, name: poison-empty}
---
apiVersion: exchequer.dev/v1alpha1
kind: ExchangePolicy
metadata: {namespace: media, name: poison-unknown}
spec:
  clients: [{namespace: shop, name: app}]
  subject: {issuers: [{name: corp}], audience: {match: Issuer}, futureCheck: "must hold"}
  target: {clients: [{name: probe}], scopes: []}
`

func TestF256_APoisonedObjectHurtsItselfAlone(t *testing.T) {
	t.Parallel()
	i := install(t, plan{programs: with(t, hurried()...), manifests: probeClient("revoked") + "---" + probePolicy("revoked")})
	// Before anybody watches: a watch of before goes on with the old schema.
	_, err := i.Dynamic.Resource(rig.CRDs()).Patch(t.Context(), "exchangepolicies.exchequer.dev", types.JSONPatchType, []byte(loose), metav1.PatchOptions{})
	must(t, err)
	must(t, i.Dynamic.Resource(rig.AdmissionBindings()).DeleteCollection(t.Context(), metav1.DeleteOptions{}, metav1.ListOptions{}))
	must(t, rig.Until(t.Context(), "the API server takes anything", func(ctx context.Context) error { return i.ApplyYAML(ctx, poison) }))
	i.remove(poison)
	i.controller("controller-0", rig.ProcessOptions{})
	for n := range 2 {
		i.replica(fmt.Sprintf("exchanger-%d", n), rig.ProcessOptions{})
	}
	for _, r := range i.Replicas() {
		must(t, r.AwaitReady(t.Context()))
	}
	i.everywhere("media/revoked", true)
	load, _ := i.load(2, 20*time.Millisecond)
	i.apply(poison)
	i.apply(strings.Replace(rig.Policy, "name: images}\nspec", "name: poison-panic}\nspec", 1))
	names := []string{"poison-shape", "poison-null", "poison-empty", "poison-unknown", "poison-panic"}
	must(t, rig.Until(t.Context(), "every poisoned object says so", func(ctx context.Context) error { return i.notAccepted(ctx, names) }))
	t.Run("F272: the one that makes translation panic says so, and nothing else is hurt", func(t *testing.T) {
		must(t, i.notAccepted(t.Context(), []string{"poison-panic"}))
		must(t, answers(t.Context(), i, i.Replicas()[0], "media/images", true))
	})
	began := time.Now()
	t.Run("F329: what is deleted beside them is refused everywhere", func(*testing.T) {
		i.remove(probePolicy("revoked"))
		i.everywhere("media/revoked", false)
	})
	revoked := time.Since(began)
	began = time.Now()
	i.apply(probeClient("fresh") + "---" + probePolicy("fresh"))
	i.everywhere("media/fresh", true)
	applied := time.Since(began)
	i.everywhere("media/probe", false)
	answered := load.Stop()
	if failed := answered.Failed(); len(failed) > 0 {
		t.Errorf("of %d exchanges %d failed: %s", len(answered), len(failed), failed)
	}
	figure(t, "objects that no schema lets in, and one that makes translation panic", "%d such objects: each is not Accepted, a policy deleted beside them was refused everywhere after %.1f s, a new one in force after %.1f s; %d exchanges, %d failed",
		len(names), revoked.Seconds(), applied.Seconds(), len(answered), len(answered.Failed()))
}

func (i *installation) notAccepted(ctx context.Context, names []string) error {
	var errs []error
	for _, name := range names {
		o, err := i.Dynamic.Resource(rig.Kind("exchangepolicies")).Namespace("media").Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if status, reason, _ := rig.Condition(o, "Accepted"); status != "False" {
			errs = append(errs, fmt.Errorf("%s: Accepted is %q %s", name, status, reason))
		}
	}
	return errors.Join(errs...)
}

// TestF278SigningKeysEditedByHandAreNotSignedWith: garbage and other keys.
func TestF278SigningKeysEditedByHandAreNotSignedWith(t *testing.T) {
	t.Parallel()
	i := install(t, plan{controllers: 1, replicas: 2})
	load, verifier := i.load(2, 20*time.Millisecond)
	must(t, load.Await(t.Context(), 20))
	good, err := i.Secret(t.Context(), wire.KeysName)
	must(t, err)
	for what, patch := range map[string]string{
		"garbage":        `{"data":{"default.json":"bm90IGEga2V5"}}`,
		"half a line":    `{"data":{"default.json":"eyJ2ZXJzaW9uIjoxfQ=="}}`,
		"nothing":        `{"data":{"default.json":""}}`,
		"no entry":       `{"data":{"default.json":null}}`,
		"nothing at all": `{"data":null}`,
	} {
		_, err := i.Client.CoreV1().Secrets(rig.Namespace).Patch(t.Context(), wire.KeysName, types.MergePatchType, []byte(patch), metav1.PatchOptions{})
		must(t, err)
		if err := load.Await(t.Context(), 50); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	// Put back, everything goes on with the same key.
	s, err := i.Client.CoreV1().Secrets(rig.Namespace).Get(t.Context(), wire.KeysName, metav1.GetOptions{})
	must(t, err)
	s.Data = good
	_, err = i.Client.CoreV1().Secrets(rig.Namespace).Update(t.Context(), s, metav1.UpdateOptions{})
	must(t, err)
	must(t, load.Await(t.Context(), 50))
	answered := load.Stop()
	if failed := answered.Failed(); len(failed) > 0 {
		t.Errorf("of %d exchanges %d failed: %s: %v", len(answered), len(failed), failed, failed[0].Err)
	}
	_, kids := verifier.Seen()
	figure(t, "signing keys overwritten by hand: garbage, half a document, nothing, no entry", "replicas went on with the last good keys: %d exchanges, %d failed, %d key signed", len(answered), len(answered.Failed()), len(kids))
}
