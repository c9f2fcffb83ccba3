// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"k8s.io/client-go/rest"

	"github.com/exchequer-dev/exchequer/controllers"
	"github.com/exchequer-dev/exchequer/test/ports"
)

func TestAControllerIsAliveWhileItWaitsForTheAPIServer(t *testing.T) {
	t.Parallel()
	var up atomic.Int64
	up.Store(http.StatusServiceUnavailable)
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(int(up.Load()))
		_, _ = io.WriteString(w, `{"gitVersion": "v1.36.0"}`)
	}))
	t.Cleanup(api.Close)
	port, err := ports.Free()
	if err != nil {
		t.Fatal(err)
	}
	ops := "127.0.0.1:" + strconv.Itoa(port)
	probe := func(path string) (int, error) {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+ops+path, nil)
		if err != nil {
			return 0, err
		}
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			return 0, err
		}
		return answer.StatusCode, answer.Body.Close()
	}
	done := make(chan error, 1)
	go func() {
		done <- controllers.Await(t.Context(), &rest.Config{Host: api.URL}, ops, slog.New(slog.DiscardHandler))
	}()
	g := NewWithT(t)
	g.Eventually(func() (int, error) { return probe("/livez") }).WithTimeout(time.Minute).Should(Equal(http.StatusOK))
	if code, err := probe("/readyz"); err != nil || code != http.StatusServiceUnavailable {
		t.Errorf("it says that it is ready: %d %v", code, err)
	}
	select {
	case err := <-done:
		t.Fatalf("it waits no longer: %v", err)
	default:
	}
	up.Store(http.StatusForbidden) // an answer
	g.Eventually(done).WithTimeout(time.Minute).Should(Receive(BeNil()))
	if _, err := probe("/livez"); err == nil {
		t.Error("the port is still taken")
	}
}

func TestAControllerThatWaitsForTheAPIServerCanBeEnded(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := controllers.Await(ctx, &rest.Config{Host: "http://127.0.0.1:1"}, "", slog.New(slog.DiscardHandler))
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
