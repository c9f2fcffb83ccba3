// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// Condition types. Each is true when things are as they should be, and each
// carries the generation that it speaks of.
const (
	// ConditionAccepted is true when the object is valid and part of the policy.
	ConditionAccepted = "Accepted"

	// ConditionResolvedRefs is true when every object that this one refers to
	// exists and may be used by it.
	ConditionResolvedRefs = "ResolvedRefs"

	// ConditionVerified is true when the keys of a TrustedIssuer are usable. It
	// is false only when they were never fetched or are past their bound.
	ConditionVerified = "Verified"

	// ConditionExamplesPassed is true when every example of an ExchangePolicy
	// gives what it expects. False keeps the policy out; Unknown does not.
	ConditionExamplesPassed = "ExamplesPassed"

	// ConditionStoreReady is true when the shared one-time state of a
	// TokenService is there for the replicas that run. Ready does not count it.
	ConditionStoreReady = "StoreReady"

	// ConditionKeysReady is true when a TokenService has a key that signs and its
	// keys follow the manifest. While it is false, the last valid keys go on.
	ConditionKeysReady = "KeysReady"

	// ConditionProgrammed is true when every serving replica acknowledged a
	// revision that was built from this generation and these references.
	ConditionProgrammed = "Programmed"

	// ConditionReady is true when all conditions that apply to the kind are:
	// the object is valid, resolved, and in force everywhere.
	ConditionReady = "Ready"
)

// Reasons of conditions. The set is closed: a reason that is not here is a bug.
const (
	// ReasonAccepted is the reason of a true Accepted.
	ReasonAccepted = "Accepted"

	// ReasonInvalid says that the object breaks a rule of its schema or of translation.
	ReasonInvalid = "Invalid"

	// ReasonNotSupported says that the object asks for what this version does not do.
	ReasonNotSupported = "NotSupported"

	// ReasonInvalidExpression says that an expression does not compile or costs too much.
	ReasonInvalidExpression = "InvalidExpression"

	// ReasonConflicted says that another object claims the same thing.
	ReasonConflicted = "Conflicted"

	// ReasonNameNotDelegated says that the object uses a name that the platform
	// did not delegate to its namespace.
	ReasonNameNotDelegated = "NameNotDelegated"

	// ReasonNamespaceNotAllowed says that the TokenService does not admit the object's namespace.
	ReasonNamespaceNotAllowed = "NamespaceNotAllowed"

	// ReasonQuotaExceeded says that the object's namespace is over its budget.
	ReasonQuotaExceeded = "QuotaExceeded"

	// ReasonExpired says that the object's time is over.
	ReasonExpired = "Expired"

	// ReasonSuspended says that the object is suspended: it counts as absent.
	ReasonSuspended = "Suspended"

	// ReasonAudit says that the policy only records what it would decide.
	ReasonAudit = "Audit"

	// ReasonResolvedRefs is the reason of a true ResolvedRefs.
	ReasonResolvedRefs = "ResolvedRefs"

	// ReasonRefNotFound says that a referenced object does not exist.
	ReasonRefNotFound = "RefNotFound"

	// ReasonRefNotPermitted says that a referenced object may not be used from here.
	ReasonRefNotPermitted = "RefNotPermitted"

	// ReasonSecretNotFound says that a referenced Secret, or the key in it, does not exist.
	ReasonSecretNotFound = "SecretNotFound"

	// ReasonVerified is the reason of a true Verified.
	ReasonVerified = "Verified"

	// ReasonStale says that the last good keys serve, because newer ones could not be fetched.
	ReasonStale = "Stale"

	// ReasonNeverFetched says that the keys of an issuer were never fetched.
	ReasonNeverFetched = "NeverFetched"

	// ReasonKeysExpired says that the last good keys are past their bound.
	ReasonKeysExpired = "KeysExpired"

	// ReasonExamplesPassed is the reason of a true ExamplesPassed.
	ReasonExamplesPassed = "ExamplesPassed"

	// ReasonNoExamples says that the policy has no examples, which counts as true.
	ReasonNoExamples = "NoExamples"

	// ReasonExampleFailed says that an example gave something else than it expects.
	ReasonExampleFailed = "ExampleFailed"

	// ReasonExampleUnknown says that a client or an issuer that an example names is missing.
	ReasonExampleUnknown = "ExampleUnknown"

	// ReasonStoreReady is the reason of a true StoreReady.
	ReasonStoreReady = "StoreReady"

	// ReasonNoSharedStore says that no one-time state is kept that all replicas see:
	// of a TokenService as its StoreReady, and as Ready of an ExchangeClient that has
	// no way to authenticate but what is good once.
	ReasonNoSharedStore = "NoSharedStore"

	// ReasonKeysReady is the reason of a true KeysReady.
	ReasonKeysReady = "KeysReady"

	// ReasonNoKey says that there is no key that may sign.
	ReasonNoKey = "NoKey"

	// ReasonKeysUnreadable says that the stored keys cannot be read: somebody must restore them.
	ReasonKeysUnreadable = "KeysUnreadable"

	// ReasonKeysNotStored says that keys could not be made or stored now.
	ReasonKeysNotStored = "KeysNotStored"

	// ReasonKeyUnsuitable says that the key that was provided cannot be used.
	ReasonKeyUnsuitable = "KeyUnsuitable"

	// ReasonSignerUnavailable says that the external signer does not answer.
	ReasonSignerUnavailable = "SignerUnavailable"

	// ReasonProgrammed is the reason of a true Programmed.
	ReasonProgrammed = "Programmed"

	// ReasonNoReplica says that no replica serves.
	ReasonNoReplica = "NoReplica"

	// ReasonPending says that replicas have yet to acknowledge this generation.
	ReasonPending = "Pending"

	// ReasonCRDOutdated says that the CRDs are older than this controller.
	ReasonCRDOutdated = "CRDOutdated"

	// ReasonSnapshotTooLarge says that the whole policy does not fit a snapshot.
	ReasonSnapshotTooLarge = "SnapshotTooLarge"

	// ReasonReady is the reason of a true Ready.
	ReasonReady = "Ready"
)
