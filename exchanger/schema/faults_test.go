// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestUnknownFieldsAreRefusedAndNeverDropped(t *testing.T) {
	t.Parallel()
	validator, good := newValidator(t), contract(t)
	cases := map[string]struct {
		object  string
		set     map[string]string
		problem Problem
	}{
		"F261: a narrowing field with a typing error": {
			object: "ExchangePolicy frontend-gets-images", set: map[string]string{"spec.subject.ruls": "[{expression: 'false'}]"},
			problem: Problem{"spec.subject.ruls", "unknown field; did you mean rules?"},
		},
		"F261: a field in other case": {
			object: "ExchangeClient frontend", set: map[string]string{"spec.clientId": "a"},
			problem: Problem{"spec.clientId", "unknown field; did you mean clientID?"},
		},
		"F261: a field in a list": {
			object: "ExchangePolicy frontend-gets-images", set: map[string]string{"spec.clients[0].nam": "a"},
			problem: Problem{"spec.clients[0].nam", "unknown field; did you mean name?"},
		},
		"F261: a field of nobody's": {
			object: "TokenService default", set: map[string]string{"spec.allowEverything": "true"},
			problem: Problem{"spec.allowEverything", "unknown field"},
		},
		"F261: a field beside the spec": {
			object: "TokenService default", set: map[string]string{"specs": "{}"},
			problem: Problem{"specs", "unknown field; did you mean spec?"},
		},
		"F261: a field of the metadata": {
			object: "TokenService default", set: map[string]string{"metadata.label": "{a: b}"},
			problem: Problem{"metadata.label", "unknown field"},
		},
		"F261: a field in what takes none": {
			object: "ExchangeClient browser", set: map[string]string{"spec.authentication[0].public": "{grant: all}"},
			problem: Problem{"spec.authentication[0].public.grant", "unknown field"},
		},
		"F74: a client secret in plain": {
			object: "ExchangeClient frontend", set: map[string]string{"spec.authentication[3].clientSecret.value": "correct-horse"},
			problem: Problem{"spec.authentication[3].clientSecret.value", "unknown field"},
		},
		"F74: a client secret as the whole method": {
			object: "ExchangeClient frontend", set: map[string]string{"spec.authentication[3].clientSecret": "correct-horse"},
			problem: Problem{"spec.authentication[3].clientSecret", "expected an object, found text"},
		},
		"another group's kind": {
			object: "TokenService default", set: map[string]string{"apiVersion": "v1"},
			problem: Problem{"apiVersion", `expected exchequer.dev/v1alpha1, found "v1"`},
		},
		"a kind with a typing error": {
			object: "TokenService default", set: map[string]string{"kind": "TokenServices"},
			problem: Problem{"kind", `expected a kind of exchequer.dev, found "TokenServices"; did you mean TokenService?`},
		},
		"no kind": {
			object: "TokenService default", set: map[string]string{"kind": "-"},
			problem: Problem{"kind", "expected a kind of exchequer.dev, found nothing"},
		},
		"no spec": {
			object: "TokenService default", set: map[string]string{"spec": "-"},
			problem: Problem{"spec", "is required"},
		},
		"no name": {
			object: "TokenService default", set: map[string]string{"metadata.name": "-"},
			problem: Problem{"metadata.name", "is required"},
		},
		"a name to be made by a server": {
			object: "TokenService default", set: map[string]string{"metadata": "{generateName: sts-}"},
			problem: Problem{"metadata.name", "is required"},
		},
		"a namespaced object without namespace": {
			object: "ExchangeClient frontend", set: map[string]string{"metadata.namespace": "-"},
			problem: Problem{"metadata.namespace", "is required"},
		},
		"a name in capitals": {
			object: "TokenService default", set: map[string]string{"metadata.name": "Default"},
			problem: Problem{"metadata.name", ""},
		},
		"metadata that is a list": {
			object: "TokenService default", set: map[string]string{"metadata": "[]"},
			problem: Problem{"metadata", ""},
		},
	}
	for name, test := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			admitted, problems := validator.Admit(changed(t, good[test.object], test.set), nil)
			if admitted != nil {
				t.Error("expected no object beside problems, found one")
			}
			found := false
			for _, problem := range problems {
				found = found || problem.Path == test.problem.Path && (test.problem.Message == "" || problem.Message == test.problem.Message)
				if strings.Contains(problem.String(), "correct-horse") {
					t.Errorf("a message repeats a secret: %s", problem)
				}
			}
			if !found {
				t.Errorf("expected %s, found %v", test.problem, problems)
			}
		})
	}
}

func TestSizesAreBounded(t *testing.T) {
	t.Parallel()
	validator, good := newValidator(t), contract(t)
	list := func(item string, count int) string {
		items := make([]string, count)
		for i := range items {
			items[i] = strings.ReplaceAll(item, "%d", strconv.Itoa(i))
		}
		return "[" + strings.Join(items, ", ") + "]"
	}
	cases := map[string]struct {
		object string
		set    map[string]string
		want   string
	}{
		"F262: as many clients as a policy may name": {
			object: "ExchangePolicy frontend-gets-images", set: map[string]string{"spec.clients": list("{name: c%d}", 64)},
		},
		"F262: one client more": {
			object: "ExchangePolicy frontend-gets-images", set: map[string]string{"spec.clients": list("{name: c%d}", 65)},
			want: "spec.clients: must have at most 64 items",
		},
		"F262: as many scopes as a policy may grant": {
			object: "ExchangePolicy frontend-gets-images", set: map[string]string{"spec.target.scopes": list("s%d", 64)},
		},
		"F262: one scope more": {
			object: "ExchangePolicy frontend-gets-images", set: map[string]string{"spec.target.scopes": list("s%d", 65)},
			want: "spec.target.scopes: must have at most 64 items",
		},
		"F262: as many delegations of as many names as a platform may make": {
			object: "TokenService default", set: map[string]string{
				"spec.names": list("{namespaces: {names: [ns%d]}, audiences: "+list("https://audience%d.example/*", 32)+"}", 256),
			},
		},
		"F262: as long an expression as may be": {
			object: "ClientScope images", set: map[string]string{"spec.rules": "[{expression: '" + strings.Repeat("a", 4096) + "'}]"},
		},
		"F262: a longer expression": {
			object: "ClientScope images", set: map[string]string{"spec.rules": "[{expression: '" + strings.Repeat("a", 4097) + "'}]"},
			want: "spec.rules[0].expression: may not be more than 4096 bytes",
		},
		"F262: as many claims as an example may give": {
			object: "ExchangePolicy frontend-gets-images", set: map[string]string{"spec.examples[0].given.claims": "{" + strings.Trim(list("c%d: 1", 64), "[]") + "}"},
		},
		"F262: one claim more": {
			object: "ExchangePolicy frontend-gets-images", set: map[string]string{"spec.examples[0].given.claims": "{" + strings.Trim(list("c%d: 1", 65), "[]") + "}"},
			want: "spec.examples[0].given.claims: must have at most 64 items",
		},
		"F262: annotations without end": {
			object: "TokenService default", set: map[string]string{"metadata.annotations": "{a: '" + strings.Repeat("a", 300<<10) + "'}"},
			want: "metadata.annotations: ",
		},
		"F262: an object that etcd would not take": {
			object: "TokenService default", set: map[string]string{"metadata.annotations": "{a: '" + strings.Repeat("a", 2<<20) + "'}"},
			want: "the object is larger than 1536 KiB, which no cluster could store",
		},
		"F262: an object without bottom": {
			object: "ExchangePolicy frontend-gets-images", set: map[string]string{"spec.examples[0].given.claims": strings.Repeat("{a: ", 100) + "1" + strings.Repeat("}", 100)},
			want: "the object nests deeper than 64 levels",
		},
	}
	for name, test := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, problems := validator.Admit(changed(t, good[test.object], test.set), nil)
			switch {
			case test.want == "" && len(problems) > 0:
				t.Errorf("expected none, found %v", problems)
			case test.want != "" && (len(problems) != 1 || !strings.HasPrefix(problems[0].String(), test.want)):
				t.Errorf("expected %s, found %v", test.want, problems)
			}
		})
	}
}

func TestAdmitTakesWhatDecodersGive(t *testing.T) {
	t.Parallel()
	validator, good := newValidator(t), contract(t)
	t.Run("an unquoted time, which some YAML decoders read as a time", func(t *testing.T) {
		t.Parallel()
		revocation := changed(t, good["TokenRevocation stolen-laptop"], nil)
		revocation["spec"].(map[string]any)["expiresAt"] = time.Date(2027, 3, 1, 0, 0, 0, 0, time.UTC)
		admitted, problems := validator.Admit(revocation, nil)
		if len(problems) > 0 || lookup(admitted, "spec.expiresAt") != "2027-03-01T00:00:00Z" {
			t.Errorf("found %v and %v", admitted, problems)
		}
	})
	t.Run("a member that is null is absent and gets its default", func(t *testing.T) {
		t.Parallel()
		admitted, problems := validator.Admit(changed(t, good["TrustedIssuer corp"], map[string]string{"spec.clockSkew": "null", "spec.network": "null"}), nil)
		if len(problems) > 0 || lookup(admitted, "spec.clockSkew") != "30s" {
			t.Errorf("found %v and %v", admitted, problems)
		}
	})
	t.Run("the namespace of a cluster-scoped object is dropped", func(t *testing.T) {
		t.Parallel()
		admitted, problems := validator.Admit(changed(t, good["TokenService default"], map[string]string{"metadata.namespace": "shop"}), nil)
		if len(problems) > 0 || lookup(admitted, "metadata.namespace") != nil {
			t.Errorf("found %v and %v", admitted, problems)
		}
	})
	t.Run("what is wrong with the former self is no matter", func(t *testing.T) {
		t.Parallel()
		old := changed(t, good["TokenService default"], map[string]string{"spec": "[]"})
		if _, problems := validator.Admit(good["TokenService default"], old); len(problems) > 0 {
			t.Errorf("found %v", problems)
		}
	})
	t.Run("the status that somebody wrote is not believed", func(t *testing.T) {
		t.Parallel()
		admitted, problems := validator.Admit(good["TokenService default"], nil)
		if len(problems) > 0 || admitted["status"] != nil {
			t.Errorf("F263: found %v and %v", admitted["status"], problems)
		}
	})
	t.Run("a scope may be written out where it was the name before", func(t *testing.T) {
		t.Parallel()
		old := changed(t, good["ClientScope images"], map[string]string{"spec.scope": "-"})
		if _, problems := validator.Admit(good["ClientScope images"], old); len(problems) > 0 {
			t.Errorf("found %v", problems)
		}
	})
	for name, value := range map[string]any{"a channel": make(chan int), "a map with other keys": map[any]any{1: 2}} {
		t.Run(name+" is no JSON and refused", func(t *testing.T) {
			t.Parallel()
			if _, problems := validator.Admit(map[string]any{"spec": value}, nil); len(problems) != 1 {
				t.Errorf("found %v", problems)
			}
		})
	}
	t.Run("nothing is no object", func(t *testing.T) {
		t.Parallel()
		if _, problems := validator.Admit(nil, nil); len(problems) != 1 {
			t.Errorf("found %v", problems)
		}
	})
}

func TestURLsThatPeopleHaveAreAdmitted(t *testing.T) {
	t.Parallel()
	validator, good := newValidator(t), contract(t)
	for _, url := range []string{
		"https://login.corp.example", "https://login.corp.example/", "https://login.corp.example:8443/realms/a~b/%20c",
		"https://keycloak", "https://kubernetes.default.svc.cluster.local", "https://10.0.0.1", "https://192.168.1.1:6443/x",
		"https://[2001:db8::1]:443/x", "https://login.corp.example/@me", "https://Login.Corp.example",
		"http://localhost:8080", "http://127.0.0.1:5556/dex", "http://[::1]:8080", "https://oidc.eks.eu-west-1.amazonaws.com/id/0123ABCD",
	} {
		t.Run(url, func(t *testing.T) {
			t.Parallel()
			issuer := changed(t, good["TrustedIssuer corp"], map[string]string{"spec.jwt.issuer.url": `"` + url + `"`})
			if _, problems := validator.Admit(issuer, nil); len(problems) > 0 {
				t.Error(problems)
			}
		})
	}
}

func TestPolicyTestsAreJudgedAsTheExamplesOfAPolicyAre(t *testing.T) {
	t.Parallel()
	validator := newValidator(t)
	const frame = "apiVersion: exchequer.dev/v1alpha1\nkind: PolicyTest\nmanifests: [.]\n"
	many := make([]string, 70)
	for i := range many {
		many[i] = "{name: e" + strconv.Itoa(i) + ", given: {client: a, issuer: b}, expect: {allowed: true}}"
	}
	broken := strings.Join(many[:69], ", ") + ", {name: e69, given: {clint: a, client: a, issuer: b}, expect: {allowed: true}}"
	cases := map[string]struct{ text, want string }{
		"a good one":                  {frame + "examples: [" + many[0] + "]", ""},
		"more than a policy may have": {frame + "examples: [" + strings.Join(many, ", ") + "]", ""},
		"F261: a typing error":        {frame + "examples: [" + broken + "]", "examples[69].given.clint: unknown field; did you mean client?"},
		"the same name twice":         {frame + "examples: [" + strings.Join(many, ", ") + ", " + many[0] + "]", "examples[70]: " + repeated},
		"no examples":                 {frame, "examples: expected a list of at least one example"},
		"F261: an unknown field":      {frame + "manifest: a\nexamples: [" + many[0] + "]", "manifest: unknown field; did you mean manifests?"},
		"no manifests":                {strings.Replace(frame, "[.]", "[]", 1) + "examples: [" + many[0] + "]", "manifests: expected a list of 1 to 256 files or directories"},
		"another kind":                {strings.Replace(frame, "PolicyTest", "Policy", 1) + "examples: [" + many[0] + "]", `kind: expected PolicyTest, found "Policy"`},
	}
	for name, test := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			admitted, problems := validator.AdmitPolicyTest(documents(t, []byte(test.text))[0])
			switch {
			case test.want == "" && len(problems) > 0:
				t.Error(problems)
			case test.want == "":
				first, _ := admitted["examples"].([]any)[0].(map[string]any)
				if lookup(first, "given.tokenType") != "AccessToken" {
					t.Errorf("expected the defaults of examples, found %v", first)
				}
			case len(problems) != 1 || problems[0].String() != test.want:
				t.Errorf("expected %s, found %v", test.want, problems)
			}
		})
	}
}
