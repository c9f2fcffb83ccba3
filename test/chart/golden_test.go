// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package chart

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
)

func TestF366ProfilesRenderWhatTheirGoldensSay(t *testing.T) {
	t.Parallel()
	for _, name := range profiles() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out strings.Builder
			for _, o := range without(render(t, profile(name)...), "CustomResourceDefinition") {
				fmt.Fprintf(&out, "---\n# %s\n%s", o.source, o.text)
			}
			golden(t, filepath.Join("testdata", "golden", name+".yaml"), []byte(out.String()))
		})
	}
}

func TestF366HelmFindsNothingToCriticise(t *testing.T) {
	t.Parallel()
	for _, name := range profiles() {
		if out, err := helm(t, os.DevNull, append([]string{"lint", "--strict", chartDir, "--kube-version", oldest}, profile(name)...)...); err != nil {
			t.Errorf("helm lint, profile %s: %v\n%s", name, err, out)
		}
	}
}

func TestF366SafetyIsOnByDefault(t *testing.T) {
	t.Parallel()
	objects := render(t)
	for _, want := range []string{
		"NetworkPolicy exchequer-exchanger", "NetworkPolicy exchequer-controller",
		"PodDisruptionBudget exchequer-exchanger", "PodDisruptionBudget exchequer-controller",
		"ValidatingAdmissionPolicy exchequer-replica", "ValidatingAdmissionPolicyBinding exchequer-replica",
	} {
		kind, name, _ := strings.Cut(want, " ")
		one(t, objects, kind, name)
	}
}

// decoders decode the kinds whose Go types are at hand; the others belong to
// operators that may not be there.
func decoders() map[string]func(testing.TB, object) {
	return map[string]func(testing.TB, object){
		"apps/v1/Deployment":                                               decode[appsv1.Deployment],
		"autoscaling/v2/HorizontalPodAutoscaler":                           decode[autoscalingv2.HorizontalPodAutoscaler],
		"v1/Service":                                                       decode[corev1.Service],
		"v1/ServiceAccount":                                                decode[corev1.ServiceAccount],
		"v1/ConfigMap":                                                     decode[corev1.ConfigMap],
		"networking.k8s.io/v1/NetworkPolicy":                               decode[networkingv1.NetworkPolicy],
		"coordination.k8s.io/v1/Lease":                                     decode[coordinationv1.Lease],
		"policy/v1/PodDisruptionBudget":                                    decode[policyv1.PodDisruptionBudget],
		"rbac.authorization.k8s.io/v1/Role":                                decode[rbacv1.Role],
		"rbac.authorization.k8s.io/v1/RoleBinding":                         decode[rbacv1.RoleBinding],
		"rbac.authorization.k8s.io/v1/ClusterRole":                         decode[rbacv1.ClusterRole],
		"rbac.authorization.k8s.io/v1/ClusterRoleBinding":                  decode[rbacv1.ClusterRoleBinding],
		"apiextensions.k8s.io/v1/CustomResourceDefinition":                 decode[apiextensionsv1.CustomResourceDefinition],
		"admissionregistration.k8s.io/v1/ValidatingAdmissionPolicy":        decode[admissionv1.ValidatingAdmissionPolicy],
		"admissionregistration.k8s.io/v1/ValidatingAdmissionPolicyBinding": decode[admissionv1.ValidatingAdmissionPolicyBinding],
	}
}

func decode[T any](t testing.TB, o object) { as[T](t, o) }

func TestEveryRenderedObjectIsOfItsKindInFull(t *testing.T) {
	t.Parallel()
	foreign := map[string]bool{
		"cert-manager.io/v1/Certificate": true, "monitoring.coreos.com/v1/PodMonitor": true,
		"monitoring.coreos.com/v1/ServiceMonitor": true, "monitoring.coreos.com/v1/PrometheusRule": true,
	}
	known := decoders()
	for _, name := range profiles() {
		for _, o := range render(t, profile(name)...) {
			kind := o.GetAPIVersion() + "/" + o.GetKind()
			switch check := known[kind]; {
			case check != nil:
				check(t, o)
			case !foreign[kind]:
				t.Errorf("profile %s: %s is of kind %s, which nobody here has heard of", name, o, kind)
			}
			if ns := o.GetNamespace(); ns != "" && ns != namespace && o.GetKind() != "RoleBinding" {
				t.Errorf("profile %s: %s is outside of the operator's namespace", name, o)
			}
			if o.GetLabels()["app.kubernetes.io/part-of"] != "exchequer" && o.GetKind() != "CustomResourceDefinition" {
				t.Errorf("profile %s: %s lacks the common labels", name, o)
			}
		}
	}
}
