// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package subject

import (
	"context"
	"strings"
	"time"

	"github.com/exchequer-dev/exchequer/exchanger/policy"
	"github.com/exchequer-dev/exchequer/exchanger/subject/trust"
	"github.com/exchequer-dev/exchequer/exchanger/upstream"
)

// settle makes a mapped token a subject: it asks the issuer's directory, where there
// is one, at every use; what the directory said is remembered for ten seconds.
func (v *Verifier) settle(ctx context.Context, svc *policy.TokenService, ti *policy.TrustedIssuer, mapped *policy.Token, now time.Time) (*policy.Token, *policy.Refusal) {
	if ti.Spec().Directory == nil {
		return ti.Settle(mapped, nil)
	}
	name := strings.TrimPrefix(mapped.Subject, ti.Spec().Prefix)
	said, ref := v.directory(ctx, svc, ti, name, mapped.Digest[:], mapped.Claims, now)
	if ref != nil {
		return nil, ref
	}
	return ti.Settle(mapped, said)
}

// Lookup asks the directory of the one issuer to which a subject belongs about
// somebody of whom there is no token: a requested_subject, as policies see it, with
// its prefix. Nil without a refusal: there is no issuer with a directory for it, or
// the directory does not want the subject. Only an outage is a refusal, so that
// unknown and forbidden answer alike.
func (v *Verifier) Lookup(ctx context.Context, svc *policy.TokenService, subject string, now time.Time) (*policy.KnownSubject, *policy.Refusal) {
	ti := issuerOf(svc, subject)
	if ti == nil {
		return nil, nil //nolint:nilnil // nobody knows of it
	}
	name := strings.TrimPrefix(subject, ti.Spec().Prefix)
	said, ref := v.directory(ctx, svc, ti, name, []byte("lookup "+name), nil, now)
	if ref == nil {
		var known *policy.KnownSubject
		known, ref = ti.Knows(said)
		if ref == nil {
			return known, nil
		}
	}
	if ref.Outcome == policy.Unable && ref.Reason == policy.UpstreamUnavailable {
		ref.Check = "requestedSubject"
		return nil, ref
	}
	return nil, nil //nolint:nilnil // the directory does not want it
}

// issuerOf finds the issuer with a directory whose prefix a subject begins with. No
// prefix begins with another one; the empty one is for what is nobody else's.
func issuerOf(svc *policy.TokenService, subject string) *policy.TrustedIssuer {
	var bare *policy.TrustedIssuer
	for _, ti := range svc.TrustedIssuers() {
		s := ti.Spec()
		if s.Suspended || s.Keys.Local || !strings.HasPrefix(subject, s.Prefix) || len(subject) == len(s.Prefix) {
			continue
		}
		if s.Prefix == "" {
			bare = ti
			continue
		}
		return withDirectory(ti)
	}
	return withDirectory(bare)
}

func withDirectory(ti *policy.TrustedIssuer) *policy.TrustedIssuer {
	if ti == nil || ti.Spec().Directory == nil || !ti.Spec().ForSubject {
		return nil
	}
	return ti
}

// directory asks what is known of a subject. about names the question beside the
// issuer: the token, so that claims that differ are another question.
func (v *Verifier) directory(ctx context.Context, svc *policy.TokenService, ti *policy.TrustedIssuer, name string, about []byte, claims map[string]any, now time.Time) (*policy.Entry, *policy.Refusal) {
	said, err := v.entries.get(ctx, askedKey(svc.Name(), ti.Digest(), about), now, costOfEntry, func(ctx context.Context) (*policy.Entry, error) {
		if v.upstream == nil {
			return nil, errNobodyAsks
		}
		at := &upstream.Server{Name: policy.DirectoryUpstream(ti.Name()), TokenService: svc.Name(), Upstream: *ti.Spec().Directory}
		e, err := v.upstream.Directory(ctx, at, &upstream.DirectoryRequest{
			TokenService: svc.Name(), TrustedIssuer: ti.Name(), Subject: name, Claims: claims,
		})
		if err != nil {
			return nil, err
		}
		return (*policy.Entry)(e), nil
	})
	if err != nil {
		return nil, unanswered(err, "the directory of TrustedIssuer "+ti.Name(), policy.DirectoryRefused)
	}
	return said, nil
}

func costOfEntry(e *policy.Entry) int {
	return 256 + len(e.Subject) + len(e.Username) + sizeOf(e.Groups) + sizeOf(e.Extra)
}

// unsettled says whether a token of an issuer is only mapped when it is remembered.
func unsettled(ti *policy.TrustedIssuer) bool { return ti.Spec().Directory != nil }

// settled is what a remembered token stands for now.
func (v *Verifier) settled(ctx context.Context, svc *policy.TokenService, r *remembered, now time.Time) (*policy.Token, *policy.Refusal) {
	if !r.unsettled {
		return r.token, nil
	}
	ti, ok := svc.TrustedIssuer(r.token.Issuer)
	if !ok {
		return nil, named(trust.Deny(policy.IssuerUnknown, "no TrustedIssuer of that name"))
	}
	t, ref := v.settle(ctx, svc, ti, r.token, now)
	if ref != nil {
		return nil, named(ref)
	}
	return t, nil
}
