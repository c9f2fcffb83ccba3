// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package expr

import (
	"strings"
	"testing"

	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

// mustCompile compiles a good expression.
func mustCompile(t testing.TB, env policy.Environment, want policy.ResultType, text string) policy.Program {
	t.Helper()
	p, err := New().Compile(env, want, text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return p
}

func TestExpressionsSeeTheFacts(t *testing.T) {
	t.Parallel()
	cases := map[string]string{
		"membership":                            `'corp:staff' in subject.groups`,
		"no membership":                         `!('corp:contractors' in subject.groups)`,
		"the names of the subject":              `subject.issuer == 'corp' && subject.origin == 'corp' && subject.subject == 'corp:alice' && subject.username == 'alice'`,
		"lists of the token":                    `subject.scopes == ['images', 'contacts'] && subject.audiences[0] == 'shop/frontend'`,
		"the token's own marks":                 `subject.clientID == 'shop/frontend' && subject.tokenType == 'AccessToken' && subject.tokenID == 't1'`,
		"extra facts":                           `subject.extra.department == 'toys' && subject.extra['tenants'].exists(x, x == 'b')`,
		"raw claims":                            `subject.claims.level == 3 && subject.claims.address.city == 'Ulm' && subject.claims.none == null`,
		"times":                                 `subject.expiresAt - subject.issuedAt == duration('1h') && request.time > subject.issuedAt`,
		"client and target":                     `client.id == 'shop/frontend' && client.labels.app == 'web' && target.namespace == 'media' && target.name == 'images'`,
		"the request":                           `request.audiences == ['media/images'] && request.resources.size() == 0 && request.requestedTokenType == 'access_token'`,
		"numbers of different types compare":    `subject.claims.level < 3.5 && subject.claims.score > 2 && subject.claims.level == 3u`,
		"ext strings":                           `subject.subject.split(':')[1].upperAscii() == 'ALICE' && ['a', 'b'].join('-') == 'a-b'`,
		"ext sets":                              `sets.contains(subject.groups, ['corp:dev', 'corp:staff']) && !sets.intersects(subject.groups, ['x'])`,
		"ext lists":                             `[3, 1, 2].sort() == [1, 2, 3] && subject.groups.sortBy(g, size(g))[0] == 'corp:dev' && [[1], [2]].flatten() == [1, 2]`,
		"two lists joined are one list":         `(subject.scopes + ['x'] + request.scopes)[3] == 'images'`,
		"macros over lists and maps":            `subject.groups.all(g, g.startsWith('corp:')) && client.labels.exists(k, k == 'app') && [1, 2].exists_one(x, x == 2) && [1, 2, 3].filter(x, x > 1).map(x, x * 2) == [4, 6]`,
		"a time zone by name":                   `request.time.getHours('Europe/Berlin') == 4`,
		"a time zone by offset":                 `request.time.getHours('+02:00') == 5 && request.time.getHours('-00:30') == 2 && request.time.getHours('UTC') == 3 && request.time.getDayOfWeek() == 5`,
		"fullMatch as a member and as function": `subject.subject.fullMatch('corp:[a-z]+') && fullMatch(subject.username, 'ali.*')`,
		"an object in a list":                   `[client, target].exists(c, c.namespace == 'media')`,
		"an object of unknown type":             `dyn(subject).username == 'alice' && has(dyn(client).id)`,
	}
	for name, text := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := mustCompile(t, policy.EnvPolicy, policy.WantBool, text).Eval(facts())
			if err != nil || got != true {
				t.Errorf("%s gives %v, %v; want true", text, got, err)
			}
		})
	}
}

func TestAFactThatIsNotKnownIsAbsent(t *testing.T) {
	t.Parallel()
	bare := &policy.Facts{Subject: &policy.Token{}, Client: &policy.Party{}, Target: &policy.Party{}, Request: &policy.RequestFacts{}}
	none := facts()
	none.Subject.Groups = []string{}
	cases := map[string]struct {
		facts *policy.Facts
		text  string
		want  any    // nil: an error
		err   string // that says this
	}{
		"an unknown username":              {bare, `has(subject.username)`, false, ""},
		"reading an unknown username":      {bare, `subject.username == ''`, nil, "column 8: subject.username is not known"},
		"unknown groups":                   {bare, `has(subject.groups)`, false, ""},
		"reading unknown groups":           {bare, `!('x' in subject.groups)`, nil, "subject.groups is not known"},
		"no groups":                        {none, `has(subject.groups) && subject.groups.size() == 0 && !('x' in subject.groups)`, true, ""},
		"an unknown token ID":              {bare, `has(subject.tokenID)`, false, ""},
		"reading an unknown token ID":      {bare, `subject.tokenID != 'x'`, nil, "subject.tokenID is not known"},
		"an unknown client ID":             {bare, `has(subject.clientID)`, false, ""},
		"reading an unknown client ID":     {bare, `subject.clientID != 'x'`, nil, "subject.clientID is not known"},
		"unknown times":                    {bare, `has(subject.issuedAt) || has(subject.expiresAt)`, false, ""},
		"reading an unknown time":          {bare, `subject.issuedAt < request.time`, nil, "subject.issuedAt is not known"},
		"no scopes are an empty list":      {bare, `subject.scopes == [] && subject.audiences == []`, true, ""},
		"a missing extra fact":             {facts(), `has(subject.extra.nope)`, false, ""},
		"a present extra fact":             {facts(), `has(subject.extra.department)`, true, ""},
		"a missing extra fact of none":     {bare, `has(subject.extra.nope)`, false, ""},
		"reading a missing extra fact":     {facts(), `subject.extra.nope == 'x'`, nil, "there is no such key: subject.extra.nope"},
		"reading a missing claim by index": {facts(), `subject.claims['nope'] == 'x'`, nil, "there is no such key: subject.claims['nope']"},
		"a missing claim of a claim":       {facts(), `has(subject.claims.address.zip)`, false, ""},
		"a claim of a missing claim":       {facts(), `has(subject.claims.nope.zip)`, nil, "there is no such key"},
		"a null claim is there":            {facts(), `has(subject.claims.none) && subject.claims.none == null`, true, ""},
		"there is no actor":                {facts(), `has(actor.subject)`, false, ""},
		"reading without an actor":         {facts(), `actor.subject == 'x'`, nil, "actor.subject is not known"},
		"no actor, negated":                {facts(), `!(actor.subject == 'x')`, nil, "actor.subject is not known"},
		"no actor, different":              {facts(), `actor.subject != 'x'`, nil, "actor.subject is not known"},
		"no actor as a value":              {facts(), `[actor].size() == 1`, nil, "is not known"},
		"no label":                         {facts(), `has(target.labels.app)`, false, ""},
		"reading a missing label":          {facts(), `target.labels['app'] == 'x'`, nil, "there is no such key"},
		"a reason that was not sent":       {facts(), `has(request.reason) && request.reason == ''`, true, ""},
		"no element":                       {facts(), `subject.claims.roles[7] == 'x'`, nil, "there is no element at this index"},
		"no facts at all":                  {nil, `request.reason == ''`, nil, "request.reason is not known"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := mustCompile(t, policy.EnvPolicy, policy.WantBool, c.text).Eval(c.facts)
			if got != c.want {
				t.Errorf("%s gives %v, want %v", c.text, got, c.want)
			}
			if (err != nil) != (c.want == nil) || err != nil && !strings.Contains(err.Error(), c.err) {
				t.Errorf("%s: error %v, want %q", c.text, err, c.err)
			}
		})
	}
}

func TestAnErrorIsNeverTrue(t *testing.T) {
	t.Parallel()
	errs := []string{
		`subject.claims.nope`, `1 / (subject.claims.level - 3) == 1`, `subject.claims.level.startsWith('x')`,
		`int(subject.claims.sub) == 1`, `actor.username == 'x'`, `subject.claims.roles[9] == 'x'`,
		`subject.claims.sub.fullMatch(subject.claims.sub + '(')`, `dyn(subject) == dyn(client)`,
	}
	forms := map[string]string{
		"F212: as it is":                 "%",
		"F212: negated":                  "!(%)",
		"F212: negated twice":            "!!(%)",
		"F212: with true":                "true && (%)",
		"F212: or false":                 "(%) || false",
		"F212: unequal to true":          "(%) != true",
		"F212: unequal to false":         "(%) != false",
		"F212: as a condition":           "(%) ? true : true",
		"F212: in a list":                "(%) in [true, false]",
		"F212: not in a list":            "!((%) in [])",
		"F212: in every round of a loop": "[1, 2].all(x, % || x > 5)",
		"F212: in some round of a loop":  "[1, 2].exists(x, %)",
		"F212: in a filter":              "[1].filter(x, %).size() == 0",
	}
	for name, form := range forms {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, e := range errs {
				text := strings.ReplaceAll(form, "%", e)
				// Where the text alone shows the mistake, it does not compile.
				p, err := New().Compile(policy.EnvPolicy, policy.WantBool, text)
				if err != nil {
					continue
				}
				got, err := p.Eval(facts())
				if err == nil {
					t.Errorf("%s gives %v, want an error", text, got)
				}
			}
		})
	}
	t.Run("F212: what does not depend on the error stands", func(t *testing.T) {
		t.Parallel()
		got, err := mustCompile(t, policy.EnvPolicy, policy.WantBool, `subject.claims.nope == 'x' || subject.username == 'alice'`).Eval(facts())
		if got != true || err != nil {
			t.Errorf("got %v, %v; want true: CEL's or takes the side that holds", got, err)
		}
	})
}

func TestAClaimOfAnotherTypeIsNeverTakenForAString(t *testing.T) {
	t.Parallel()
	values := map[string]any{
		"F138: a list":    []any{"toys"},
		"F138: an object": map[string]any{"toys": "toys"},
		"F138: a number":  int64(5),
		"F138: a decimal": 5.5,
		"F138: null":      nil,
		"F138: a boolean": true,
	}
	for name, v := range values {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := &policy.Facts{Claims: map[string]any{"dept": v}}
			for _, text := range []string{`claims.dept == 'toys'`, `claims.dept == '5'`, `claims.dept == '5.5'`, `claims.dept == 'true'`, `claims.dept == 'null'`, `claims.dept == '["toys"]'`, `claims.dept in ['toys', '5', 'true', 'null']`} {
				if got, err := mustCompile(t, policy.EnvClaims, policy.WantBool, text).Eval(f); got != false || err != nil {
					t.Errorf("%s gives %v, %v; want false", text, got, err)
				}
			}
			for _, text := range []string{`claims.dept.startsWith('')`, `claims.dept.fullMatch('.*')`, `claims.dept.matches('')`, `claims.dept + '' == 'x' || true == false`, `claims.dept < 'z'`, `claims.dept.contains('')`} {
				if got, err := mustCompile(t, policy.EnvClaims, policy.WantBool, text).Eval(f); err == nil {
					t.Errorf("%s gives %v; want an error", text, got)
				}
			}
		})
	}
}

func TestAnExpressionSeesOnlyWhatIsDeclared(t *testing.T) {
	t.Parallel()
	refused := map[string]struct {
		env  policy.Environment
		text string
	}{
		"F216: no clock":                           {policy.EnvPolicy, `now() > timestamp('2020-01-01T00:00:00Z')`},
		"F216: no clock by another name":           {policy.EnvPolicy, `time.now() == 1`},
		"F216: no environment":                     {policy.EnvPolicy, `env('HOME') == ''`},
		"F216: no environment as a variable":       {policy.EnvPolicy, `env.HOME == ''`},
		"F216: no files":                           {policy.EnvPolicy, `readFile('/etc/passwd') == ''`},
		"F216: no network":                         {policy.EnvPolicy, `http.get('http://169.254.169.254') == ''`},
		"F216: no raw subject":                     {policy.EnvPolicy, `subject.rawSubject == ''`},
		"F216: no digest of the token":             {policy.EnvPolicy, `subject.digest == b''`},
		"F216: no secret of a client":              {policy.EnvPolicy, `client.secretDigests == []`},
		"F216: no claims in a policy":              {policy.EnvPolicy, `claims.sub == 'x'`},
		"F216: no header in a policy":              {policy.EnvPolicy, `header.typ == 'x'`},
		"F216: no parameter in a policy":           {policy.EnvPolicy, `parameter == 'x'`},
		"F216: no subject for an issuer's rules":   {policy.EnvClaims, `subject.subject == 'x'`},
		"F216: no request for an issuer's rules":   {policy.EnvClaims, `request.reason == 'x'`},
		"F216: no client for a user's rules":       {policy.EnvUser, `client.id == 'x'`},
		"F216: no claims for a user's rules":       {policy.EnvUser, `claims.sub == 'x'`},
		"F216: no way to build a token":            {policy.EnvPolicy, `Token{username: 'x'}.username == 'x'`},
		"F216: no message of protocol buffers":     {policy.EnvPolicy, `google.protobuf.Struct{}.size() == 0`},
		"F216: no internal function":               {policy.EnvPolicy, `@range([1], 2) == [1]`},
		"F216: no meter":                           {policy.EnvPolicy, `@meter == 1`},
		"F216: a time zone is not a fact's word":   {policy.EnvPolicy, `request.time.getHours(subject.username) == 1`},
		"F216: the machine's time zone":            {policy.EnvPolicy, `request.time.getHours('Local') == 1`},
		"F216: a time zone as a path":              {policy.EnvPolicy, `request.time.getHours('../../etc/passwd') == 1`},
		"F216: an environment that does not exist": {policy.Environment(99), `true`},
	}
	for name, c := range refused {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := New().Compile(c.env, policy.WantBool, c.text); err == nil {
				t.Errorf("%s compiles", c.text)
			}
		})
	}
	t.Run("F216: the time is the request's", func(t *testing.T) {
		t.Parallel()
		p := mustCompile(t, policy.EnvPolicy, policy.WantAny, `string(request.time)`)
		if got, err := p.Eval(facts()); got != "2026-01-02T03:05:00Z" || err != nil {
			t.Errorf("got %v, %v", got, err)
		}
	})
	t.Run("F216: each environment has its own", func(t *testing.T) {
		t.Parallel()
		f := facts()
		f.Claims, f.Header, f.Parameter = map[string]any{"a": "x"}, map[string]any{"typ": "JWT"}, "acme"
		for text, env := range map[string]policy.Environment{
			`claims.a == 'x' && header.typ == 'JWT'`:                                   policy.EnvClaims,
			`subject.username == 'alice'`:                                              policy.EnvUser,
			`parameter == 'acme' && subject.username == 'alice' && client.name != 'x'`: policy.EnvScope,
			`request.reason == '' && target.name == 'images' && !has(actor.username)`:  policy.EnvPolicy,
			`request.reason == '' && target.name == 'images' && parameter.size() == 4`: policy.EnvScope,
		} {
			if got, err := mustCompile(t, env, policy.WantBool, text).Eval(f); got != true || err != nil {
				t.Errorf("%s gives %v, %v", text, got, err)
			}
		}
	})
}
