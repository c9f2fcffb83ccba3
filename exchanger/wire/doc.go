// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

// Package wire is the published form of a policy.Spec: a pointer and up to 64
// chunks, each in a Secret of a fixed name.
//
// It promises: equal Specs give equal bytes; one changed object rewrites one chunk
// and the pointer, and some more where a chunk is too full for its objects and spills
// into others; a slot that the current pointer names is never written, so that
// whoever reads while somebody writes gets the old whole or the new whole; every
// chunk is checked against its hash and the whole against its digest.
//
// It refuses: members that it does not know, formats that this build does not
// read, chunks beyond what a Secret can hold, pointers that name what no writer
// would.
//
// It imports policy and the standard library, and knows no client: the controllers
// write what [Encode] plans, and the exchanger's feed fetches what [Decode] asks for.
package wire
