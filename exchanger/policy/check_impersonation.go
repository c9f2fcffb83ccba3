// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

func (j *judging) impersonationAllowed() *Refusal {
	if j.request.Subject.Impersonator != nil {
		return deny(ImpersonationForbidden, "impersonation is Forbidden, and the subject token was made under one")
	}
	return nil
}
