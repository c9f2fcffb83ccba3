// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"sigs.k8s.io/yaml"
)

// maxInput bounds what is read from a file or standard input that holds a token,
// a secret, a key or claims: the largest token that the endpoint takes has 16
// KiB, a JWK Set at most 256 KiB.
const maxInput = 256 << 10

// readInput reads a file, or standard input when it is "-". what names it for
// people.
func readInput(stdin io.Reader, path, what string) ([]byte, error) {
	if path == "" {
		return nil, usage("%s: the file name is empty", what)
	}
	if looksLikeToken(path) {
		return nil, usage("%s: expected a file name, found a token: other users of this machine can read command lines; "+
			"put it into a file, or use - and send it to standard input", what)
	}
	from := stdin
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return nil, usage("%s: %w", what, err)
		}
		defer func() { _ = f.Close() }()
		if info, err := f.Stat(); err == nil && info.IsDir() {
			return nil, usage("%s: %s is a directory, expected a file", what, path)
		}
		from = f
	}
	b, err := io.ReadAll(io.LimitReader(from, maxInput+1))
	switch {
	case err != nil:
		return nil, usage("%s: %w", what, err)
	case len(b) > maxInput:
		return nil, usage("%s: more than %d bytes", what, maxInput)
	}
	return b, nil
}

// readToken reads a token: without the line break that editors and pipes add.
func readToken(stdin io.Reader, path, what string) (string, error) {
	b, err := readInput(stdin, path, what)
	if err != nil {
		return "", err
	}
	token := strings.TrimSpace(string(b))
	if token == "" {
		return "", usage("%s: nothing there, expected a token", what)
	}
	return token, nil
}

// readSecret reads a secret, and takes one line break at its end for the
// editor's.
func readSecret(stdin io.Reader, path, what string) (string, error) {
	b, err := readInput(stdin, path, what)
	if err != nil {
		return "", err
	}
	secret := strings.TrimSuffix(strings.TrimSuffix(string(b), "\n"), "\r")
	if secret == "" {
		return "", usage("%s: nothing there, expected a secret", what)
	}
	return secret, nil
}

// readObject reads JSON or YAML that is one object.
func readObject(stdin io.Reader, path, what string) ([]byte, error) {
	b, err := readInput(stdin, path, what)
	if err != nil {
		return nil, err
	}
	j, err := yaml.YAMLToJSONStrict(b)
	if err != nil {
		// The text of the error quotes the input, which may be somebody's claims,
		// to the person who sent it.
		return nil, usage("%s: expected an object as JSON or YAML: %s", what, strings.TrimPrefix(err.Error(), "yaml: "))
	}
	if len(j) == 0 || j[0] != '{' {
		return nil, usage("%s: expected an object, {\"sub\": …}, as JSON or YAML", what)
	}
	return j, nil
}

// looksLikeToken says whether somebody put a JWT where a file name belongs.
func looksLikeToken(s string) bool {
	if !strings.HasPrefix(s, "eyJ") || strings.Count(s, ".") != 2 {
		return false
	}
	_, err := os.Stat(s)
	return err != nil
}

// writeNew writes a file that must not exist yet, readable by its owner alone.
func writeNew(path string, b []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return usage("%s is there already: leave out --new-key to use it, or choose another name", path)
	}
	if err != nil {
		return fmt.Errorf("write a key: %w", err)
	}
	_, err = f.Write(b)
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("write a key: %w", err)
	}
	return nil
}
