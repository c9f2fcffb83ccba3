// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"slices"
	"strings"
	"time"

	"github.com/exchequer-dev/exchequer/cmd/internal/ui"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

// explanation is a decision and how it came about.
type explanation struct {
	Allowed bool          `json:"allowed"`
	Outcome string        `json:"outcome"`
	Reason  policy.Reason `json:"reason,omitempty"`
	Check   string        `json:"check,omitempty"`
	Detail  string        `json:"detail,omitempty"`
	// Correlation and Revision are a record's.
	CorrelationID string    `json:"correlationID,omitempty"`
	Revision      uint64    `json:"revision,omitempty"`
	Time          time.Time `json:"time"`
	TokenService  string    `json:"tokenService,omitempty"`
	Client        string    `json:"client,omitempty"`

	Subject *explainedSubject `json:"subject,omitempty"`
	Actor   *explainedSubject `json:"actor,omitempty"`
	Asked   asked             `json:"asked"`
	// Checks are what every request has to pass; a record does not have them.
	Checks  []explainedCheck     `json:"requestChecks,omitempty"`
	Targets []policy.TargetTrace `json:"targets,omitempty"`
	Token   *explainedToken      `json:"token,omitempty"`
	// Recorded is what the record says of a request that was decided again.
	Recorded *recorded `json:"recorded,omitempty"`
	// Notes are what a reader must know to trust the answer.
	Notes []string `json:"notes,omitempty"`
}

type explainedSubject struct {
	Issuer    string         `json:"issuer"`
	Origin    string         `json:"origin,omitempty"`
	Subject   string         `json:"subject"`
	Username  string         `json:"username,omitempty"`
	Groups    []string       `json:"groups,omitempty"`
	Extra     map[string]any `json:"extra,omitempty"`
	Scopes    []string       `json:"scopes,omitempty"`
	Audiences []string       `json:"audiences,omitempty"`
	Class     policy.Class   `json:"class,omitempty"`
	ExpiresAt time.Time      `json:"expiresAt,omitzero"`
	Signature string         `json:"signature,omitempty"`
}

type asked struct {
	Audience  []string         `json:"audience,omitempty"`
	Resource  []string         `json:"resource,omitempty"`
	Scope     []string         `json:"scope,omitempty"`
	TokenType policy.TokenType `json:"tokenType,omitempty"`
	// Subject is whom the request asks to impersonate, Reason why.
	Subject string `json:"requestedSubject,omitempty"`
	Reason  string `json:"reason,omitempty"`
}

// explainedCheck is one check of the request; Result is ok, failed or "not reached".
type explainedCheck struct {
	Check  string `json:"check"`
	Result string `json:"result"`
	Means  string `json:"means"`
}

type explainedToken struct {
	Audience  []string              `json:"audience"`
	Scope     string                `json:"scope,omitempty"`
	Lifetime  string                `json:"lifetime,omitempty"`
	ExpiresAt time.Time             `json:"expiresAt,omitzero"`
	Claims    map[string]any        `json:"claims,omitempty"`
	Policies  []policy.TargetPolicy `json:"policies"`
	// Subject is whom the token is about, where that is not whose token was given; Act
	// and Impersonator are its claims of that name.
	Subject      string               `json:"sub,omitempty"`
	Act          map[string]any       `json:"act,omitempty"`
	Impersonator *policy.Impersonator `json:"impersonator,omitempty"`
	// The ID of the token, of the key that signed it, and of the transaction, which
	// are in a record.
	TokenID     string `json:"jti,omitempty"`
	KeyID       string `json:"kid,omitempty"`
	Transaction string `json:"txn,omitempty"`
}

const (
	checkOK         = "ok"
	checkFailed     = "failed"
	checkNotReached = "not reached"
)

// meanings say in words what the request's checks ask. A test holds the keys to
// what policy has.
func meanings() map[string]string {
	return map[string]string{
		"tokenService":        "the token service is in force",
		checkClientKnown:      "the client is declared, and not suspended",
		checkSubjectToken:     "the token is one that its issuer's rules and mappings accept",
		"clientGrant":         "the client may use the grant",
		"subjectIssuer":       "the subject's issuer is trusted for subjects",
		"subjectClass":        "the token is what it is presented as",
		"subjectTime":         "the token is valid now, and not too old",
		"subjectNotRevoked":   "neither it nor what it came from was revoked",
		"subjectNoCredential": "it is not somebody's client credential",
		"subjectAddressed":    "it says whom it was made for",
		"handover":            "a hand-over token is for the client that presents it",
		"assertion":           "an assertion is for this token service, for this client, and for one request",
		"transaction":         "a transaction token is for one trust domain, has a scope, and becomes nothing else",
		"family":              "a refresh token renews no more than was given, to whom it was given",
		checkActorToken:       "the actor token is one that its issuer's rules and mappings accept",
		"actorIssuer":         "the actor's issuer is trusted for actors",
		"actorClass":          "the actor token is what it is presented as",
		"actorTime":           "it is valid now, and not too old",
		"actorNotRevoked":     "neither it nor what it came from was revoked",
		"actorNoCredential":   "it is not somebody's client credential",
		"actorAddressed":      "it says whom it was made for",
		"actorBare":           "nobody acts for the actor, or impersonates it",
		"targetsKnown":        "every target exists",
		"targetsTogether":     "all targets lie in one namespace",
		"scopesKnown":         "every scope belongs to one of the targets",
	}
}

const (
	// checkSubjectToken is the step before the decision: signature, claims, mappings.
	checkSubjectToken = "subjectToken"
	checkClientKnown  = "clientKnown"
	checkActorToken   = "actorToken"
)

// decide fills in what a decision says.
func (r *explanation) decide(d *policy.Decision) {
	g, allowed := d.Grant()
	r.Allowed, r.Outcome = allowed, d.Outcome.String()
	r.Reason, r.Check, r.Detail, r.Targets = d.Reason, d.Check, d.Detail, d.Trace
	if allowed {
		r.grant(g)
	}
	names, _ := policy.Checks()
	// The endpoint knows the client before it looks at the token.
	if at := slices.Index(names, checkClientKnown); at >= 0 {
		names = slices.Insert(names, at+1, checkSubjectToken, checkActorToken)
	}
	if r.Actor == nil && !strings.HasPrefix(d.Check, "actor") {
		// Without an actor token they ask nothing.
		names = slices.DeleteFunc(names, func(n string) bool { return strings.HasPrefix(n, "actor") })
	}
	means := meanings()
	reached := true
	for _, n := range names {
		c := explainedCheck{Check: n, Result: checkOK, Means: means[n]}
		switch {
		case !reached:
			c.Result = checkNotReached
		case n == d.Check:
			c.Result, reached = checkFailed, false
		}
		r.Checks = append(r.Checks, c)
	}
}

func (r *explanation) grant(g *policy.Grant) {
	t := &explainedToken{Audience: g.Audiences, Scope: strings.Join(g.Scopes, " "), ExpiresAt: g.ExpiresAt, Policies: g.Targets}
	t.Lifetime = g.ExpiresAt.Sub(g.IssuedAt).String()
	for _, c := range g.Claims {
		if t.Claims == nil {
			t.Claims = map[string]any{}
		}
		t.Claims[c.Name] = c.Value
	}
	t.Act, t.Impersonator = g.Act, g.Impersonator
	if r.Subject == nil || r.Subject.Subject != g.Subject.Subject {
		t.Subject = g.Subject.Subject
	}
	r.Token = t
}

func subjectOf(t *policy.Token) *explainedSubject {
	s := &explainedSubject{
		Issuer: t.Issuer, Subject: t.Subject, Username: t.Username, Groups: t.Groups, Extra: t.Extra,
		Scopes: t.Scopes, Audiences: t.Audiences, Class: t.Class, ExpiresAt: t.ExpiresAt,
	}
	if t.Origin != t.Issuer {
		s.Origin = t.Origin
	}
	return s
}

// print shows the result first, then how it came about.
func (r *explanation) print(s *ui.Screen) {
	switch {
	case r.Allowed:
		s.Line(s.Paint(ui.Good, "✓ allowed"), ui.Safe(r.by()))
	default:
		verb := "refused"
		if r.Outcome == policy.Unable.String() {
			verb = "refused, because a check could not tell"
		}
		s.Line(s.Paint(ui.Bad, "✗ "+verb+": "+string(r.Reason)), ui.Safe(r.at()))
		if r.Detail != "" {
			s.Line(ui.Safe("  " + r.Detail))
		}
	}
	for _, n := range r.Notes {
		s.Line(s.Paint(ui.Warn, "! "), ui.Safe(n))
	}
	s.Line()
	s.Table(r.facts())
	r.printChecks(s)
	for i := range r.Targets {
		printTarget(s, &r.Targets[i])
	}
}

func (r *explanation) by() string {
	if r.Token == nil || len(r.Token.Policies) == 0 {
		return ""
	}
	var names []string
	for _, t := range r.Token.Policies {
		names = append(names, t.Policy)
	}
	return " by " + strings.Join(names, ", ")
}

func (r *explanation) at() string {
	if r.Check == "" {
		return ""
	}
	return " (check " + r.Check + ")"
}

func (r *explanation) facts() *ui.Table {
	t := &ui.Table{}
	row := func(label, text string) {
		if text != "" {
			t.Row(ui.Cell{Text: label, Style: ui.Dim}, ui.Text(text))
		}
	}
	row("correlation ID", r.CorrelationID)
	row("time", r.Time.UTC().Format(time.RFC3339))
	row("token service", r.TokenService)
	row("client", r.Client)
	if s := r.Subject; s != nil {
		row("subject", s.line())
		row("  groups", strings.Join(s.Groups, " "))
		row("  scopes", strings.Join(s.Scopes, " "))
		row("  made for", strings.Join(s.Audiences, " "))
		row("  signature", s.Signature)
	}
	if a := r.Actor; a != nil {
		row("actor", a.line())
		row("  groups", strings.Join(a.Groups, " "))
		row("  made for", strings.Join(a.Audiences, " "))
		row("  signature", a.Signature)
	}
	row("to be", r.Asked.Subject)
	row("asked for", r.Asked.line())
	if k := r.Token; k != nil {
		row("token", "for "+strings.Join(k.Audience, " "))
		scope := k.Scope
		if scope == "" {
			scope = "none"
		}
		row("  scope", scope)
		row("  about", k.Subject)
		row("  act", claimText(k.Act))
		if k.Impersonator != nil {
			row("  impersonator", claimText(k.Impersonator))
		}
		row("  lifetime", k.Lifetime)
		row("  jti", k.TokenID)
		row("  kid", k.KeyID)
		row("  txn", k.Transaction)
		for _, name := range sortedKeys(k.Claims) {
			row("  claim "+name, compactJSON(k.Claims[name]))
		}
	}
	return t
}

// claimText is a claim as JSON, empty for none.
func claimText[T any](v T) string {
	if text := compactJSON(v); text != "null" {
		return text
	}
	return ""
}

func (s *explainedSubject) line() string {
	out := s.Subject + " from TrustedIssuer " + s.Issuer
	if s.Issuer == policy.SelfIssuer {
		out = s.Subject + " by a token of this service"
		if s.Origin != "" { // an audit record does not say it
			out += ", first from TrustedIssuer " + s.Origin
		}
	}
	if s.Class != "" {
		out += ", " + string(s.Class)
	}
	return out
}

func (a asked) line() string {
	var parts []string
	if len(a.Audience)+len(a.Resource) > 0 {
		parts = append(parts, "targets "+strings.Join(append(append([]string{}, a.Audience...), a.Resource...), " "))
	}
	if len(a.Scope) > 0 {
		parts = append(parts, "scope "+strings.Join(a.Scope, " "))
	}
	if a.TokenType != "" && a.TokenType != policy.TypeAccessToken {
		parts = append(parts, string(a.TokenType))
	}
	if len(parts) == 0 {
		return "neither target nor scope"
	}
	return strings.Join(parts, ", ")
}

func (r *explanation) printChecks(s *ui.Screen) {
	if len(r.Checks) == 0 {
		return
	}
	s.Line()
	t := &ui.Table{Header: []string{"REQUEST CHECK", "RESULT", ""}}
	for _, c := range r.Checks {
		style := ui.Dim
		switch c.Result {
		case checkOK:
			style = ui.Good
		case checkFailed:
			style = ui.Bad
		}
		t.Row(ui.Text(c.Check), ui.Cell{Text: c.Result, Style: style}, ui.Cell{Text: c.Means, Style: ui.Dim})
	}
	s.Table(t)
}

func printTarget(s *ui.Screen, trace *policy.TargetTrace) {
	s.Line()
	s.Line("target ", s.Paint(ui.Strong, trace.Target))
	if len(trace.Policies) == 0 {
		s.Line("  no policy names this client and this target")
		return
	}
	t := &ui.Table{Header: []string{"POLICY", "OUTCOME", "CHECK", "REASON", "DETAIL"}, Indent: "  "}
	for _, p := range trace.Policies {
		outcome := ui.Cell{Text: p.Outcome, Style: ui.Bad}
		detail := p.Detail
		switch {
		case p.Policy == trace.Chosen:
			outcome, detail = ui.Cell{Text: p.Outcome, Style: ui.Good}, "chosen"
		case p.Outcome == policy.Allowed.String():
			outcome.Style = ui.Plain
		}
		if p.Audit {
			outcome.Text += " (audit only)"
		}
		t.Row(ui.Text(p.Policy), outcome, ui.Text(p.Check), ui.Text(string(p.Reason)), ui.Text(detail))
	}
	s.Table(t)
	if trace.Omitted > 0 {
		s.Linef("  and %s that the trace leaves out", count(trace.Omitted, "more policy"))
	}
}
