// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

// Package server is the exchanger's edge: listeners, routes, limits, headers,
// health and drain. It is the only package with net/http handlers.
//
// It promises: every request is bounded before it is read, and read before it
// counts as work; a route exists only as exactly written in a TokenService's
// issuer, and is never reached by cleaning a path up; what is answered depends
// on the snapshot and the body, never on Host, Forwarded or X-Forwarded-*
// headers beyond the choice of a TokenService; a panic is one 500, one audit
// record, and unreadiness when it repeats; a shutdown lets requests in flight
// finish.
//
// It refuses: parameters in the query string, other content types than
// application/x-www-form-urlencoded, compressed bodies, cross-origin requests
// (it sends no CORS header), redirects.
//
// It decides nothing: [Exchanger] does. Programs import it; nobody else may.
//
// # Seam
//
// The use-case implements [Exchanger] without importing this package:
// [oauth.Call] and [oauth.Answer] are all that it sees. Exchange is called once
// for every request that could be read, Refused once for every request to a
// token endpoint that could not (so that it is recorded and counted), and for a
// panic in Exchange.
package server
