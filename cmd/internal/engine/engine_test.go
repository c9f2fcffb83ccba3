// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/exchequer-dev/exchequer/exchanger/audit"
	"github.com/exchequer-dev/exchequer/exchanger/expr"
	"github.com/exchequer-dev/exchequer/exchanger/keys"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

func service(name string) policy.Service {
	return policy.Service{
		Name: name, Issuer: "https://" + name + ".example", Algorithm: "ES256", MaxLifetime: time.Hour,
		Rotation: policy.Rotation{Period: 720 * time.Hour, PrePublish: time.Hour},
	}
}

func apply(t *testing.T, e *Engine, revision uint64, services ...policy.Service) error {
	t.Helper()
	spec := &policy.Spec{Format: policy.Format, Services: services}
	snapshot, err := policy.Compile(spec, revision, expr.New())
	if err != nil {
		t.Fatal(err)
	}
	return e.Apply(spec, snapshot, 0)
}

func TestF329AChangeIsInForceEvenWhenSigningKeysCannotBeStored(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "keys")
	ring, err := keys.OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	log := audit.New(io.Discard, audit.Options{})
	defer func() { _ = log.Close() }()
	e := New(Options{Ring: ring, Audit: log})
	if err := apply(t, e, 1, service("b")); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := apply(t, e, 2, service("a"), service("b")); err == nil {
		t.Error("keys were made for a directory that is gone, and nobody was told")
	}
	if got := e.snapshot.Load().Revision(); got != 2 {
		t.Errorf("revision %d is in force: what revision 2 revoked is not revoked", got)
	}
	if _, ok := ring.Active("b"); !ok {
		t.Error("the key of the other token service does not go on")
	}
	if _, ok := ring.Active("a"); ok {
		t.Error("a key that was not stored signs")
	}
}
