// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

// Command demo tells the main job as a story, with real programs on this machine:
// a corporate issuer, the manifests of three teams, an exchange that is allowed
// and others that are refused, each with its explanation.
//
// It promises that every sentence it prints as a fact was checked, and that it
// ends with 0 only when all of them held. It leaves nothing behind: no process,
// no file. It refuses nothing, is part of no image, and is imported by nobody.
package main
