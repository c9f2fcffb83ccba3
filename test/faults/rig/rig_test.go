// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package rig_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/exchequer-dev/exchequer/test/cluster"
	"github.com/exchequer-dev/exchequer/test/faults/rig"
)

func TestTheAPIServerIsStoppedFrozenAndGoesBackInTime(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	c, err := rig.New(ctx, rig.Options{Assets: cluster.Assets(t), Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	if _, err := rig.NewWorld(c); err != nil {
		t.Fatal(err)
	}
	if err := c.Namespaces(ctx, "shop", "media"); err != nil {
		t.Fatal(err)
	}
	if err := c.Plane.Keep("empty"); err != nil {
		t.Fatal(err)
	}
	if err := c.ApplyYAML(ctx, rig.Manifests); err != nil {
		t.Fatal(err)
	}
	policies := c.Dynamic.Resource(rig.Kind("exchangepolicies")).Namespace("media")
	if err := c.Plane.KillServer(); err != nil {
		t.Fatal(err)
	}
	if _, err := policies.Get(ctx, "images", metav1.GetOptions{}); err == nil {
		t.Error("a killed API server still answers")
	}
	if err := c.Plane.StartServer(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := policies.Get(ctx, "images", metav1.GetOptions{}); err != nil {
		t.Errorf("started again, it lost the policy: %v", err)
	}
	if err := c.Plane.Freeze(); err != nil {
		t.Fatal(err)
	}
	short, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
	defer cancel()
	if _, err := policies.Get(short, "images", metav1.GetOptions{}); err == nil {
		t.Error("a frozen API server still answers")
	}
	if err := c.Plane.Thaw(); err != nil {
		t.Fatal(err)
	}
	if err := c.Plane.Restore(ctx, "empty"); err != nil {
		t.Fatal(err)
	}
	if _, err := policies.Get(ctx, "images", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("in the restored state there is no policy: got %v", err)
	}
}

func TestAProxyCutsFreezesAndForgets(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{ReadHeaderTimeout: time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "here") })}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { _ = server.Close() })
	p, err := rig.NewProxy(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	client := &http.Client{Timeout: 2 * time.Second}
	get := func() error {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+p.Address(), nil)
		if err != nil {
			return err
		}
		resp, err := client.Do(req)
		if err != nil {
			return err
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		return resp.Body.Close()
	}
	for _, step := range []struct {
		do   func()
		what string
		ok   bool
	}{
		{func() {}, "it carries", true},
		{p.Cut, "cut", false},
		{p.Heal, "healed", true},
		{p.Freeze, "frozen", false},
		{p.Heal, "healed again", true},
		{p.Freeze, "frozen again", false},
		{p.Forget, "forgotten: a new connection is carried", true},
		{func() { p.Slow(5 * time.Second) }, "slower than the client waits", false},
	} {
		step.do()
		if err := get(); (err == nil) != step.ok {
			t.Errorf("%s: %v", step.what, err)
		}
	}
}
