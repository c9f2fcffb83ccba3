// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package issuer

import (
	"errors"
	"strings"
	"time"
	"unicode"

	"github.com/exchequer-dev/exchequer/exchanger/issuer/egress"
)

// Result is how one fetch ended: a closed set, fit for a metric label.
type Result string

// The results of a fetch.
const (
	ResultOK          Result = "ok"
	ResultAddress     Result = "address"      // an address or URL that may not be dialled
	ResultDNS         Result = "dns"          // the host did not resolve
	ResultConnect     Result = "connect"      // no connection, or it broke
	ResultTLS         Result = "tls"          // certificate or version refused
	ResultTimeout     Result = "timeout"      // not done within the fetch timeout
	ResultStatus      Result = "status"       // another status than 200
	ResultRedirect    Result = "redirect"     // 3xx; none is followed
	ResultContentType Result = "content_type" // not JSON by its media type
	ResultEncoding    Result = "encoding"     // compressed
	ResultTooLarge    Result = "too_large"    // over the size limit
	ResultDiscovery   Result = "discovery"    // discovery document malformed, of another issuer, or pointing elsewhere
	ResultKeys        Result = "keys"         // key set malformed, over its limit, or without a usable key
	ResultProxy       Result = "proxy"        // the egress proxy was not reached, or refused
	ResultPanic       Result = "panic"        // a bug of ours, contained
)

// Results returns every Result, so that metrics can be shown before they count.
func Results() []Result {
	return []Result{
		ResultOK, ResultAddress, ResultDNS, ResultConnect, ResultTLS, ResultTimeout, ResultStatus, ResultRedirect,
		ResultContentType, ResultEncoding, ResultTooLarge, ResultDiscovery, ResultKeys, ResultProxy, ResultPanic,
	}
}

// fetchError is a fetch that failed, with its place in the closed set.
type fetchError struct {
	result     Result
	retryAfter time.Duration // what the server asked for; 0 is nothing
	err        error
}

func (e *fetchError) Error() string { return e.err.Error() }
func (e *fetchError) Unwrap() error { return e.err }

func failed(result Result, err error) *fetchError { return &fetchError{result: result, err: err} }

// classify gives a transport error its place. duringTLS says that the
// handshake was what failed.
func classify(err error, duringTLS bool) Result {
	var timeout interface{ Timeout() bool } // net.Error, which context.DeadlineExceeded is too
	switch {
	case errors.Is(err, egress.ErrAddress):
		return ResultAddress
	case errors.As(err, &timeout) && timeout.Timeout():
		return ResultTimeout
	case errors.Is(err, errProxy):
		return ResultProxy
	case errors.Is(err, egress.ErrResolve):
		return ResultDNS
	case duringTLS:
		return ResultTLS
	default:
		return ResultConnect
	}
}

// clip makes text that a peer had a hand in (a certificate's names, an error of
// its protocol) fit for a condition: one line, bounded. 512 bytes are half of
// what a condition's readers show without folding.
func clip(s string) string {
	const limit = 512
	s = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, s)
	if len(s) <= limit {
		return s
	}
	return strings.ToValidUTF8(s[:limit], "") + "…"
}
