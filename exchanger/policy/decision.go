// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import "time"

// Decision is the verdict about one request. Only [Snapshot.Decide] makes one
// that allows: the zero value is a denial.
type Decision struct {
	Outcome Outcome
	Reason  Reason
	// Check is the check that decided a refusal; Detail says what it found.
	Check  string
	Detail string
	// Trace has every target with every policy that was considered for it.
	Trace []TargetTrace
	grant *Grant
}

// Grant returns what was allowed; false when nothing was.
func (d *Decision) Grant() (*Grant, bool) {
	return d.grant, d.Outcome == Allowed && d.grant != nil
}

// Grant is what a token may say. It is made by [Snapshot.Decide] and changed by
// nobody.
type Grant struct {
	TokenService string
	Issuer       string
	Algorithm    string
	Subject      *Token
	ClientID     string
	// Audiences are the names as they were asked for, without duplicates; the
	// target's client ID where it was implied.
	Audiences []string
	// Granted are all scopes; Scopes those of them that stand in the token.
	Granted   []string
	Scopes    []string
	TokenType TokenType
	IssuedAt  time.Time
	ExpiresAt time.Time
	// Claims are what policies and scopes add, sorted by name.
	Claims []GrantedClaim
	// Targets says which policy allowed which target.
	Targets []TargetPolicy
	Sealed  Sealed
	// Act is the chain of actors of the token, outermost first, nil for none.
	Act map[string]any
	// Impersonator is who asked for a token that says only whom they are, nil when
	// nobody did.
	Impersonator *Impersonator
	// Confirmation is the key that the token is bound to.
	Confirmation Confirmation
	// Opaque says that the token is a handle.
	Opaque bool
	// Refresh says whether a refresh token goes with it, and how long its family may
	// live; zero is none.
	Refresh Renewal
	// SAML is what only an assertion says, nil for every other type.
	SAML *SAMLGrant
	// External is the other server's part, nil where the token is minted here, and
	// Assertion what is minted for it; nil where it is shown nothing of ours.
	External  *External
	Assertion *Assertion
	// Transaction is what only a transaction token says, nil for every other.
	Transaction *Transaction
	// IDJAG is what only an ID-JAG says, nil for every other.
	IDJAG *IDJAG
	// TokenBytes bounds the minted token.
	TokenBytes int
}

// Impersonator is the person, and the client in its hands, that a token was made for
// under an ImpersonationGrant.
type Impersonator struct {
	Issuer   string `json:"iss"`
	Subject  string `json:"sub"`
	ClientID string `json:"client_id"`
	Grant    string `json:"grant"`
}

// Renewal is what the policies of a grant say of refresh tokens.
type Renewal struct {
	// Idle is how long one may lie unused, EndsAt when the family ends.
	Idle    time.Duration
	EndsAt  time.Time
	Offline bool
}

// GrantedClaim is one claim that a policy or a scope adds.
type GrantedClaim struct {
	Name  string
	Value any
}

// TargetPolicy is a target and the policy that alone allowed it.
type TargetPolicy struct {
	Target string `json:"target"`
	Policy string `json:"policy"`
}

// TargetTrace tells what was considered for one target.
type TargetTrace struct {
	Target   string        `json:"target"`
	Chosen   string        `json:"chosen,omitempty"`
	Policies []PolicyTrace `json:"policies,omitempty"`
	// Omitted counts policies that a long trace leaves out.
	Omitted int `json:"omitted,omitempty"`

	best        int
	bestRefusal *Refusal
}

// PolicyTrace tells how one policy judged: allowed, or the first check that
// failed.
type PolicyTrace struct {
	Policy  string `json:"policy"`
	Audit   bool   `json:"audit,omitempty"`
	Outcome string `json:"outcome"`
	Reason  Reason `json:"reason,omitempty"`
	Check   string `json:"check,omitempty"`
	Detail  string `json:"detail,omitempty"`
}

func (t *TargetTrace) add(g *grantPolicy, j *judging, room int) {
	if j.refusal != nil && !g.spec.AuditOnly && j.failedAt > t.best {
		t.best, t.bestRefusal = j.failedAt, j.refusal
	}
	if len(t.Policies) >= room {
		t.Omitted++
		return
	}
	p := PolicyTrace{Policy: g.ref, Audit: g.spec.AuditOnly, Outcome: Allowed.String()}
	if j.refusal != nil {
		p.Outcome, p.Reason, p.Check, p.Detail = j.refusal.Outcome.String(), j.refusal.Reason, j.refusal.Check, j.refusal.Detail
	}
	t.Policies = append(t.Policies, p)
}

// furthest returns the refusal of the check that got furthest, and which that is; nil when every
// target was allowed. A target that no policy names decides first: that is the
// one answer for everything which is not granted at all.
func furthest(traces []TargetTrace) (*Refusal, int) {
	var best *TargetTrace
	for i := range traces {
		t := &traces[i]
		if t.Chosen != "" {
			continue
		}
		if t.bestRefusal == nil {
			return &Refusal{
				Outcome: Denied, Reason: TargetNotGranted, Check: "targetGranted",
				Detail: t.nobody(),
			}, 0
		}
		if best == nil || t.best > best.best {
			best = t
		}
	}
	if best == nil {
		return nil, 0
	}
	return best.bestRefusal, best.best
}

// nobody says why no policy could allow the target.
func (t *TargetTrace) nobody() string {
	for i := range t.Policies {
		if p := &t.Policies[i]; p.Audit && p.Outcome == Allowed.String() {
			return "no policy in force names this client and " + t.Target + "; policy " + p.Policy + " would allow it, and is in mode Audit"
		}
	}
	return "no policy in the namespace of " + t.Target + " names this client and this target"
}

func refused(ref *Refusal, traces []TargetTrace) Decision {
	return Decision{Outcome: ref.Outcome, Reason: ref.Reason, Check: ref.Check, Detail: ref.Detail, Trace: traces}
}

// Refuse is the Decision for a request that was refused before it could be
// decided: its client or its tokens were not verified.
func Refuse(ref *Refusal) Decision { return refused(ref, nil) }
