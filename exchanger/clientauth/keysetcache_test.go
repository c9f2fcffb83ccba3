// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package clientauth

import (
	"strings"
	"testing"

	"github.com/exchequer-dev/exchequer/exchanger/jose"
)

func TestTheLargestKeySetIsParsedOnceHoweverOftenStrangersAskForIt(t *testing.T) {
	t.Parallel()
	const one = `{"keys": [{"kty": "EC", "crv": "P-256", "kid": "k1", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}`
	text := one + strings.Repeat(" ", jose.DefaultKeySetBytes-len(one))
	a := New(nil, nil, Options{})
	first, ok := a.keySet(text)
	if !ok {
		t.Fatal("the set is not usable")
	}
	if again, _ := a.keySet(text); again != first {
		t.Error("the set was parsed again")
	}
}
