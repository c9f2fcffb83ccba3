// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package exchange

import (
	"context"

	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

func (x *exchange) decide(context.Context) *policy.Refusal {
	p := x.params
	var family *policy.Family
	if x.family != nil {
		family = &x.family.Family
	}
	x.decision = x.call.Snapshot.Decide(&policy.Request{
		Now:          x.now,
		TokenService: x.call.Service.Name(),
		Grant:        p.Grant,
		Client:       x.client.ClientAuth,
		Subject:      x.subject,
		SubjectAs:    p.SubjectAs,
		Actor:        x.actor,
		ActorAs:      p.ActorAs,
		Proof:        x.proof,
		Audiences:    p.Audiences,
		Resources:    p.Resources,
		Scopes:       p.Scopes,
		ScopesGiven:  p.ScopeGiven,
		TokenType:    p.TokenType,

		Family:           family,
		OfflineAccess:    p.OfflineAccess,
		RequestedSubject: p.RequestedSubject,
		Directory:        x.directory,
		Reason:           p.Reason,
		Details:          p.Details,
		Context:          p.Context,
	})
	d := &x.decision
	x.record.Trace = d.Trace
	g, ok := d.Grant()
	if !ok {
		return &policy.Refusal{Outcome: d.Outcome, Reason: d.Reason, Check: d.Check, Detail: d.Detail}
	}
	x.record.Targets, x.record.ScopeGranted = g.Targets, g.Granted
	x.others(g)
	return nil
}

// later keeps what uses up a single-use credential until everything else agreed.
func (x *exchange) later(use func(context.Context) *policy.Refusal) {
	if use != nil {
		x.uses = append(x.uses, use)
	}
}

// consume uses up single-use credentials, now that everything else agreed: a
// refused request leaves them as they were.
func (x *exchange) consume(ctx context.Context) *policy.Refusal {
	for _, use := range x.uses {
		if ref := use(ctx); ref != nil {
			return ref
		}
	}
	return nil
}
