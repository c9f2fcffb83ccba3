// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package jose

import (
	"hash/maphash"
	"sync/atomic"
)

// headerSlots is how many headers a Parser keeps in mind: all tokens of an issuer's
// key have one header, so 256 are room for a hundred issuers with two keys each.
// One has 4 KiB at most, decoded, and a few times that as members: all together
// stay below 8 MiB, whoever fills them.
const headerSlots = 256

// Parser is [Parse] for whoever reads many tokens: a header segment that was read
// before is not read again. It is safe for concurrent use.
type Parser struct {
	limits Limits
	seed   maphash.Seed
	slots  [headerSlots]atomic.Pointer[parsedHeader]
}

// NewParser makes a parser with these limits.
func NewParser(lim Limits) *Parser {
	return &Parser{limits: lim.orDefaults(), seed: maphash.MakeSeed()}
}

// Parse is [Parse]: the same tokens are accepted, with the same result.
func (p *Parser) Parse(token string) (*Compact, error) { return parse(token, p.limits, true, p) }

// known returns what the segment was read as, if it is remembered. The whole
// segment is compared, so that two can share a slot.
func (p *Parser) known(segment string) *parsedHeader {
	if p == nil {
		return nil
	}
	h := p.slot(segment).Load()
	if h == nil || h.segment != segment {
		return nil
	}
	return h
}

func (p *Parser) keep(h *parsedHeader) {
	if p != nil {
		p.slot(h.segment).Store(h)
	}
}

func (p *Parser) slot(segment string) *atomic.Pointer[parsedHeader] {
	return &p.slots[maphash.String(p.seed, segment)%headerSlots]
}
