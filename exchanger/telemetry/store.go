// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Store are the metrics of a store that is somewhere else. They are there only where
// one is used: an alert on them must not ring where none was asked for.
type Store struct {
	calls   *prometheus.CounterVec
	took    *prometheus.HistogramVec
	ready   prometheus.Gauge
	evicted prometheus.Gauge
}

// Store registers them; it is called once.
func (m *Metrics) Store() *Store {
	s := &Store{
		calls: counterVec("exchequer_store_calls_total", "Calls of the store for one-time state, by how they ended.", "call", "result"),
		took: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "exchequer_store_call_duration_seconds", Help: "How long a call of the store for one-time state took.",
			// From a server on the same machine to the deadline of 250 ms.
			Buckets: []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5},
		}, []string{"call"}),
		ready:   gauge("exchequer_store_ready", "1 while the store for one-time state can be used; what needs it is refused otherwise."),
		evicted: gauge("exchequer_store_evicted_keys", "Keys that the store's server has evicted since it started: what was used once is forgotten. 0 is the only good number."),
	}
	m.registry.MustRegister(s.calls, s.took, s.ready, s.evicted)
	return s
}

// StoreCall counts a call; its name and result are from closed sets.
func (s *Store) StoreCall(call, result string, took time.Duration) {
	s.calls.WithLabelValues(call, result).Inc()
	s.took.WithLabelValues(call).Observe(took.Seconds())
}

// StoreState says what the last look at the server found; evicted is negative where
// it could not be asked.
func (s *Store) StoreState(ready bool, evicted int64) {
	s.ready.Set(0)
	if ready {
		s.ready.Set(1)
	}
	if evicted >= 0 {
		s.evicted.Set(float64(evicted))
	}
}
