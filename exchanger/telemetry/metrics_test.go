// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"

	"github.com/exchequer-dev/exchequer/exchanger/audit"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

func spec() *policy.Spec {
	return &policy.Spec{
		Services: []policy.Service{{Name: "default"}},
		Issuers:  []policy.Issuer{{Name: "corp"}},
		Clients:  []policy.Client{{ID: "shop/frontend", TokenService: "default"}, {ID: "media/images", TokenService: "default"}},
		Policies: []policy.Policy{{Namespace: "media", Name: "frontend-gets-images"}, {Namespace: "media", Name: "all"}},
	}
}

func record(client string, outcome policy.Outcome, reason policy.Reason) *audit.Record {
	r := &audit.Record{TokenService: "default", Client: client, Outcome: outcome, Reason: reason, Duration: time.Millisecond}
	if outcome == policy.Allowed {
		r.Targets = []policy.TargetPolicy{{Target: "media/images", Policy: "media/frontend-gets-images"}}
	} else if client != "" {
		r.Trace = []policy.TargetTrace{{Target: "media/images", Policies: []policy.PolicyTrace{
			{Policy: "media/all", Outcome: "denied", Reason: reason}, {Policy: "media/frontend-gets-images", Outcome: "unable", Reason: reason},
		}}}
	}
	return r
}

// series returns every series of our own with its value, sorted.
func series(t *testing.T, m *Metrics) []string {
	t.Helper()
	families, err := m.Gatherer().Gather()
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, f := range families {
		if !strings.HasPrefix(f.GetName(), "exchequer_") {
			continue
		}
		for _, metric := range f.GetMetric() {
			out = append(out, fmt.Sprintf("%s{%s} %v", f.GetName(), labels(metric), value(metric)))
		}
	}
	slices.Sort(out)
	return out
}

func labels(m *dto.Metric) string {
	var out []string
	for _, l := range m.GetLabel() {
		out = append(out, l.GetName()+"="+l.GetValue())
	}
	return strings.Join(out, ",")
}

func value(m *dto.Metric) float64 {
	switch {
	case m.GetCounter() != nil:
		return m.GetCounter().GetValue()
	case m.GetGauge() != nil:
		return m.GetGauge().GetValue()
	}
	return float64(m.GetHistogram().GetSampleCount())
}

func expect(t *testing.T, m *Metrics, want ...string) {
	t.Helper()
	got := series(t, m)
	for _, w := range want {
		if !slices.Contains(got, w) {
			t.Errorf("missing %s in\n%s", w, strings.Join(got, "\n"))
		}
	}
}

func refuse(t *testing.T, m *Metrics, part string) {
	t.Helper()
	for _, s := range series(t, m) {
		if strings.Contains(s, part) {
			t.Errorf("%s is still there", s)
		}
	}
}

func TestRequestsAreCounted(t *testing.T) {
	t.Parallel()
	m := NewMetrics()
	m.Snapshot(spec(), 812, 20*time.Millisecond)
	m.SnapshotAge(3 * time.Second)
	for range 2 {
		m.Observe(record("shop/frontend", policy.Allowed, policy.ReasonNone))
	}
	m.Observe(record("shop/frontend", policy.Denied, policy.ScopeNotGranted))
	m.Observe(record("", policy.Denied, policy.ClientUnknown))
	m.Observe(record("shop/frontend", policy.Unable, policy.KeysUnavailable))
	m.IssuerFetch("corp", "ok")
	m.IssuerKeysAge("corp", time.Minute)
	m.SigningKeys([]SigningKey{{"default", "k1", "ES256", "Active"}})
	m.Shed()
	m.Panicked()
	m.CertificateFailed()
	expect(t, m,
		`exchequer_exchange_requests_total{outcome=allowed,reason=,token_service=default} 2`,
		`exchequer_exchange_requests_total{outcome=denied,reason=ScopeNotGranted,token_service=default} 1`,
		`exchequer_exchange_requests_total{outcome=denied,reason=ClientUnknown,token_service=default} 1`,
		`exchequer_exchange_duration_seconds{outcome=allowed} 2`,
		`exchequer_exchange_duration_seconds{outcome=denied} 2`,
		`exchequer_exchange_duration_seconds{outcome=unable} 1`,
		`exchequer_client_requests_total{client=shop/frontend,outcome=allowed,reason=} 2`,
		`exchequer_client_requests_total{client=shop/frontend,outcome=unable,reason=KeysUnavailable} 1`,
		`exchequer_policy_decisions_total{namespace=media,outcome=allowed,policy=frontend-gets-images} 2`,
		`exchequer_policy_decisions_total{namespace=media,outcome=denied,policy=all} 2`,
		`exchequer_policy_decisions_total{namespace=media,outcome=unable,policy=frontend-gets-images} 2`,
		`exchequer_snapshot_revision{} 812`,
		`exchequer_snapshot_age_seconds{} 3`,
		`exchequer_snapshot_compile_seconds{} 0.02`,
		`exchequer_issuer_fetch_total{result=ok,trusted_issuer=corp} 1`,
		`exchequer_issuer_keys_age_seconds{trusted_issuer=corp} 60`,
		`exchequer_signing_key_info{algorithm=ES256,kid=k1,state=Active,token_service=default} 1`,
		`exchequer_requests_shed_total{} 1`,
		`exchequer_panics_total{} 1`,
		`exchequer_serving_certificate_errors_total{} 1`,
	)
	families, err := m.Gatherer().Gather()
	if err != nil {
		t.Fatal(err)
	}
	if problems, err := promlint.NewWithMetricFamilies(families).Lint(); err != nil || len(problems) > 0 {
		t.Errorf("promlint: %v, %v", problems, err)
	}
}

func TestSeriesOfRemovedObjectsAreDeleted(t *testing.T) {
	t.Parallel()
	m := NewMetrics()
	before := spec()
	before.Services = append(before.Services, policy.Service{Name: "second"})
	before.Clients = append(before.Clients, policy.Client{ID: "shop/frontend", TokenService: "second"})
	m.Snapshot(before, 1, 0)
	m.Observe(record("shop/frontend", policy.Allowed, ""))
	m.Observe(record("media/images", policy.Denied, policy.SubjectRule))
	second := record("shop/frontend", policy.Allowed, "")
	second.TokenService = "second"
	m.Observe(second)
	m.IssuerFetch("corp", "ok")
	m.IssuerKeysAge("corp", time.Minute)
	m.SigningKeys([]SigningKey{{"second", "k2", "ES256", "Active"}})

	after := spec()
	after.Clients, after.Policies, after.Issuers = after.Clients[:1], after.Policies[1:], nil
	m.Snapshot(after, 2, 0)
	m.SigningKeys(nil)
	for _, gone := range []string{"media/images", "token_service=second", "policy=frontend-gets-images", "corp"} {
		refuse(t, m, gone)
	}
	expect(t, m,
		`exchequer_client_requests_total{client=shop/frontend,outcome=allowed,reason=} 2`,
		`exchequer_policy_decisions_total{namespace=media,outcome=denied,policy=all} 1`,
		`exchequer_exchange_requests_total{outcome=allowed,reason=,token_service=default} 1`,
	)
	// A request that was under way over the change brings nothing back.
	m.Observe(record("media/images", policy.Allowed, ""))
	m.IssuerFetch("corp", "ok")
	m.IssuerKeysAge("corp", time.Hour)
	refuse(t, m, "media/images")
	refuse(t, m, "corp")
	expect(t, m, `exchequer_policy_decisions_total{namespace=,outcome=allowed,policy=} 1`)
}

func TestAnExternalTargetCountsAsAPolicyOfItsName(t *testing.T) {
	t.Parallel()
	m := NewMetrics()
	s := spec()
	s.Externals = []policy.External{{Name: "partner", TokenService: "default"}}
	m.Snapshot(s, 1, 0)
	r := record("shop/frontend", policy.Allowed, "")
	r.Targets = []policy.TargetPolicy{{Target: policy.ExternalRef("partner"), Policy: policy.ExternalRef("partner")}}
	m.Observe(r)
	expect(t, m, `exchequer_policy_decisions_total{namespace=ExternalTarget,outcome=allowed,policy=partner} 1`)
	m.Snapshot(spec(), 2, 0)
	refuse(t, m, "partner")
}

func TestNoCallerMakesASeries(t *testing.T) {
	t.Parallel()
	m := NewMetrics()
	m.Snapshot(spec(), 1, 0)
	m.Observe(record("shop/frontend", policy.Denied, policy.IssuerUnknown))
	m.Observe(record("nobody", policy.Denied, policy.ClientUnknown))
	want := len(series(t, m))
	for i := range 100_000 {
		stranger := record(fmt.Sprintf("stranger-%d", i), policy.Denied, policy.ClientUnknown)
		stranger.TokenService = fmt.Sprintf("service-%d", i)
		stranger.Trace[0].Policies[0].Policy = fmt.Sprintf("media/%d", i)
		m.Observe(stranger)
		m.IssuerFetch(fmt.Sprintf("issuer-%d", i), "ok")
	}
	// One more: the requests of token services that are not known.
	t.Run("F356: strangers share a fixed number of series", func(t *testing.T) {
		t.Parallel()
		if got := len(series(t, m)); got > want+3 {
			t.Errorf("%d series after 100,000 strangers, %d before", got, want)
		}
	})
}

func TestKnownObjectsHaveABoundOnSeries(t *testing.T) {
	t.Parallel()
	m := NewMetrics()
	s := spec()
	for i := range maxSeries + 500 {
		s.Clients = append(s.Clients, policy.Client{ID: fmt.Sprintf("ns/c%d", i), TokenService: "default"})
		s.Policies = append(s.Policies, policy.Policy{Namespace: "ns", Name: fmt.Sprintf("p%d", i)})
	}
	m.Snapshot(s, 1, 0)
	for i := range maxSeries + 500 {
		r := record(fmt.Sprintf("ns/c%d", i), policy.Allowed, "")
		r.Targets[0].Policy = fmt.Sprintf("ns/p%d", i)
		m.Observe(r)
	}
	t.Run("F356: clients and policies beyond the bound share a series", func(t *testing.T) {
		t.Parallel()
		for _, name := range []string{"exchequer_client_requests_total{", "exchequer_policy_decisions_total{"} {
			got := 0
			for _, s := range series(t, m) {
				if strings.HasPrefix(s, name) {
					got++
				}
			}
			if got != maxSeries+1 {
				t.Errorf("%d series of %s}, want %d", got, name, maxSeries+1)
			}
		}
		expect(t, m,
			`exchequer_client_requests_total{client=,outcome=allowed,reason=} 500`,
			fmt.Sprintf(`exchequer_exchange_requests_total{outcome=allowed,reason=,token_service=default} %d`, maxSeries+500))
	})
}

func BenchmarkObserve(b *testing.B) {
	m := NewMetrics()
	m.Snapshot(spec(), 1, 0)
	r := record("shop/frontend", policy.Allowed, "")
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			m.Observe(r)
		}
	})
}

func TestAgesAreOfTheMomentThatTheyAreReadAt(t *testing.T) {
	t.Parallel()
	m := NewMetrics()
	age := time.Second
	m.BeforeGather(func() { m.SnapshotAge(age) })
	for _, age = range []time.Duration{time.Second, time.Minute} {
		families, err := m.Gatherer().Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range families {
			if f.GetName() == "exchequer_snapshot_age_seconds" && f.GetMetric()[0].GetGauge().GetValue() != age.Seconds() {
				t.Errorf("the age is %v, want %s", f.GetMetric()[0], age)
			}
		}
	}
}
