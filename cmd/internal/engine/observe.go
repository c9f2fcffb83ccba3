// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"time"

	"github.com/exchequer-dev/exchequer/exchanger/issuer"
	"github.com/exchequer-dev/exchequer/exchanger/telemetry"
)

// fetches counts the fetches of issuers' documents.
type fetches struct{ metrics *telemetry.Metrics }

func (f fetches) Fetched(name string, result issuer.Result, _ time.Duration) {
	f.metrics.IssuerFetch(name, string(result))
}
