// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"errors"
	"time"

	"github.com/exchequer-dev/exchequer/exchanger/issuer"
)

// ErrUnavailable is what every failure to get an answer wraps: a retry can help,
// here or at the other server. That nothing is known is never a no.
var ErrUnavailable = errors.New("the other server cannot be asked now")

// Refused is the other server's no: an answer that was understood.
type Refused struct {
	// Code is the OAuth error code, one of the closed set of Codes; empty for
	// another one, or where the protocol has none.
	Code string
}

// Error says what was refused, in constant words.
func (r *Refused) Error() string {
	if r.Code == "" {
		return "the other server refused"
	}
	return "the other server refused: " + r.Code
}

// Codes are the OAuth error codes that a [Refused] can have (RFC 6749 section 5.2,
// RFC 8693 section 2.2.2, RFC 6750 section 3.1).
func Codes() []string {
	return []string{
		"invalid_request", "invalid_grant", "invalid_scope", "invalid_target", "unauthorized_client", "unsupported_grant_type",
		"access_denied", "invalid_token", "insufficient_scope", "interaction_required", "login_required", "consent_required",
	}
}

// Result is how one question ended: a closed set, fit for a metric label.
type Result string

// The results that an issuer's fetch can have too.
const (
	ResultOK          = Result(issuer.ResultOK)
	ResultAddress     = Result(issuer.ResultAddress)
	ResultDNS         = Result(issuer.ResultDNS)
	ResultConnect     = Result(issuer.ResultConnect)
	ResultTLS         = Result(issuer.ResultTLS)
	ResultTimeout     = Result(issuer.ResultTimeout)
	ResultStatus      = Result(issuer.ResultStatus)
	ResultRedirect    = Result(issuer.ResultRedirect)
	ResultContentType = Result(issuer.ResultContentType)
	ResultEncoding    = Result(issuer.ResultEncoding)
	ResultTooLarge    = Result(issuer.ResultTooLarge)
	ResultProxy       = Result(issuer.ResultProxy)
	ResultPanic       = Result(issuer.ResultPanic)
)

// The results of questions alone.
const (
	ResultRefused     Result = "refused"     // the other server's no
	ResultMalformed   Result = "malformed"   // an answer that is not what the protocol has
	ResultCredentials Result = "credentials" // our own are missing, unusable, or refused
	ResultBusy        Result = "busy"        // too many questions are under way there
	ResultCircuit     Result = "circuit"     // not asked, because it failed again and again
	ResultAborted     Result = "aborted"     // nobody waits for the answer any more
)

// Results returns every Result.
func Results() []Result {
	return []Result{
		ResultOK, ResultAddress, ResultDNS, ResultConnect, ResultTLS, ResultTimeout, ResultStatus, ResultRedirect, ResultContentType,
		ResultEncoding, ResultTooLarge, ResultProxy, ResultPanic,
		ResultRefused, ResultMalformed, ResultCredentials, ResultBusy, ResultCircuit, ResultAborted,
	}
}

// Observer counts questions.
type Observer interface {
	// Asked is called once per question. The name is [Server.Name].
	Asked(name string, result Result, took time.Duration)
}

// failure is a question that brought no answer.
type failure struct {
	result Result
	why    string
}

func (f *failure) Error() string { return f.why }
func (f *failure) Unwrap() error { return ErrUnavailable }

func failed(result Result, why string) *failure { return &failure{result, why} }

// resultOf is the label for how a question ended.
func resultOf(err error) Result {
	var f *failure
	var no *Refused
	switch {
	case err == nil:
		return ResultOK
	case errors.As(err, &f):
		return f.result
	case errors.As(err, &no):
		return ResultRefused
	}
	return ResultPanic
}
