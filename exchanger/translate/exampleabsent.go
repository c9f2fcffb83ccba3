// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"github.com/exchequer-dev/exchequer/api/v1alpha1"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

// absence is a client or an issuer that an example names and that is not there.
type absence struct {
	// what is its kind and name.
	what string
	// reason is what a request would be refused for; empty where none is.
	reason policy.Reason
}

// expectedBy says whether the example is about this very absence. Any other
// example cannot be judged without what is absent.
func (a *absence) expectedBy(want *v1alpha1.ExampleResult) bool {
	return !want.Allowed && a.reason != policy.ReasonNone && want.Reason == string(a.reason)
}

func (a *absence) refusal() *policy.Refusal {
	return &policy.Refusal{Outcome: policy.Denied, Reason: a.reason, Detail: a.what + " is not there"}
}

// absentParty finds the first client or issuer that is missing or suspended, in
// the order in which a request would be refused for it. What the policy's namespace
// may not name is missing to it.
func (x *example) absentParty(svc *policy.TokenService, see *sight) *absence {
	if c, ok := svc.Client(x.given.Client); !ok {
		return &absence{"client " + x.given.Client, policy.ClientUnknown}
	} else if c.Spec().Suspended {
		return &absence{"client " + x.given.Client, policy.ClientSuspended}
	}
	name := x.given.Issuer
	if name == policy.SelfIssuer {
		name = x.origin
	}
	if gone := absentIssuer(name, svc, see); gone != nil {
		return gone
	}
	if a := x.given.Actor; a != nil && a.Issuer != policy.SelfIssuer {
		if gone := absentIssuer(a.Issuer, svc, see); gone != nil {
			return gone
		}
	}
	return nil
}

func absentIssuer(name string, svc *policy.TokenService, see *sight) *absence {
	i, ok := svc.TrustedIssuer(name)
	switch {
	case !ok || (see != nil && !see.issuer(name)):
		return &absence{"issuer " + name, policy.IssuerUnknown}
	case i.Spec().Suspended:
		return &absence{"issuer " + name, policy.IssuerSuspended}
	}
	return nil
}
