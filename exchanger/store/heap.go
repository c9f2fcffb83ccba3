// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package store

// use is the end of what is kept under a key.
type use struct {
	until int64 // nanoseconds since 1970
	key   Key
}

// uses is a binary heap with the earliest end first. It is written out because
// container/heap would box every entry.
type uses []use

func (h *uses) push(u use) {
	q := append(*h, u)
	for i := len(q) - 1; i > 0; {
		parent := (i - 1) / 2
		if q[parent].until <= q[i].until {
			break
		}
		q[parent], q[i] = q[i], q[parent]
		i = parent
	}
	*h = q
}

func (h *uses) pop() use {
	q := *h
	top, last := q[0], len(q)-1
	q[0] = q[last]
	q = q[:last]
	for i := 0; ; {
		least := i
		for _, child := range [...]int{2*i + 1, 2*i + 2} {
			if child < last && q[child].until < q[least].until {
				least = child
			}
		}
		if least == i {
			break
		}
		q[least], q[i] = q[i], q[least]
		i = least
	}
	*h = q
	return top
}
