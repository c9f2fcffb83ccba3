// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e_test

import (
	"context"
	"net/url"
	"strings"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// load asks for tokens, one request after the other in each of some lanes, until
// it is told to stop.
type load struct {
	stop   context.CancelFunc
	lanes  sync.WaitGroup
	mutex  sync.Mutex
	served int
	failed []string
}

// lanes is how many requests are under way at once: enough that each replica
// always has some, few enough for a cluster of two cores.
const lanes = 4

// startLoad asks through the API server's proxy, which chooses a ready replica
// for each request and tries no other when that fails.
func startLoad(ctx context.Context) *load {
	GinkgoHelper()
	form := request(ctx).Encode()
	ctx, stop := context.WithCancel(ctx)
	l := &load{stop: stop}
	for range lanes {
		l.lanes.Go(func() {
			for ctx.Err() == nil {
				l.ask(form)
			}
		})
	}
	return l
}

// request is what the frontend asks for with its own token, as client and as
// subject.
func request(ctx context.Context) url.Values {
	GinkgoHelper()
	granted, err := env.client.CoreV1().ServiceAccounts(shop).CreateToken(ctx, "frontend", &authenticationv1.TokenRequest{
		Spec: authenticationv1.TokenRequestSpec{Audiences: []string{issuer}},
	}, metav1.CreateOptions{})
	Expect(err).NotTo(HaveOccurred())
	return url.Values{
		"grant_type":            {"urn:ietf:params:oauth:grant-type:token-exchange"},
		"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
		"client_assertion":      {granted.Status.Token},
		"subject_token":         {granted.Status.Token},
		"subject_token_type":    {"urn:ietf:params:oauth:token-type:jwt"},
		"audience":              {media + "/images-resource"},
		"scope":                 {"images"},
	}
}

// ask ends its request even when the load is stopped meanwhile.
func (l *load) ask(form string) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	answer, err := env.client.CoreV1().RESTClient().Post().
		Namespace(system).Resource("services").Name("https:exchequer:https").SubResource("proxy").Suffix("token").
		SetHeader("Content-Type", "application/x-www-form-urlencoded").Body([]byte(form)).DoRaw(ctx)
	l.mutex.Lock()
	defer l.mutex.Unlock()
	if err != nil || !strings.Contains(string(answer), "access_token") {
		text := time.Now().Format(time.TimeOnly)
		if err != nil {
			text += " " + err.Error()
		}
		l.failed = append(l.failed, text+" "+string(answer))
		return
	}
	l.served++
}

// end stops the load and says how many requests were served and which failed.
func (l *load) end() (int, []string) {
	l.stop()
	l.lanes.Wait()
	return l.served, l.failed
}
