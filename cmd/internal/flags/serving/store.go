// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package serving

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/exchequer-dev/exchequer/exchanger/store"
	"github.com/exchequer-dev/exchequer/exchanger/translate"
)

// The values of --store.
const (
	StoreMemory = "memory"
	StoreNone   = "none"
	StoreRedis  = "redis"
)

// Store is where one-time state is kept.
type Store struct {
	// Kind is one of the constants.
	Kind string

	address  store.RedisAddress
	replicas int
	flags    *pflag.FlagSet
}

// Add adds --store, which is kind unless somebody says otherwise, and --store-….
func (s *Store) Add(f *pflag.FlagSet, kind string) {
	s.flags = f
	f.StringVar(&s.Kind, "store", kind, "where one-time state is kept: memory, for one replica only; redis, a Redis or Valkey for any number; or none: what needs it is refused")
	f.StringVar(&s.address.URL, "store-address", "", "rediss://host:port of the Redis or Valkey; redis:// to a loopback address alone")
	f.StringVar(&s.address.Username, "store-username", "", "user at the store")
	f.StringVar(&s.address.PasswordFile, "store-password-file", "", "`FILE` with the password at the store; read again for every connection")
	f.StringVar(&s.address.CA, "store-ca", "", "PEM `FILE` of who may sign for the store, instead of the system's authorities; read again for every connection")
	f.StringVar(&s.address.Certificate, "store-cert", "", "PEM `FILE` of the client certificate to show to the store, with --store-key; read again for every connection")
	f.StringVar(&s.address.Key, "store-key", "", "PEM `FILE` of the key of --store-cert")
	f.IntVar(&s.replicas, "store-replicas", 0, "how many replicas of the store must have confirmed a write before it counts; with a majority, no failover forgets")
}

// mostReplicas bounds --store-replicas; nobody has more.
const mostReplicas = 16

// Check says what is wrong; it is a check for [Parse].
func (s *Store) Check() error {
	kinds := []string{StoreMemory, StoreRedis, StoreNone}
	if !slices.Contains(kinds, s.Kind) {
		return fmt.Errorf("--store: expected %s, found %q", strings.Join(kinds, ", "), s.Kind)
	}
	if s.Kind != StoreRedis {
		var set []string
		s.flags.VisitAll(func(f *pflag.Flag) {
			if strings.HasPrefix(f.Name, "store-") && f.Changed {
				set = append(set, "--"+f.Name)
			}
		})
		if len(set) > 0 {
			return fmt.Errorf("%s: expected with --store=redis only, found --store=%s", strings.Join(set, ", "), s.Kind)
		}
		return nil
	}
	if s.replicas < 0 || s.replicas > mostReplicas {
		return fmt.Errorf("--store-replicas: expected 0 to %d, found %d", mostReplicas, s.replicas)
	}
	if s.address.URL == "" {
		return errors.New("--store=redis: expected --store-address with it, found none")
	}
	a := s.address
	if err := a.Check(); err != nil {
		return fmt.Errorf("--store-address and what belongs to it: %w", err)
	}
	return nil
}

// Said is what objects' conditions say of it.
func (s *Store) Said() translate.StoreKind {
	switch s.Kind {
	case StoreNone:
		return translate.StoreNone
	case StoreRedis:
		return translate.StoreShared
	}
	return translate.StoreMemory
}

// Redis makes the shared store; nil where none was asked for.
func (s *Store) Redis(log *slog.Logger) (*store.Redis, error) {
	if s.Kind != StoreRedis {
		return nil, nil //nolint:nilnil // none was asked for
	}
	return store.NewRedis(store.RedisOptions{RedisAddress: s.address, Replicas: s.replicas, Log: log})
}
