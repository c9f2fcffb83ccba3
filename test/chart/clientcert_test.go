// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package chart

import (
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
)

func TestAProxysHeaderIsReadFromDeclaredAddressesOnly(t *testing.T) {
	t.Parallel()
	args := func(values ...string) string {
		d := as[appsv1.Deployment](t, one(t, render(t, values...), "Deployment", "exchequer-exchanger"))
		return strings.Join(d.Spec.Template.Spec.Containers[0].Args, " ")
	}
	if got := args(); strings.Contains(got, "client-cert") || strings.Contains(got, "trusted-proxies") {
		t.Errorf("by default: %s", got)
	}
	got := args("--set", "clientCertificates.header=Client-Cert", "--set", "clientCertificates.trustedProxies={10.1.2.0/24,fd00::/8}")
	if !strings.Contains(got, "--client-cert-header=Client-Cert --trusted-proxies=10.1.2.0/24,fd00::/8") {
		t.Errorf("found %s", got)
	}
	for name, values := range map[string][]string{
		"F70: a header from whomever": {"--set", "clientCertificates.header=Client-Cert"},
		"proxies without a header":    {"--set", "clientCertificates.trustedProxies={10.1.2.0/24}"},
		"another header":              {"--set", "clientCertificates.header=X-Client", "--set", "clientCertificates.trustedProxies={10.1.2.0/24}"},
		"F70: every address there is": {"--set", "clientCertificates.header=Client-Cert", "--set", "clientCertificates.trustedProxies={0.0.0.0/0}"},
	} {
		if _, err := template(t, values...); err == nil {
			t.Errorf("%s is rendered", name)
		}
	}
}
