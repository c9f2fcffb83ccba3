// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster_test

import (
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/exchequer-dev/exchequer/api/v1alpha1"
	"github.com/exchequer-dev/exchequer/test/cluster"
)

func TestMain(m *testing.M) { os.Exit(cluster.Main(m, cluster.WithAudit())) }

func TestTheAPIServerIsThePinnedOneAndServesOurKinds(t *testing.T) {
	t.Parallel()
	plane := cluster.Shared(t)

	version, err := plane.Client(t).Discovery().ServerVersion()
	if err != nil {
		t.Fatal(err)
	}
	pinned := false
	for _, module := range []string{"kubernetes", "kubernetes-oldest"} {
		pins, err := os.ReadFile("../../hack/tools/" + module + "/go.mod")
		if err != nil {
			t.Fatal(err)
		}
		pinned = pinned || regexp.MustCompile(`k8s.io/kubernetes `+regexp.QuoteMeta(version.GitVersion)+`\s`).Match(pins)
	}
	if !pinned {
		t.Errorf("the API server calls itself %s, which no go.mod in hack/tools pins", version.GitVersion)
	}

	served, err := plane.Client(t).Discovery().ServerResourcesForGroupVersion(v1alpha1.GroupVersion.String())
	if err != nil {
		t.Fatal(err)
	}
	definitions, err := cluster.CRDs()
	if err != nil {
		t.Fatal(err)
	}
	for _, definition := range definitions {
		found := false
		for _, resource := range served.APIResources {
			found = found || resource.Kind == definition.Spec.Names.Kind
		}
		if !found {
			t.Errorf("the API server does not serve %s", definition.Spec.Names.Kind)
		}
	}
}

func TestEverySampleIsAdmittedWithoutAWarning(t *testing.T) {
	t.Parallel()
	plane := cluster.Shared(t)
	out, err := plane.Kubectl(t, "apply", "--server-side", "--validate=strict", "-k", "../../config/samples")
	if err != nil || strings.Contains(strings.ToLower(out), "warning") {
		t.Errorf("kubectl apply -k config/samples: %v\n%s", err, out)
	}
	if objects := strings.Count(out, " serverside-applied"); objects < 9 {
		t.Errorf("%d objects were applied, expected one of every kind at least:\n%s", objects, out)
	}
}

func TestAServiceAccountMayDoWhatIsGrantedAndNoMore(t *testing.T) {
	t.Parallel()
	plane := cluster.Shared(t)
	namespace := plane.Namespace(t)
	for name, config := range map[string]*rest.Config{
		"a ServiceAccount": plane.ServiceAccount(t, namespace, "nobody"),
		"a user":           plane.User(t, "nobody", "nobodies"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, err := dynamic.NewForConfig(config)
			if err != nil {
				t.Fatal(err)
			}
			resource := v1alpha1.GroupVersion.WithResource("exchangepolicies")
			if _, err := c.Resource(resource).Namespace(namespace).List(t.Context(), metav1.ListOptions{}); !apierrors.IsForbidden(err) {
				t.Errorf("listing policies without a right to: got %v, want Forbidden", err)
			}
		})
	}
}

func TestATokenForAnAudienceIsKnownToTheTokenReview(t *testing.T) {
	t.Parallel()
	plane := cluster.Shared(t)
	namespace := plane.Namespace(t)
	review, err := plane.Client(t).AuthenticationV1().TokenReviews().Create(t.Context(), &authenticationv1.TokenReview{
		Spec: authenticationv1.TokenReviewSpec{Token: plane.Token(t, namespace, "app", "exchequer"), Audiences: []string{"exchequer"}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if want := "system:serviceaccount:" + namespace + ":app"; !review.Status.Authenticated || review.Status.User.Username != want {
		t.Errorf("the token is not known as %s: %+v", want, review.Status)
	}
}

func TestTheAuditLogHoldsWhatTheAPIServerWasAsked(t *testing.T) {
	t.Parallel()
	plane := cluster.Shared(t)
	namespace := plane.Namespace(t)
	plane.Token(t, namespace, "app")
	log, err := os.ReadFile(plane.AuditLog())
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(log), "/api/v1/namespaces/"+namespace+"/serviceaccounts/app/token") {
		t.Errorf("no event about namespace %s in %d bytes of audit log", namespace, len(log))
	}
}

func TestKubectlKnowsTheKinds(t *testing.T) {
	t.Parallel()
	plane := cluster.Shared(t)
	namespace := plane.Namespace(t)
	for _, name := range []string{"exchangepolicies", "xp", "xc", "xcs"} {
		out, err := plane.Kubectl(t, "get", name, "--namespace", namespace)
		if err != nil || !strings.Contains(out, "No resources found in "+namespace) {
			t.Errorf("kubectl get %s: %v\n%s", name, err, out)
		}
	}
}

func TestAStoppedAPIServerComesBackAsItWas(t *testing.T) {
	t.Parallel()
	plane := cluster.Start(t, cluster.WithoutCRDs(), cluster.WithIssuer("https://cluster.example"))
	namespace := plane.Namespace(t)
	token := plane.Token(t, namespace, "app")
	asApp := rest.AnonymousClientConfig(plane.Admin())
	asApp.BearerToken = token
	plane.StopAPIServer(t)
	if _, err := plane.Client(t).CoreV1().Namespaces().Get(t.Context(), namespace, metav1.GetOptions{}); err == nil {
		t.Error("a stopped API server still answers")
	}
	plane.StartAPIServer(t)
	if _, err := plane.Client(t).CoreV1().Namespaces().Get(t.Context(), namespace, metav1.GetOptions{}); err != nil {
		t.Errorf("the namespace of before: %v", err)
	}
	c, err := kubernetes.NewForConfig(asApp)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.CoreV1().Pods(namespace).List(t.Context(), metav1.ListOptions{}); !apierrors.IsForbidden(err) {
		t.Errorf("a token of before should still be known: got %v, want Forbidden", err)
	}
	if got := issuer(t, token); got != "https://cluster.example" {
		t.Errorf("the token's issuer is %q", got)
	}
}

func issuer(t *testing.T, token string) string {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("a token of %d parts", len(parts))
	}
	text, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	var claims struct {
		Issuer string `json:"iss"`
	}
	if err := json.Unmarshal(text, &claims); err != nil {
		t.Fatal(err)
	}
	return claims.Issuer
}

func TestAssetsHoldTheProgramsOfTheAPIServer(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"kube-apiserver", "etcd", "kubectl"} {
		if _, err := os.Stat(filepath.Join(cluster.Assets(t), name)); err != nil {
			t.Error(err)
		}
	}
}
