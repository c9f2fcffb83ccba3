// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package process_test

import (
	"bufio"
	"encoding/json"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// recordKeys are the keys of an audit record, in their order.
const recordKeys = "time correlationID outcome reason tokenService client subject actor impersonator targets grant audience scopeAsked scopeGranted " +
	"tokenType revision kid jti txn tokensIn durationMicros"

// chainKeys end every line.
const chainKeys = " chain seq prev"

// keysOf lists the members of a JSON object in the order of the text.
func keysOf(t *testing.T, object string) []string {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(object))
	if _, err := d.Token(); err != nil {
		t.Fatal(err)
	}
	var keys []string
	for d.More() {
		key, err := d.Token()
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, key.(string))
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			t.Fatal(err)
		}
	}
	return keys
}

func TestTheAuditRecordOfAnExchange(t *testing.T) {
	t.Parallel()
	s := newWorld(t).serve()
	token := s.user()
	r := s.ask(token).app().images().send()
	d := s.verify(r.allowed())
	b, err := os.ReadFile(s.audit)
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(keysOf(t, string(b)), " "); got != recordKeys+chainKeys {
		t.Errorf("keys\n%s\nwant\n%s", got, recordKeys+chainKeys)
	}
	var rec struct {
		CorrelationID, Outcome, Reason, TokenService, Client, Grant, TokenType, Kid, Jti, Txn string
		Subject                                                                               struct{ Issuer, Sub string }
		Targets                                                                               []struct{ Target, Policy string }
		Audience, ScopeAsked, ScopeGranted, TokensIn                                          []string
		Revision                                                                              int
	}
	if err := json.Unmarshal(b, &rec); err != nil {
		t.Fatal(err)
	}
	for what, pair := range map[string][2]string{
		"correlationID": {rec.CorrelationID, r.header.Get("X-Correlation-Id")},
		"outcome":       {rec.Outcome, "allowed"}, "reason": {rec.Reason, ""},
		"tokenService": {rec.TokenService, "default"}, "client": {rec.Client, "shop/app"}, "grant": {rec.Grant, grantExchange},
		"subject": {rec.Subject.Issuer + " " + rec.Subject.Sub, "corp corp:alice"}, "tokenType": {rec.TokenType, "AccessToken"},
		"jti": {rec.Jti, d.text("jti")}, "txn": {rec.Txn, d.text("txn")},
		"audience": {strings.Join(rec.Audience, " "), imagesAPI}, "scopeAsked": {strings.Join(rec.ScopeAsked, " "), "images"},
		"scopeGranted": {strings.Join(rec.ScopeGranted, " "), "images"}, "tokensIn": {strings.Join(rec.TokensIn, " "), digest(token)},
	} {
		if pair[0] != pair[1] {
			t.Errorf("F358: %s is %q, want %q", what, pair[0], pair[1])
		}
	}
	if kid, _ := d.header["kid"].(string); rec.Kid != kid || kid == "" {
		t.Errorf("F358: kid is %q, the token's is %v", rec.Kid, d.header["kid"])
	}
	if len(rec.Targets) != 1 || rec.Targets[0].Target != imagesAPI || rec.Targets[0].Policy != "media/images" || rec.Revision < 1 {
		t.Errorf("F358: targets %v, revision %d", rec.Targets, rec.Revision)
	}
	t.Run("of a refusal: the same keys, then what was the matter", func(t *testing.T) {
		s := s.in(t)
		s.ask(s.user(claims{"groups": []string{}})).app().images().send().refused(http.StatusBadRequest, "invalid_request", "SubjectRule")
		b, err := os.ReadFile(s.audit)
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSpace(string(b)), "\n")
		if got := strings.Join(keysOf(t, lines[len(lines)-1]), " "); got != recordKeys+" check detail trace"+chainKeys {
			t.Errorf("keys %s", got)
		}
	})
}

// mixture asks in every way, once each, and returns how many requests it made.
func mixture(s *server) (n int) {
	for _, table := range []map[string]refusal{formRefusals(), tokenRefusals(), targetRefusals()} {
		for _, tc := range table {
			tc.ask(s).send()
			n++
		}
	}
	images(s).send()
	s.ask(s.user()).basic("shop/app", "wrong-wrong-wrong-wrong-wrong-wrong-wrong").images().send()
	for _, method := range []string{http.MethodGet, http.MethodPut, http.MethodHead} {
		if _, err := s.do(method, "", "/token", "", nil); err != nil {
			s.t.Error(err)
		}
	}
	if _, err := s.do(http.MethodPost, "", "/token", "", http.Header{"Content-Type": {"application/json"}}); err != nil {
		s.t.Error(err)
	}
	if _, err := s.do(http.MethodPost, "", "/token", strings.Repeat("x", 65<<10), images(s).header); err != nil {
		s.t.Error(err)
	}
	return n + 7
}

func TestF350EveryRequestHasOneRecord(t *testing.T) {
	t.Parallel()
	s := newWorld(t).serve()
	var all sync.WaitGroup
	var mu sync.Mutex
	asked := 0
	for range 4 {
		all.Go(func() {
			n := mixture(s)
			mu.Lock()
			defer mu.Unlock()
			asked += n
		})
	}
	all.Wait()
	records := s.records()
	if len(records) != asked {
		t.Errorf("%d requests, %d records", asked, len(records))
	}
	seen := map[any]bool{}
	counts := map[any]int{}
	for _, r := range records {
		if id := r["correlationID"]; id == "" || seen[id] {
			t.Errorf("correlation ID %q is empty or stands twice", id)
		} else {
			seen[id] = true
		}
		counts[r["outcome"]]++
	}
	if counts["allowed"] < 4 || counts["allowed"]+counts["denied"]+counts["unable"] != len(records) {
		t.Errorf("outcomes %v", counts)
	}
	t.Run("and is counted once", func(t *testing.T) {
		s := s.in(t)
		total := 0
		for line := range strings.Lines(s.get("/metrics").body) {
			if strings.HasPrefix(line, "exchequer_exchange_requests_total{") {
				total += count(t, line)
			}
		}
		if total != asked {
			t.Errorf("%d requests, the counters say %d", asked, total)
		}
	})
}

func count(t *testing.T, line string) int {
	t.Helper()
	var n int
	if err := json.Unmarshal([]byte(strings.TrimSpace(line[strings.LastIndexByte(line, ' '):])), &n); err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	return n
}

func TestTheMetricsHaveTheirNames(t *testing.T) {
	t.Parallel()
	s := newWorld(t).serve()
	images(s).send().allowed()
	images(s).with("audience", contactsAPI).send()
	s.ask(s.user(claims{"groups": []string{}})).app().images().send()
	body := s.get("/metrics").body
	for _, want := range []string{
		`exchequer_exchange_requests_total{outcome="allowed",reason="",token_service="default"} 1`,
		`exchequer_exchange_requests_total{outcome="denied",reason="SubjectRule",token_service="default"} 1`,
		`exchequer_exchange_duration_seconds_bucket{outcome="allowed",le="+Inf"} 1`,
		`exchequer_policy_decisions_total{namespace="media",outcome="allowed",policy="images"} 1`,
		`exchequer_policy_decisions_total{namespace="media",outcome="denied",policy="images"} 1`,
		`exchequer_client_requests_total{client="shop/app",outcome="allowed",reason=""} 1`,
		`exchequer_client_requests_total{client="shop/app",outcome="denied",reason="SubjectRule"} 1`,
		"\nexchequer_snapshot_revision 1\n",
		"\nexchequer_snapshot_age_seconds ",
		"\nexchequer_snapshot_compile_seconds ",
		`exchequer_issuer_keys_age_seconds{trusted_issuer="corp"} `,
		`exchequer_issuer_fetch_total{result="`,
		`exchequer_signing_key_info{`,
	} {
		if !strings.Contains(body, want) {
			t.Errorf("the metrics lack %q", want)
		}
	}
	t.Run("F356: labels are never a caller's choice", func(t *testing.T) {
		s := s.in(t)
		before := seriesOf(s)
		for range 20 {
			s.ask(s.user()).basic("shop/"+strings.ToLower(random()), appSecret).images().send()
			images(s).with("audience", "media/"+strings.ToLower(random())).send()
			images(s).with("scope", strings.ToLower(random())).send()
			s.ask(s.user(claims{"iss": "https://" + strings.ToLower(random()) + ".example"})).app().images().send()
			s.ask(s.user(claims{"sub": random()})).app().images().send()
		}
		// One series for each closed reason that had not been seen, at most.
		if after := seriesOf(s); after > before+40 {
			t.Errorf("%d series became %d", before, after)
		}
	})
}

func seriesOf(s *server) int {
	n := 0
	for line := range strings.Lines(s.get("/metrics").body) {
		if strings.HasPrefix(line, "exchequer_") {
			n++
		}
	}
	return n
}

func TestF355NoTokenSecretOrStrangersClaimIsWrittenAnywhere(t *testing.T) {
	t.Parallel()
	s := newWorld(t).serve()
	canary := func(name string) string { return "canary-" + name + "-" + random() }
	var hidden []string
	hide := func(v string) string {
		hidden = append(hidden, v)
		return v
	}
	token := func(t string) string { // no part of a token may be found, nor its payload decoded
		parts := strings.Split(t, ".")
		hidden = append(hidden, parts[1], parts[2])
		return t
	}
	var answers strings.Builder
	tell := func(a *asking) {
		r := a.images().send()
		answers.WriteString(r.body)
		_ = r.header.Write(&answers)
	}
	extra := claims{"email": hide(canary("email")), "secret_claim": hide(canary("claim"))}
	tell(s.ask(token(s.user(extra))).app())
	tell(s.ask(token(s.user(extra, claims{"groups": []string{}}))).app())
	tell(s.ask(token(s.user(extra, claims{"exp": 1}))).app())
	// Tokens that nobody has vouched for: their every claim is a stranger's.
	strange := claims{"sub": hide(canary("sub")), "jti": hide(canary("jti")), "groups": []string{hide(canary("group"))}, "scope": hide(canary("scope"))}
	tell(s.ask(token(lastChange(s.user(strange)))).app())
	tell(s.ask(token(s.user(strange, claims{"iss": "https://" + hide(strings.ToLower(canary("iss"))) + ".example"}))).app())
	tell(s.ask(token(s.sign(s.corp.Key(), map[string]any{"kid": hide(canary("kid"))}, strange))).app())
	tell(s.ask(hide(canary("subject"))).app())
	// Credentials, right and wrong.
	hide(appSecret)
	hide(imagesSecret)
	tell(s.ask(s.user()).basic("shop/app", hide(canary("secret"))))
	tell(s.ask(s.user()).basic(hide(canary("client")), hide(canary("secret"))))
	tell(s.ask(s.user()).post("shop/app", hide(canary("secret"))))
	tell(s.ask(s.user()).head("Authorization", "Bearer "+hide(canary("bearer"))))
	tell(s.ask(s.forSigner()).assertion(token(s.assertion())))
	tell(s.ask(s.forSigner()).assertion(token(s.assertion(claims{"iss": hide(canary("iss")), "sub": hide(canary("sub"))}))))
	tell(s.ask(s.forSigner()).assertion(token(lastChange(s.assertion(claims{"jti": hide(canary("jti"))})))))
	tell(s.ask(s.forWorker()).assertion(token(s.account("shop", hide(strings.ToLower(canary("account")))))))
	tell(s.ask(s.user()).app().with("actor_token", hide(canary("actor"))).with("actor_token_type", typeAccess))
	tell(s.ask(s.user()).app().with("password", hide(canary("password"))))
	tell(s.ask(s.user()).app().head("DPoP", hide(canary("dpop"))))
	tell(s.ask(s.user()).app().head("Traceparent", hide(canary("trace"))).head("X-Request-Id", hide(canary("request"))))
	tell(s.ask(s.user()).app().with(hide(canary("parameter")), hide(canary("value"))))
	audit, err := os.ReadFile(s.audit)
	if err != nil {
		t.Fatal(err)
	}
	for place, text := range map[string]string{
		"the audit records": string(audit), "standard output": s.out.String(), "standard error": s.errs.String(),
		"the metrics": s.get("/metrics").body, "an answer": answers.String(),
	} {
		for _, secret := range hidden {
			if strings.Contains(strings.ToLower(text), strings.ToLower(secret)) {
				t.Errorf("%s has %q:\n%s", place, secret, around(text, secret))
			}
		}
	}
	if len(audit) == 0 || !strings.Contains(answers.String(), "access_token") {
		t.Error("the test saw nothing")
	}
}

func around(text, what string) string {
	i := strings.Index(strings.ToLower(text), strings.ToLower(what))
	return text[max(0, i-200):min(len(text), i+len(what)+200)]
}

func TestF354OneRecordIsOneLineWhateverIsInIt(t *testing.T) {
	t.Parallel()
	s := newWorld(t).serve()
	nasty := "a\nb\r{\"outcome\":\"allowed\"}\x1b[2J\u2028\u202e\""
	s.ask(s.user(claims{"sub": nasty})).app().images().send()
	images(s).with("audience", "media/images-resource\u2028\u202e\"}").send()
	f, err := os.Open(s.audit)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	control := regexp.MustCompile("[\x00-\x1f\x7f\u2028\u202e]")
	lines := bufio.NewScanner(f)
	n := 0
	for lines.Scan() {
		n++
		if control.MatchString(lines.Text()) {
			t.Errorf("line %d has a control character: %q", n, lines.Text())
		}
	}
	if n != 2 {
		t.Errorf("%d lines for 2 requests", n)
	}
}

func TestAuditRecordsGoToStandardOutputUnlessAFileIsNamed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.serve("--audit", "")
	r := images(s).send()
	r.allowed()
	eventually(t, "the record is on standard output", func() bool {
		return strings.Contains(s.out.String(), `"correlationID":"`+r.header.Get("X-Correlation-Id")+`"`)
	})
	if lines := slices.Collect(strings.Lines(s.out.String())); len(lines) != 1 {
		t.Errorf("standard output has %d lines, want the record alone", len(lines))
	}
}

func TestAnAuditFileThatWasMovedAwayIsOpenedAnewAtSIGHUP(t *testing.T) {
	t.Parallel()
	s := newWorld(t).serve()
	s.ask(s.user()).app().images().send().allowed()
	if err := os.Rename(s.audit, s.audit+".1"); err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the file is there again", func() bool {
		_, err := os.Stat(s.audit)
		return err == nil
	})
	s.ask(s.user()).app().images().send().allowed()
	for _, file := range []string{s.audit + ".1", s.audit} {
		b, err := os.ReadFile(file)
		if err != nil || strings.Count(string(b), "\n") != 1 {
			t.Errorf("%s: %d records, %v; want one", file, strings.Count(string(b), "\n"), err)
		}
	}
}
