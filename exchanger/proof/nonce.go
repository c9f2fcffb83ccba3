// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package proof

import (
	"encoding/binary"
	"strings"
	"time"

	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

// nonceLabel tells a nonce from whatever else a token service seals: sealed facts
// are a JSON object, and begin with a brace.
const nonceLabel = "dpop-nonce:"

// Nonce makes a nonce for the DPoP-Nonce header (RFC 9449, section 8): the time,
// sealed with the token service's present key. Every replica has that key and can
// read it; nobody else can make one. It is empty when there is no key.
func (v *Verifier) Nonce(svc *policy.TokenService, now time.Time) string {
	current, ok := v.keys.Current(svc.Name())
	if !ok || current.Seal == nil {
		return ""
	}
	sealed, err := current.Seal.Seal(binary.BigEndian.AppendUint64([]byte(nonceLabel), uint64(now.Unix())))
	if err != nil {
		return ""
	}
	return sealed
}

// opened returns when a nonce was made; false when it is not ours.
func (v *Verifier) opened(svc *policy.TokenService, nonce string) (time.Time, bool) {
	current, ok := v.keys.Current(svc.Name())
	if !ok {
		return time.Time{}, false
	}
	plain, err := current.Seals.Open(nonce)
	if err != nil {
		return time.Time{}, false
	}
	at, ok := strings.CutPrefix(string(plain), nonceLabel)
	if !ok || len(at) != 8 {
		return time.Time{}, false
	}
	return time.Unix(int64(binary.BigEndian.Uint64([]byte(at))), 0), true
}
