// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// contactsForTheLab asks for more than the policy has for this target.
func (s *story) contactsForTheLab(ctx context.Context) error {
	s.chapter("Refused: contacts for the photo lab")
	s.say("The app is careless, and asks for both scopes in the token that it is going to hand over.")
	return s.refused(ctx, &request{by: s.app, token: s.full, audience: imagesAPI, scope: "images contacts"}, "invalid_scope", "ScopeUnknown",
		"contacts is no scope of the images API, so no token for that API can have it.")
}

// stolenToken presents a token by somebody for whom it was not made.
func (s *story) stolenToken(ctx context.Context) error {
	s.chapter("Refused: a stolen token at another client")
	s.say("Alice's token of step 1 leaked into a log, and the photo lab found it. The lab is a client, too, " +
		"and the policy even lets it exchange for images, but with tokens that were made for the lab.")
	return s.refused(ctx, &request{by: s.lab, token: s.full, audience: imagesAPI, scope: "images"}, "invalid_request", "SubjectAudience",
		"The token was made for the app (aud shop-app). It is worth nothing in other hands.")
}

// widenedScope tries to get back what was given away.
func (s *story) widenedScope(ctx context.Context) error {
	s.chapter("Refused: a widened scope")
	s.say("The app may exchange for contacts, and may exchange tokens that Exchequer made. It takes the narrowed token of step 3 and asks for contacts.")
	widen := &request{by: s.app, token: s.narrowed, audience: contactsAPI, scope: "contacts"}
	if err := s.refused(ctx, widen, "invalid_scope", "ScopeNotHeld", "What was narrowed stays narrow: under this policy a token never becomes one with more scopes."); err != nil {
		return err
	}
	a, err := s.send(ctx, &request{by: s.app, token: s.full, audience: contactsAPI, scope: "contacts"})
	if err != nil {
		return err
	}
	s.check(a.status == http.StatusOK && a.Scope == "contacts", "the same request with the token of step 1 is allowed", fmt.Sprintf("%d %s", a.status, a.Error))
	return nil
}

// refused sends a request that must be refused for the given reason, and shows
// what the client saw and what really was the matter.
func (s *story) refused(ctx context.Context, r *request, code, reason, moral string) error {
	who := "the app"
	if r.by == s.lab {
		who = "the photo lab"
	}
	s.say("%s ──► Exchequer", who)
	s.post(r)
	a, err := s.send(ctx, r)
	if err != nil {
		return err
	}
	s.say("Exchequer ──► %s: what the client sees, the same for every such refusal", who)
	s.quote(fmt.Sprintf("%d  error: %s\n     error_description: %s\n     correlation_id: %s", a.status, a.Error, a.Description, a.CorrelationID))
	s.check(a.status == http.StatusBadRequest && a.Error == code && a.AccessToken == "", "it is refused with "+code, fmt.Sprintf("%d %s", a.status, a.Error))
	s.say("What those may see who read the audit records:")
	if err := s.explain(ctx, a, reason); err != nil {
		return err
	}
	s.say("%s", moral)
	return nil
}

// explain prints the explanation of a refusal, from its audit record.
func (s *story) explain(ctx context.Context, a *answer, reason string) error {
	out, exit, err := ask(ctx, s.program, "explain", "--correlation-id", a.CorrelationID, "--audit", s.auditFile)
	if err != nil {
		return fmt.Errorf("exchequer explain: %w", err)
	}
	s.say("%s", s.colour(faint, "$ exchequer explain --audit audit.jsonl \\\n    --correlation-id "+a.CorrelationID))
	s.quote(out)
	all, err := s.records()
	if err != nil {
		return err
	}
	i := slices.IndexFunc(all, func(r record) bool { return r.CorrelationID == a.CorrelationID })
	if i < 0 {
		s.check(false, "the refusal is in the audit records", a.CorrelationID)
		return nil
	}
	s.check(exit == 1 && strings.Contains(out, all[i].Reason), "explain says why, and ends with 1 for a refusal", fmt.Sprintf("exit code %d", exit))
	s.check(all[i].Outcome == "denied" && all[i].Reason == reason, "the reason is "+reason, all[i].Outcome+" "+all[i].Reason)
	return nil
}

// resourceServers lets both APIs judge the narrowed token, as strangers do: with
// the published keys and nothing else.
func (s *story) resourceServers(ctx context.Context) error {
	s.chapter("The photo lab uses the narrowed token at the APIs")
	s.say("the photo lab ──► images API ──► %s/jwks", s.issuer)
	images := &api{http: s.http, issuer: s.issuer, name: imagesAPI}
	err := images.accept(ctx, s.narrowed.raw, "images")
	s.check(err == nil, "the images API accepts it: signature, typ, iss, exp, aud and scope are right", err)

	s.say("the photo lab ──► contacts API ──► %s/jwks", s.issuer)
	contacts := &api{http: s.http, issuer: s.issuer, name: contactsAPI}
	err = contacts.accept(ctx, s.narrowed.raw, "contacts")
	s.check(err != nil && strings.Contains(err.Error(), "not for "+contactsAPI), "the contacts API refuses it: "+fmt.Sprint(err), err)

	tampered := s.narrowed.raw[:len(s.narrowed.raw)-4] + "AAAA"
	s.check(images.accept(ctx, tampered, "images") != nil, "with another signature it is no token at all", "accepted")
	return nil
}

// books compares what was asked with what was written down.
func (s *story) books(context.Context) error {
	s.chapter("The books: one audit record for every request")
	all, err := s.records()
	if err != nil {
		return err
	}
	for _, r := range all {
		text := fmt.Sprintf("%s  %-7s  %-17s  asked %v", beginning(r.CorrelationID), r.Outcome, r.Client, r.ScopeAsked)
		if r.Outcome == "allowed" {
			s.quote(fmt.Sprintf("%s  granted %v by policy %s", text, r.ScopeGranted, r.Targets[0].Policy))
			continue
		}
		s.quote(fmt.Sprintf("%s  %s", text, r.Reason))
	}
	s.check(len(all) == s.asked, "every request has one record", fmt.Sprintf("%d requests, %d records", s.asked, len(all)))
	b, err := s.everythingWritten()
	if err != nil {
		return err
	}
	leaked := false
	for _, secret := range []string{s.full.raw, s.narrowed.raw, s.app.secret, s.lab.secret} {
		leaked = leaked || strings.Contains(b, secret)
	}
	s.check(!leaked, "no record and no message holds a token or a secret", "one that does")
	return nil
}

// beginning is enough of a correlation ID to find it on the page again.
func beginning(id string) string { return id[:min(len(id), 8)] + "…" }
