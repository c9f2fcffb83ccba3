// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"google.golang.org/grpc"

	"github.com/exchequer-dev/exchequer/exchanger/keys/signer/signerapi"
)

const usage = `usage:
  signer [flags] serve                   serve the keys of the token
  signer [flags] generate LABEL ALG      make a key: ES256, ES384 or RS256

`

func main() {
	if err := run(context.Background(), os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "signer:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("signer", flag.ContinueOnError)
	module := flags.String("module", "/usr/lib/softhsm/libsofthsm2.so", "the PKCS #11 library")
	label := flags.String("token", "exchequer", "label of the token")
	pinFile := flags.String("pin-file", "", "file with the user PIN, mode 0600")
	prefix := flags.String("prefix", "exchequer-", "labels of the keys to offer begin so; the last in the order of labels comes first")
	socket := flags.String("socket", "/run/signer/signer.sock", "unix socket to serve on; who may reach it may sign")
	flags.Usage = func() { fmt.Fprint(os.Stderr, usage); flags.PrintDefaults() }
	if err := flags.Parse(args); err != nil {
		return err
	}
	pin, err := readPIN(*pinFile)
	if err != nil {
		return err
	}
	h, err := open(*module, *label, pin)
	if err != nil {
		return err
	}
	defer h.close()
	switch flags.Arg(0) {
	case "serve":
		return serve(ctx, &service{hsm: h, prefix: *prefix}, *socket)
	case "generate":
		return h.generate(flags.Arg(1), flags.Arg(2))
	}
	flags.Usage()
	return errors.New("expected serve or generate")
}

func readPIN(file string) (string, error) {
	if file == "" {
		return "", errors.New("--pin-file is missing: the PIN is not taken from the command line, where every process can read it")
	}
	info, err := os.Stat(file)
	if err != nil {
		return "", err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return "", fmt.Errorf("others may read %s: run chmod 600 on it", file)
	}
	b, err := os.ReadFile(file)
	return strings.TrimSpace(string(b)), err
}

func serve(ctx context.Context, s *service, socket string) error {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := os.Remove(socket); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	l, err := new(net.ListenConfig).Listen(ctx, "unix", socket)
	if err != nil {
		return err
	}
	server := grpc.NewServer(grpc.MaxRecvMsgSize(64<<10), grpc.MaxConcurrentStreams(256))
	signerapi.RegisterSignerServer(server, s)
	context.AfterFunc(ctx, server.GracefulStop)
	fmt.Println("serving on unix://" + socket)
	return server.Serve(l)
}
