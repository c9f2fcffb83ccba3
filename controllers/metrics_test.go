// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"maps"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

func TestWhatOnlyTheLeaderKnowsIsToldByTheLeader(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	m := newMetrics(registry)
	const left, overdue = "exchequer_namespace_left_out", "exchequer_signing_key_rotation_overdue_seconds"
	m.crowded([]string{"shop", "media"})
	m.crowded([]string{"media"})
	m.rotations(map[string]time.Duration{"default": time.Minute, "other": 0})
	told := func() map[string]float64 {
		families, err := registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		out := map[string]float64{}
		for _, f := range families {
			for _, each := range f.GetMetric() {
				for _, label := range each.GetLabel() {
					out[f.GetName()+" "+label.GetValue()] = each.GetGauge().GetValue()
				}
			}
		}
		return out
	}
	if got, want := told(), (map[string]float64{left + " media": 1, overdue + " default": 60, overdue + " other": 0}); !maps.Equal(got, want) {
		t.Errorf("told are %v, want %v", got, want)
	}
	m.idle()
	if got := told(); len(got) != 0 {
		t.Errorf("a controller that does not work tells %v", got)
	}
}
