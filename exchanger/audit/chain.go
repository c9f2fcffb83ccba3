// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"strconv"
)

// maxReplica bounds the name that a chain's ID begins with: a Pod's name has 253
// characters at most.
const maxReplica = 253

// Sum is the SHA-256 of one line, without its line break.
type Sum = [sha256.Size]byte

// head is the last line of a chain that is in the sink.
type head struct {
	seq uint64
	sum Sum
	// linked says that sum is a line's: of this chain, or the last one that was in the
	// file before it. Only the first line of an empty sink has none before it.
	linked bool
}

// newChainID makes the ID of a chain: the replica's name and 80 random bits, so
// that two processes of one name have two chains.
func newChainID(replica string) string {
	if len(replica) > maxReplica {
		replica = replica[:maxReplica]
	}
	id := rand.Text()[:16]
	if replica == "" {
		return id
	}
	return replica + "/" + id
}

// appendSealed appends a body, an object without its closing brace, as the line that
// comes after h, and returns what is then the head. The members of the chain come
// last, so that what was before them is as it always was.
func appendSealed(dst, body []byte, chain string, h head) ([]byte, head) {
	start := len(dst)
	dst = appendMember(append(dst, body...), `,"chain":`, chain)
	dst = strconv.AppendUint(append(dst, `,"seq":`...), h.seq+1, 10)
	dst = append(dst, `,"prev":"`...)
	if h.linked {
		dst = hex.AppendEncode(dst, h.sum[:])
	}
	dst = append(dst, `"}`...)
	next := head{seq: h.seq + 1, sum: sha256.Sum256(dst[start:]), linked: true}
	return append(dst, '\n'), next
}

// reached is the head after only the first n bytes of lines came through, which were
// to follow h: the last line of them that is whole.
func reached(h head, lines []byte, n int) head {
	if n < 0 || n > len(lines) {
		return h // a writer that says so cannot be believed about anything
	}
	if n < len(lines) && lines[n] == '\n' {
		n++ // all of the line is there; its break comes with the next write
	}
	lines = lines[:n]
	end := bytes.LastIndexByte(lines, '\n')
	if end < 0 {
		return h
	}
	whole := lines[:end]
	h.seq += uint64(bytes.Count(whole, []byte{'\n'})) + 1
	h.sum, h.linked = sha256.Sum256(whole[bytes.LastIndexByte(whole, '\n')+1:]), true
	return h
}
