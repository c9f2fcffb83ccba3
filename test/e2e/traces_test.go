// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e_test

import (
	"context"
	"fmt"
	"slices"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// passing are kinds whose objects come and go by themselves.
func passing(resource schema.GroupVersionResource) bool {
	switch resource.Resource {
	case "events", "endpoints", "endpointslices", "pods", "componentstatuses", "csinodes", "nodes", "ipaddresses":
		return true
	default:
		return resource.Group == "metrics.k8s.io"
	}
}

// everything is the name of every object of the cluster that stays until
// somebody deletes it.
func everything(ctx context.Context) map[string]bool {
	GinkgoHelper()
	all := map[string]bool{}
	lists, err := env.discovery.ServerPreferredResources()
	Expect(err).NotTo(HaveOccurred())
	for _, list := range lists {
		group, err := schema.ParseGroupVersion(list.GroupVersion)
		Expect(err).NotTo(HaveOccurred())
		for _, resource := range list.APIResources {
			r := group.WithResource(resource.Name)
			if !slices.Contains(resource.Verbs, "list") || passing(r) {
				continue
			}
			objects, err := env.dynamic.Resource(r).List(ctx, metav1.ListOptions{})
			Expect(err).NotTo(HaveOccurred(), "listing %s", r)
			for _, o := range objects.Items {
				all[nameOf(&o)] = true
			}
		}
	}
	return all
}

func nameOf(o *unstructured.Unstructured) string {
	name := o.GetName()
	if o.GetNamespace() != "" {
		name = o.GetNamespace() + "/" + name
	}
	return o.GetKind() + " " + name
}

// left is what the cluster has now and had not when the suite began, but for what
// every namespace has, and leases of others: API servers make new ones as they start.
func left(ctx context.Context) []string {
	GinkgoHelper()
	var more []string
	for name := range everything(ctx) {
		if env.before[name] || strings.HasPrefix(name, "ConfigMap ") && strings.HasSuffix(name, "/kube-root-ca.crt") ||
			strings.HasPrefix(name, "ServiceAccount ") && strings.HasSuffix(name, "/default") ||
			strings.HasPrefix(name, "Lease ") && !strings.HasPrefix(name, "Lease "+system+"/") {
			continue
		}
		more = append(more, name)
	}
	slices.Sort(more)
	return more
}

// rights is what a ServiceAccount may do in a namespace beyond what every one
// may, a line each, after the manner of `kubectl auth can-i --list`.
func rights(ctx context.Context, account, namespace string) string {
	GinkgoHelper()
	everyone := rules(ctx, "nobody-in-particular", namespace)
	var lines []string
	for _, line := range rules(ctx, account, namespace) {
		if !slices.Contains(everyone, line) {
			lines = append(lines, line)
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n") + "\n"
}

func rules(ctx context.Context, account, namespace string) []string {
	GinkgoHelper()
	config := rest.CopyConfig(env.config)
	config.Impersonate = rest.ImpersonationConfig{
		UserName: "system:serviceaccount:" + system + ":" + account,
		Groups:   []string{"system:serviceaccounts", "system:serviceaccounts:" + system, "system:authenticated"},
	}
	review, err := kubernetes.NewForConfigOrDie(config).AuthorizationV1().SelfSubjectRulesReviews().Create(ctx,
		&authorizationv1.SelfSubjectRulesReview{Spec: authorizationv1.SelfSubjectRulesReviewSpec{Namespace: namespace}}, metav1.CreateOptions{})
	Expect(err).NotTo(HaveOccurred())
	Expect(review.Status.Incomplete).To(BeFalse(), review.Status.EvaluationError)
	var lines []string
	for _, rule := range review.Status.ResourceRules {
		lines = append(lines, split(rbacv1.PolicyRule{
			Verbs: rule.Verbs, APIGroups: rule.APIGroups, Resources: rule.Resources, ResourceNames: rule.ResourceNames,
		})...)
	}
	for _, rule := range review.Status.NonResourceRules {
		lines = append(lines, fmt.Sprintf("%v %v", rule.NonResourceURLs, rule.Verbs))
	}
	return lines
}

// split writes one line for each resource and name of a rule.
func split(rule rbacv1.PolicyRule) []string {
	names := rule.ResourceNames
	if len(names) == 0 {
		names = []string{"*"}
	}
	var lines []string
	for _, group := range rule.APIGroups {
		for _, resource := range rule.Resources {
			if group != "" {
				resource += "." + group
			}
			for _, name := range names {
				lines = append(lines, fmt.Sprintf("%s %s %v", resource, name, rule.Verbs))
			}
		}
	}
	return lines
}
