// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package chart

import (
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
)

// What is judged here is what the policies say. Whether it is enforced depends on
// the cluster's network, which a rendering cannot tell.
func networkPolicies(t testing.TB, args ...string) map[string]networkingv1.NetworkPolicySpec {
	t.Helper()
	out := map[string]networkingv1.NetworkPolicySpec{}
	for _, o := range only(render(t, args...), "NetworkPolicy") {
		p := as[networkingv1.NetworkPolicy](t, o)
		if !slices.Equal(p.Spec.PolicyTypes, []networkingv1.PolicyType{"Ingress", "Egress"}) || len(p.Spec.PodSelector.MatchLabels) == 0 {
			t.Errorf("%s is not about all the traffic of our Pods", o)
		}
		out[o.GetName()] = p.Spec
	}
	return out
}

// who says from where a port can be reached.
func who(spec networkingv1.NetworkPolicySpec, port string) string {
	var out []string
	for _, rule := range spec.Ingress {
		for _, p := range rule.Ports {
			if p.Port.String() != port {
				continue
			}
			if len(rule.From) == 0 {
				out = append(out, "anybody")
			}
			for _, peer := range rule.From {
				switch {
				case peer.IPBlock != nil:
					out = append(out, peer.IPBlock.CIDR)
				case len(peer.NamespaceSelector.MatchExpressions) == 0:
					out = append(out, "every namespace")
				default:
					out = append(out, peer.NamespaceSelector.MatchExpressions[0].Values...)
				}
			}
		}
	}
	return strings.Join(out, ", ")
}

func TestF281OnlyAllowedNamespacesAndScrapersComeIn(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		set                string
		token, public, ops string
	}{
		"as it comes":                   {"", "every namespace", "every namespace", "monitoring"},
		"clients by name":               {"networkPolicy.clients.namespaces={shop,media}", "shop, media", "every namespace", "monitoring"},
		"clients of a range, as well":   {"networkPolicy.clients.namespaces={shop},networkPolicy.clients.from[0].ipBlock.cidr=10.0.0.0/8", "shop, 10.0.0.0/8", "every namespace", "monitoring"},
		"nobody at all":                 {"networkPolicy.clients.namespaces=null,networkPolicy.public.namespaces=null,networkPolicy.metrics.namespaces=null", "", "", ""},
		"scrapers of another namespace": {"networkPolicy.metrics.namespaces={observability}", "every namespace", "every namespace", "observability"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			all := networkPolicies(t, "--set", tc.set)
			exchanger, controller := all["exchequer-exchanger"], all["exchequer-controller"]
			if got := who(exchanger, "token"); got != tc.token {
				t.Errorf("the token endpoint is open to %q, expected %q", got, tc.token)
			}
			if got := who(exchanger, "public"); got != tc.public {
				t.Errorf("keys and metadata are open to %q, expected %q", got, tc.public)
			}
			if got := who(exchanger, "ops"); got != tc.ops {
				t.Errorf("the exchanger's ops port is open to %q, expected %q", got, tc.ops)
			}
			if got := who(controller, "ops"); got != tc.ops {
				t.Errorf("the controller's ops port is open to %q, expected %q", got, tc.ops)
			}
			if len(controller.Ingress) > 1 {
				t.Errorf("the controller is asked by more than scrapers: %+v", controller.Ingress)
			}
		})
	}
}

func TestF281EgressIsNamesTheAPIServerAndIssuers(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		args []string
		want string
	}{
		{profile("ha"), "[TCP/443 TCP/53 TCP/6443 UDP/53]"},
		{[]string{"--set", "egress.proxy=https://proxy.example:3128"}, "[TCP/3128 TCP/443 TCP/53 TCP/6443 UDP/53]"},
		{[]string{"--set", "networkPolicy.issuers.ports={443,8443}"}, "[TCP/443 TCP/53 TCP/6443 TCP/8443 UDP/53]"},
	} {
		for name, spec := range networkPolicies(t, tc.args...) {
			var ports []string
			for _, rule := range spec.Egress {
				if len(rule.To) == 0 || len(rule.Ports) == 0 {
					t.Errorf("%s lets out anything: %+v", name, rule)
				}
				for _, p := range rule.Ports {
					ports = append(ports, fmt.Sprintf("%s/%s", *p.Protocol, p.Port.String()))
				}
			}
			slices.Sort(ports)
			if got := fmt.Sprint(slices.Compact(ports)); got != tc.want {
				t.Errorf("%v: %s lets out %s, expected %s", tc.args, name, got, tc.want)
			}
		}
	}
}

func TestF282MetadataAddressesAreInNoRule(t *testing.T) {
	t.Parallel()
	metadata := []string{"169.254.169.254", "169.254.170.2", "fd00:ec2::254", "fd20:ce::254", "fe80::a9fe:a9fe"}
	for name, args := range map[string][]string{
		"default": profile("default"), "ha": profile("ha"), "everything-on": profile("everything-on"),
		"private ranges": {"--set", "networkPolicy.issuers.cidrs={10.0.0.0/8,fd00::/8,fc00::/7}"},
	} {
		for policy, spec := range networkPolicies(t, args...) {
			for _, rule := range spec.Egress {
				for _, peer := range rule.To {
					if peer.IPBlock == nil {
						continue
					}
					for _, address := range metadata {
						if reaches(t, peer.IPBlock, netip.MustParseAddr(address)) {
							t.Errorf("profile %s: %s reaches %s through %s except %v", name, policy, address, peer.IPBlock.CIDR, peer.IPBlock.Except)
						}
					}
				}
			}
		}
	}
}

func TestF282ABlockThatHoldsThemIsRefused(t *testing.T) {
	t.Parallel()
	for cidr, ok := range map[string]bool{
		"128.0.0.0/1": false, "160.0.0.0/4": false, "169.0.0.0/8": false, "169.252.0.0/14": false, "169.254.0.0/16": false,
		"169.254.169.254/32": false, "fe80::/10": false, "0.0.0.0/0": true, "10.0.0.0/8": true, "169.1.2.0/24": true, "2001:db8::/32": true,
	} {
		t.Run(cidr, func(t *testing.T) {
			t.Parallel()
			out, err := template(t, "--set", "networkPolicy.issuers.cidrs={"+cidr+"}")
			if (err == nil) != ok || err != nil && !strings.Contains(out, "holds link-local addresses") {
				t.Errorf("expected it to be taken: %v; found %v:\n%.300s", ok, err, out)
			}
		})
	}
}

func reaches(t testing.TB, block *networkingv1.IPBlock, address netip.Addr) bool {
	t.Helper()
	in := func(cidr string) bool {
		p, err := netip.ParsePrefix(cidr)
		if err != nil {
			t.Errorf("%s is no block: %v", cidr, err)
		}
		return p.Contains(address)
	}
	return in(block.CIDR) && !slices.ContainsFunc(block.Except, in)
}

func TestF283NobodyIsLedToTheOpsPortAndThereIsNoProfiler(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"default", "minimal", "ha", "tls-cert-manager"} {
		for _, o := range only(render(t, profile(name)...), "Service") {
			for _, p := range as[corev1.Service](t, o).Spec.Ports {
				if p.TargetPort.String() == "ops" || p.TargetPort.IntValue() == 8081 {
					t.Errorf("profile %s: %s leads to metrics", name, o)
				}
			}
		}
	}
	for _, dir := range []string{"../../cmd", "../../controllers", "../../exchanger"} {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") {
				return err
			}
			text, err := os.ReadFile(path)
			if strings.Contains(string(text), `"net/http/pprof"`) || strings.Contains(string(text), "PprofBindAddress") {
				t.Errorf("%s serves a profiler", path)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}
