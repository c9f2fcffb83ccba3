// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"time"

	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"golang.org/x/time/rate"
)

// sampler samples at most so many traces per second. A remote parent that is not
// sampled is left out; one that is sampled still counts against the bound, since
// anybody can send the flag. Within a process children follow their parent.
type sampler struct {
	roots *rate.Limiter
	now   func() time.Time
}

func newSampler(perSecond int) *sampler {
	return &sampler{roots: rate.NewLimiter(rate.Limit(perSecond), perSecond), now: time.Now}
}

// ShouldSample implements the SDK's Sampler.
func (s *sampler) ShouldSample(p sdk.SamplingParameters) sdk.SamplingResult {
	parent := trace.SpanContextFromContext(p.ParentContext)
	result := sdk.SamplingResult{Decision: sdk.Drop, Tracestate: parent.TraceState()}
	switch {
	case parent.IsValid() && !parent.IsSampled():
	case parent.IsValid() && !parent.IsRemote():
		result.Decision = sdk.RecordAndSample
	case s.roots.AllowN(s.now(), 1):
		result.Decision = sdk.RecordAndSample
	}
	return result
}

// Description implements the SDK's Sampler.
func (s *sampler) Description() string { return "exchequer/rate-limited" }
