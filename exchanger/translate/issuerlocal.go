// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/exchequer-dev/exchequer/api/v1alpha1"
)

// localUnknown stands for the local cluster's URL before anybody has read it. No
// token has it: a URN is no issuer of a cluster. So clients that name the issuer are
// resolved, and nothing is accepted.
const localUnknown = "urn:exchequer:local-cluster"

// maxLocalURL bounds the local cluster's issuer as the schema does those of others.
const maxLocalURL = 1024

func isLocal(api *v1alpha1.TrustedIssuer) bool {
	return api.Spec.Kubernetes != nil && api.Spec.Kubernetes.Cluster.Local != nil
}

// localIssuer reads the one issuer whose URL and keys nobody writes down: they are
// what the API server says. Its subjects are Kubernetes' own names, without prefix,
// which no other issuer may yield; so nothing may be mapped in their place.
func (w *world) localIssuer(i *issuer) {
	const field = "spec.kubernetes.cluster.local"
	if w.in.Serve && !w.in.Anywhere {
		i.notSupported(field, "there is no local cluster under `exchequer serve`; name the cluster with remote")
		return
	}
	spec := &i.api.Spec
	i.spec.Keys.Local = true
	i.spec.URL = localUnknown
	if w.localCluster() {
		i.spec.URL, i.spec.Keys.Carried = w.in.LocalCluster.Issuer, string(w.in.LocalCluster.JWKS)
	}
	if spec.IdentityPrefix != nil && *spec.IdentityPrefix != "" {
		i.invalid("spec.identityPrefix", "subjects of the local cluster are system:serviceaccount:<namespace>:<name>, without a prefix: take it out")
	}
	m := &spec.ClaimMappings
	for _, fixed := range []struct {
		field, usual string
		is           *v1alpha1.ClaimOrExpression
	}{{"subject", "sub", &m.Subject}, {"username", "preferred_username", m.Username}, {"groups", "groups", m.Groups}} {
		if c := fixed.is; c != nil && *c != (v1alpha1.ClaimOrExpression{}) && *c != (v1alpha1.ClaimOrExpression{Claim: fixed.usual}) {
			i.invalid("spec.claimMappings."+fixed.field, "subject, username and groups of the local cluster's service accounts are Kubernetes' own: take it out")
		}
	}
	if spec.Network != nil && len(spec.Network.AllowedCIDRs) > 0 {
		i.warn("spec.network: nothing is dialled for the local cluster: its keys come from the API server")
	}
}

// localCluster says whether what was read of the local cluster can be used.
func (w *world) localCluster() bool {
	l := w.in.LocalCluster
	return l != nil && l.Issuer != "" && len(l.Issuer) <= maxLocalURL && isVisible(l.Issuer, "") &&
		len(l.JWKS) <= maxKeySet && w.checkKeySet(l.JWKS).err == nil
}

// localOf finds the TrustedIssuer in force of the local cluster, nil when there is
// none: a TokenService has one at most.
func (w *world) localOf(s *service) *issuer {
	n := slices.IndexFunc(w.issuers, func(i *issuer) bool { return i.service == s && isLocal(i.api) && i.inForce() })
	if n < 0 {
		return nil
	}
	return w.issuers[n]
}

// verifyLocal is the Verified condition of the local cluster's issuer.
func (w *world) verifyLocal() (status metav1.ConditionStatus, reason, message string) {
	switch {
	case w.localCluster():
		return metav1.ConditionTrue, v1alpha1.ReasonVerified, "issuer and keys come from the API server"
	case w.in.LocalCluster == nil:
		return metav1.ConditionUnknown, v1alpha1.ReasonNeverFetched, "issuer and keys have not been read from the API server yet"
	}
	return metav1.ConditionFalse, v1alpha1.ReasonNeverFetched, "what the API server says of its issuer cannot be used: see its --service-account-issuer, and /openid/v1/jwks"
}
