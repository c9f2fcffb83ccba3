// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

// Command ldap-directory answers DirectoryReviews out of an LDAP directory: who a
// subject is, and in which groups. It is an example to begin from, in a module of
// its own; nothing of Exchequer imports it, and it imports nothing of Exchequer.
//
// It promises that whoever LDAP does not find is refused, that an LDAP server which
// does not answer is an outage (500) and never an empty answer, and that what stands
// in a review is escaped before it is part of a filter.
package main
