// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"bufio"
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
)

// Kind is what is wrong with a trail at one place.
type Kind string

// The kinds.
const (
	// KindChanged: a line is not the one that the next one was chained to.
	KindChanged Kind = "changed"
	// KindRemoved: the numbers leave some out.
	KindRemoved Kind = "removed"
	// KindReordered: a line stands after one that was written later.
	KindReordered Kind = "reordered"
	// KindRepeated: a line stands there twice.
	KindRepeated Kind = "repeated"
	// KindInserted: a line looks like a record and is not chained.
	KindInserted Kind = "inserted"
	// KindForged: a checkpoint is not signed by a key that was given.
	KindForged Kind = "forged"
	// KindRewritten: a line is not the one that a checkpoint was signed over.
	KindRewritten Kind = "rewritten"
	// KindTruncated: the end of a chain is missing.
	KindTruncated Kind = "truncated"
	// KindBeginning: the beginning of a chain is missing.
	KindBeginning Kind = "beginning"
)

// Problem is one place where a trail is not as it was written.
type Problem struct {
	File   string `json:"file"`
	Line   int    `json:"line"`
	Kind   Kind   `json:"kind"`
	Chain  string `json:"chain,omitempty"`
	Seq    uint64 `json:"seq,omitempty"`
	Detail string `json:"detail"`

	// index is the file's place among those that were given.
	index int
}

// ChainReport is what was found of one chain.
type ChainReport struct {
	Chain string `json:"chain"`
	// First and Last are the numbers of its lines, Signed the last number that a
	// checkpoint with a good signature covers; what comes after it is chained only.
	First  uint64 `json:"first"`
	Last   uint64 `json:"last"`
	Signed uint64 `json:"signed"`
	// Closed says that the log was closed in order. Where it was not, the process is
	// running, was killed, or the end was cut off.
	Closed bool `json:"closed"`
}

// Report is what [Verify] found.
type Report struct {
	Lines   int `json:"lines"`
	Records int `json:"records"`
	// Foreign counts lines that are nothing of ours: another program's, or half a line
	// that a full disk left.
	Foreign  int           `json:"foreign"`
	Chains   []ChainReport `json:"chains"`
	Problems []Problem     `json:"problems"`
	// More counts the problems beyond the first hundred.
	More int `json:"more,omitempty"`
}

// Good says that nothing is wrong.
func (r *Report) Good() bool { return len(r.Problems) == 0 }

// Verification is what a trail is verified against.
type Verification struct {
	// Signature verifies a compact JWS of typ [CheckpointType] and returns its payload;
	// nil is for nobody who has the keys: then signatures are not looked at.
	Signature func(jws string) (payload []byte, err error)
	// Partial allows that the beginning is in files that are not given.
	Partial bool
	// Closed wants every chain to have its end.
	Closed bool
}

// Input is one file of a trail, in the order in which they were written.
type Input struct {
	Name string
	From io.Reader
}

// mostProblems bounds a report; mostHashes the lines of a chain that are remembered
// for checkpoints to be compared with: 32 MiB, a thousand times what lies between two.
const (
	mostProblems = 100
	mostHashes   = 1 << 20
)

// Verify reads a trail and says where it is not as it was written. Anchors are
// checkpoints that were kept elsewhere: what they cover has to be there. The error is
// about reading, never about what was read.
func Verify(v Verification, anchors, trail []Input) (*Report, error) {
	r := &verifier{Verification: v, report: &Report{Chains: []ChainReport{}, Problems: []Problem{}}, chains: map[string]*chainState{}, anchors: map[string]map[uint64]anchor{}}
	for i, in := range anchors {
		if err := lines(in, i, r.anchor); err != nil {
			return nil, err
		}
	}
	for i, in := range trail {
		if err := lines(in, len(anchors)+i, r.line); err != nil {
			return nil, err
		}
	}
	r.finish()
	return r.report, nil
}

type verifier struct {
	Verification
	report  *Report
	chains  map[string]*chainState
	order   []*chainState
	anchors map[string]map[uint64]anchor
	// before is the line above, whatever it is.
	before Sum
}

// chainState is one chain as far as it was read.
type chainState struct {
	ChainReport
	last  place
	sum   Sum
	ended bool
	// sums are those of the lines from base on.
	sums []Sum
	base uint64
	// gaps are the places at which numbers were left out, by number.
	gaps map[uint64]*gap
}

type place struct {
	file  string
	index int
	line  int
}

type gap struct {
	Problem
	missing int
}

type anchor struct {
	sum Sum
	at  place
}

// chained is what the verifier reads of a line.
type chained struct {
	Chain      string  `json:"chain"`
	Seq        uint64  `json:"seq"`
	Prev       *string `json:"prev"`
	Event      string  `json:"event"`
	Checkpoint string  `json:"checkpoint"`
	Outcome    string  `json:"outcome"`
	ID         string  `json:"correlationID"`
}

func lines(in Input, index int, each func(at place, line []byte)) error {
	scan := bufio.NewScanner(in.From)
	scan.Buffer(make([]byte, 64<<10), MaxLine+1)
	n := 0
	for scan.Scan() {
		n++
		if len(scan.Bytes()) > 0 {
			each(place{in.Name, index, n}, scan.Bytes())
		}
	}
	switch err := scan.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		return fmt.Errorf("%s: line %d has more than %d bytes: this is no file of audit records", in.Name, n+1, MaxLine)
	case err != nil:
		return fmt.Errorf("%s: %w", in.Name, err)
	}
	return nil
}

func (r *verifier) line(at place, text []byte) {
	r.report.Lines++
	sum := sha256.Sum256(text)
	defer func() { r.before = sum }()
	var c chained
	if json.Unmarshal(text, &c) != nil || c.Chain == "" && c.Outcome == "" && c.ID == "" {
		r.report.Foreign++
		return
	}
	if c.Chain == "" || c.Seq == 0 || c.Prev == nil {
		r.problem(at, KindInserted, "", 0, "it has the keys of a record and no place in a chain")
		return
	}
	if c.Event == "" {
		r.report.Records++
	}
	s := r.chains[c.Chain]
	if s == nil {
		s = r.start(at, &c)
	} else if !r.follows(s, at, &c, sum) {
		return
	}
	s.last, s.sum, s.Last = at, sum, c.Seq
	s.keep(sum)
	r.anchored(s, at, sum)
	if c.Event != "" {
		r.event(s, at, &c)
	}
}

// start begins a chain, which is linked to the line that stood before it.
func (r *verifier) start(at place, c *chained) *chainState {
	s := &chainState{ChainReport: ChainReport{Chain: c.Chain, First: c.Seq}, base: c.Seq, gaps: map[uint64]*gap{}}
	r.chains[c.Chain] = s
	r.order = append(r.order, s)
	switch {
	case c.Seq != 1 && !r.Partial:
		r.problem(at, KindBeginning, c.Chain, c.Seq, fmt.Sprintf("the chain begins with number %d: the lines before it are in a file that was not given, or were removed", c.Seq))
	case c.Seq == 1 && *c.Prev != "":
		r.linked(s, at, *c.Prev)
	}
	return s
}

func (r *verifier) linked(s *chainState, at place, prev string) {
	for _, other := range r.order {
		if other != s && hex.EncodeToString(other.sum[:]) == prev {
			return
		}
	}
	switch {
	case hex.EncodeToString(r.before[:]) == prev, len(r.order) == 1 && r.Partial:
		return
	case len(r.order) == 1:
		r.problem(at, KindBeginning, s.Chain, 1, "the process found lines in its file when it began: they are in a file that was not given, or were removed")
		return
	}
	before := r.order[len(r.order)-2]
	r.problem(before.last, KindTruncated, before.Chain, before.Last,
		fmt.Sprintf("the chain that begins at %s:%d was linked to another line than this: lines after it were cut off, or it was changed", at.file, at.line))
}

// follows says whether a line takes the chain on; where it does not fit it says why.
func (r *verifier) follows(s *chainState, at place, c *chained, sum Sum) bool {
	linked := *c.Prev == hex.EncodeToString(s.sum[:])
	switch {
	case c.Seq <= s.Last:
		r.outOfPlace(s, at, c.Seq, sum)
		return false
	case c.Seq > s.Last+1 && linked:
		r.problem(at, KindChanged, s.Chain, c.Seq, fmt.Sprintf("it is chained to number %d and has another number than the next", s.Last))
	case c.Seq > s.Last+1:
		r.gap(s, at, c.Seq)
	case !linked:
		r.problem(s.last, KindChanged, s.Chain, s.Last, fmt.Sprintf("it is not the line that %s:%d was chained to: one of the two was changed", at.file, at.line))
	}
	if s.ended {
		r.problem(at, KindInserted, s.Chain, c.Seq, "the log was closed before this line")
	}
	return true
}

// gap notes that numbers are missing before seq. They may come later.
func (r *verifier) gap(s *chainState, at place, seq uint64) {
	missing := seq - s.Last - 1
	g := &gap{Problem: Problem{
		File: at.file, index: at.index, Line: at.line, Kind: KindRemoved, Chain: s.Chain, Seq: seq,
		Detail: fmt.Sprintf("number %d to %d are missing before this line, after %s:%d", s.Last+1, seq-1, s.last.file, s.last.line),
	}, missing: int(min(missing, mostHashes))}
	for n := s.Last + 1; n < seq && len(s.gaps) < mostHashes; n++ {
		s.gaps[n] = g
	}
	s.sums, s.base = s.sums[:0], seq
	if missing > mostHashes {
		r.note(g.Problem)
		clear(s.gaps)
	}
}

func (r *verifier) outOfPlace(s *chainState, at place, seq uint64, sum Sum) {
	if g := s.gaps[seq]; g != nil {
		delete(s.gaps, seq)
		g.missing--
		r.problem(at, KindReordered, s.Chain, seq, fmt.Sprintf("it belongs before number %d, which stands above it", s.Last))
		return
	}
	if have, ok := s.at(seq); ok && have == sum {
		r.problem(at, KindRepeated, s.Chain, seq, "the same line stands above it")
		return
	}
	r.problem(at, KindInserted, s.Chain, seq, fmt.Sprintf("a line of number %d stands above it", seq))
}

func (s *chainState) keep(sum Sum) {
	if len(s.sums) >= mostHashes {
		drop := len(s.sums) / 2
		s.sums = append(s.sums[:0], s.sums[drop:]...)
		s.base += uint64(drop)
	}
	s.sums = append(s.sums, sum)
}

func (s *chainState) at(seq uint64) (Sum, bool) {
	if seq < s.base || seq-s.base >= uint64(len(s.sums)) {
		return Sum{}, false
	}
	return s.sums[seq-s.base], true
}

// event reads a checkpoint.
func (r *verifier) event(s *chainState, at place, c *chained) {
	if c.Event == eventEnd {
		s.ended = true
	}
	if r.Signature == nil {
		s.Closed = s.ended
		return
	}
	point, sum, err := r.open(c.Checkpoint)
	switch {
	case err != nil:
		r.problem(at, KindForged, s.Chain, c.Seq, "the checkpoint: "+err.Error())
		return
	case point.Chain != s.Chain || point.Seq >= c.Seq || point.End != (c.Event == eventEnd):
		r.problem(at, KindForged, s.Chain, c.Seq, "the checkpoint was signed for another place")
		return
	case point.Seq < s.base && (r.Partial || s.base > s.First):
		return // what it covers is not here; the gap is told of already
	}
	if have, ok := s.at(point.Seq); !ok || have != sum {
		r.problem(at, KindRewritten, s.Chain, point.Seq, fmt.Sprintf("this checkpoint was signed over another line of number %d: lines after number %d, the last that is signed, were rewritten", point.Seq, s.Signed))
		return
	}
	s.Signed, s.Closed = point.Seq, point.End
}

func (r *verifier) open(jws string) (*Checkpoint, Sum, error) {
	payload, err := r.Signature(jws)
	if err != nil {
		return nil, Sum{}, err
	}
	return parseSigned(payload)
}

// anchor reads a checkpoint that was kept elsewhere.
func (r *verifier) anchor(at place, text []byte) {
	var c chained
	if json.Unmarshal(bytes.TrimSpace(text), &c) != nil || c.Checkpoint == "" {
		return
	}
	if r.Signature == nil {
		return
	}
	point, sum, err := r.open(c.Checkpoint)
	if err != nil {
		r.problem(at, KindForged, c.Chain, c.Seq, "the checkpoint: "+err.Error())
		return
	}
	of := r.anchors[point.Chain]
	if of == nil {
		of = map[uint64]anchor{}
		r.anchors[point.Chain] = of
	}
	of[point.Seq] = anchor{sum, at}
}

// anchored compares a line with what was kept elsewhere of it.
func (r *verifier) anchored(s *chainState, at place, sum Sum) {
	a, ok := r.anchors[s.Chain][s.Last]
	if !ok {
		return
	}
	delete(r.anchors[s.Chain], s.Last)
	if a.sum != sum {
		r.problem(at, KindRewritten, s.Chain, s.Last, fmt.Sprintf("the checkpoint at %s:%d was signed over another line of this number", a.at.file, a.at.line))
	}
}

func (r *verifier) finish() {
	for _, s := range r.order {
		told := map[*gap]bool{}
		for _, g := range s.gaps {
			if !told[g] && g.missing > 0 {
				r.note(g.Problem)
			}
			told[g] = true
		}
		for seq, a := range r.anchors[s.Chain] {
			if seq > s.Last {
				r.problem(s.last, KindTruncated, s.Chain, s.Last, fmt.Sprintf("the checkpoint at %s:%d covers number %d: the lines after this one were cut off", a.at.file, a.at.line, seq))
			}
		}
		delete(r.anchors, s.Chain)
		if r.Closed && !s.ended {
			r.problem(s.last, KindTruncated, s.Chain, s.Last, "the chain has no end: lines after this one were cut off, or the process was killed or is running")
		}
		r.report.Chains = append(r.report.Chains, s.ChainReport)
	}
	for chain, of := range r.anchors {
		for seq, a := range of {
			r.problem(a.at, KindRemoved, chain, seq, "this checkpoint is of a chain of which no line is there")
		}
	}
	r.report.sort()
}

func (r *verifier) problem(at place, kind Kind, chain string, seq uint64, detail string) {
	r.note(Problem{File: at.file, index: at.index, Line: at.line, Kind: kind, Chain: chain, Seq: seq, Detail: detail})
}

func (r *verifier) note(p Problem) {
	if len(r.report.Problems) >= mostProblems {
		r.report.More++
		return
	}
	r.report.Problems = append(r.report.Problems, p)
}

// sort puts the problems in the order of the trail.
func (r *Report) sort() {
	slices.SortStableFunc(r.Problems, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.index, b.index), cmp.Compare(a.Line, b.Line))
	})
}
