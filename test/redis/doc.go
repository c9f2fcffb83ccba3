// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

// Package redis runs real redis-servers for tests, and breaks them: it kills, stops
// and restarts them, fills them up and lets them take over from each other.
//
// It promises that nothing of a server is left when its test ends. It refuses to
// pretend: without redis-server on the PATH a test fails, and says what to install.
//
// Only tests import it.
package redis
