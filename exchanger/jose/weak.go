// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package jose

import (
	"encoding/hex"
	"math/big"
)

// hasSmallOrder reports whether x encodes a point of order 1, 2, 4 or 8 on
// edwards25519. Under such a key one signature verifies for many messages,
// which crypto/ed25519 accepts as RFC 8032 is written.
func hasSmallOrder(x []byte) bool {
	// The sign bit does not change a point's order.
	y := append([]byte(nil), x...)
	y[31] &= 0x7f
	switch hex.EncodeToString(y) {
	case "0000000000000000000000000000000000000000000000000000000000000000", // y = 0, order 4
		"0100000000000000000000000000000000000000000000000000000000000000", // y = 1, order 1
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05", // order 8
		"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a", // order 8
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", // y = -1, order 2
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", // y = p, another name of 0
		"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f": // y = p+1, another name of 1
		return true
	}
	return false
}

// weakRSA reports moduli that are known to be easy to factor: with a small
// prime factor, with two primes close together, or made by the Infineon library
// (ROCA, CVE-2017-15361). It is a filter for accidents, not a proof of strength;
// keys of the Debian and shared-prime lists need those lists and are not found.
func weakRSA(n *big.Int) bool {
	return hasSmallFactor(n) || looksLikeROCA(n) || hasClosePrimes(n)
}

// smallPrimes are the odd primes up to 167, which is what the ROCA fingerprint
// of a 512-bit prime uses: longer keys use these and more.
func smallPrimes() []int64 {
	return []int64{
		3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101, 103,
		107, 109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167,
	}
}

func hasSmallFactor(n *big.Int) bool {
	for _, p := range smallPrimes() {
		if new(big.Int).Mod(n, big.NewInt(p)).Sign() == 0 {
			return true
		}
	}
	return false
}

// looksLikeROCA tests that n is a power of 65537 modulo every small prime, as
// all ROCA moduli are. A sound modulus passes with a chance below 2^-27.
func looksLikeROCA(n *big.Int) bool {
	for _, p := range smallPrimes() {
		rest := new(big.Int).Mod(n, big.NewInt(p)).Int64()
		power, found := int64(1), false
		for range p {
			if power == rest {
				found = true
				break
			}
			power = power * 65537 % p
		}
		if !found {
			return false
		}
	}
	return true
}

// hasClosePrimes tries Fermat's factorisation for a few steps: enough for primes
// that were searched from one another (CVE-2022-26320), where the first step
// already succeeds.
func hasClosePrimes(n *big.Int) bool {
	const steps = 100
	a := new(big.Int).Sqrt(n)
	a.Add(a, big.NewInt(1))
	for range steps {
		rest := new(big.Int).Mul(a, a)
		rest.Sub(rest, n)
		if mayBeSquare(rest) {
			root := new(big.Int).Sqrt(rest)
			if root.Mul(root, root).Cmp(rest) == 0 {
				return true
			}
		}
		a.Add(a, big.NewInt(1))
	}
	return false
}

// mayBeSquare lets every square pass, and of other numbers fewer than one in a
// hundred: what is no square modulo one of these is none. It saves the square
// roots, which made one key of 8192 bits cost 2 ms, and a set of 50 a tenth of a
// second of whoever reads it.
func mayBeSquare(n *big.Int) bool {
	const product = 64 * 63 * 65 * 11
	rest := new(big.Int).Mod(n, big.NewInt(product)).Int64()
	for _, m := range [...]int64{64, 63, 65, 11} {
		square := false
		for i := int64(0); i <= m/2 && !square; i++ {
			square = i*i%m == rest%m
		}
		if !square {
			return false
		}
	}
	return true
}
