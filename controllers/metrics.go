// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/exchequer-dev/exchequer/api/v1alpha1"
	"github.com/exchequer-dev/exchequer/controllers/publish"
	"github.com/exchequer-dev/exchequer/exchanger/issuer"
	"github.com/exchequer-dev/exchequer/exchanger/translate"
)

// metrics are the controller's own, beside those of controller-runtime.
type metrics struct {
	blocked func() time.Duration

	revision          prometheus.Gauge
	gather, translate prometheus.Gauge
	runs              prometheus.Histogram
	moves, bytes      prometheus.Counter
	writes            *prometheus.CounterVec
	fetches           *prometheus.CounterVec
	refused           *prometheus.GaugeVec
	leftOut, overdue  *prometheus.GaugeVec
}

// newMetrics makes the metrics. Each belongs to one manager, so that they can be
// made more than once.
func newMetrics(to prometheus.Registerer) *metrics {
	m := &metrics{
		revision:  prometheus.NewGauge(prometheus.GaugeOpts{Name: "exchequer_snapshot_revision", Help: "Revision of the policy snapshot that is published."}),
		gather:    prometheus.NewGauge(prometheus.GaugeOpts{Name: "exchequer_gather_seconds", Help: "How long it took to read everything, the last time."}),
		translate: prometheus.NewGauge(prometheus.GaugeOpts{Name: "exchequer_translate_seconds", Help: "How long the last translation took."}),
		runs: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "exchequer_publish_seconds", Help: "How long it took from reading everything to the pointer being moved, or found to be right.",
			Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
		}),
		moves:   prometheus.NewCounter(prometheus.CounterOpts{Name: "exchequer_publications_total", Help: "How often the pointer was moved."}),
		bytes:   prometheus.NewCounter(prometheus.CounterOpts{Name: "exchequer_published_bytes_total", Help: "Bytes that were written for that: chunks, compressed, and pointers."}),
		writes:  prometheus.NewCounterVec(prometheus.CounterOpts{Name: "exchequer_status_writes_total", Help: "Statuses that were written, by kind."}, []string{"kind"}),
		fetches: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "exchequer_issuer_fetch_total", Help: "Fetches of issuers' keys."}, []string{"trusted_issuer", "result"}),
		refused: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "exchequer_objects_not_ready", Help: "Objects that are not part of the policy, by kind and by the reason that they give.",
		}, []string{"kind", "reason"}),
	}
	m.leftOut = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "exchequer_namespace_left_out", Help: "1 for each namespace whose objects are not part of the policy because the snapshot has no room for all.",
	}, []string{"namespace"})
	m.overdue = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "exchequer_signing_key_rotation_overdue_seconds", Help: "For how long a TokenService has signed with a key that should have handed over to the next; 0 when it should not.",
	}, []string{"token_service"})
	blocked := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "exchequer_publish_blocked_seconds",
		Help: "How long something has kept what people declared from being in force as a whole; 0 when nothing does.",
	}, func() float64 {
		if m.blocked == nil {
			return 0
		}
		return m.blocked().Seconds()
	})
	if to != nil {
		to.MustRegister(m.revision, m.gather, m.translate, m.runs, m.moves, m.bytes, m.writes, m.fetches, m.refused, m.leftOut, m.overdue, blocked)
	}
	return m
}

func (m *metrics) ran(gather, translate, whole time.Duration) {
	m.gather.Set(gather.Seconds())
	m.translate.Set(translate.Seconds())
	m.runs.Observe(whole.Seconds())
}

// judged counts what is out of force. Kinds and reasons are closed sets.
func (m *metrics) judged(statuses []translate.ObjectStatus) {
	m.refused.Reset()
	for i := range statuses {
		for _, kind := range [...]string{v1alpha1.ConditionAccepted, v1alpha1.ConditionResolvedRefs} {
			if c := statuses[i].Condition(kind); c != nil && c.Status == metav1.ConditionFalse {
				m.refused.WithLabelValues(statuses[i].Kind, c.Reason).Inc()
				break
			}
		}
	}
}

// crowded notes the namespaces that were left out of what is published.
func (m *metrics) crowded(namespaces []string) {
	m.leftOut.Reset()
	for _, n := range namespaces {
		m.leftOut.WithLabelValues(n).Set(1)
	}
}

// rotations notes whose keys are overdue.
func (m *metrics) rotations(overdue map[string]time.Duration) {
	m.overdue.Reset()
	for service, late := range overdue {
		m.overdue.WithLabelValues(service).Set(late.Seconds())
	}
}

// idle leaves to the controller that works what only that one knows.
func (m *metrics) idle() {
	m.refused.Reset()
	m.leftOut.Reset()
	m.overdue.Reset()
}

func (m *metrics) published(p *publish.Published) {
	m.revision.Set(float64(p.Revision))
	if p.Moved {
		m.moves.Inc()
		m.bytes.Add(float64(p.Bytes))
	}
}

// Fetched counts the fetches of issuers' documents.
func (m *metrics) Fetched(name string, result issuer.Result, _ time.Duration) {
	m.fetches.WithLabelValues(name, string(result)).Inc()
}
