// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/exchequer-dev/exchequer/test/faults/rig"
)

// bench is one installation that is measured.
type bench struct {
	policies, changes int
	profiles          string
	limits            map[string]string
	result            *result

	cluster  *rig.Cluster
	world    *rig.World
	control  *rig.Controller
	replicas []*rig.Replica
	client   *http.Client
	writes   *rig.Writes
}

// result is what one installation cost; memory in bytes.
type result struct {
	policies                           int
	objects                            int
	apply, programmed, remove, suspend []time.Duration
	controllerReady, published         time.Duration
	exchangerReady, fromCheckpoint     time.Duration
	controllerMemory, exchangerMemory  int64
	controllerPeak, exchangerPeak      int64
	chunks, specBytes                  int
	perChange                          map[string]written // by what it is about
	controllerCPU, exchangerCPU        time.Duration      // per change
}

// written counts writes and their bytes, per change.
type written struct{ writes, bytes float64 }

func (b *bench) run(ctx context.Context, o rig.Options) (err error) {
	progress("%d policies: starting the API server", b.policies)
	if b.cluster, err = rig.New(ctx, o); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.cluster.Close()) }()
	defer func() {
		if err != nil {
			err = fmt.Errorf("%w\n%s", err, b.cluster.Logs())
		}
	}()
	if b.limits, err = memoryLimits(); err != nil {
		return err
	}
	b.client = rig.NewClient(8)
	for _, step := range []func(context.Context) error{b.populate, b.start, b.measureChanges, b.measureWrites, b.measureMemory, b.measureStarts} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// populate makes everything before anybody looks.
func (b *bench) populate(ctx context.Context) (err error) {
	if b.world, err = rig.NewWorld(b.cluster); err != nil {
		return err
	}
	var keys any
	if err := json.Unmarshal([]byte(b.cluster.Words["$CORPKEYS"]), &keys); err != nil {
		return err
	}
	all := objects(b.policies, keys)
	if err := b.cluster.Namespaces(ctx, append(namespaces(all), "shop", "media")...); err != nil {
		return err
	}
	if err := b.cluster.ApplyYAML(ctx, rig.Manifests); err != nil {
		return err
	}
	for i := range b.changes {
		if err := b.cluster.ApplyYAML(ctx, fmt.Sprintf("apiVersion: exchequer.dev/v1alpha1\nkind: ExchangeClient\nmetadata: {namespace: media, name: %s}\nspec: {}\n", probe(i))); err != nil {
			return err
		}
	}
	progress("%d policies: making %d objects", b.policies, len(all))
	b.result.objects = len(all) + b.changes + 6
	return create(ctx, b.cluster, all)
}

// start runs one controller and two exchangers and waits until they serve.
func (b *bench) start(ctx context.Context) (err error) {
	progress("%d policies: starting the controller", b.policies)
	if b.control, err = b.cluster.NewController(ctx, "controller-0", rig.ProcessOptions{Flags: []string{"--leader-elect=false"}, Env: b.environment("controller-0")}); err != nil {
		return err
	}
	began := time.Now()
	if err := b.control.Start(); err != nil {
		return err
	}
	if err := rig.Until(ctx, "the controller is ready", func(ctx context.Context) error {
		_, err := rig.Get(ctx, "http://"+b.control.Ops+"/readyz")
		return err
	}); err != nil {
		return err
	}
	b.result.controllerReady = time.Since(began)
	if err := rig.Until(ctx, "a snapshot is published", func(ctx context.Context) error {
		s, err := b.cluster.Secret(ctx, "exchequer-snapshot")
		if err == nil && len(s["pointer"]) == 0 {
			err = errors.New("there is no pointer")
		}
		return err
	}); err != nil {
		return err
	}
	b.result.published = time.Since(began)
	for i := range 2 {
		name := fmt.Sprintf("exchanger-%d", i)
		r, err := b.cluster.NewReplica(ctx, name, rig.ProcessOptions{Env: b.environment(name)})
		if err != nil {
			return err
		}
		began := time.Now()
		if err := errors.Join(r.Start(), r.AwaitReady(ctx)); err != nil {
			return err
		}
		b.result.exchangerReady = max(b.result.exchangerReady, time.Since(began))
		b.replicas = append(b.replicas, r)
	}
	progress("%d policies: waiting until all are programmed", b.policies)
	if err := b.allProgrammed(ctx); err != nil {
		return err
	}
	b.writes, err = b.cluster.Plane.Record(ctx)
	return err
}

// environment is what a program runs with: the chart's bound on its memory, and a
// file for its profile.
func (b *bench) environment(name string) []string {
	component, _, _ := strings.Cut(name, "-")
	limit := b.limits[component]
	if component == "controller" && b.policies >= 10_000 {
		// What the caches of 12,000 objects hold is half of the chart's default, and
		// would be collected all the time: docs/performance.md says to double it.
		limit = "966367641" // 0.9 of 1 GiB, as the chart reckons
	}
	env := []string{"GOMEMLIMIT=" + limit}
	if b.profiles != "" {
		env = append(env, fmt.Sprintf("RIG_PROFILE=%s/%s-%d.prof", b.profiles, name, b.policies))
	}
	return env
}

// memoryLimits reads what the manifests of config/ give the programs.
func memoryLimits() (map[string]string, error) {
	root, err := rig.Repository()
	if err != nil {
		return nil, err
	}
	limits := map[string]string{}
	for _, component := range []string{"controller", "exchanger"} {
		file := filepath.Join(root, "config", component, "deployment.yaml")
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		_, after, found := strings.Cut(string(text), "name: GOMEMLIMIT, value: \"")
		limit, _, closed := strings.Cut(after, "\"")
		if !found || !closed {
			return nil, fmt.Errorf("%s: no GOMEMLIMIT", file)
		}
		limits[component] = limit
	}
	return limits, nil
}

// profiling tells the programs to begin or to end their profiles.
func (b *bench) profiling(s syscall.Signal) error {
	if b.profiles == "" {
		return nil
	}
	return errors.Join(b.control.Signal(s), b.replicas[0].Signal(s))
}

// allProgrammed waits until no policy waits for its condition.
func (b *bench) allProgrammed(ctx context.Context) error {
	last := -1
	for {
		missing := ""
		n := 0
		list, err := b.cluster.Dynamic.Resource(rig.Kind("exchangepolicies")).List(ctx, listEverything())
		if err != nil {
			return err
		}
		for i := range list.Items {
			status, reason, message := rig.Condition(&list.Items[i], "Programmed")
			if status != "True" {
				n++
				missing = fmt.Sprintf("%s/%s: %q %s %s", list.Items[i].GetNamespace(), list.Items[i].GetName(), status, reason, message)
			}
		}
		if n == 0 {
			return nil
		}
		if n == last {
			return fmt.Errorf("%d policies are not programmed and their number did not change in 10 s; one is %s", n, missing)
		}
		progress("  %d to go", n)
		last = n
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(10 * time.Second):
		}
	}
}

func probe(i int) string { return fmt.Sprintf("probe-%03d", i) }

// policy allows shop/app a token for a probe.
func (b *bench) policy(i int) (*unstructured.Unstructured, error) {
	text := strings.NewReplacer("name: images}\nspec", "name: "+probe(i)+"}\nspec", "{name: images}]", "{name: "+probe(i)+"}]").Replace(rig.Policy)
	list, err := rig.Objects(text, nil)
	if err != nil {
		return nil, err
	}
	return list[0], nil
}
