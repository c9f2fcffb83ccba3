// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
)

// guard ends what a control plane started when the test process ends without
// doing so itself: `go test -timeout` and a panic run no clean-up, and an API
// server that nobody stops stays for ever, with every file that it inherited.
//
// A small shell waits for the end of its standard input, which the kernel closes
// with the test process, and then kills the processes that noted their numbers
// and removes the control plane's folder.
type guard struct {
	dir   string
	alive io.Closer
	shell *exec.Cmd
}

// ending is the shell's script; $1 is the control plane's folder. Nothing is
// killed after an orderly end: the numbers are gone with the folder by then.
const ending = `while read -r _; do :; done
for f in "$1"/*.pid; do [ -e "$f" ] && kill -KILL "$(cat "$f")"; done 2>/dev/null
rm -rf "$1"`

// noting is a program that notes its number and becomes another.
const noting = `#!/bin/sh
echo $$ >%q
exec %q "$@"
`

// watch guards the folder of a control plane whose programs stand in another.
func watch(dir, programs string) (*guard, error) {
	for _, name := range []string{"kube-apiserver", "etcd"} {
		script := fmt.Sprintf(noting, filepath.Join(dir, name+".pid"), filepath.Join(programs, name))
		if err := os.WriteFile(filepath.Join(dir, name), []byte(script), 0o700); err != nil {
			return nil, err
		}
	}
	shell := exec.CommandContext(context.Background(), "/bin/sh", "-c", ending, "sh", dir)
	// A signal to the test's process group, such as ^C, is not for the guard.
	shell.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	alive, err := shell.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := shell.Start(); err != nil {
		return nil, fmt.Errorf("guarding the control plane's processes: %w", err)
	}
	return &guard{dir: dir, alive: alive, shell: shell}, nil
}

// program is what to start in place of kube-apiserver or etcd.
func (g *guard) program(name string) string { return filepath.Join(g.dir, name) }

// end is the orderly end, after the processes have ended.
func (g *guard) end() error {
	return errors.Join(os.RemoveAll(g.dir), g.alive.Close(), g.shell.Wait())
}
