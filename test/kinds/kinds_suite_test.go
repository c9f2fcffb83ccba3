// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package kinds_test

import (
	"os"
	"path/filepath"
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	clientscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/exchequer-dev/exchequer/api/v1alpha1"
	"github.com/exchequer-dev/exchequer/exchanger/feed"
)

func TestKinds(t *testing.T) {
	t.Parallel()
	RegisterFailHandler(Fail)
	RunSpecs(t, "The kinds, as other programs use them")
}

// served are all kinds of the group, each with an empty list of it.
var served = map[string]struct {
	object client.Object
	list   client.ObjectList
}{
	"TokenService":       {&v1alpha1.TokenService{}, &v1alpha1.TokenServiceList{}},
	"TrustedIssuer":      {&v1alpha1.TrustedIssuer{}, &v1alpha1.TrustedIssuerList{}},
	"ExchangeClient":     {&v1alpha1.ExchangeClient{}, &v1alpha1.ExchangeClientList{}},
	"ClientScope":        {&v1alpha1.ClientScope{}, &v1alpha1.ClientScopeList{}},
	"ExchangePolicy":     {&v1alpha1.ExchangePolicy{}, &v1alpha1.ExchangePolicyList{}},
	"ImpersonationGrant": {&v1alpha1.ImpersonationGrant{}, &v1alpha1.ImpersonationGrantList{}},
	"ExternalTarget":     {&v1alpha1.ExternalTarget{}, &v1alpha1.ExternalTargetList{}},
	"TokenRevocation":    {&v1alpha1.TokenRevocation{}, &v1alpha1.TokenRevocationList{}},
	"ExchangerReplica":   {&v1alpha1.ExchangerReplica{}, &v1alpha1.ExchangerReplicaList{}},
}

// samples are the objects of config/samples.
func samples() []*unstructured.Unstructured {
	files, err := filepath.Glob("../../config/samples/*.yaml")
	Expect(err).NotTo(HaveOccurred())
	Expect(files).NotTo(BeEmpty())
	var out []*unstructured.Unstructured
	for _, file := range files {
		text, err := os.ReadFile(file)
		Expect(err).NotTo(HaveOccurred())
		objects, problems := feed.ParseManifests(file, text)
		Expect(problems).To(BeEmpty())
		for _, o := range objects {
			if o.APIVersion() == v1alpha1.GroupVersion.String() {
				out = append(out, &unstructured.Unstructured{Object: o.Content})
			}
		}
	}
	return out
}

var _ = Describe("a program with our types in its scheme", func() {
	var (
		scheme *runtime.Scheme
		api    client.Client
	)
	BeforeEach(func() {
		scheme = runtime.NewScheme()
		Expect(clientscheme.AddToScheme(scheme)).To(Succeed())
		Expect(v1alpha1.AddToScheme(scheme)).To(Succeed())
		api = fake.NewClientBuilder().WithScheme(scheme).Build()
	})

	for kind, s := range served {
		It("knows "+kind+" and its list", func(ctx SpecContext) {
			found, _, err := scheme.ObjectKinds(s.object)
			Expect(err).NotTo(HaveOccurred())
			Expect(found).To(ConsistOf(v1alpha1.GroupVersion.WithKind(kind)))
			Expect(api.List(ctx, s.list)).To(Succeed())
		})
	}

	It("knows no kind beside them", func() {
		var kinds []string
		for kind := range scheme.KnownTypes(v1alpha1.GroupVersion) {
			if _, ours := served[kind]; ours {
				kinds = append(kinds, kind)
			}
		}
		Expect(kinds).To(HaveLen(len(served)))
	})

	It("stores every sample and reads it back as it was", func(ctx SpecContext) {
		for _, sample := range samples() {
			gvk := sample.GroupVersionKind()
			typed, err := scheme.New(gvk)
			Expect(err).NotTo(HaveOccurred())
			object, ok := typed.(client.Object)
			Expect(ok).To(BeTrue())
			Expect(runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(sample.Object, object, true)).To(Succeed(), sample.GetName())
			Expect(api.Create(ctx, object)).To(Succeed())

			again := &unstructured.Unstructured{}
			again.SetGroupVersionKind(gvk)
			Expect(api.Get(ctx, client.ObjectKeyFromObject(object), again)).To(Succeed())
			Expect(again.Object["spec"]).To(equalJSON(object), gvk.Kind)
		}
	})

	It("keeps conditions by their type", func(ctx SpecContext) {
		policy := &v1alpha1.ExchangePolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "media", Name: "p"}}
		api = fake.NewClientBuilder().WithScheme(scheme).WithStatusSubresource(policy).Build()
		Expect(api.Create(ctx, policy)).To(Succeed())
		policy.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonReady, LastTransitionTime: metav1.Now()}}
		Expect(api.Status().Update(ctx, policy)).To(Succeed())
		got := &v1alpha1.ExchangePolicy{}
		Expect(api.Get(ctx, client.ObjectKeyFromObject(policy), got)).To(Succeed())
		Expect(got.Status.Conditions).To(HaveLen(1))
	})
})

// equalJSON matches the spec of an object, whatever types hold it.
func equalJSON(object client.Object) OmegaMatcher {
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(object)
	Expect(err).NotTo(HaveOccurred())
	return Equal(content["spec"])
}
