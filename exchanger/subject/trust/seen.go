// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package trust

import (
	"encoding/binary"
	"sync/atomic"
)

// seenSlots is how many digests are kept in mind: 16,384 of 8 bytes are 128 KiB.
const seenSlots = 1 << 14

// Seen tells what comes again from what comes once, so that a [Cache] keeps only
// what may be asked for a third time: most tokens are presented once, and to keep
// their facts would cost memory, and time to collect it, for nothing. It forgets
// by overwriting and takes no lock; what it forgets is verified once more.
type Seen struct{ slots [seenSlots]atomic.Uint64 }

// Before says whether the key was given to it not long ago, and notes it.
func (s *Seen) Before(k *Key) bool {
	mark := binary.LittleEndian.Uint64(k.Digest[:8]) | 1 // an empty slot is 0
	slot := binary.LittleEndian.Uint64(k.Digest[8:16]) % seenSlots
	return s.slots[slot].Swap(mark) == mark
}
