// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

// Package status makes the status of an object out of what translation said about
// it and of what the replicas that serve have acknowledged.
//
// It promises: equal facts give an equal status, so that nothing is written twice;
// a condition keeps its transition time while its status stays; Programmed latches:
// once every serving replica has acknowledged what an object is built from, it stays
// true until the object or what it refers to changes. What is stored is read for
// these times and that latch, and for nothing else.
//
// It refuses: deciding anything; a status is told, never asked.
//
// The controllers import it.
package status
