// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// DefaultEvery is how long a line stays without a checkpoint over it.
	DefaultEvery = time.Minute
	// mostUnsigned is after how many records a checkpoint comes before its time: at
	// 2,000 requests a second one signature for half a second's records costs less
	// than a thousandth of theirs.
	mostUnsigned = 1000
)

// The events that a line can be of that is no record.
const (
	eventCheckpoint = "checkpoint"
	eventEnd        = "end"
)

// CheckpointType is the `typ` of a signed checkpoint. It is nobody's token type, so
// that a checkpoint is a token to nobody who looks at `typ`; nor does it have any
// claim, to those who do not.
const CheckpointType = "exchequer-audit-checkpoint+jws"

// Signer signs checkpoints. It is narrow on purpose: what an audit log can have
// signed is a checkpoint and nothing else.
type Signer interface {
	// SignCheckpoint returns a compact JWS of typ [CheckpointType] over payload, and the
	// name of the token service whose key signed it.
	SignCheckpoint(ctx context.Context, payload []byte) (service, jws string, err error)
}

// Checkpoint says what the line of one number of a chain is.
type Checkpoint struct {
	Chain string    `json:"chain"`
	Seq   uint64    `json:"seq"`
	Hash  string    `json:"hash"`
	Time  time.Time `json:"time"`
	// End says that the log was closed after that line.
	End bool `json:"end,omitempty"`
}

// signed is the payload of a checkpoint's signature: one member, which is no claim of
// RFC 7519 or of anybody else.
type signed struct {
	Checkpoint *Checkpoint `json:"exchequer_audit_checkpoint"`
}

// parseSigned reads the payload of a checkpoint whose signature was verified.
func parseSigned(payload []byte) (*Checkpoint, Sum, error) {
	var s signed
	if err := json.Unmarshal(payload, &s); err != nil || s.Checkpoint == nil {
		return nil, Sum{}, errors.New("what is signed is no checkpoint")
	}
	sum, err := parseSum(s.Checkpoint.Hash)
	return s.Checkpoint, sum, err
}

func parseSum(text string) (Sum, error) {
	raw, err := hex.DecodeString(text)
	if err != nil || len(raw) != len(Sum{}) {
		return Sum{}, errors.New("expected the hex of a SHA-256")
	}
	return Sum(raw), nil
}

// checkpoints signs, from time to time, how far a log has come.
type checkpoints struct {
	// unsigned counts the records since the last checkpoint, wake says that they are
	// many; both are unused without a signer.
	unsigned atomic.Int64
	wake     chan struct{}
	end      chan struct{}
	ended    chan struct{}
	once     sync.Once
}

func (c *checkpoints) begin(l *Log) {
	if l.options.Signer == nil {
		return
	}
	if l.options.Every <= 0 {
		l.options.Every = DefaultEvery
	}
	c.wake, c.end, c.ended = make(chan struct{}, 1), make(chan struct{}), make(chan struct{})
	go c.run(l)
}

// record counts a record.
func (c *checkpoints) record() {
	if c.wake == nil || c.unsigned.Add(1) != mostUnsigned {
		return
	}
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

func (c *checkpoints) stop() {
	if c.wake != nil {
		c.once.Do(func() { close(c.end) })
	}
}

func (c *checkpoints) run(l *Log) {
	defer close(c.ended)
	tick := time.NewTicker(l.options.Every)
	defer tick.Stop()
	for {
		select {
		case <-c.end:
			return
		case <-tick.C:
		case <-c.wake:
		}
		if c.unsigned.Swap(0) == 0 {
			continue
		}
		err := c.sign(l, eventCheckpoint, func(body []byte) error {
			return l.write(func(dst []byte) []byte { return append(dst, body...) })
		})
		if err != nil && !errors.Is(err, ErrClosed) {
			// What was not signed is still unsigned: the next tick tries again.
			c.unsigned.Add(1)
			if l.options.Failed != nil {
				l.options.Failed(err)
			}
		}
	}
}

// last signs the end. It is called when nothing else writes any more. A log that
// nobody can sign for ends without: its readers are told that its end is open.
func (c *checkpoints) last(l *Log) {
	if c.wake == nil {
		return
	}
	c.stop()
	<-c.ended
	if l.head.seq == 0 {
		return // it never began
	}
	err := c.sign(l, eventEnd, func(body []byte) error {
		b := newBatch(body)
		b.ends = []int{len(body)}
		l.mu.Lock()
		l.writing = b
		l.mu.Unlock()
		l.put(b)
		return b.err
	})
	if err != nil && l.options.Failed != nil {
		l.options.Failed(err)
	}
}

// sign has the present head signed and hands the body of the line that says so to
// write.
func (c *checkpoints) sign(l *Log, event string, write func(body []byte) error) error {
	l.mu.Lock()
	at := l.head
	l.mu.Unlock()
	now := l.options.Now().UTC()
	payload, err := json.Marshal(signed{&Checkpoint{Chain: l.chain, Seq: at.seq, Hash: hex.EncodeToString(at.sum[:]), Time: now, End: event == eventEnd}})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), l.deadline)
	defer cancel()
	service, jws, err := l.options.Signer.SignCheckpoint(ctx, payload)
	if err != nil {
		return err
	}
	body := append([]byte(`{"time":"`), now.Format(time.RFC3339Nano)...)
	body = appendMember(append(body, '"'), `,"event":`, event)
	body = appendMember(body, `,"tokenService":`, service)
	// A signature of RSA 8192 bits and its payload are below 2 KiB.
	return write(appendMember(body, `,"checkpoint":`, jws))
}
