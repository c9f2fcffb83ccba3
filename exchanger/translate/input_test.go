// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package translate_test

import (
	"bytes"
	"errors"
	"os"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/yaml"

	"github.com/exchequer-dev/exchequer/api/v1alpha1"
	"github.com/exchequer-dev/exchequer/exchanger/expr"
	"github.com/exchequer-dev/exchequer/exchanger/jose"
	"github.com/exchequer-dev/exchequer/exchanger/translate"
)

// now is the time of every translation in tests.
var now = time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)

// newInput is an Input without objects, as `exchequer serve` would make it.
func newInput() translate.Input {
	c := expr.New()
	return translate.Input{
		Secrets:           map[types.NamespacedName]map[string][]byte{},
		ConfigMaps:        map[types.NamespacedName]map[string]string{},
		SecretsDenied:     map[string]string{},
		Namespaces:        map[string]map[string]string{},
		OperatorNamespace: "exchequer-system",
		Serve:             true,
		Now:               now,
		Compiler:          c,
		Check:             c.Check,
		CheckKeySet:       checkKeySet,
		CheckBundle:       jose.CheckBundle,
	}
}

func checkKeySet(text []byte) error {
	set, warnings, err := jose.ParseKeySet(text, jose.KeySetOptions{})
	if err != nil {
		return err
	}
	if len(set.KeyIDs()) == 0 {
		if len(warnings) > 0 {
			return errors.New(warnings[0].String())
		}
		return errors.New("no key is usable")
	}
	return nil
}

// corev1Object is a Secret, a ConfigMap or a Namespace, as far as it matters.
type corev1Object struct {
	metav1.TypeMeta `json:",inline"`
	Metadata        metav1.ObjectMeta `json:"metadata"`
	Data            map[string]string `json:"data"`
	StringData      map[string]string `json:"stringData"`
}

// settings is a document of kind Input: how the translation is called.
type settings struct {
	metav1.TypeMeta  `json:",inline"`
	Cluster          bool                           `json:"cluster"`
	SecretsDenied    map[string]string              `json:"secretsDenied"`
	ConfigMapsDenied map[string]string              `json:"configMapsDenied"`
	Keys             map[string]translate.KeyStatus `json:"keys"`
	LocalCluster     *localCluster                  `json:"localCluster"`
	Budget           translate.Budget               `json:"budget"`
	Undecodable      []translate.Undecodable        `json:"undecodable"`
}

type localCluster struct {
	Issuer string `json:"issuer"`
	JWKS   string `json:"jwks"`
}

// readInput reads a file of YAML documents, strictly.
func readInput(t testing.TB, file string) translate.Input {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return parseInput(t, text)
}

func parseInput(t testing.TB, text []byte) translate.Input {
	t.Helper()
	in := newInput()
	for doc := range bytes.SplitSeq(text, []byte("\n---\n")) {
		addDocument(t, &in, doc)
	}
	return in
}

func addDocument(t testing.TB, in *translate.Input, doc []byte) {
	t.Helper()
	var head metav1.TypeMeta
	if err := yaml.Unmarshal(doc, &head); err != nil {
		t.Fatalf("%v in\n%s", err, doc)
	}
	switch head.Kind {
	case "":
	case "TokenService":
		in.Objects.TokenServices = append(in.Objects.TokenServices, decode[v1alpha1.TokenService](t, doc))
	case "TrustedIssuer":
		in.Objects.TrustedIssuers = append(in.Objects.TrustedIssuers, decode[v1alpha1.TrustedIssuer](t, doc))
	case "ExchangeClient":
		in.Objects.ExchangeClients = append(in.Objects.ExchangeClients, decode[v1alpha1.ExchangeClient](t, doc))
	case "ClientScope":
		in.Objects.ClientScopes = append(in.Objects.ClientScopes, decode[v1alpha1.ClientScope](t, doc))
	case "ExchangePolicy":
		in.Objects.ExchangePolicies = append(in.Objects.ExchangePolicies, decode[v1alpha1.ExchangePolicy](t, doc))
	case "ImpersonationGrant":
		in.Objects.ImpersonationGrants = append(in.Objects.ImpersonationGrants, decode[v1alpha1.ImpersonationGrant](t, doc))
	case "ExternalTarget":
		in.Objects.ExternalTargets = append(in.Objects.ExternalTargets, decode[v1alpha1.ExternalTarget](t, doc))
	case "TokenRevocation":
		in.Objects.TokenRevocations = append(in.Objects.TokenRevocations, decode[v1alpha1.TokenRevocation](t, doc))
	case "Namespace", "Secret", "ConfigMap":
		addCore(in, decode[corev1Object](t, doc))
	case "Input":
		addSettings(in, decode[settings](t, doc))
	default:
		t.Fatalf("unknown kind %q", head.Kind)
	}
}

func addCore(in *translate.Input, o corev1Object) {
	name := types.NamespacedName{Namespace: o.Metadata.Namespace, Name: o.Metadata.Name}
	switch o.Kind {
	case "Namespace":
		in.Namespaces[o.Metadata.Name] = o.Metadata.Labels
	case "ConfigMap":
		in.ConfigMaps[name] = o.Data
	case "Secret":
		in.Secrets[name] = map[string][]byte{}
		for k, v := range o.StringData {
			in.Secrets[name][k] = []byte(v)
		}
	}
}

func addSettings(in *translate.Input, s settings) {
	in.Serve = !s.Cluster
	in.SecretsDenied, in.ConfigMapsDenied = s.SecretsDenied, s.ConfigMapsDenied
	in.Budget = s.Budget
	if s.LocalCluster != nil {
		in.LocalCluster = &translate.LocalCluster{Issuer: s.LocalCluster.Issuer, JWKS: []byte(s.LocalCluster.JWKS)}
	}
	in.Objects.Undecodable = s.Undecodable
	if s.Keys != nil {
		in.KeyStatus = func(issuer string) translate.KeyStatus { return s.Keys[issuer] }
	}
}

func decode[T any](t testing.TB, doc []byte) T {
	t.Helper()
	var v T
	if err := yaml.UnmarshalStrict(doc, &v); err != nil {
		t.Fatalf("%v in\n%s", err, doc)
	}
	return v
}
