// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// revocations measures how long a token that is revoked at one replica is good at
// another: two replicas with the same keys, policy and Redis, and introspection and
// revocation of n tokens, one after the other.
func revocations(ctx context.Context, dir, binary string, n int) error {
	w, err := newWorld(dir)
	if err != nil {
		return err
	}
	store, err := redis(ctx, dir)
	if err != nil {
		return err
	}
	defer store.stop()
	shared := []string{"--keys", filepath.Join(dir, "keys"), "--store", "redis", "--store-address", "redis://" + store.address}
	here, err := w.exchequer(ctx, binary, shared...)
	if err != nil {
		return err
	}
	defer here.stop()
	there, err := w.exchequer(ctx, binary, append(shared, "--audit", filepath.Join(dir, "there.jsonl"))...)
	if err != nil {
		return err
	}
	defer there.stop()
	var revoked, refused []time.Duration
	late := 0
	for range n {
		token, err := w.token(ctx, here)
		if err != nil {
			return err
		}
		if active, err := w.active(ctx, there, token); err != nil || !active {
			return fmt.Errorf("a fresh token is active %v: %w", active, err)
		}
		begin := time.Now()
		if _, err := w.post(ctx, here, "/revoke", url.Values{"token": {token}}); err != nil {
			return err
		}
		revoked = append(revoked, time.Since(begin))
		for {
			active, err := w.active(ctx, there, token)
			if err != nil {
				return err
			}
			if !active {
				break
			}
			late++
		}
		refused = append(refused, time.Since(begin))
	}
	slices.Sort(revoked)
	slices.Sort(refused)
	fmt.Printf("%d tokens revoked at one replica, two replicas, one Redis\n", n)
	fmt.Printf("  %-44s p50 %8s  p99 %8s\n", "until the revocation is answered", revoked[n/2], revoked[n*99/100])
	fmt.Printf("  %-44s p50 %8s  p99 %8s\n", "until the other replica says so, that included", refused[n/2], refused[n*99/100])
	fmt.Printf("  %-44s %d\n", "answers \"active\" after that", late)
	return nil
}

// redis starts a redis-server on a port of its own, with nothing on disk.
func redis(ctx context.Context, dir string) (*child, error) {
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	s := &child{cmd: exec.CommandContext(ctx, "redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "", "--dir", dir), address: address}
	if err := s.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start redis-server (Debian: redis-server): %w", err)
	}
	for range 200 {
		if c, err := (&net.Dialer{}).DialContext(ctx, "tcp", address); err == nil {
			return s, c.Close()
		}
		time.Sleep(25 * time.Millisecond)
	}
	s.stop()
	return nil, errors.New("redis-server did not start")
}

// token is one that app got for images.
func (w *world) token(ctx context.Context, at *child) (string, error) {
	requests, err := w.requests("/token", 1, true)
	if err != nil {
		return "", err
	}
	_, body, _ := strings.Cut(string(requests[0]), "\r\n\r\n")
	form, err := url.ParseQuery(body)
	if err != nil {
		return "", err
	}
	answer, err := w.post(ctx, at, "/token", form)
	if err != nil {
		return "", err
	}
	var t struct {
		AccessToken string `json:"access_token"`
	}
	err = json.Unmarshal(answer, &t)
	return t.AccessToken, err
}

func (w *world) active(ctx context.Context, at *child, token string) (bool, error) {
	answer, err := w.post(ctx, at, "/introspect", url.Values{"token": {token}})
	if err != nil {
		return false, err
	}
	var doc struct {
		Active bool `json:"active"`
	}
	err = json.Unmarshal(answer, &doc)
	return doc.Active, err
}

// post sends a form as app.
func (w *world) post(ctx context.Context, at *child, path string, form url.Values) ([]byte, error) {
	form.Set("client_id", "shop/app")
	form.Set("client_secret", secret)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+at.address+path, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %d %s", path, res.StatusCode, b)
	}
	return b, err
}
