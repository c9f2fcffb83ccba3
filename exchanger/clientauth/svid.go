// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package clientauth

import (
	"github.com/exchequer-dev/exchequer/exchanger/policy"
	"github.com/exchequer-dev/exchequer/exchanger/proof"
	"github.com/exchequer-dev/exchequer/exchanger/subject/trust"
)

// readSVID takes the identity from a verified JWT-SVID: its sub, which its trust
// domain has vouched for. What is asked of service-account tokens besides (audience,
// time, age) is asked of it too; it is good until it expires.
func (a *account) readSVID() *policy.Refusal {
	if _, ok := proof.ParseSPIFFEID(a.subject); !ok {
		return trust.Deny(policy.ClientCredentials, "client assertion: sub is no SPIFFE ID of a workload")
	}
	a.spiffeID = a.subject
	return nil
}
