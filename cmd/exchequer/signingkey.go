// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/exchequer-dev/exchequer/exchanger/jose"
)

// keyFlags say which private key to use: PKCS #8 in PEM, as openssl writes it.
type keyFlags struct {
	file, dir, id, alg string
	fresh              bool
}

const (
	keySuffix    = ".pem"
	algorithmsIn = "ES256, ES384, EdDSA, RS256 or PS256"
)

func (k *keyFlags) register(flags *pflag.FlagSet) {
	flags.StringVar(&k.file, "key", "", "`FILE` with the private key: PKCS #8 in PEM")
	flags.StringVar(&k.dir, "keys", "", "`DIR` of such files, *.pem")
	flags.StringVar(&k.id, "kid", "", "with --keys: `ID` of the one that is meant")
	flags.StringVar(&k.alg, "alg", "", "`ALG`: "+algorithmsIn+"; default: what the key is for, RS256 for RSA, ES256 for a new key")
}

// check finds flags that do not go together.
func (k *keyFlags) check() error {
	switch {
	case (k.file == "") == (k.dir == ""):
		return usage("expected exactly one of --key FILE and --keys DIR")
	case k.id != "" && (k.dir == "" || k.fresh):
		return usage("--kid chooses one of the keys in --keys DIR")
	case k.alg != "" && !slices.Contains(jose.Algorithms(), k.alg):
		return usage("--alg: expected %s", algorithmsIn)
	}
	return nil
}

// signing returns the one key to sign with, a new one if that was asked for.
func (k *keyFlags) signing() (*jose.PrivateKey, error) {
	if err := k.check(); err != nil {
		return nil, err
	}
	if k.fresh {
		return k.create()
	}
	all, err := k.all()
	if err != nil {
		return nil, err
	}
	if k.id != "" {
		all = slices.DeleteFunc(all, func(p *jose.PrivateKey) bool { return p.KeyID() != k.id })
	}
	switch len(all) {
	case 1:
		return all[0], nil
	case 0:
		return nil, usage("--kid: no key in %s has that ID", k.dir)
	}
	ids := make([]string, 0, len(all))
	for _, p := range all {
		ids = append(ids, p.KeyID())
	}
	return nil, usage("%s has several keys: choose one with --kid %s", k.dir, strings.Join(ids, " or --kid "))
}

// all returns every key that the flags name, sorted by file.
func (k *keyFlags) all() ([]*jose.PrivateKey, error) {
	if err := k.check(); err != nil {
		return nil, err
	}
	files := []string{k.file}
	if k.dir != "" {
		var err error
		if files, err = filepath.Glob(filepath.Join(escapeGlob(k.dir), "*"+keySuffix)); err != nil || len(files) == 0 {
			return nil, usage("--keys: no *%s in %s; --new-key makes one", keySuffix, k.dir)
		}
	}
	var out []*jose.PrivateKey
	for _, file := range files {
		key, err := readKey(file, k.alg)
		if err != nil {
			return nil, err
		}
		out = append(out, key)
	}
	return out, nil
}

// escapeGlob makes a directory's name mean itself.
func escapeGlob(s string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(s)
}

// create makes a key and writes it, readable by its owner alone.
func (k *keyFlags) create() (*jose.PrivateKey, error) {
	alg := k.alg
	if alg == "" {
		alg = jose.ES256
	}
	key, err := jose.GenerateKey(alg)
	if err != nil {
		return nil, fmt.Errorf("make a key: %w", err)
	}
	path := k.file
	if k.dir != "" {
		if err := os.MkdirAll(k.dir, 0o700); err != nil {
			return nil, usage("--keys: %w", err)
		}
		path = filepath.Join(k.dir, key.KeyID()+keySuffix)
	}
	pem, err := key.MarshalPEM()
	if err != nil {
		return nil, fmt.Errorf("write a key: %w", err)
	}
	return key, writeNew(path, pem)
}

// readKey reads a private key. PEM does not tell the algorithm of an RSA key, so
// alg does; every other key is for one alone.
func readKey(path, alg string) (*jose.PrivateKey, error) {
	b, err := readInput(nil, path, "private key")
	if err != nil {
		return nil, err
	}
	try := []string{alg}
	if alg == "" {
		try = []string{jose.ES256, jose.ES384, jose.EdDSA, jose.RS256}
	}
	var first error
	for _, a := range try {
		key, err := jose.ParsePrivateKeyPEM(b, a)
		if err == nil {
			return key, nil
		}
		if first == nil {
			first = err
		}
	}
	why := first
	var refused *jose.Error
	if errors.As(first, &refused) {
		why = errors.New(refused.Detail)
	}
	return nil, usage("private key %s: %w", path, why)
}
