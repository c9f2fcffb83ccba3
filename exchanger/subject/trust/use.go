// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package trust

import "github.com/exchequer-dev/exchequer/exchanger/policy"

// Of says whether an issuer's tokens may have this use.
func (u Use) Of(s *policy.Issuer) bool { return u.of(s) }
