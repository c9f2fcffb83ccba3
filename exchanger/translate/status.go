// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"cmp"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/exchequer-dev/exchequer/api/v1alpha1"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

// Result is what came of a translation.
type Result struct {
	// Spec is what to compile and to publish.
	Spec *policy.Spec
	// Statuses has every object of the input once, sorted by kind, namespace, name.
	Statuses []ObjectStatus
	// Credentials are the secrets by which other servers know this installation, under
	// the names that Spec has. They are in nothing else: no status, no log.
	Credentials map[string][]byte
}

// ObjectStatus is what became of one object.
type ObjectStatus struct {
	Kind       string `json:"kind"`
	Namespace  string `json:"namespace,omitempty"`
	Name       string `json:"name"`
	Generation int64  `json:"generation,omitempty"`
	// Conditions are all that apply to the kind, in a fixed order, without
	// transition times, which are for whoever keeps the last status.
	Conditions []metav1.Condition `json:"conditions"`
	// Problems are what stands behind Accepted and ResolvedRefs where they are false,
	// one by one, with the field of each.
	Problems []Problem `json:"problems,omitempty"`
	// Unmatched are the clients and issuers that it names and that contribute
	// nothing; the words do not tell a missing one from one that is not allowed.
	Unmatched []string `json:"unmatched,omitempty"`
	// Warnings are for people: nothing hangs on them.
	Warnings []string `json:"warnings,omitempty"`
	// ClientID is the client_id in force of an ExchangeClient.
	ClientID string `json:"clientID,omitempty"`
	// OneTime says of an ExchangeClient in force that whatever it can authenticate with
	// is good only once, so that it is refused where no one-time state is kept.
	OneTime bool `json:"-"`
	// InputDigest identifies what the object is built from: itself as of its
	// generation, and which objects its references found. While it stays, replicas
	// that acknowledged the object once need not do so again.
	InputDigest string `json:"-"`
	// Examples tell how the examples of an ExchangePolicy went.
	Examples []ExampleResult `json:"examples,omitempty"`
}

// Problem is one thing that stands against an object.
type Problem struct {
	// Condition is the type of the condition that it makes false.
	Condition string `json:"condition"`
	Reason    string `json:"reason"`
	// Field is where it is, as in spec.rules[0].expression; empty when it is about
	// the object as a whole.
	Field   string `json:"field,omitempty"`
	Message string `json:"message"`
}

// String is the problem for people.
func (p Problem) String() string {
	if p.Field == "" {
		return p.Message
	}
	return p.Field + ": " + p.Message
}

// Condition returns the condition of that type, nil when it does not apply.
func (s *ObjectStatus) Condition(conditionType string) *metav1.Condition {
	for i := range s.Conditions {
		if s.Conditions[i].Type == conditionType {
			return &s.Conditions[i]
		}
	}
	return nil
}

// Summarize returns the Ready condition that follows from the others: true when
// all of them are, ExamplesPassed Unknown counted as true. A suspended object, and
// a policy in mode Audit, are Ready with that reason.
func Summarize(conditions []metav1.Condition, generation int64) metav1.Condition {
	ready := condition(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady, "valid, resolved and in force", generation)
	for _, want := range [...]metav1.ConditionStatus{metav1.ConditionFalse, metav1.ConditionUnknown} {
		for _, c := range conditions {
			if c.Type == v1alpha1.ConditionReady || c.Status != want ||
				(want == metav1.ConditionUnknown && c.Type == v1alpha1.ConditionExamplesPassed) ||
				(want == metav1.ConditionFalse && c.Type == v1alpha1.ConditionStoreReady) { // ADR 0012
				continue
			}
			ready.Status, ready.Reason, ready.Message = want, c.Reason, c.Type+": "+c.Message
			return ready
		}
	}
	for _, c := range conditions {
		if c.Type == v1alpha1.ConditionAccepted && (c.Reason == v1alpha1.ReasonSuspended || c.Reason == v1alpha1.ReasonAudit) {
			ready.Reason, ready.Message = c.Reason, c.Message
		}
	}
	return ready
}

func condition(kind string, status metav1.ConditionStatus, reason, message string, generation int64) metav1.Condition {
	return metav1.Condition{Type: kind, Status: status, Reason: reason, Message: clip(message), ObservedGeneration: generation}
}

// clip keeps a message within what an API server takes, 32,768 bytes, at a
// length that a person reads.
func clip(s string) string {
	const most = 2048
	if len(s) <= most {
		return s
	}
	return string([]rune(s[:most-16])) + " …"
}

func byObject(a, b ObjectStatus) int {
	return cmp.Or(cmp.Compare(rank(a.Kind), rank(b.Kind)), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
}

// kinds are in the order in which objects depend on each other, which is the
// order in which people want to read about them.
var kinds = [...]string{kindService, kindIssuer, kindClient, kindScope, kindPolicy, kindGrant, kindTarget, kindRevocation}

func rank(kind string) int {
	if i := slices.Index(kinds[:], kind); i >= 0 {
		return i
	}
	return len(kinds)
}

// The kinds by their names.
const (
	kindService    = "TokenService"
	kindIssuer     = "TrustedIssuer"
	kindClient     = "ExchangeClient"
	kindScope      = "ClientScope"
	kindPolicy     = "ExchangePolicy"
	kindGrant      = "ImpersonationGrant"
	kindTarget     = "ExternalTarget"
	kindRevocation = "TokenRevocation"
)
