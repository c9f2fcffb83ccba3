// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/exchequer-dev/exchequer/exchanger/audit"
	"github.com/exchequer-dev/exchequer/exchanger/jose"
	"github.com/exchequer-dev/exchequer/exchanger/keys"
)

// maxPseudonymKey bounds the file of a pseudonym key: 32 random bytes in any spelling
// are below 128.
const maxPseudonymKey = 4 << 10

// AuditOptions are where audit records go and how they look.
type AuditOptions struct {
	// File is opened to append, and anew at SIGHUP; without it records go to Out.
	File string
	Out  io.Writer
	// Ring has the keys that sign checkpoints.
	Ring *keys.Ring
	// Redact replaces personal data by pseudonyms, under the key in RedactKey where
	// that names a file.
	Redact    bool
	RedactKey string
	// Trouble is told what a person should know of.
	Trouble func(what string, err error)
}

// OpenAudit opens the sink of audit records; the function that it returns closes it.
func OpenAudit(o AuditOptions) (*audit.Log, func(), error) {
	redactor, err := o.redactor()
	if err != nil {
		return nil, nil, err
	}
	replica, err := os.Hostname() // in a cluster, the Pod's name
	if err != nil {
		replica = ""
	}
	options := audit.Options{
		Replica: replica, Redactor: redactor, Signer: checkpointSigner{o.Ring},
		Failed: func(err error) {
			o.Trouble("the audit records of the last minute have no signed checkpoint yet; it is tried again", err)
		},
	}
	if o.File == "" {
		l := audit.New(o.Out, options)
		return l, func() { _ = l.Close() }, nil
	}
	sink, err := audit.OpenFile(o.File)
	if err != nil {
		return nil, nil, err
	}
	l := audit.New(sink, options)
	stop := reopen(sink, o.Trouble)
	return l, func() { stop(); _ = l.Close(); _ = sink.Close() }, nil
}

// reopen opens the file anew at every SIGHUP, after somebody moved it away.
func reopen(sink *audit.File, trouble func(string, error)) (stop func()) {
	hup, done := make(chan os.Signal, 1), make(chan struct{})
	signal.Notify(hup, syscall.SIGHUP)
	go func() {
		for {
			select {
			case <-done:
				return
			case <-hup:
				if err := sink.Reopen(); err != nil {
					trouble("the audit file cannot be opened anew; the one before is written on", err)
				}
			}
		}
	}()
	return func() { signal.Stop(hup); close(done) }
}

func (o *AuditOptions) redactor() (*audit.Redactor, error) {
	switch {
	case !o.Redact && o.RedactKey != "":
		return nil, errors.New("--audit-redact-key: it goes with --audit-redact")
	case !o.Redact:
		return nil, nil //nolint:nilnil // none is what nil means here
	case o.RedactKey == "":
		return audit.NewRedactor(nil)
	}
	f, err := os.Open(o.RedactKey)
	if err != nil {
		return nil, fmt.Errorf("--audit-redact-key: %w", err)
	}
	key, err := io.ReadAll(io.LimitReader(f, maxPseudonymKey))
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("--audit-redact-key: %w", err)
	}
	r, err := audit.NewRedactor(bytes.TrimSpace(key))
	if err != nil {
		return nil, fmt.Errorf("--audit-redact-key %s: %w", o.RedactKey, err)
	}
	return r, nil
}

// checkpointSigner signs checkpoints of the audit trail with a token service's key:
// the one called default, else the first by name that can sign.
type checkpointSigner struct{ ring *keys.Ring }

var errNoSigner = errors.New("no token service has a key that can sign")

// SignCheckpoint implements [audit.Signer].
func (c checkpointSigner) SignCheckpoint(ctx context.Context, payload []byte) (service, jws string, err error) {
	err = errNoSigner
	for _, name := range c.ring.Services() {
		k, ok := c.ring.Current(name)
		if !ok || k.AccessToken == nil {
			continue
		}
		if jws, err = signCheckpoint(ctx, k, payload); err == nil {
			return name, jws, nil
		}
	}
	return "", "", err
}

func signCheckpoint(ctx context.Context, k *keys.Current, payload []byte) (string, error) {
	s, err := k.AccessToken.As(audit.CheckpointType)
	if err != nil {
		return "", err
	}
	jws, err := s.SignContext(ctx, payload)
	if err != nil || !s.Remote() {
		return jws, err
	}
	// What came from elsewhere is believed when it verifies.
	parsed, err := jose.Parse(jws, jose.Limits{})
	if err == nil {
		_, err = parsed.Verify(s.Public(), []string{s.Algorithm()})
	}
	if err != nil {
		s.Distrust()
		return "", err
	}
	return jws, nil
}
