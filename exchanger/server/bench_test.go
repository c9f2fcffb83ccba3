// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package server_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/exchequer-dev/exchequer/exchanger/oauth"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
	"github.com/exchequer-dev/exchequer/exchanger/server"
)

// sinkhole is a ResponseWriter that costs nothing, so that the benchmark shows
// the edge and not net/http.
type sinkhole struct{ header http.Header }

func (s *sinkhole) Header() http.Header         { return s.header }
func (s *sinkhole) Write(p []byte) (int, error) { return len(p), nil }
func (s *sinkhole) WriteHeader(int)             {}

// constant is a use-case that always gives the same token.
type constant struct{}

func (constant) Exchange(context.Context, *oauth.Call) oauth.Answer { return allowed() }

func (constant) Refused(context.Context, *oauth.Call, *policy.Refusal) {}

// BenchmarkEdge is what the edge adds to an exchange: routes, checks, reading
// the form, the answer.
func BenchmarkEdge(b *testing.B) {
	spec := &policy.Spec{Format: policy.Format, Services: []policy.Service{{
		Name: "default", Issuer: "https://sts.example.com", Algorithm: "ES256", Rotation: policy.Rotation{PrePublish: time.Hour},
	}}}
	snapshot, err := policy.Compile(spec, 1, nil)
	if err != nil {
		b.Fatal(err)
	}
	s := server.New(server.Config{Snapshot: func() *policy.Snapshot { return snapshot }, Exchanger: constant{}})
	h := s.Handler(true)
	body := form() + "&subject_token2=" + strings.Repeat("eyJhbGciOiJFUzI1NiJ9", 40)
	r := httptest.NewRequestWithContext(b.Context(), http.MethodPost, "/token", nil)
	r.Host = "sts.example.com"
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Authorization", "Basic YTpi")
	r.RemoteAddr = "127.0.0.1:40000"
	reader := strings.NewReader(body)
	r.Body = io.NopCloser(reader)
	w := &sinkhole{header: http.Header{}}
	b.ReportAllocs()
	for b.Loop() {
		reader.Reset(body)
		clear(w.header)
		h.ServeHTTP(w, r)
	}
}
