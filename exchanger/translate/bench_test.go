// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package translate_test

import (
	"fmt"
	"testing"

	"github.com/exchequer-dev/exchequer/api/v1alpha1"
	"github.com/exchequer-dev/exchequer/exchanger/translate"
)

func BenchmarkTranslate10000Policies(b *testing.B) {
	in := newInput()
	in.Objects.TokenServices = []v1alpha1.TokenService{{ObjectMeta: meta("", "default", nil), Spec: v1alpha1.TokenServiceSpec{
		Issuer: "https://sts.example.com", AllowedNamespaces: &v1alpha1.NamespaceSet{All: true},
	}}}
	for i := range 100 {
		issuer := v1alpha1.TrustedIssuer{ObjectMeta: meta("", fmt.Sprintf("issuer%03d", i), nil)}
		issuer.Spec.JWT = &v1alpha1.JWTIssuer{Issuer: v1alpha1.JWTIssuerEndpoint{URL: v1alpha1.URL(fmt.Sprintf("https://issuer%03d.example", i))}}
		in.Objects.TrustedIssuers = append(in.Objects.TrustedIssuers, issuer)
	}
	for i := range 10_000 {
		ns, name := fmt.Sprintf("ns%02d", i%100), fmt.Sprintf("c%04d", i/100)
		c := v1alpha1.ExchangeClient{ObjectMeta: meta(ns, name, map[string]string{"tier": "web"})}
		in.Objects.ExchangeClients = append(in.Objects.ExchangeClients, c)
		p := v1alpha1.ExchangePolicy{ObjectMeta: meta(ns, name, nil)}
		p.Spec.Clients = []v1alpha1.PolicyClient{{Name: "c0000"}, {Namespace: "ns00", Name: "c0001"}}
		p.Spec.Subject.Issuers = []v1alpha1.PolicyIssuer{{Name: fmt.Sprintf("issuer%03d", i%100)}}
		p.Spec.Subject.Rules = []v1alpha1.Rule{{Expression: "'staff' in subject.groups", Message: "staff only"}}
		p.Spec.Target.Clients = []v1alpha1.TargetClient{{Name: name}}
		in.Objects.ExchangePolicies = append(in.Objects.ExchangePolicies, p)
	}
	b.ReportAllocs()
	for b.Loop() {
		if r := translate.Translate(in); len(r.Spec.Policies) != 10_000 {
			b.Fatalf("%d policies", len(r.Spec.Policies))
		}
	}
}
