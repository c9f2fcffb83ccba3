// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package rig

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Answer is what came of one request.
type Answer struct {
	// Target is the address that was asked, Began and Took when and how long.
	Target string
	Began  time.Time
	Took   time.Duration
	// Status is the HTTP status, 0 when there was no answer.
	Status int
	// Code is the OAuth error, or what went wrong on the way.
	Code string
	// Token is the token, where there is one; a load does not keep them.
	Token string
	// Err is why the answer is a failure: none came, or its token does not verify.
	Err error
}

// Allowed says that a good token came.
func (a *Answer) Allowed() bool { return a.Status == http.StatusOK && a.Err == nil }

// LoadOptions say who asks whom.
type LoadOptions struct {
	// Targets are whom to choose from, in turn; asked before every request.
	Targets func() []string
	// Form is the next request.
	Form func() url.Values
	// Workers ask one after the other each, and begin at most one request per
	// Pace.
	Workers int
	Pace    time.Duration
	// Verifier, when set, checks every token.
	Verifier *Verifier
}

// Load is a load that runs.
type Load struct {
	o      LoadOptions
	client *http.Client
	stop   context.CancelFunc
	group  sync.WaitGroup
	next   atomic.Int64

	mu      sync.Mutex
	answers []Answer
}

// NewClient is an HTTP client as programs have them: connections are kept and
// closed ones are noticed.
func NewClient(workers int) *http.Client {
	return &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: workers, MaxConnsPerHost: 0}}
}

// StartLoad begins to ask.
func StartLoad(ctx context.Context, o LoadOptions) *Load {
	ctx, stop := context.WithCancel(context.WithoutCancel(ctx))
	l := &Load{o: o, client: NewClient(o.Workers), stop: stop}
	for range o.Workers {
		l.group.Go(func() { l.work(ctx) })
	}
	return l
}

func (l *Load) work(ctx context.Context) {
	tick := time.NewTicker(max(l.o.Pace, time.Millisecond))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		targets := l.o.Targets()
		answer := Answer{Began: time.Now(), Code: "nobody is ready", Err: errors.New("no replica is ready")}
		if len(targets) > 0 {
			// What has begun is ended: stopping the load must not look like a failure.
			answer = Ask(context.WithoutCancel(ctx), l.client, targets[int(l.next.Add(1))%len(targets)], l.o.Form())
		}
		if answer.Status == http.StatusOK && l.o.Verifier != nil {
			if err := l.o.Verifier.Verify(context.WithoutCancel(ctx), answer.Token); err != nil {
				answer.Code, answer.Err = "bad token", err
			}
		}
		answer.Token = "" // a load of ten minutes has hundreds of thousands
		l.mu.Lock()
		l.answers = append(l.answers, answer)
		l.mu.Unlock()
	}
}

// Stop ends the load and returns every answer in the order of their beginnings.
func (l *Load) Stop() Answers {
	l.stop()
	l.group.Wait()
	l.client.CloseIdleConnections()
	l.mu.Lock()
	defer l.mu.Unlock()
	slices.SortFunc(l.answers, func(a, b Answer) int { return a.Began.Compare(b.Began) })
	return l.answers
}

// Count is how many answers there are so far.
func (l *Load) Count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.answers)
}

// Await waits until so many more answers came.
func (l *Load) Await(ctx context.Context, more int) error {
	want := l.Count() + more
	return Until(ctx, fmt.Sprintf("%d more requests were answered", more), func(context.Context) error {
		if n := l.Count(); n < want {
			return fmt.Errorf("%d are missing", want-n)
		}
		return nil
	})
}

// Answers are the answers of a load.
type Answers []Answer

// Failed are those without a good token.
func (all Answers) Failed() Answers {
	return slices.DeleteFunc(slices.Clone(all), func(a Answer) bool { return a.Allowed() })
}

// Of are those of one target.
func (all Answers) Of(target string) Answers {
	return slices.DeleteFunc(slices.Clone(all), func(a Answer) bool { return a.Target != target })
}

// Since are those that began after a moment.
func (all Answers) Since(moment time.Time) Answers {
	return slices.DeleteFunc(slices.Clone(all), func(a Answer) bool { return !a.Began.After(moment) })
}

// Percentile of how long they took.
func (all Answers) Percentile(p float64) time.Duration {
	took := make([]time.Duration, len(all))
	for i := range all {
		took[i] = all[i].Took
	}
	return Percentile(took, p)
}

// Percentile is the nearest rank: the smallest value that p percent are not above.
func Percentile(values []time.Duration, p float64) time.Duration {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	rank := int(float64(len(sorted))*p/100+0.9999999) - 1
	return sorted[min(max(rank, 0), len(sorted)-1)]
}

// String counts the answers by what they were.
func (all Answers) String() string {
	counts := map[string]int{}
	for _, a := range all {
		what := a.Code
		if what == "" {
			what = fmt.Sprint(a.Status)
		}
		counts[what]++
	}
	var parts []string
	for what, n := range counts {
		parts = append(parts, fmt.Sprintf("%d × %s", n, what))
	}
	slices.Sort(parts)
	return strings.Join(parts, ", ")
}

// Ask sends one token request to an address.
func Ask(ctx context.Context, client *http.Client, target string, form url.Values) Answer {
	a := Answer{Target: target, Began: time.Now()}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+target+"/token", strings.NewReader(form.Encode()))
	if err != nil {
		a.Err = err
		return a
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := client.Do(req)
	if err != nil {
		a.Code, a.Err = transportError(err), err
		a.Took = time.Since(a.Began)
		return a
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	a.Status, a.Took = resp.StatusCode, time.Since(a.Began)
	if err != nil {
		a.Code, a.Err = transportError(err), err
		return a
	}
	var members struct {
		Token string `json:"access_token"`
		Error string `json:"error"`
	}
	if err := json.Unmarshal(body, &members); err != nil {
		a.Code, a.Err = "no JSON", fmt.Errorf("status %d: %w", resp.StatusCode, err)
		return a
	}
	a.Token, a.Code = members.Token, members.Error
	if a.Status == http.StatusOK && a.Token == "" {
		a.Code, a.Err = "no token", errors.New("200 without a token")
	}
	return a
}

func transportError(err error) string {
	var inner *url.Error
	if errors.As(err, &inner) {
		err = inner.Err
	}
	text := err.Error()
	for _, known := range []string{"connection refused", "connection reset", "EOF", "Timeout", "broken pipe", "server closed idle connection"} {
		if strings.Contains(text, known) {
			return known
		}
	}
	return text
}
