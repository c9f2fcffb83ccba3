// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"time"
)

const (
	apiVersion = "webhook.exchequer.dev/v1alpha1"
	kind       = "DirectoryReview"
	// maxReview bounds what is read, and answer is how long LDAP has: less than the 2 s
	// that Exchequer waits by default.
	maxReview = 64 << 10
	answer    = 1500 * time.Millisecond
)

// review is a DirectoryReview (docs/webhooks.md). One of request and response is set.
type review struct {
	APIVersion string    `json:"apiVersion"`
	Kind       string    `json:"kind"`
	Request    *request  `json:"request,omitempty"`
	Response   *response `json:"response,omitempty"`
}

type request struct {
	Subject string `json:"subject"`
	// Claims are absent when somebody is looked up of whom there is no token.
	Claims map[string]any `json:"claims"`
}

type response struct {
	Subject  string         `json:"subject,omitempty"`
	Username string         `json:"username,omitempty"`
	Groups   []string       `json:"groups,omitzero"`
	Extra    map[string]any `json:"extra,omitempty"`
	Error    string         `json:"error,omitempty"`
}

// errUnknown is for a subject that is not there, or there twice.
var errUnknown = errors.New("no one entry for this subject")

// finder looks a subject up.
type finder interface {
	find(ctx context.Context, subject string) (*response, error)
}

func handler(d finder, log *slog.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			http.Error(w, "expected POST", http.StatusMethodNotAllowed)
			return
		}
		var in review
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxReview))
		if err != nil || json.Unmarshal(body, &in) != nil || in.APIVersion != apiVersion || in.Kind != kind || in.Request == nil || in.Request.Subject == "" {
			http.Error(w, "expected a DirectoryReview of "+apiVersion, http.StatusBadRequest)
			return
		}
		ctx, cancel := context.WithTimeout(r.Context(), answer)
		defer cancel()
		out, err := d.find(ctx, in.Request.Subject)
		switch {
		case errors.Is(err, errUnknown):
			out = &response{Error: "not in the directory"}
		case err != nil:
			// An outage. It must not look like somebody without groups.
			log.ErrorContext(ctx, "LDAP was not of help", "error", err)
			http.Error(w, "the directory cannot be asked", http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(review{APIVersion: apiVersion, Kind: kind, Response: out})
	})
}
