// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/miekg/pkcs11"
)

const (
	module = "/usr/lib/softhsm/libsofthsm2.so"
	pin    = "1234-test"
	// role has the test's binary be another program.
	role = "SIGNER_TEST_ROLE"
)

func TestMain(m *testing.M) {
	switch os.Getenv(role) {
	case "signer":
		main()
		return
	case "searcher":
		os.Exit(searcher(os.Args[1:]))
	}
	os.Exit(m.Run())
}

// token is a SoftHSM token of this test's own.
type token struct {
	dir, conf, pinFile string
}

func newToken(t *testing.T) *token {
	t.Helper()
	if _, err := os.Stat(module); err != nil {
		t.Fatalf("SoftHSM is not installed (%v): run hack/signer/test.sh, which installs Debian's softhsm2", err)
	}
	dir := t.TempDir()
	k := &token{dir: dir, conf: filepath.Join(dir, "softhsm2.conf"), pinFile: filepath.Join(dir, "pin")}
	if err := os.Mkdir(filepath.Join(dir, "tokens"), 0o700); err != nil {
		t.Fatal(err)
	}
	k.write(t, k.conf, "directories.tokendir = "+filepath.Join(dir, "tokens")+"\nobjectstore.backend = file\nlog.level = ERROR\n")
	k.write(t, k.pinFile, pin+"\n")
	k.util(t, "--init-token", "--free", "--label", "exchequer", "--so-pin", "so-"+pin, "--pin", pin)
	return k
}

func (k *token) write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (k *token) util(t *testing.T, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "softhsm2-util", args...)
	cmd.Env = append(os.Environ(), "SOFTHSM2_CONF="+k.conf)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("softhsm2-util %s: %v\n%s", args[0], err, out)
	}
}

// signer prepares the program of this package as a process of its own: SoftHSM is
// never loaded into the process of the test.
func (k *token) signer(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, os.Args[0], append([]string{"--pin-file", k.pinFile}, args...)...)
	cmd.Env = append(os.Environ(), "SOFTHSM2_CONF="+k.conf, role+"=signer")
	return cmd
}

func (k *token) generate(t *testing.T, label, algorithm string) {
	t.Helper()
	if out, err := k.signer(t.Context(), "generate", label, algorithm).CombinedOutput(); err != nil {
		t.Fatalf("generate: %v\n%s", err, out)
	}
}

// serve runs the signer until the test ends and returns its address.
func (k *token) serve(t *testing.T) string {
	t.Helper()
	socket := filepath.Join(k.dir, "s")
	cmd := k.signer(context.WithoutCancel(t.Context()), "--socket", socket, "serve")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var problems strings.Builder
	cmd.Stderr = &problems
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		if err := cmd.Wait(); err != nil {
			t.Errorf("the signer ended with %v\n%s", err, problems.String())
		}
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || !strings.Contains(line, socket) {
		t.Fatalf("the signer does not serve: %q %v\n%s", line, err, problems.String())
	}
	return "unix://" + socket
}

func TestAKeyCannotLeaveTheToken(t *testing.T) {
	k := newToken(t)
	k.generate(t, "exchequer-1", "ES256")
	// In a child process, so that the library is not loaded here.
	cmd := exec.CommandContext(t.Context(), os.Args[0], "attributes", "exchequer-1")
	cmd.Env = append(os.Environ(), "SOFTHSM2_CONF="+k.conf, role+"=searcher")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if want := "sensitive=true extractable=false neverExtractable=true value: pkcs11: 0x11: CKR_ATTRIBUTE_SENSITIVE\n"; string(out) != want {
		t.Errorf("the token says\n%swant\n%s", out, want)
	}
}

// attributes asks the token for a key's secret number, as a thief would.
func attributes(label string) error {
	h, err := open(module, "exchequer", pin)
	if err != nil {
		return err
	}
	defer h.close()
	k, err := h.find(label)
	if err != nil {
		return err
	}
	return h.with(func(session pkcs11.SessionHandle) error {
		a, err := h.ctx.GetAttributeValue(session, k.private, []*pkcs11.Attribute{
			pkcs11.NewAttribute(pkcs11.CKA_SENSITIVE, nil), pkcs11.NewAttribute(pkcs11.CKA_EXTRACTABLE, nil), pkcs11.NewAttribute(pkcs11.CKA_NEVER_EXTRACTABLE, nil),
		})
		if err != nil {
			return err
		}
		yes := func(i int) bool { return len(a[i].Value) == 1 && a[i].Value[0] == 1 }
		_, err = h.ctx.GetAttributeValue(session, k.private, []*pkcs11.Attribute{pkcs11.NewAttribute(pkcs11.CKA_VALUE, nil)})
		fmt.Printf("sensitive=%v extractable=%v neverExtractable=%v value: %v\n", yes(0), yes(1), yes(2), err)
		return nil
	})
}
