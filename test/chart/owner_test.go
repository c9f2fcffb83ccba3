// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package chart

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/exchequer-dev/exchequer/controllers/publish"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

// Uninstalling deletes the ServiceAccounts; the cluster's garbage collector then
// deletes what they own, which test/e2e sees.
func TestWhatIsPublishedGoesWithTheExchangersAccount(t *testing.T) {
	t.Parallel()
	plane := installed(t)
	asController, err := client.New(plane.ServiceAccount(t, namespace, "exchequer-controller"), client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	spec := &policy.Spec{Format: policy.Format, Clients: []policy.Client{{ID: "shop/app", Namespace: "shop", Name: "app"}}}
	p := publish.New(asController, namespace, time.Now)
	if err := p.Credentials(t.Context(), nil); err != nil {
		t.Errorf("with the rights that the chart gives: %v", err)
	}
	if _, err := p.Publish(t.Context(), spec, 0); err != nil {
		t.Fatalf("with the rights that the chart gives: %v", err)
	}
	account, err := plane.Client(t).CoreV1().ServiceAccounts(namespace).Get(t.Context(), "exchequer-exchanger", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var secrets corev1.SecretList
	if err := asController.List(t.Context(), &secrets, client.InNamespace(namespace), client.HasLabels{"exchequer.dev/part"}); err != nil {
		t.Fatal(err)
	}
	for i := range secrets.Items {
		if o := secrets.Items[i].OwnerReferences; len(o) != 1 || o[0].Kind != "ServiceAccount" || o[0].UID != account.UID {
			t.Errorf("%s is owned by %v, expected the exchangers' account: uninstalling would leave it", secrets.Items[i].Name, o)
		}
	}
	if n := len(secrets.Items); n != 3 {
		t.Errorf("found %d Secrets, expected the pointer, a slot and the credentials", n)
	}
}
