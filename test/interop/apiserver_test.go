// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package interop

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	kubernetescluster "github.com/exchequer-dev/exchequer/test/cluster"
)

// authentication has an API server trust our issuer, as the documentation of
// Kubernetes says.
const authentication = `
apiVersion: apiserver.config.k8s.io/v1
kind: AuthenticationConfiguration
jwt:
- issuer:
    url: $ISSUER
    audiences: [shop/cluster]
    certificateAuthority: |
$AUTHORITY
  claimMappings:
    username: {claim: sub, prefix: "sts:"}
    groups: {claim: groups, prefix: "sts:"}
`

func TestAnAPIServerAcceptsTheToken(t *testing.T) {
	t.Parallel()
	w := serve(t)
	indented := "      " + strings.ReplaceAll(strings.TrimSpace(string(w.authority)), "\n", "\n      ")
	file := filepath.Join(t.TempDir(), "authentication.yaml")
	text := strings.NewReplacer("$ISSUER", w.issuer, "$AUTHORITY", indented).Replace(authentication)
	must(t, os.WriteFile(file, []byte(text), 0o600))
	plane := kubernetescluster.Start(t, kubernetescluster.WithoutCRDs(), kubernetescluster.WithArgument("authentication-config", file))

	who := func(token string) (*authenticationv1.SelfSubjectReview, error) {
		config := rest.AnonymousClientConfig(plane.Admin())
		config.BearerToken = token
		client, err := kubernetes.NewForConfig(config)
		must(t, err)
		return client.AuthenticationV1().SelfSubjectReviews().Create(t.Context(), &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
	}
	token := w.exchanged(t, w.user(t, nil), cluster).AccessToken
	var review *authenticationv1.SelfSubjectReview
	// It fetches our keys once it is up, in the background.
	eventually(t, "the API server accepts the token", func() bool {
		var err error
		review, err = who(token)
		return err == nil
	})
	user := review.Status.UserInfo
	if user.Username != "sts:corp:alice" || !slices.Contains(user.Groups, "sts:corp:staff") {
		t.Errorf("it takes alice for %+v", user)
	}
	t.Run("a token for another audience is not one for the cluster", func(t *testing.T) {
		if _, err := who(w.exchanged(t, w.user(t, nil), api, userScope).AccessToken); !apierrors.IsUnauthorized(err) {
			t.Errorf("got %v", err)
		}
	})
}
