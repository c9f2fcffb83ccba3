// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

// Package cluster is where a replica's snapshot comes from in a cluster: three
// Secrets that it watches by name, and the slots that the pointer names.
//
// It promises: what is in force is always one published policy as a whole, checked
// against its digest and compiled off the request path; what cannot be read, what
// does not compile and what is older than what is served is refused, said so in the
// acknowledgement, and the last good goes on; an acknowledgement is written after
// the swap, never before; a replica that starts without an API server starts from
// its checkpoint, and one whose watch has fallen silent finds out within a minute.
//
// It refuses: guessing. Age counts from the last time that the API server confirmed
// what is served, not from the state of a connection. It asks for nothing but
// Secrets of fixed names and its own ExchangerReplica, so that its Role can be as
// narrow as that.
//
// The programs import it; it imports wire, policy and client-go.
package cluster
