// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"fmt"
	"slices"
	"strings"

	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

// The names of the Secrets, which are fixed because RBAC can only name what is.
const (
	// PointerName is the Secret that holds the pointer.
	PointerName = "exchequer-snapshot"
	// KeysName is the Secret with the signing keys, one document per TokenService.
	KeysName = "exchequer-keys"
	// CredentialsName is the Secret with what is presented to others.
	CredentialsName = "exchequer-credentials"
)

// The keys inside those Secrets.
const (
	// PointerKey holds the pointer document.
	PointerKey = "pointer"
	// HeartbeatKey holds the time, in RFC 3339, when the controller last found the
	// pointer to be what it should be. It is no part of the pointer.
	HeartbeatKey = "heartbeat"
	// SoleKey holds the UID of the only Pod of the exchanger, whether it is ready or
	// not; it is absent when there are several or none. That Pod may keep one-time
	// state in its memory. It is no part of the pointer.
	SoleKey = "sole"
	// ChunkKey holds a chunk, compressed.
	ChunkKey = "chunk"
)

const (
	// Sides are the two sides that the slots of an index alternate between.
	Sides = "ab"
	// MaxBits bounds k: there are at most 2^6 chunks.
	MaxBits = 6
	// MaxChunks is the number of slots of one side.
	MaxChunks = 1 << MaxBits
)

// SlotName is the name of the Secret of a slot, such as exchequer-snapshot-a-07.
func SlotName(side byte, index int) string {
	return fmt.Sprintf("%s-%c-%02d", PointerName, side, index)
}

// SlotNames are the names of all slots, sorted: what a Role has to list.
func SlotNames() []string {
	names := make([]string, 0, len(Sides)*MaxChunks)
	for _, side := range []byte(Sides) {
		for i := range MaxChunks {
			names = append(names, SlotName(side, i))
		}
	}
	return names
}

func otherSide(side byte) byte {
	if side == Sides[0] {
		return Sides[1]
	}
	return Sides[0]
}

func isSide(s string) bool { return len(s) == 1 && strings.Contains(Sides, s) }

// ReadsFormats are the formats of a Spec that this build reads, ascending.
func ReadsFormats() []int32 { return []int32{policy.Format} }

// writesFormats are the formats that this build writes, newest first.
func writesFormats() []int { return []int{policy.Format} }

// ChooseFormat returns the newest format that this build writes and every replica
// reads; false when there is none. A replica that says nothing reads nothing.
func ChooseFormat(replicas [][]int32) (int, bool) {
	for _, format := range writesFormats() {
		all := true
		for _, reads := range replicas {
			all = all && slices.Contains(reads, int32(format))
		}
		if all {
			return format, true
		}
	}
	return 0, false
}
