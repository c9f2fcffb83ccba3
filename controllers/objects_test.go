// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers_test

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

func split(documents string) []string {
	var out []string
	for doc := range strings.SplitSeq("\n"+documents, "\n---\n") {
		if strings.TrimSpace(doc) != "" {
			out = append(out, doc)
		}
	}
	return out
}

// jwks is a key set with one public key.
const jwks = `{keys: [{kty: EC, crv: P-256, kid: k1, alg: ES256, use: sig,
        x: f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU, "y": x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0}]}`

// platform are the cluster-scoped objects that a policy needs.
func platform() string {
	return `
apiVersion: exchequer.dev/v1alpha1
kind: TokenService
metadata: {name: default}
spec:
  issuer: https://sts.example.com
  allowedNamespaces: {all: true}
---
apiVersion: exchequer.dev/v1alpha1
kind: TrustedIssuer
metadata: {name: corp}
spec:
  allowedNamespaces: {all: true}
  jwt:
    issuer: {url: https://login.corp.example, audiences: [https://sts.example.com]}
    keys: {inline: ` + jwks + `}
  identityPrefix: "corp:"
`
}

// clients are a client and a target of one namespace.
func clients(namespace string) string {
	return fmt.Sprintf(`
apiVersion: exchequer.dev/v1alpha1
kind: ExchangeClient
metadata: {namespace: %[1]s, name: frontend}
spec:
  authentication:
  - clientSecret: {sha256: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08}
---
apiVersion: exchequer.dev/v1alpha1
kind: ExchangeClient
metadata: {namespace: %[1]s, name: api}
spec: {}
`, namespace)
}

// grant is a policy of that name over them.
func grant(namespace, name string) string {
	return fmt.Sprintf(`
apiVersion: exchequer.dev/v1alpha1
kind: ExchangePolicy
metadata: {namespace: %s, name: %s}
spec:
  clients: [{name: frontend}]
  subject: {issuers: [{name: corp}], rules: [{expression: "'corp:staff' in subject.groups", message: staff only}]}
  target: {clients: [{name: api}]}
`, namespace, name)
}

// everything is all of it with one policy.
func everything(namespace string) string {
	return strings.Join([]string{platform(), clients(namespace), grant(namespace, "staff")}, "\n---\n")
}

func yamlInto(doc string, u *unstructured.Unstructured) error {
	return yaml.Unmarshal([]byte(doc), &u.Object)
}
