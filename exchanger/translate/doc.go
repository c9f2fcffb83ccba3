// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

// Package translate turns API objects into what the exchanger decides by: one
// [policy.Spec] for all of them, and a status for each.
//
// It promises: equal input, in any order, gives equal output, byte for byte; one
// broken object never blanks the rest, not even one that makes a step panic; an
// object whose reference cannot be resolved grants nothing; what this build does
// not serve is refused as NotSupported with the field that asks for it; a list
// that non-matches have emptied permits nothing and is never "absent"; no object
// takes anything away from another's accepted content, so that removing one never
// widens the rest, save by the release of a name, of a budget or of an ambiguity.
//
// Everything that the CRDs' schemas refuse and a decision hangs on is refused here
// again: an object that went around admission must not decide otherwise.
//
// # Who owns a name
//
// Names are claimed within one TokenService, by objects that are valid and not
// suspended: client IDs first, then audiences and resources, in one space, each
// by the first client of the order (namespace, name) that is entitled to it. An
// object that loses one name is out as a whole.
//
// A scope can be asked for without an audience when the TokenService delegates it
// to the ClientScope's namespace, or when that is the operator's. Within one entry
// of spec.names the first namespace wins; a ClientScope that loses stays usable
// with an explicit audience, and says so in a warning. Two entries that give one
// scope to two namespaces make such a request ambiguous, which is refused.
//
// # Examples
//
// Examples of policies are judged against the snapshot of everything that is
// accepted, every policy included, before any of them is gated: so the result
// hangs on no order. Those of an Audit policy are judged as if all Audit policies
// were in force. They see the targets of their own namespace and the issuers that
// it may name; everything else is missing or unknown to them, in the same words
// whether it exists or not. Since only policies of that namespace grant its
// targets, no other tenant's policy changes what they give.
//
// Examples are the one case in which a removal can bring a policy into force: when
// what goes is another policy of the namespace that an example contradicted, or a
// client or an issuer that a failing example names, which leaves it Unknown, or
// makes it pass where it expects just that. Both end an ambiguity: the policy's
// rules were never in doubt, only its examples.
//
// It refuses: I/O of any kind. No client, no clock, no environment: what it needs
// to know is in [Input].
//
// The command line, feed and controllers import it; it imports api, policy and the
// address rules of issuer/egress.
package translate
