// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

// Package interop has clients that nobody here wrote ask a running `exchequer serve`,
// and verifiers that nobody here wrote judge what they get.
//
// Clients: golang.org/x/oauth2/google/externalaccount, as workloads outside of Google
// use it, and the npm packages openid-client and oauth4webapi. Verifiers:
// github.com/coreos/go-oidc, the npm package jose, and a kube-apiserver with an
// AuthenticationConfiguration that names our issuer.
//
// It promises to use each as its documentation says, with nothing set that makes it
// more lenient, over TLS. It refuses to stand in for a missing part: without Node.js,
// or without kube-apiserver, a test fails and says what to install.
//
// Run it by `make test-interop`, which installs the parts into the cache. Nothing
// imports it.
package interop
