// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"slices"
	"testing"
)

// clusterIssuer is the local cluster's or a remote one's.
func clusterIssuer(t *testing.T, local bool, prefix string) *TrustedIssuer {
	t.Helper()
	c := &compilation{programs: map[programKey]Program{}}
	ti, err := c.issuer(&Issuer{
		Name: "k8s", Kind: IssuerKubernetes, URL: "https://kubernetes.default.svc", Classes: []Class{ClassJWT}, Prefix: prefix, Keys: Keys{Local: local},
		Mappings: Mappings{Subject: Value{Claim: "sub"}, Username: Value{Claim: "preferred_username"}, Groups: Value{Claim: "groups"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return ti
}

func accountToken(over map[string]any) Presented {
	claims := map[string]any{
		"iss": "https://kubernetes.default.svc", "sub": "system:serviceaccount:shop:frontend", "aud": []any{"a"}, "iat": int64(1), "exp": int64(2),
		"kubernetes.io": map[string]any{
			"namespace": "shop", "serviceaccount": map[string]any{"name": "frontend", "uid": "u1"},
			"pod": map[string]any{"name": "frontend-0", "uid": "u2"}, "node": map[string]any{"name": "node-1", "uid": "u3"},
		},
	}
	for k, v := range over {
		claims[k] = v
	}
	return Presented{Claims: claims}
}

func TestOnlyTheLocalClusterYieldsKubernetesOwnNames(t *testing.T) {
	t.Parallel()
	t.Run("the local cluster's have no prefix", func(t *testing.T) {
		t.Parallel()
		tok, ref := clusterIssuer(t, true, "").Identify(accountToken(nil))
		if ref != nil {
			t.Fatal(ref)
		}
		if tok.Subject != "system:serviceaccount:shop:frontend" || tok.Username != tok.Subject ||
			!slices.Equal(tok.Groups, []string{"system:serviceaccounts", "system:serviceaccounts:shop"}) {
			t.Errorf("%+v", tok)
		}
		uids, _ := tok.Extra["uids"].([]string)
		if tok.Extra["namespace"] != "shop" || tok.Extra["name"] != "frontend" || tok.Extra["pod"] != "frontend-0" || tok.Extra["node"] != "node-1" ||
			!slices.Equal(uids, []string{"u1", "u2", "u3"}) {
			t.Errorf("%+v", tok.Extra)
		}
	})
	t.Run("nothing that a token says besides changes them", func(t *testing.T) {
		t.Parallel()
		tok, ref := clusterIssuer(t, true, "").Identify(accountToken(map[string]any{"preferred_username": "root", "groups": []any{"system:masters"}}))
		if ref != nil {
			t.Fatal(ref)
		}
		if tok.Username != "system:serviceaccount:shop:frontend" || slices.Contains(tok.Groups, "system:masters") {
			t.Errorf("%+v", tok)
		}
	})
	t.Run("another cluster's are refused without a prefix", func(t *testing.T) {
		t.Parallel()
		if _, ref := clusterIssuer(t, false, "").Identify(accountToken(nil)); ref == nil || ref.Reason != SubjectMapping {
			t.Errorf("%v", ref)
		}
		tok, ref := clusterIssuer(t, false, "east:").Identify(accountToken(nil))
		if ref != nil || tok.Subject != "east:system:serviceaccount:shop:frontend" {
			t.Errorf("%+v, %v", tok, ref)
		}
	})
	t.Run("a token of somebody else than a service account is none", func(t *testing.T) {
		t.Parallel()
		if _, ref := clusterIssuer(t, true, "").Identify(accountToken(map[string]any{"sub": "system:admin"})); ref == nil {
			t.Error("accepted")
		}
	})
}
