// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

// Command server plays the others in the examples. It is the webhooks that Exchequer
// asks: it knows the sessions of an old application (/verify), and which account of
// ours belongs to somebody at a partner (/directory). And it is the token endpoint of
// a partner, of a cloud and of an old provider (/token). What it knows stands in this
// file. A real one listens on HTTPS, and knows more.
package main

import (
	"encoding/base64"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"
)

// review is a VerifyReview or a DirectoryReview.
type review struct {
	APIVersion string         `json:"apiVersion"`
	Kind       string         `json:"kind"`
	Request    *request       `json:"request,omitempty"`
	Response   map[string]any `json:"response,omitempty"`
}

type request struct {
	Token   string         `json:"token"`
	Subject string         `json:"subject"`
	Claims  map[string]any `json:"claims"`
}

// sessions are who has signed in to the old application.
var sessions = map[string]map[string]any{
	"8xLOxBtZp8": {"sub": "alice", "aud": "shop/frontend", "groups": []string{"staff"}},
}

// accounts are the partner's people who have an account here.
var accounts = map[string]map[string]any{
	"a.smith": {"subject": "alice", "username": "alice", "groups": []string{"staff"}, "extra": map[string]any{"account": "4711"}},
}

func main() {
	listen := flag.String("listen", "127.0.0.1:8090", "address")
	flag.Parse()
	mux := http.NewServeMux()
	mux.HandleFunc("POST /verify", answering(verify))
	mux.HandleFunc("POST /directory", answering(directory))
	mux.HandleFunc("POST /token", token)
	server := &http.Server{Addr: *listen, Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	fmt.Println("listening on", *listen)
	if err := server.ListenAndServe(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// answering reads a review, has it answered, and writes it back.
func answering(answer func(*request) map[string]any) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var v review
		if err := json.NewDecoder(io.LimitReader(r.Body, 64<<10)).Decode(&v); err != nil || v.Request == nil {
			http.Error(w, "expected a review", http.StatusBadRequest)
			return
		}
		v.Response, v.Request = answer(v.Request), nil
		w.Header().Set("Content-Type", "application/json")
		if err := json.NewEncoder(w).Encode(v); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}
}

// verify says whose session it is.
func verify(r *request) map[string]any {
	claims, known := sessions[r.Token]
	if !known {
		return map[string]any{"authenticated": false, "error": "no such session"}
	}
	now := time.Now()
	out := map[string]any{"iat": now.Unix(), "exp": now.Add(5 * time.Minute).Unix()}
	for name, v := range claims {
		out[name] = v
	}
	return map[string]any{"authenticated": true, "claims": out}
}

// directory says who somebody is here. Who has no account keeps the partner's name,
// and is a guest.
func directory(r *request) map[string]any {
	if account, known := accounts[r.Subject]; known {
		return account
	}
	if r.Claims == nil {
		return map[string]any{"error": "nobody of that name"}
	}
	return map[string]any{"groups": []string{"guests"}}
}

// token is the token endpoint of somebody else. It takes everybody's word: a real one
// authenticates its client, and verifies what is shown to it.
func token(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
	out := map[string]any{"token_type": "Bearer", "expires_in": 600}
	switch r.PostFormValue("grant_type") {
	case "urn:ietf:params:oauth:grant-type:token-exchange":
		out["access_token"], out["scope"] = "a-token-of-the-partners", r.PostFormValue("scope")
		out["issued_token_type"] = "urn:ietf:params:oauth:token-type:access_token"
	case "client_credentials":
		out["access_token"] = "a-token-of-the-clouds"
	case "refresh_token":
		if r.PostFormValue("refresh_token") != "an-old-refresh-token" {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, `{"error": "invalid_grant"}`)
			return
		}
		now := time.Now()
		out["access_token"] = "an-old-access-token"
		out["id_token"] = jwt(map[string]any{
			"iss": "https://login.old.example", "sub": "u-17", "aud": "old-shop", "email": "alice@shop.example", "email_verified": true,
			"iat": now.Unix(), "exp": now.Add(5 * time.Minute).Unix(),
		})
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	b, err := json.Marshal(out)
	if err != nil {
		http.Error(w, "no answer", http.StatusInternalServerError)
		return
	}
	_, _ = w.Write(b)
}

// jwt is a JWT without a signature worth the name: it is read by the one who asked for
// it, over a connection that vouches for it.
func jwt(claims map[string]any) string {
	payload, err := json.Marshal(claims)
	if err != nil {
		return ""
	}
	part := base64.RawURLEncoding.EncodeToString
	return part([]byte(`{"alg":"RS256","kid":"old","typ":"JWT"}`)) + "." + part(payload) + "." + part([]byte("not a signature"))
}
