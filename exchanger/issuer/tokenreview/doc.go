// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

// Package tokenreview asks the API server of the cluster that this process runs in
// whether a service-account token still stands.
//
// It promises that the token goes to that API server and nowhere else, with the
// audiences that it may be for; that an answer is taken as it is, and that no answer
// is an error, never a no and never a yes.
//
// It refuses to decide anything, and to remember anything: package subject/trust
// asks last, bounds the questions and forgets the answers after ten seconds.
//
// It is the one package that answers requests with a Kubernetes client, because
// TokenReview is that by its nature; who does not choose it (validation: JWKS) does
// not depend on the API server. Programs may import it.
package tokenreview
