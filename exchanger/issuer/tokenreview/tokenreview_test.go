// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package tokenreview_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/exchequer-dev/exchequer/exchanger/issuer/tokenreview"
	"github.com/exchequer-dev/exchequer/exchanger/subject/trust"
	"github.com/exchequer-dev/exchequer/test/cluster"
)

func TestMain(m *testing.M) { os.Exit(cluster.Main(m, cluster.WithoutCRDs())) }

const audience = "https://sts.example.com"

func reviewer(t *testing.T, c *rest.Config) *tokenreview.Reviewer {
	t.Helper()
	r, err := tokenreview.New(c, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// podToken is the projected token of a pod of service account frontend.
func podToken(t *testing.T, c kubernetes.Interface, namespace string) (token, uid string) {
	t.Helper()
	ctx := t.Context()
	account, err := c.CoreV1().ServiceAccounts(namespace).Create(ctx, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "frontend"}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	pod, err := c.CoreV1().Pods(namespace).Create(ctx, &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "frontend-0"},
		Spec:       corev1.PodSpec{ServiceAccountName: "frontend", Containers: []corev1.Container{{Name: "main", Image: "none.example/none"}}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	request, err := c.CoreV1().ServiceAccounts(namespace).CreateToken(ctx, "frontend", &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{
		Audiences: []string{audience}, BoundObjectRef: &authenticationv1.BoundObjectReference{Kind: "Pod", APIVersion: "v1", Name: pod.Name, UID: pod.UID},
	}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return request.Status.Token, string(account.UID)
}

func TestAnAPIServerVouchesForATokenAsLongAsItsPodIsThere(t *testing.T) {
	t.Parallel()
	plane := cluster.Shared(t)
	admin := plane.Client(t)
	namespace := plane.Namespace(t)
	token, uid := podToken(t, admin, namespace)
	r := reviewer(t, plane.Admin())

	answer, err := r.Review(t.Context(), token, []string{"https://other.example", audience})
	if err != nil {
		t.Fatal(err)
	}
	if !answer.Authenticated || answer.Username != "system:serviceaccount:"+namespace+":frontend" || answer.UID != uid ||
		len(answer.Audiences) != 1 || answer.Audiences[0] != audience {
		t.Errorf("%+v", answer)
	}
	if answer, err := r.Review(t.Context(), token, []string{"https://other.example"}); err != nil || answer.Authenticated {
		t.Errorf("for another audience: %+v, %v", answer, err)
	}
	if answer, err := r.Review(t.Context(), token[:len(token)-4]+"AAAA", []string{audience}); err != nil || answer.Authenticated {
		t.Errorf("with another signature: %+v, %v", answer, err)
	}

	t.Run("F72: it does not once the pod is deleted", func(t *testing.T) {
		zero := int64(0)
		if err := admin.CoreV1().Pods(namespace).Delete(t.Context(), "frontend-0", metav1.DeleteOptions{GracePeriodSeconds: &zero}); err != nil {
			t.Fatal(err)
		}
		g := NewWithT(t)
		// The API server remembers its own yes for ten seconds.
		g.Eventually(func(g Gomega) {
			answer, err := r.Review(t.Context(), token, []string{audience})
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(answer.Authenticated).To(BeFalse())
		}).WithTimeout(time.Minute).WithPolling(500 * time.Millisecond).Should(Succeed())
	})
}

func TestAnAPIServerThatCannotBeAskedIsNoVerdict(t *testing.T) {
	t.Parallel()
	const token = "a.very-secret.token"
	for name, of := range map[string]struct {
		config  func(t *testing.T) *rest.Config
		timeout time.Duration
		says    string
	}{
		"F72: it is not there": {func(*testing.T) *rest.Config { return &rest.Config{Host: "https://127.0.0.1:1"} }, 0, "could not be asked"},
		"F72: we may not ask it": {func(t *testing.T) *rest.Config {
			return cluster.Shared(t).User(t, "nobody-in-particular")
		}, 0, "rbac.tokenReview=true"},
		"F72: it does not answer": {func(t *testing.T) *rest.Config {
			return &rest.Config{Host: answering(t, func(_ http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body) // only then does the server notice that its caller went
				<-r.Context().Done()
			})}
		}, 50 * time.Millisecond, "in time"},
		"F72: it answers 500, with our own words": {func(t *testing.T) *rest.Config {
			return &rest.Config{Host: answering(t, func(w http.ResponseWriter, _ *http.Request) { http.Error(w, token, http.StatusInternalServerError) })}
		}, 0, "InternalError"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx := t.Context()
			if of.timeout > 0 {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, of.timeout)
				defer cancel()
			}
			answer, err := reviewer(t, of.config(t)).Review(ctx, token, []string{audience})
			if err == nil || answer.Authenticated || !strings.Contains(err.Error(), of.says) || strings.Contains(err.Error(), "very-secret") {
				t.Errorf("%+v, %v", answer, err)
			}
		})
	}
}

func answering(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

var _ trust.Reviewer = (*tokenreview.Reviewer)(nil)
