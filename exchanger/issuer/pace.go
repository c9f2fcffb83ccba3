// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package issuer

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	// A server's max-age counts between these: below, we would hammer it;
	// above, a removed key would live on.
	minMaxAge = time.Minute
	maxMaxAge = 24 * time.Hour
	// maxRetryAfter caps what a server may ask for, lest one answer silence
	// us past the bound of the last good keys.
	maxRetryAfter = time.Hour
	// Failures are retried after 5 s, 10 s, 20 s … 5 min, each times a random
	// half to whole.
	firstRetry = 5 * time.Second
	lastRetry  = 5 * time.Minute
	// Fetches that nobody waits for begin at this rate, however many issuers are
	// declared at once: 100 of them have begun after 4.5 s. It is the beginnings
	// that are spread, not the fetches that are counted, so that ten issuers that
	// hang keep nobody else waiting.
	turnsPerSecond = 20
	turnsAtOnce    = 10
)

// turn is how long a fetch that nobody waits for has to wait before it begins.
func (o *Options) turn() time.Duration {
	now := o.Now()
	return o.turns.ReserveN(now, 1).DelayFrom(now)
}

// parseMaxAge returns the smallest max-age of the header, clamped; 0 when it
// has none that can be read. no-store and no-cache are the least.
func parseMaxAge(values []string) time.Duration {
	var age time.Duration
	for _, v := range values {
		for d := range strings.SplitSeq(v, ",") {
			name, arg, _ := strings.Cut(strings.ToLower(strings.TrimSpace(d)), "=")
			var found time.Duration
			switch name {
			case "no-store", "no-cache":
				found = minMaxAge
			case "max-age":
				seconds, ok := parseSeconds(strings.Trim(arg, `"`), maxMaxAge)
				if !ok {
					continue
				}
				found = max(seconds, minMaxAge)
			default:
				continue
			}
			if age == 0 || found < age {
				age = found
			}
		}
	}
	return age
}

// parseRetryAfter reads both forms of the header (RFC 9110, section 10.2.3),
// capped; 0 when there is none that can be read.
func parseRetryAfter(v string, now time.Time) time.Duration {
	v = strings.TrimSpace(v)
	if seconds, ok := parseSeconds(v, maxRetryAfter); ok {
		return seconds
	}
	at, err := http.ParseTime(v)
	if err != nil {
		return 0
	}
	return min(max(at.Sub(now), 0), maxRetryAfter)
}

// parseSeconds reads digits of any length, capped.
func parseSeconds(v string, limit time.Duration) (time.Duration, bool) {
	if v == "" || strings.Trim(v, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.ParseInt(v, 10, 64)
	if err != nil || n > int64(limit/time.Second) {
		return limit, true // more digits than an int64 is more than the limit
	}
	return time.Duration(n) * time.Second, true
}

// untilNext is the pause after a success: what the server said, never longer
// than the refresh interval, which is the promise about removed keys. Up to a
// tenth is cut off at random, so that replicas do not ask in step.
func (o *Options) untilNext(maxAge time.Duration) time.Duration {
	d := o.RefreshInterval
	if maxAge > 0 {
		d = min(d, maxAge)
	}
	return max(d-time.Duration(float64(d)*0.1*o.Jitter()), min(d, minMaxAge))
}

// untilRetry is the pause after the n-th failure in a row, n ≥ 1.
func (o *Options) untilRetry(n int, retryAfter time.Duration) time.Duration {
	d := lastRetry
	if n <= 6 { // 5 s × 2^6 = 320 s > 5 min
		d = min(d, firstRetry<<(n-1))
	}
	d = d/2 + time.Duration(float64(d/2)*o.Jitter())
	return max(d, retryAfter)
}
