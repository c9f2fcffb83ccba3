// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package jose

import (
	"math/big"
	"testing"
)

func TestEverySquareMayBeOneAndFewOthers(t *testing.T) {
	t.Parallel()
	others := 0
	const last = 1 << 16
	squares := map[int64]bool{}
	for i := int64(0); i*i <= last*16; i++ {
		squares[i*i] = true
		huge := new(big.Int).Lsh(big.NewInt(i*i+1), 4000)
		huge.Add(huge, big.NewInt(i))
		if !mayBeSquare(huge.Mul(huge, huge)) {
			t.Fatalf("the square of %v is none", huge)
		}
	}
	for n := range int64(last) {
		switch may := mayBeSquare(big.NewInt(n)); {
		case squares[n] && !may:
			t.Fatalf("%d is a square", n)
		case may && !squares[n]:
			others++
		}
	}
	if others > last/100 {
		t.Errorf("%d of %d others pass", others, last)
	}
}
