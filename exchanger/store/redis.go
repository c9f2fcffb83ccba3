// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"crypto/rand"
	_ "embed"
	"errors"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
	"github.com/redis/go-redis/v9/maintnotifications"
)

const (
	// redisDeadline bounds one call: an exchange takes milliseconds, and whoever waits
	// for one longer than a quarter of a second is better told to come back.
	redisDeadline = 250 * time.Millisecond
	// redisAtOnce bounds the calls under way, and the connections: with answers within a
	// millisecond these are 64,000 calls a second.
	redisAtOnce = 64
	// connectionLife bounds how long a password that was taken back is of use to us, and
	// how long we stay with a server that a name does not point to any more.
	connectionLife = 10 * time.Minute
	// nonceBytes tell calls apart.
	nonceBytes = 16
	// prefix begins the name of everything that we keep.
	prefix = "exchequer:"
	marker = prefix + "since"
	// What stands before the 32 bytes of an entry; accounts are o: and b: (common.lua).
	usePrefix   = prefix + "u:"
	valuePrefix = prefix + "v:"
)

// RedisOptions say where a Redis is, and what is asked of it.
type RedisOptions struct {
	RedisAddress
	// Replicas is how many replicas must have confirmed a write before it counts; 0
	// asks none. With as many as make a majority, no failover loses what was answered.
	Replicas int
	// Limits bound what is kept for one owner; Total and Bytes are the server's
	// maxmemory.
	Limits MemoryLimits
	// Deadline bounds each call; default 250 ms.
	Deadline time.Duration
	// Observer hears of calls; nil is nobody.
	Observer Observer
	// Log tells when the store comes and goes; nil is nowhere.
	Log *slog.Logger
}

// Observer hears how a store that is somewhere else does. It must not block.
type Observer interface {
	// StoreCall is told of each call: its name and how it ended, both from closed sets.
	StoreCall(call, result string, took time.Duration)
	// StoreState is told what the last look at the server found.
	StoreState(ready bool, evicted int64)
}

// Redis is a Store in a Redis or Valkey server (6.2 or later), for any number of
// replicas. The server's own clock says what is over.
//
// It does not answer from a server that may drop what it keeps: one with another
// maxmemory-policy than noeviction, one that is a replica, a cluster. A server that
// was flushed, was restarted, took over from another or has evicted is one that may
// have lost what was written last: Since moves on, as after a start of a Memory.
type Redis struct {
	options RedisOptions
	limits  MemoryLimits
	client  *redis.Client
	circuit circuit
	places  chan struct{}

	// known is the marker that every call has to find; nil before the first look.
	known atomic.Pointer[epoch]
	// trouble is why the server must not be used, as of the last look at it.
	trouble atomic.Pointer[error]
	// looked guards what looks report, so that each change is told once.
	looked sync.Mutex
	ready  bool
	told   bool
}

// epoch is what the marker says.
type epoch struct {
	marker string
	since  time.Time
}

//nolint:gochecknoglobals // what go:embed gives, and what is made of it once
var (
	//go:embed lua/begin.lua
	beginSource string
	//go:embed lua/common.lua
	commonSource string
	//go:embed lua/once.lua
	onceSource string
	//go:embed lua/put.lua
	putSource string
	//go:embed lua/swap.lua
	swapSource string
	//go:embed lua/take.lua
	takeSource string

	beginScript = redis.NewScript(beginSource)
	onceScript  = redis.NewScript(commonSource + onceSource)
	putScript   = redis.NewScript(commonSource + putSource)
	swapScript  = redis.NewScript(commonSource + swapSource)
	takeScript  = redis.NewScript(commonSource + takeSource)

	silence sync.Once
)

// NewRedis makes a store. It asks nothing of the server before Run, or the first call.
// An error is about the options.
func NewRedis(o RedisOptions) (*Redis, error) {
	if err := o.Check(); err != nil {
		return nil, err
	}
	// The client's own log goes to standard error, where audit records may go.
	silence.Do(logging.Disable)
	r := &Redis{options: o, limits: o.Limits, circuit: circuit{now: time.Now}, places: make(chan struct{}, redisAtOnce)}
	if r.limits.PerOwner <= 0 {
		r.limits.PerOwner = DefaultPerOwner
	}
	if r.limits.OwnerBytes <= 0 {
		r.limits.OwnerBytes = DefaultOwnerBytes
	}
	if r.options.Deadline <= 0 {
		r.options.Deadline = redisDeadline
	}
	r.client = redis.NewClient(&redis.Options{
		Addr: o.host, DB: o.database, Protocol: 2,
		Dialer:                     o.dial,
		CredentialsProviderContext: o.credentials,
		OnConnect:                  func(ctx context.Context, c *redis.Conn) error { return r.look(ctx, c) },
		// Attempts are counted here, with one and the same nonce.
		MaxRetries: -1, DialerRetries: 1, DialTimeout: 2 * time.Second,
		ReadTimeout: r.options.Deadline, WriteTimeout: r.options.Deadline, ContextTimeoutEnabled: true,
		PoolSize: redisAtOnce, MaxActiveConns: redisAtOnce, PoolTimeout: r.options.Deadline, PipelinePoolSize: -1,
		ConnMaxLifetime: connectionLife, ConnMaxLifetimeJitter: time.Minute, ConnMaxIdleTime: 5 * time.Minute,
		DisableIdentity:          true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
	return r, nil
}

// Observe has an observer hear of calls, instead of the one of the options. It is
// called before the store is used.
func (r *Redis) Observe(o Observer) { r.options.Observer = o }

// Close ends all connections.
func (r *Redis) Close() error { return r.client.Close() }

// Since implements [Store]. It is the zero time before the server was first asked:
// whoever asks looks again after a call that answered.
func (r *Redis) Since() time.Time {
	if e := r.known.Load(); e != nil {
		return e.since
	}
	return time.Time{}
}

// microseconds since 1970; what lies beyond a double's 53 bits, or before, is over.
func microseconds(t time.Time) string {
	if t.Unix() < 0 || t.Unix() > 1<<32 {
		return "0"
	}
	return strconv.FormatInt(t.UnixMicro(), 10)
}

func useName(purpose Purpose, owner, id string) string {
	k := KeyOf(purpose, owner, id)
	return usePrefix + string(k[:])
}

func valueName(purpose Purpose, id string) string {
	k := KeyOf(purpose, "", id)
	return valuePrefix + string(k[:])
}

func nonce() string {
	var b [nonceBytes]byte
	_, _ = rand.Read(b[:]) // crypto/rand does not fail: the process ends instead
	return string(b[:])
}

func ownerOf(kind, owner string) string {
	k := KeyOf("owner", kind, owner)
	return string(k[:])
}

// Once implements [Store].
func (r *Redis) Once(ctx context.Context, purpose Purpose, owner, id string, until time.Time) (bool, error) {
	key := useName(purpose, owner, id)
	answer, err := r.run(ctx, "once", true, onceScript, []string{key},
		ownerOf("uses of "+string(purpose), owner), microseconds(until), r.limits.PerOwner, nonce())
	return answer.yes, err
}

// Put implements [Store].
func (r *Redis) Put(ctx context.Context, purpose Purpose, owner, id string, value []byte, until time.Time) error {
	if len(value) > MaxValue {
		return ErrTooLarge
	}
	_, err := r.run(ctx, "put", true, putScript, []string{valueName(purpose, id)},
		ownerOf("values", owner), microseconds(until), r.limits.PerOwner, r.limits.OwnerBytes, value)
	return err
}

// Take implements [Store].
func (r *Redis) Take(ctx context.Context, purpose Purpose, id string) ([]byte, bool, error) {
	key := valueName(purpose, id)
	answer, err := r.run(ctx, "take", true, takeScript, []string{key, key + ":taken"}, nonce())
	return answer.value, answer.yes, err
}

// Swap implements [Store].
func (r *Redis) Swap(ctx context.Context, purpose Purpose, id string, old, replacement []byte, until time.Time) (bool, error) {
	if len(replacement) > MaxValue || len(old) > MaxValue {
		return false, ErrTooLarge
	}
	answer, err := r.run(ctx, "swap", true, swapScript, []string{valueName(purpose, id)},
		microseconds(until), r.limits.OwnerBytes, old, replacement)
	return answer.yes, err
}

// Get implements [Store].
func (r *Redis) Get(ctx context.Context, purpose Purpose, id string) ([]byte, bool, error) {
	found, err := r.read(ctx, "get", []string{valueName(purpose, id)})
	if err != nil || found[0] == "" {
		return nil, false, err
	}
	return []byte(found[0][len(Key{}):]), true, nil
}

// Any implements [Store].
func (r *Redis) Any(ctx context.Context, purpose Purpose, ids []string) (bool, error) {
	switch {
	case len(ids) > MaxAny:
		return false, ErrTooLarge
	case len(ids) == 0:
		return false, nil
	}
	keys := make([]string, len(ids))
	for i, id := range ids {
		keys[i] = valueName(purpose, id)
	}
	found, err := r.read(ctx, "any", keys)
	return err == nil && strings.Join(found, "") != "", err
}

// answer is what a script said.
type answer struct {
	yes   bool
	value []byte
}

// errOther means that the marker is not the one that we know.
var errOther = errors.New("the store is not the one that it was")

// run calls a script that writes.
func (r *Redis) run(ctx context.Context, call string, writes bool, script *redis.Script, keys []string, args ...any) (answer, error) {
	var a answer
	err := r.call(ctx, call, func(ctx context.Context, e *epoch) error {
		// One connection for both: WAIT is about what was written on its own.
		conn := r.client.Conn()
		defer func() { _ = conn.Close() }()
		said, err := script.Run(ctx, conn, append([]string{marker}, keys...), append([]any{e.marker}, args...)...).Slice()
		if err != nil {
			return err
		}
		if a, err = parse(said); err != nil || !writes || !a.yes {
			return err
		}
		return r.confirm(ctx, conn)
	})
	if err != nil {
		return answer{}, err
	}
	return a, nil
}

// parse reads what a script said.
func parse(said []any) (answer, error) {
	word, _ := said[0].(string)
	switch word {
	case "yes":
		a := answer{yes: true}
		if len(said) > 1 {
			v, _ := said[1].(string)
			a.value = []byte(v)
		}
		return a, nil
	case "no":
		return answer{}, nil
	case "quota":
		return answer{}, ErrQuota
	case "other":
		return answer{}, errOther
	}
	// "over": nothing to remember; whoever asks has let something expired through.
	return answer{}, ErrUnavailable
}

// confirm waits until as many replicas have what was just written as must have it.
func (r *Redis) confirm(ctx context.Context, conn *redis.Conn) error {
	if r.options.Replicas == 0 {
		return nil
	}
	end, _ := ctx.Deadline()        // every call has one
	wait := time.Until(end) * 3 / 4 // what is left is for the answer to arrive
	if wait < time.Millisecond {
		return errUnconfirmed
	}
	n, err := conn.Wait(ctx, r.options.Replicas, wait).Result()
	switch {
	case err != nil:
		return err
	case n < int64(r.options.Replicas):
		return errUnconfirmed
	}
	return nil
}

// errUnconfirmed means that too few replicas have what was written. It was written
// all the same, and counts as used.
var errUnconfirmed = errors.New("too few replicas have confirmed what was written")

// read gets values, each "" where there is none.
func (r *Redis) read(ctx context.Context, call string, keys []string) ([]string, error) {
	values := make([]string, len(keys))
	err := r.call(ctx, call, func(ctx context.Context, e *epoch) error {
		// The marker and the values at one moment.
		found, err := r.client.MGet(ctx, append([]string{marker}, keys...)...).Result()
		if err != nil {
			return err
		}
		if is, _ := found[0].(string); is != e.marker {
			return errOther
		}
		for i := range keys {
			values[i], _ = found[i+1].(string)
		}
		return nil
	})
	return values, err
}
