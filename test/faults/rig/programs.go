// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package rig

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

const module = "github.com/exchequer-dev/exchequer"

// Programs are the paths of one build of the operator.
type Programs struct {
	Controller, Exchanger string
}

// Edit replaces a text that stands exactly once in a file of the repository; with
// no text to replace, it is a new file.
type Edit struct {
	File, From, To string
}

// Build builds the operator's programs into a folder: as they are, or with some
// edits. Edits change what is compiled, not the file.
func Build(ctx context.Context, dir string, edits ...Edit) (Programs, error) {
	root, err := Repository()
	if err != nil {
		return Programs{}, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return Programs{}, err
	}
	args := []string{"build", "-o", dir + string(filepath.Separator)}
	if len(edits) > 0 {
		overlay, err := writeOverlay(root, dir, edits)
		if err != nil {
			return Programs{}, err
		}
		args = append(args, "-overlay", overlay)
	}
	cmd := exec.CommandContext(ctx, "go", append(args, module+"/cmd/controller", module+"/cmd/exchanger")...)
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		return Programs{}, fmt.Errorf("build the programs: %w\n%s", err, out)
	}
	return Programs{Controller: filepath.Join(dir, "controller"), Exchanger: filepath.Join(dir, "exchanger")}, nil
}

// writeOverlay writes the edited files beside the originals' paths, as the go
// command's -overlay wants them.
func writeOverlay(root, dir string, edits []Edit) (string, error) {
	texts := map[string]string{}
	for _, e := range edits {
		path := filepath.Join(root, filepath.FromSlash(e.File))
		if e.From == "" {
			if _, err := os.Stat(path); err == nil {
				return "", fmt.Errorf("%s is there already", e.File)
			}
			texts[path] = e.To
			continue
		}
		if _, read := texts[path]; !read {
			b, err := os.ReadFile(path)
			if err != nil {
				return "", err
			}
			texts[path] = string(b)
		}
		if n := strings.Count(texts[path], e.From); n != 1 {
			return "", fmt.Errorf("%s has %d times %q, expected it once: the edit must follow the source", e.File, n, e.From)
		}
		texts[path] = strings.Replace(texts[path], e.From, e.To, 1)
	}
	replace := map[string]string{}
	var errs []error
	for path, text := range texts {
		to := filepath.Join(dir, fmt.Sprintf("edited-%d.go", len(replace)))
		replace[path] = to
		errs = append(errs, os.WriteFile(to, []byte(text), 0o600))
	}
	b, err := json.Marshal(map[string]any{"Replace": replace})
	overlay := filepath.Join(dir, "overlay.json")
	return overlay, errors.Join(append(errs, err, os.WriteFile(overlay, b, 0o600))...)
}

// Repository is the folder of the module's go.mod, at or above the working
// directory.
func Repository() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("no go.mod at or above the working directory: run this inside the repository")
		}
		dir = parent
	}
}

// Profiled has each program write a CPU profile into the file that RIG_PROFILE
// names, from SIGUSR1 on until SIGUSR2. The released programs have no such thing.
func Profiled() []Edit {
	const text = `package main

import (
	"os"
	"os/signal"
	"runtime/pprof"
	"syscall"
)

func init() {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGUSR1, syscall.SIGUSR2)
	go func() {
		var file *os.File
		for s := range signals {
			switch {
			case s == syscall.SIGUSR1 && file == nil:
				if f, err := os.Create(os.Getenv("RIG_PROFILE")); err == nil && pprof.StartCPUProfile(f) == nil {
					file = f
				}
			case s == syscall.SIGUSR2 && file != nil:
				pprof.StopCPUProfile()
				if f, err := os.Create(os.Getenv("RIG_PROFILE") + ".heap"); err == nil {
					_ = pprof.WriteHeapProfile(f)
					_ = f.Close()
				}
				_ = file.Close()
				file = nil
			}
		}
	}()
}
`
	return []Edit{{File: "cmd/controller/rig_profile.go", To: text}, {File: "cmd/exchanger/rig_profile.go", To: text}}
}
