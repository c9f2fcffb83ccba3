// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/exchequer-dev/exchequer/exchanger/audit"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

// maxSeries bounds the series that clients, and those that policies, can have:
// 10,000 series of about 1 KiB each are 10 MiB here and what one Prometheus takes
// in its stride. What comes after them is counted under an empty label.
const maxSeries = 10_000

// Metrics are the exchanger's metrics with the names of its contract.
type Metrics struct {
	registry *prometheus.Registry
	// refresh brings the gauges up to date that nothing but time changes.
	refresh func()

	requests  *prometheus.CounterVec
	inquiries *prometheus.CounterVec
	duration  [3]prometheus.Observer
	decisions *prometheus.CounterVec
	clients   *prometheus.CounterVec

	revision, age, compile, blocked prometheus.Gauge
	heartbeat, clock                prometheus.Gauge
	shed, panics                    prometheus.Counter
	certificateErrors               prometheus.Counter
	keysAge                         *prometheus.GaugeVec
	fetches                         *prometheus.CounterVec
	signingKeys                     *prometheus.GaugeVec
	upstreams                       upstreams

	mu       sync.RWMutex
	known    known
	issuers  map[string]bool
	byCall   map[callKey]counters
	byPolicy map[policyKey]prometheus.Counter
}

type callKey struct {
	service, client string
	outcome         policy.Outcome
	reason          policy.Reason
}

// counters are the two series that one request adds to; client is nil when the
// client is not known.
type counters struct{ request, client prometheus.Counter }

// policyKey has a policy's namespace/name and the word for an outcome.
type policyKey struct{ ref, outcome string }

// known are the objects that may be labels.
type known struct {
	services map[string]bool
	clients  map[serviceClient]bool
	policies map[string]bool
}

type serviceClient struct{ service, client string }

// NewMetrics registers the metrics, with the process's and the runtime's, in a
// registry of their own.
func NewMetrics() *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		requests: counterVec("exchequer_exchange_requests_total", "Token requests, by how they ended.", "token_service", "outcome", "reason"),
		inquiries: counterVec("exchequer_inquiries_total", "Introspection and revocation requests, by how they ended.",
			"token_service", "endpoint", "outcome", "reason"),
		decisions: counterVec("exchequer_policy_decisions_total",
			"How the policies that were considered judged.", "namespace", "policy", "outcome"),
		clients: counterVec("exchequer_client_requests_total",
			"Token requests of known clients; an empty client is those beyond the bound on series.", "client", "outcome", "reason"),
		revision:  gauge("exchequer_snapshot_revision", "Revision of the policy snapshot that decides."),
		age:       gauge("exchequer_snapshot_age_seconds", "Time since the snapshot was last confirmed with its source."),
		compile:   gauge("exchequer_snapshot_compile_seconds", "How long the last snapshot took to compile."),
		blocked:   gauge("exchequer_publish_blocked_seconds", "How long something has kept what people declared from being in force as a whole; 0 when nothing does."),
		heartbeat: gauge("exchequer_controller_heartbeat_age_seconds", "Time since the controller last found the published policy to be what it should be; 0 where nobody knows."),
		clock:     gauge("exchequer_clock_good", "1 while this replica's clock can be believed; it does not exchange otherwise."),
		shed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "exchequer_requests_shed_total",
			Help: "Token requests that were refused unseen because too many were in flight.",
		}),
		panics: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "exchequer_panics_total",
			Help: "Panics that were turned into a 500; each one is a bug.",
		}),
		certificateErrors: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "exchequer_serving_certificate_errors_total",
			Help: "Serving certificates that could not be loaded; the one before stays in use.",
		}),
		keysAge: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "exchequer_issuer_keys_age_seconds",
			Help: "Time since an issuer's keys were last fetched.",
		}, []string{"trusted_issuer"}),
		fetches: counterVec("exchequer_issuer_fetch_total", "Fetches of issuers' keys.", "trusted_issuer", "result"),
		signingKeys: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "exchequer_signing_key_info",
			Help: "1 for every signing key, with its state.",
		}, []string{"token_service", "kid", "algorithm", "state"}),
		upstreams: newUpstreams(),
		byCall:    map[callKey]counters{},
		byPolicy:  map[policyKey]prometheus.Counter{},
	}
	duration := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "exchequer_exchange_duration_seconds", Help: "How long a token request took, by how it ended.",
		// From a cached verification (0.1 ms) to the longest wait for an upstream.
		Buckets: []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
	}, []string{"outcome"})
	for _, o := range [...]policy.Outcome{policy.Denied, policy.Unable, policy.Allowed} {
		m.duration[o] = duration.WithLabelValues(o.String())
	}
	m.registry.MustRegister(m.requests, m.inquiries, duration, m.decisions, m.clients, m.revision, current{m.age, m}, m.compile, current{m.blocked, m},
		current{m.heartbeat, m}, current{m.clock, m},
		m.shed, m.panics, m.certificateErrors, current{m.keysAge, m}, m.fetches, m.signingKeys, m.upstreams.asked, m.upstreams.took,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

func counterVec(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
}

func gauge(name, help string) prometheus.Gauge {
	return prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
}

// BeforeGather has refresh called whenever the metrics are read: an age that is
// written now and then is wrong in between. It is set before anything is served.
func (m *Metrics) BeforeGather(refresh func()) { m.refresh = refresh }

// Gatherer gives the metrics to whoever serves them.
func (m *Metrics) Gatherer() prometheus.Gatherer { return m.registry }

// current is a collector that is brought up to date before it is read.
type current struct {
	prometheus.Collector

	of *Metrics
}

func (c current) Collect(to chan<- prometheus.Metric) {
	if c.of.refresh != nil {
		c.of.refresh()
	}
	c.Collector.Collect(to)
}

// Registerer takes further metrics, such as controller-runtime's.
func (m *Metrics) Registerer() prometheus.Registerer { return m.registry }

// Observe counts the request that the record is about.
func (m *Metrics) Observe(r *audit.Record) {
	if r.Endpoint != "" {
		m.inquired(r)
		return
	}
	if int(r.Outcome) < len(m.duration) {
		m.duration[r.Outcome].Observe(r.Duration.Seconds())
	}
	key := callKey{r.TokenService, r.Client, r.Outcome, r.Reason}
	m.mu.RLock()
	c, ok := m.byCall[key]
	m.mu.RUnlock()
	if !ok {
		c = m.resolve(key)
	}
	c.request.Inc()
	if c.client != nil {
		c.client.Inc()
	}
	if len(r.Trace) == 0 {
		for i := range r.Targets {
			m.judged(r.Targets[i].Policy, policy.Allowed.String())
		}
	}
	for i := range r.Trace {
		for j := range r.Trace[i].Policies {
			p := &r.Trace[i].Policies[j]
			m.judged(p.Policy, p.Outcome)
		}
	}
}

// inquired counts a request to another endpoint. Its labels are the token services that
// there are, and words of our own.
func (m *Metrics) inquired(r *audit.Record) {
	service := r.TokenService
	m.mu.RLock()
	if !m.known.services[service] {
		service = ""
	}
	m.mu.RUnlock()
	m.inquiries.WithLabelValues(service, r.Endpoint, r.Outcome.String(), string(r.Reason)).Inc()
}

// resolve finds the series of a key, and keeps them when the key is made of
// known objects only.
func (m *Metrics) resolve(key callKey) counters {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.known.clients[serviceClient{key.service, key.client}] {
		key.client = ""
	}
	if !m.known.services[key.service] {
		key.service = ""
	}
	if c, ok := m.byCall[key]; ok {
		return c
	}
	outcome, reason := key.outcome.String(), string(key.reason)
	c := counters{request: m.requests.WithLabelValues(key.service, outcome, reason)}
	switch {
	case key.client == "":
	case len(m.byCall) >= maxSeries:
		c.client = m.clients.WithLabelValues("", outcome, reason)
		return c
	default:
		c.client = m.clients.WithLabelValues(key.client, outcome, reason)
	}
	m.byCall[key] = c
	return c
}

// judged counts how one policy judged; ref is its namespace and name.
func (m *Metrics) judged(ref, outcome string) {
	key := policyKey{ref, outcome}
	m.mu.RLock()
	c, ok := m.byPolicy[key]
	m.mu.RUnlock()
	if !ok {
		c = m.resolvePolicy(key)
	}
	c.Inc()
}

func (m *Metrics) resolvePolicy(key policyKey) prometheus.Counter {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.known.policies[key.ref] || len(m.byPolicy) >= maxSeries {
		return m.decisions.WithLabelValues("", "", key.outcome)
	}
	namespace, name, _ := strings.Cut(key.ref, "/")
	c := m.decisions.WithLabelValues(namespace, name, key.outcome)
	m.byPolicy[key] = c
	return c
}

// Snapshot says which objects there are from now on, at which revision, and how
// long it took to compile them. Series of objects that are gone are deleted.
func (m *Metrics) Snapshot(spec *policy.Spec, revision uint64, compile time.Duration) {
	next := known{
		services: make(map[string]bool, len(spec.Services)),
		clients:  make(map[serviceClient]bool, len(spec.Clients)),
		policies: make(map[string]bool, len(spec.Policies)+len(spec.Externals)),
	}
	for i := range spec.Services {
		next.services[spec.Services[i].Name] = true
	}
	ids := make(map[string]bool, len(spec.Clients))
	for i := range spec.Clients {
		c := &spec.Clients[i]
		next.clients[serviceClient{c.TokenService, c.ID}] = true
		ids[c.ID] = true
	}
	for i := range spec.Policies {
		next.policies[spec.Policies[i].Namespace+"/"+spec.Policies[i].Name] = true
	}
	for i := range spec.Externals {
		// Each is its own policy, by the name that decisions have for it.
		next.policies[policy.ExternalRef(spec.Externals[i].Name)] = true
	}
	issuers := make(map[string]bool, len(spec.Issuers))
	for i := range spec.Issuers {
		issuers[spec.Issuers[i].Name] = true
	}
	m.revision.Set(float64(revision))
	m.compile.Set(compile.Seconds())
	m.mu.Lock()
	defer m.mu.Unlock()
	for name := range m.issuers {
		if !issuers[name] {
			m.keysAge.DeleteLabelValues(name)
			m.fetches.DeletePartialMatch(prometheus.Labels{"trusted_issuer": name})
		}
	}
	m.known, m.issuers = next, issuers
	m.prune(ids)
}

// prune deletes what is not known any more. Two token services may have a client
// of the same ID; their series are one, and it stays while one of them is there.
func (m *Metrics) prune(ids map[string]bool) {
	for key := range m.byCall {
		client := key.client == "" || m.known.clients[serviceClient{key.service, key.client}]
		service := key.service == "" || m.known.services[key.service]
		if client && service {
			continue
		}
		delete(m.byCall, key)
		if !service {
			m.requests.DeletePartialMatch(prometheus.Labels{"token_service": key.service})
			m.inquiries.DeletePartialMatch(prometheus.Labels{"token_service": key.service})
		}
		if key.client != "" && !ids[key.client] {
			m.clients.DeletePartialMatch(prometheus.Labels{"client": key.client})
		}
	}
	for key := range m.byPolicy {
		if !m.known.policies[key.ref] {
			delete(m.byPolicy, key)
			namespace, name, _ := strings.Cut(key.ref, "/")
			m.decisions.DeleteLabelValues(namespace, name, key.outcome)
		}
	}
}
