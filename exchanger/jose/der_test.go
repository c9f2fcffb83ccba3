// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package jose

import (
	"bytes"
	"testing"
)

func TestNumbersOfASignatureFillTheirHalf(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		der  []byte
		want []byte // nil: refused
	}{
		"a number of full length":        {[]byte{2, 4, 1, 2, 3, 4}, []byte{1, 2, 3, 4}},
		"a number with a sign octet":     {[]byte{2, 5, 0, 0x80, 2, 3, 4}, []byte{0x80, 2, 3, 4}},
		"a number that is shorter":       {[]byte{2, 2, 3, 4}, []byte{0, 0, 3, 4}},
		"zero":                           {[]byte{2, 1, 0}, []byte{0, 0, 0, 0}},
		"a number that is too long":      {[]byte{2, 5, 1, 2, 3, 4, 5}, nil},
		"something else than an integer": {[]byte{3, 1, 0}, nil},
		"a length beyond the end":        {[]byte{2, 3, 1, 2}, nil},
		"nothing":                        {nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out := make([]byte, 4)
			rest, ok := takeInteger(out, c.der)
			if ok != (c.want != nil) || ok && (!bytes.Equal(out, c.want) || len(rest) != 0) {
				t.Errorf("got %v %v %v", out, rest, ok)
			}
		})
	}
}

func TestEveryECDSASignatureVerifiesAtItsFullLength(t *testing.T) {
	t.Parallel()
	for alg, size := range map[string]int{ES256: 64, ES384: 96} {
		key, err := GenerateKey(alg)
		if err != nil {
			t.Fatal(err)
		}
		// One in 128 has a number with a zero in front.
		for i := range 400 {
			signed := []byte{byte(i), byte(i >> 8)}
			signature, err := key.sign(signed)
			if err != nil || len(signature) != size || !key.Public().verify(alg, string(signed), signature) {
				t.Fatalf("%s: %d bytes, %v", alg, len(signature), err)
			}
		}
	}
}
