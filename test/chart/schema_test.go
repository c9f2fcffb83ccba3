// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package chart

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

func TestF366SchemaRefusesUnknownKeys(t *testing.T) {
	t.Parallel()
	for name, set := range map[string]string{
		"at the top":                       "surprise=1",
		"a typo of a switch":               "networkPolicy.enable=false",
		"in the image":                     "image.name=x",
		"in the controller":                "controller.replicaCount=2",
		"in the exchanger":                 "exchanger.replica=2",
		"in an autoscaler":                 "exchanger.autoscaling.max=2",
		"in resources":                     "exchanger.resources.limit.memory=1Gi",
		"in a toleration":                  "exchanger.tolerations[0].keys=x",
		"in a peer of the network policy":  "networkPolicy.clients.from[0].nameSpaceSelector.matchLabels.a=b",
		"in an egress rule":                "networkPolicy.extraEgress[0].port=443",
		"in a guardrail":                   "admission.guardrails.forbidGrant=true",
		"in the issuer of the certificate": "tls.certManager.issuerRef.names=x",
		"in a persona":                     "rbac.personas.aggregateToEdit=true",
		"in a monitor":                     "monitoring.podMonitor.label.a=b",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out, err := template(t, "--set", set)
			if err == nil || !strings.Contains(out, "not allowed") {
				t.Errorf("--set %s: expected a refusal of the unknown key, found %v:\n%.400s", set, err, out)
			}
		})
	}
}

func TestF366ValuesThatCannotBeMeantAreRefused(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ set, want string }{
		"three controllers":                         {"controller.replicas=3", "/controller/replicas"},
		"no exchanger":                              {"exchanger.replicas=0", "/exchanger/replicas"},
		"a duration without unit":                   {"exchanger.maxSnapshotAge=24", "/exchanger/maxSnapshotAge"},
		"a digest that is none":                     {"image.digest=latest", "/image/digest"},
		"a namespace that cannot be one":            {"rbac.secretReader.namespaces={a/b}", "/rbac/secretReader/namespaces/0"},
		"Secrets of every namespace":                {"rbac.secretReader.namespaces={*}", "/rbac/secretReader/namespaces/0"},
		"a mode of TLS that is none":                {"tls.mode=Off", "/tls/mode"},
		"a CIDR without length":                     {"networkPolicy.apiServer.cidrs={10.0.0.1}", "/networkPolicy/apiServer/cidrs/0"},
		"a claim name that would end a string":      {`admission.guardrails.forbiddenClaims={x'y}`, "/admission/guardrails/forbiddenClaims/0"},
		"F297: the memory of several replicas":      {"exchanger.store=memory", "memory of one process"},
		"F297: the memory of replicas that scale":   {"exchanger.store=memory,exchanger.replicas=1,exchanger.autoscaling.enabled=true", "memory of one process"},
		"F296: a store that is spoken to in plain":  {"exchanger.store=redis,redis.address=redis://redis.example:6379", "/redis/address"},
		"a store that is nowhere":                   {"exchanger.store=redis", "needs redis.address"},
		"a store that nothing uses":                 {"redis.address=rediss://redis.example:6379", "nothing would use it"},
		"certificates of a Secret without name":     {"exchanger.store=redis,redis.address=rediss://redis.example:6379,redis.ca=true", "redis.secretName"},
		"a checkpoint larger than the memory":       {"exchanger.checkpoint.sizeLimit=512Mi", "counts towards the limit"},
		"cert-manager without an issuer":            {"tls.mode=CertManager", "tls.certManager.issuerRef.name"},
		"an autoscaler without room":                {"exchanger.autoscaling.enabled=true,exchanger.autoscaling.minReplicas=20", "minReplicas is more than maxReplicas"},
		"an age that the API server's pace forbids": {"exchanger.maxSnapshotAge=1m59s", "at least 2m"},
		"a drain without end":                       {"exchanger.drainDelay=1h", "at most 2m"},
		"both monitors":                             {"monitoring.podMonitor.enabled=true,monitoring.serviceMonitor.enabled=true", "twice"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out, err := template(t, "--set", tc.set)
			if err == nil || !strings.Contains(out, tc.want) {
				t.Errorf("--set %s: expected a refusal that says %q, found %v:\n%.600s", tc.set, tc.want, err, out)
			}
		})
	}
}

// open are definitions that pass through what the API server checks.
func open() map[string]bool {
	return map[string]bool{"kubernetes": true, "nodeAffinity": true, "podAffinity": true, "podAntiAffinity": true, "global": true}
}

func TestF366EveryObjectOfTheSchemaIsClosed(t *testing.T) {
	t.Parallel()
	schema := readSchema(t)
	var walk func(at, name string, node any)
	walk = func(at, name string, node any) {
		switch n := node.(type) {
		case []any:
			for i, item := range n {
				walk(fmt.Sprintf("%s[%d]", at, i), "", item)
			}
		case map[string]any:
			if n["type"] == "object" && !open()[name] {
				additional, closed := n["additionalProperties"]
				if !closed || additional == true {
					t.Errorf("%s takes any key: say additionalProperties", at)
				}
			}
			for key, value := range n {
				walk(at+"/"+key, key, value)
			}
		}
	}
	walk("", "", schema)
}

func readSchema(t testing.TB) map[string]any {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(chartDir, "values.schema.json"))
	if err != nil {
		t.Fatal(err)
	}
	var schema map[string]any
	if err := json.Unmarshal(text, &schema); err != nil {
		t.Fatal(err)
	}
	return schema
}

func readValues(t testing.TB) map[string]any {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(chartDir, "values.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var values map[string]any
	if err := yaml.UnmarshalStrict(text, &values); err != nil {
		t.Fatal(err)
	}
	return values
}

func TestValuesHoldEveryKeyThatTheSchemaKnows(t *testing.T) {
	t.Parallel()
	schema := readSchema(t)
	definitions, _ := schema["definitions"].(map[string]any)
	// Shapes of Kubernetes' own, which people know or look up there.
	shapes := map[string]bool{"resources": true, "affinity": true, "peer": true}
	var walk func(at string, node, value map[string]any)
	walk = func(at string, node, value map[string]any) {
		properties, _ := node["properties"].(map[string]any)
		for key, child := range properties {
			if key == "global" {
				continue
			}
			path := strings.TrimPrefix(at+"."+key, ".")
			inner, known := value[key]
			if !known {
				t.Errorf("values.yaml does not show %s, which the schema allows", path)
				continue
			}
			c, _ := child.(map[string]any)
			if name, ok := strings.CutPrefix(fmt.Sprint(c["$ref"]), "#/definitions/"); ok {
				if shapes[name] {
					continue
				}
				c, _ = definitions[name].(map[string]any)
			}
			if m, ok := inner.(map[string]any); ok {
				walk(path, c, m)
			}
		}
	}
	walk("", schema, readValues(t))
}

func TestThePageOfValuesNamesThemAll(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/install.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, found := strings.Cut(string(text), "\n## Values\n")
	if !found {
		t.Fatal("docs/install.md has no section Values")
	}
	for group, inner := range readValues(t) {
		keys, _ := inner.(map[string]any)
		for key := range keys {
			if !strings.Contains(table, "`"+group+"`") && !strings.Contains(table, group+"."+key) && !strings.Contains(table, key) {
				t.Errorf("docs/install.md does not name the value %s.%s", group, key)
			}
		}
		if !strings.Contains(table, group) {
			t.Errorf("docs/install.md does not name the value %s", group)
		}
	}
}
