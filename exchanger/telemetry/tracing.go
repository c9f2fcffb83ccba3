// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"context"
	"fmt"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

// maxTraces bounds the traces per second that one replica exports. The caller's
// sampled flag may leave a trace out; it cannot force one in.
const maxTraces = 50

// Tracing makes spans. A nil *Tracing is off: its methods do nothing, allocate
// nothing, and hand the context through.
type Tracing struct {
	provider *sdk.TracerProvider
	tracer   trace.Tracer
	context  propagation.TraceContext
}

// NewTracing starts exporting to the collector that OTEL_EXPORTER_OTLP_ENDPOINT
// (or OTEL_EXPORTER_OTLP_TRACES_ENDPOINT) names, as getenv tells it; without one
// it returns nil, which is tracing switched off. The exporter reads its other
// settings from the environment itself.
func NewTracing(ctx context.Context, getenv func(string) string) (*Tracing, error) {
	if getenv("OTEL_EXPORTER_OTLP_ENDPOINT") == "" && getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") == "" {
		return nil, nil //nolint:nilnil // nil is tracing switched off, by design
	}
	exporter, err := otlptracehttp.New(ctx)
	if err != nil {
		return nil, fmt.Errorf("start the trace exporter: %w", err)
	}
	return newTracing(sdk.WithBatcher(exporter)), nil
}

func newTracing(options ...sdk.TracerProviderOption) *Tracing {
	// The name is ours unless OTEL_SERVICE_NAME or OTEL_RESOURCE_ATTRIBUTES say
	// another. What cannot be found out about the host is left out.
	about, err := resource.New(context.Background(), resource.WithAttributes(attribute.String("service.name", "exchequer")),
		resource.WithTelemetrySDK(), resource.WithFromEnv())
	if err == nil {
		options = append(options, sdk.WithResource(about))
	}
	provider := sdk.NewTracerProvider(append(options, sdk.WithSampler(newSampler(maxTraces)))...)
	return &Tracing{provider: provider, tracer: provider.Tracer("github.com/exchequer-dev/exchequer")}
}

// Shutdown exports what is left.
func (t *Tracing) Shutdown(ctx context.Context) error {
	if t == nil {
		return nil
	}
	return t.provider.Shutdown(ctx)
}

// Carrier is where a remote trace context is read from; http.Header, as
// propagation.HeaderCarrier, is one.
type Carrier = propagation.TextMapCarrier

// Serve starts the span of a whole request, a child of the remote one that the
// carrier names (W3C traceparent; baggage is not read).
func (t *Tracing) Serve(ctx context.Context, name string, from func() Carrier) (context.Context, Span) {
	if t == nil {
		return ctx, Span{}
	}
	ctx, s := t.tracer.Start(t.context.Extract(ctx, from()), name, trace.WithSpanKind(trace.SpanKindServer))
	return ctx, Span{s}
}

// Step starts the span of one step; the function that is returned ends it, with
// the reason where the step refused.
func (t *Tracing) Step(ctx context.Context, name string) (context.Context, func(*policy.Refusal)) {
	if t == nil {
		return ctx, noEnd
	}
	ctx, s := t.tracer.Start(ctx, name)
	return ctx, Span{s}.End
}

func noEnd(*policy.Refusal) {}

// Span is a request's. The zero value records nothing.
type Span struct{ span trace.Span }

// End ends the span, with the reason of a refusal.
func (s Span) End(ref *policy.Refusal) {
	if s.span == nil {
		return
	}
	if ref != nil {
		s.span.SetAttributes(attribute.String("exchequer.outcome", ref.Outcome.String()), attribute.String("exchequer.reason", string(ref.Reason)))
		if ref.Outcome == policy.Unable {
			s.span.SetStatus(codes.Error, string(ref.Reason))
		}
	}
	s.span.End()
}

// Correlate ties the span to the audit record.
func (s Span) Correlate(id string) {
	if s.span != nil {
		s.span.SetAttributes(attribute.String("exchequer.correlation_id", id))
	}
}
