// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package subject

import (
	"crypto/sha256"

	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

// VerifyKept verifies a token that this token service has made and kept to itself, of
// a typ that it never gave to anybody. The result belongs to the caller.
func (v *Verifier) VerifyKept(svc *policy.TokenService, token, typ string) (*policy.Token, *policy.Refusal) {
	c, err := v.parser.Parse(token)
	if err != nil {
		return nil, named(&policy.Refusal{Outcome: policy.Denied, Reason: policy.TokenMalformed, Detail: err.Error()})
	}
	r, ref := v.verifyTyped(svc, c, sha256.Sum256([]byte(token)), []string{typ})
	if ref != nil {
		return nil, named(ref)
	}
	return r.token, nil
}
