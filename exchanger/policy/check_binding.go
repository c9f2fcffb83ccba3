// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

// bindingKept refuses to turn a bound token into one that anybody can use
// (RFC 9449, RFC 8705): the proof that would keep it bound was not verified.
func (j *judging) bindingKept() *Refusal {
	if j.request.Subject.Confirmed {
		return deny(SubjectBinding, "the subject token is bound to a key (cnf) of which there is no proof")
	}
	return nil
}
