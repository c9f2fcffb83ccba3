// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package issuer

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"time"
)

// State is whether an issuer's keys can be used.
type State string

// The states of an issuer.
const (
	// Pending: no fetch has ended yet.
	Pending State = "Pending"
	// Ready: the last fetch succeeded.
	Ready State = "Ready"
	// Stale: the last fetch failed; the last good keys serve.
	Stale State = "Stale"
	// Failed: there are no keys that may be used.
	Failed State = "Failed"
)

// Status is what a person should know about an issuer's keys; it is the
// `Verified` condition in other words. It holds nothing secret.
type Status struct {
	State State
	// LastFetch is when the keys in use were fetched, or last confirmed.
	LastFetch time.Time
	// KeyIDs are the keys in use.
	KeyIDs []string
	// Warnings are about keys that are not used, and about keys that changed
	// under their ID.
	Warnings []string
	// Message is one line for the condition.
	Message string

	// authorities tells one set of X.509 authorities from another.
	authorities string
}

// same ignores when: a refresh that changed nothing is no news.
func (s Status) same(o Status) bool {
	return s.State == o.State && s.Message == o.Message && s.authorities == o.authorities && slices.Equal(s.KeyIDs, o.KeyIDs) && slices.Equal(s.Warnings, o.Warnings)
}

// statusOf puts a state into words. err is the last failure, nil after a
// success; live may be nil.
func statusOf(live *keySet, err error, now time.Time) Status {
	if live == nil {
		return Status{State: Failed, Message: err.Error()}
	}
	if live.expired(now) {
		st := Status{State: Failed, LastFetch: live.fetchedAt, Message: "the last good keys ended at " + live.until.UTC().Format(time.RFC3339)}
		if err != nil {
			st.Message += ": " + err.Error()
		}
		return st
	}
	st := Status{
		State: Ready, LastFetch: live.fetchedAt, KeyIDs: live.set.KeyIDs(), Warnings: live.warnings, authorities: digestOf(live.set.Authorities()),
	}
	if err != nil {
		st.State = Stale
		if live.until.IsZero() {
			st.Message = fmt.Sprintf("the keys from %s serve; a look for another key failed: %s", live.from, err.Error())
			return st
		}
		st.Message = fmt.Sprintf("the last good keys serve until %s: %s", live.until.UTC().Format(time.RFC3339), err.Error())
		return st
	}
	st.Message = fmt.Sprintf("%d keys usable, from %s", len(st.KeyIDs), live.from)
	if live.set.IsBundle() {
		st.Message = fmt.Sprintf("%d keys and %d X.509 authorities usable, from %s", len(st.KeyIDs), len(live.set.Authorities()), live.from)
	}
	return st
}

func digestOf(list [][]byte) string {
	h := sha256.New()
	for _, b := range list {
		h.Write(b) // DER says where it ends
	}
	return string(h.Sum(nil))
}
