// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import "time"

// minRemaining is the shortest lifetime worth minting: less would expire on the
// way. A request that leaves less is refused.
const minRemaining = 10 * time.Second

// maxTrace bounds how many policies a trace keeps, of all targets together: an
// owner can name one (client, target) in any number of policies, and an audit
// record is one line. 100 lines of about 200 bytes are 20 KiB; with the longest
// expressions and messages that a refusal repeats, 80 KiB.
const maxTrace = 100

// A target's owner can write any number of policies for one client, and each may
// have 32 rules that cost up to a million units: without a common bound a single
// request could take hours, which nothing interrupts. Two million units are at
// most 100 ms; a policy of ten ordinary rules costs a few hundred.
const (
	// MaxEffort is the most that one decision may cost, in units of at most 50 ns.
	MaxEffort = 2_000_000
	// policyEffort is what judging a policy costs without its expressions, 1 µs.
	policyEffort = 20
)

// Decide returns the one verdict for r under s. It reads nothing else: no clock,
// no network, no environment. A request that no policy allows is denied.
func (s *Snapshot) Decide(r *Request) Decision {
	return s.decide(r, requestChecks[:], policyChecks[:])
}

// check is one named step of the decision. It returns nil when it passes.
type check[T any] struct {
	name string
	run  func(T) *Refusal
}

// requestChecks are what no policy can say otherwise, in order. The first that
// does not pass decides.
var requestChecks = [...]check[*deciding]{
	{"tokenService", (*deciding).tokenService},               // The token service is in the snapshot
	{"clientKnown", (*deciding).clientKnown},                 // The client is declared and not suspended
	{"clientGrant", (*deciding).clientGrant},                 // The client may use the grant
	{"subjectIssuer", (*deciding).subjectIssuer},             // The subject's issuer is trusted for subjects, not suspended
	{"subjectClass", (*deciding).subjectClass},               // The token is what subject_token_type says
	{"subjectTime", (*deciding).subjectTime},                 // The token is valid now, and not older than its issuer's bound
	{"subjectNotRevoked", (*deciding).subjectNotRevoked},     // Neither it nor what it came from was revoked
	{"subjectNoCredential", (*deciding).subjectNoCredential}, // It is not somebody's client credential
	{"subjectAddressed", (*deciding).subjectAddressed},       // It says at all whom it was for
	{"handover", (*deciding).handedOver},                     // A hand-over token is for the client that presents it
	{"assertion", (*deciding).assertion},                     // An assertion is for this token service, for this client, and for one request
	{"actorIssuer", (*deciding).actorIssuerTrusted},          // The same of the actor token, where there is one: its issuer is trusted for actors
	{"actorClass", (*deciding).actorClass},                   // It is what actor_token_type says
	{"actorTime", (*deciding).actorTime},                     // It is valid now
	{"actorNotRevoked", (*deciding).actorNotRevoked},         // Neither it nor what it came from was revoked
	{"actorNoCredential", (*deciding).actorNoCredential},     // It is not somebody's client credential
	{"actorAddressed", (*deciding).actorAddressed},           // It says at all whom it was for
	{"actorBare", (*deciding).actorBare},                     // It speaks for its own subject alone
	{"targetsKnown", (*deciding).targetsKnown},               // Every target that was asked for, or is implied, exists
	{"targetsTogether", (*deciding).targetsTogether},         // All targets lie in one namespace
	{"transaction", (*deciding).transaction},                 // A transaction token is for one trust domain, has a scope, and becomes nothing else
	{"scopesKnown", (*deciding).scopesKnown},                 // Every scope belongs to one of the targets
	{"family", (*deciding).family},                           // A refresh token renews no more than was given, to whom it was given
}

// policyChecks are asked of each policy that names the client and the target. One
// policy alone must pass all of them: halves of two policies never combine.
var policyChecks = [...]check[*judging]{
	{"issuer", (*judging).namesIssuer},                 // The policy names the subject's issuer, or its origin for tokens of ours
	{"class", (*judging).acceptsClass},                 // The token's class is one that the policy accepts
	{"audience", (*judging).meantForClient},            // The token was meant for the asking client, or as the policy's rule says
	{"actor", (*judging).actorAllowed},                 // There is an actor, or none, as the policy says
	{"impersonation", (*judging).impersonationAllowed}, // Nobody is impersonated, or the policy lets it be
	{"grant", (*judging).impersonationGranted},         // Whoever is impersonated is so under an ImpersonationGrant that stands
	{"actorNamed", (*judging).actorIssuerNamed},        // The policy names the issuer of whoever acts
	{"actorAudience", (*judging).actorMeantForClient},  // The actor token was meant for the asking client, or as the rule says
	{"mayAct", (*judging).mayActHolds},                 // may_act, when the token has it, names the actor, or the asking client
	{"actorRules", (*judging).actorRulesHold},          // Every rule over the actor is true, or may_act stands in for them
	{"actorChain", (*judging).actorChainBounded},       // Nobody acts twice or for himself; there are not too many
	{"subjectRules", (*judging).subjectRulesHold},      // Every rule over the subject is true
	{"binding", (*judging).bindingKept},                // A bound token is not unbound
	{"tokenType", (*judging).grantsType},               // The policy grants the type that is asked for
	{"scopes", (*judging).grantsScopes},                // Scopes ⊆ policy, and ⊆ subject unless the policy adds
	{"scopeRules", (*judging).scopeRulesHold},          // The rules of the scopes themselves are true
	{"rules", (*judging).rulesHold},                    // Every other rule of the policy is true
	{"lifetime", (*judging).enoughLifetime},            // At least ten seconds are left
	{"claims", (*judging).claimsValid},                 // Every claim has a value that a token can carry
}

// Checks returns the names of the request's and of a policy's checks, in order.
func Checks() (request, policy []string) {
	for i := range requestChecks {
		request = append(request, requestChecks[i].name)
	}
	for i := range policyChecks {
		policy = append(policy, policyChecks[i].name)
	}
	return request, policy
}

// deciding is one decision in the making.
type deciding struct {
	snapshot *Snapshot
	request  *Request
	service  *TokenService
	client   *AskingClient
	// issuer is the subject's trusted issuer; for a token of ours its origin.
	issuer *TrustedIssuer
	// actorIssuer is the same of the actor token.
	actorIssuer *TrustedIssuer
	targets     []askedTarget
	asked       []askedScope
	// grant is the ImpersonationGrant that is tried now, and grantStage how far it came.
	grant        *impersonationGrant
	grantStage   int
	requestFacts *RequestFacts
	checks       []check[*judging]
	// effort is what the expressions may still cost.
	effort int64
}

// askedTarget is a target with the names that the token's aud will have for it.
type askedTarget struct {
	*target
	names []string
}

// askedScope is a requested scope, found in the targets' namespace.
type askedScope struct {
	text      string
	parameter string
	scope     *grantScope
}

func (s *Snapshot) decide(r *Request, request []check[*deciding], policy []check[*judging]) Decision {
	d := &deciding{snapshot: s, request: r, checks: policy, effort: MaxEffort}
	if r.Effort != nil {
		d.effort = min(d.effort, *r.Effort)
		defer func(before int64) { *r.Effort -= before - d.effort }(d.effort)
	}
	for i := range request {
		if ref := request[i].run(d); ref != nil {
			ref.Check = request[i].name
			return refused(ref, nil)
		}
	}
	var best Decision
	reached := -1
	for _, g := range d.impersonationGrants() {
		d.grant = g
		if got, how := d.attempt(); how > reached {
			best, reached = got, how
		}
		if reached == wholly {
			break
		}
	}
	return best
}

// How far an attempt came: to everything that was asked for, or to less, or, below,
// to the check that refused.
const (
	wholly   = 1 << 20
	narrowly = wholly - 1
)

// attempt asks the policies, for each target one, under the ImpersonationGrant at
// hand, which is one for all of them.
func (d *deciding) attempt() (Decision, int) {
	chosen := make([]*judging, len(d.targets))
	traces := make([]TargetTrace, len(d.targets))
	room := max(maxTrace/max(len(traces), 1), 1)
	d.grantStage = 0
	for i := range d.targets {
		chosen[i] = d.choose(i, &traces[i], room)
	}
	if ref, at := furthest(traces); ref != nil {
		return refused(ref, traces), at*grantStages + d.grantStage
	}
	grant, ref := d.combine(chosen)
	if ref != nil {
		return refused(ref, traces), len(d.checks) * grantStages
	}
	how := wholly
	for _, j := range chosen {
		if j.narrowed {
			how = narrowly
		}
	}
	return Decision{Outcome: Allowed, Trace: traces, grant: grant}, how
}

// choose finds the policy that allows the target: the first by name that grants
// everything, else the first that grants less. Audit policies are judged and
// traced, and never chosen. room is how many the trace keeps.
func (d *deciding) choose(i int, trace *TargetTrace, room int) *judging {
	id := d.targets[i].client.ID
	trace.Target = id
	trace.best = -1
	named, all := d.service.byPair[pair{id, d.client.spec.ID}], d.service.allClients[id]
	var found *judging
	for len(named)+len(all) > 0 {
		var g *grantPolicy
		if len(all) == 0 || (len(named) > 0 && byRef(named[0], all[0]) <= 0) {
			g, named = named[0], named[1:]
		} else {
			g, all = all[0], all[1:]
		}
		if found != nil && !found.narrowed && !g.spec.AuditOnly {
			continue
		}
		j := d.judge(g, i)
		trace.add(g, j, room)
		if j.refusal == nil && !g.spec.AuditOnly && (found == nil || (found.narrowed && !j.narrowed)) {
			found = j
		}
	}
	if found != nil {
		trace.Chosen = found.policy.ref
	}
	return found
}

// judge asks one policy about one target.
func (d *deciding) judge(g *grantPolicy, i int) *judging {
	j := &judging{deciding: d, policy: g, target: &d.targets[i], failedAt: len(d.checks)}
	d.effort -= policyEffort
	j.facts = Facts{Subject: d.request.Subject, Actor: d.request.currentActor(), Client: d.client.party, Target: j.target.party, Request: d.facts(), Effort: &d.effort}
	for n := range d.checks {
		if ref := d.checks[n].run(j); ref != nil {
			ref.Check = d.checks[n].name
			j.refusal, j.failedAt = ref, n
			break
		}
	}
	return j
}

func (d *deciding) facts() *RequestFacts {
	if d.requestFacts == nil {
		r := d.request
		d.requestFacts = &RequestFacts{
			Audiences: r.Audiences, Resources: r.Resources, Scopes: r.Scopes,
			RequestedTokenType: string(r.TokenType), Reason: r.Reason, Details: r.Details, Context: r.Context, Time: r.Now,
		}
	}
	return d.requestFacts
}
