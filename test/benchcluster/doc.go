// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

// Command benchcluster measures the operator against a real API server: one
// controller and two exchanger replicas as processes of this machine, with etcd
// waiting for the disk as in production.
//
// For 100, 1,000 and 10,000 policies it prints
//
//   - apply → in force: from sending a new policy until every replica answers
//     by it on its token endpoint, and until its Programmed condition is true;
//   - delete → refused, and suspend of a TrustedIssuer → refused, the same way;
//   - what one changed policy writes into etcd;
//   - memory of the programs, and how long they take from start to Ready.
//
// Everything is asked from outside, over HTTP. A figure that comes from asking
// again and again is late by half the interval between two questions, 5 ms.
package main
