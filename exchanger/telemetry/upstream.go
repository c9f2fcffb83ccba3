// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// upstreams are the metrics of servers that are asked while a request waits. Their
// names are objects' of cluster-scoped kinds, which the platform alone can make.
type upstreams struct {
	asked *prometheus.CounterVec
	took  *prometheus.HistogramVec
}

func newUpstreams() upstreams {
	return upstreams{
		asked: counterVec("exchequer_upstream_requests_total", "Questions to other servers, by how they ended.", "upstream", "result"),
		took: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "exchequer_upstream_duration_seconds", Help: "How long other servers took to answer, refusals and outages included.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5},
		}, []string{"upstream"}),
	}
}

// UpstreamAsked counts one question to another server; result is one of a closed set
// of words.
func (m *Metrics) UpstreamAsked(name, result string, took time.Duration) {
	m.upstreams.asked.WithLabelValues(name, result).Inc()
	m.upstreams.took.WithLabelValues(name).Observe(took.Seconds())
}

// UpstreamsGone drops the series of servers that are not there any more.
func (m *Metrics) UpstreamsGone(names []string) {
	for _, name := range names {
		m.upstreams.asked.DeletePartialMatch(prometheus.Labels{"upstream": name})
		m.upstreams.took.DeleteLabelValues(name)
	}
}
