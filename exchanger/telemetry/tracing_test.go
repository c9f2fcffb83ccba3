// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.opentelemetry.io/otel/propagation"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/goleak"

	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Not parallel: it counts allocations.
func TestTracingIsOffWithoutACollector(t *testing.T) {
	tr, err := NewTracing(t.Context(), func(string) string { return "" })
	if tr != nil || err != nil {
		t.Fatalf("got %v, %v", tr, err)
	}
	if err := tr.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	ctx := t.Context()
	from := func() Carrier { panic("the headers are read with tracing off") }
	if n := testing.AllocsPerRun(100, func() {
		inner, span := tr.Serve(ctx, "token", from)
		span.Correlate("id")
		_, end := tr.Step(inner, "form")
		end(nil)
		span.End(nil)
	}); n != 0 {
		t.Errorf("%v allocations with tracing off", n)
	}
}

func memory(t *testing.T) (*Tracing, *tracetest.InMemoryExporter) {
	t.Helper()
	exporter := tracetest.NewInMemoryExporter()
	tr := newTracing(sdk.WithSyncer(exporter))
	t.Cleanup(func() { _ = tr.Shutdown(context.WithoutCancel(t.Context())) })
	return tr, exporter
}

const (
	traceID = "4bf92f3577b34da6a3ce929d0e0e4736"
	parent  = "00-" + traceID + "-00f067aa0ba902b7-"
)

func carrier(traceparent string) func() Carrier {
	h := http.Header{}
	h.Set("Traceparent", traceparent)
	h.Set("Baggage", "user=alice,token=canary")
	h.Set("Tracestate", "vendor=1")
	return func() Carrier { return propagation.HeaderCarrier(h) }
}

func TestOneSpanPerStepUnderTheCallersTrace(t *testing.T) {
	t.Parallel()
	tr, exporter := memory(t)
	ctx, span := tr.Serve(t.Context(), "token", carrier(parent+"01"))
	span.Correlate("CORRELATION")
	_, end := tr.Step(ctx, "form")
	end(nil)
	_, end = tr.Step(ctx, "decide")
	end(&policy.Refusal{Outcome: policy.Unable, Reason: policy.KeysUnavailable, Check: "c", Detail: "canary"})
	span.End(&policy.Refusal{Outcome: policy.Denied, Reason: policy.SubjectRule, Detail: "canary"})

	spans := exporter.GetSpans()
	if len(spans) != 3 {
		t.Fatalf("%d spans", len(spans))
	}
	for i, name := range []string{"form", "decide", "token"} {
		s := spans[i]
		if s.Name != name || s.SpanContext.TraceID().String() != traceID {
			t.Errorf("span %d is %s in trace %s", i, s.Name, s.SpanContext.TraceID())
		}
		for _, a := range s.Attributes {
			if strings.Contains(a.Value.String(), "canary") || strings.Contains(a.Value.String(), "alice") {
				t.Errorf("F357: span %s has %s = %s", s.Name, a.Key, a.Value.String())
			}
		}
		if s.SpanContext.TraceState().Len() > 1 {
			t.Errorf("trace state grew: %s", s.SpanContext.TraceState())
		}
	}
	if !spans[2].Parent.IsRemote() || spans[0].Parent.SpanID() != spans[2].SpanContext.SpanID() {
		t.Error("the steps are not children of the request, or the request not of the caller")
	}
}

func TestCallersDoNotDecideWhatIsSampled(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_900_000_000, 0)
	exporter := tracetest.NewInMemoryExporter()
	s := newSampler(maxTraces)
	s.now = func() time.Time { return now }
	provider := sdk.NewTracerProvider(sdk.WithSyncer(exporter), sdk.WithSampler(s))
	tr := &Tracing{provider: provider, tracer: provider.Tracer("test")}
	t.Cleanup(func() { _ = tr.Shutdown(context.WithoutCancel(t.Context())) })
	request := func(traceparent string) {
		ctx, span := tr.Serve(t.Context(), "token", carrier(traceparent))
		_, end := tr.Step(ctx, "form")
		end(nil)
		span.End(nil)
	}
	t.Run("F357: a sampled flag counts against the bound", func(t *testing.T) {
		for range 10 * maxTraces {
			request(parent + "01")
		}
		if got := len(exporter.GetSpans()); got != 2*maxTraces {
			t.Errorf("%d spans, want %d traces of 2", got, maxTraces)
		}
	})
	t.Run("F357: an unsampled parent is left out", func(t *testing.T) {
		exporter.Reset()
		now = now.Add(time.Second)
		request(parent + "00")
		if got := len(exporter.GetSpans()); got != 0 {
			t.Errorf("%d spans", got)
		}
	})
	if s.Description() == "" {
		t.Error("no description")
	}
}

func TestSpansGoToTheCollector(t *testing.T) {
	var got atomic.Int32
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v1/traces" {
			got.Add(1)
		}
	}))
	defer collector.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.URL)
	tr, err := NewTracing(t.Context(), func(name string) string {
		if name == "OTEL_EXPORTER_OTLP_ENDPOINT" {
			return collector.URL
		}
		return ""
	})
	if err != nil || tr == nil {
		t.Fatal(tr, err)
	}
	ctx, span := tr.Serve(t.Context(), "token", carrier(""))
	if !trace.SpanContextFromContext(ctx).IsSampled() {
		t.Error("the first request is not sampled")
	}
	span.End(nil)
	if err := tr.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if got.Load() == 0 {
		t.Error("nothing arrived at the collector")
	}
}
