// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

// Package controllers is the operator: it gathers everything that people declared,
// translates it, publishes the result, and writes down for every object what became
// of it.
//
// It promises: the whole state is made anew from everything at every change, so that
// no order of events matters and none can be missed; one object's fault is told in
// that object's status and stops nothing else; what cannot be listed, or is not known
// to be current, publishes nothing and raises exchequer_publish_blocked_seconds; a
// status is written when it would differ, and wakes nobody; no status, annotation or
// event is ever an input of a decision; two controllers at once end in one state.
//
// It refuses: reading tokens; writing specs; deleting what it did not make; being
// waited for by an exchange. Without it statuses, rotation and new revisions stop,
// and exchanges go on.
//
// Only cmd/controller imports it.
//
// # One way
//
//	informers ──► Operator: gather → translate → compile → publish ──► book
//	                                                                   │
//	TokenService, TrustedIssuer, … one controller per kind  ◄──────────┘
//	(each writes the statuses of its kind, and nothing else)
//
// # Rights
//
// These are all the rights that the controller needs; charts/exchequer renders them,
// and a test runs the operator with just them. There is no *, no Secret of the whole
// cluster, and neither escalate, bind nor impersonate.
//
// ClusterRole exchequer-controller:
//
//	exchequer.dev             tokenservices trustedissuers exchangeclients clientscopes
//	                          exchangepolicies impersonationgrants externaltargets
//	                          tokenrevocations              get list watch
//	exchequer.dev             the same, /status             patch
//	apiextensions.k8s.io      customresourcedefinitions, resourceNames
//	                          [the nine of exchequer.dev]   get
//	""                        namespaces                    get list watch
//	events.k8s.io             events                        create patch
//	nonResourceURLs           /openid/v1/jwks
//	                          /.well-known/openid-configuration   get
//
// Role exchequer-controller in the operator's namespace:
//
//	""                        secrets                       get list watch create
//	""                        secrets, resourceNames [exchequer-snapshot, its 128
//	                          slots, exchequer-keys, exchequer-credentials]   update delete
//	""                        configmaps                    get list watch
//	""                        serviceaccounts, resourceNames
//	                          [exchequer-exchanger]         get
//	""                        pods                          get list watch
//	exchequer.dev             exchangerreplicas             get list watch
//	coordination.k8s.io       leases                        create
//	coordination.k8s.io       leases, resourceNames
//	                          [exchequer-controller]        get update patch
//	""                        events                        create patch
//
// ClusterRole exchequer-secret-reader, which a RoleBinding of a tenant's namespace
// binds to the controller; that one came or went is noticed within 15 seconds:
//
//	""                        secrets configmaps            get list watch
package controllers
