// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster_test

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/exchequer-dev/exchequer/test/cluster"
)

// dying is set where this test binary runs to be killed.
const dying = "EXCHEQUER_TEST_DYING"

func TestAKilledTestLeavesNoProcessesBehind(t *testing.T) {
	t.Parallel()
	if os.Getenv(dying) != "" {
		plane := cluster.Start(t, cluster.WithoutCRDs(), cluster.WithAudit())
		fmt.Println("PLANE", filepath.Dir(plane.AuditLog()))
		select {} // until it is killed
	}
	g := NewWithT(t)
	command := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	command.Env = append(os.Environ(), dying+"=yes")
	out, err := command.StdoutPipe()
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(command.Start()).To(Succeed())
	var dir string
	for lines := bufio.NewScanner(out); dir == "" && lines.Scan(); {
		_, dir, _ = strings.Cut(lines.Text(), "PLANE ")
	}
	var pids []int
	for _, name := range []string{"etcd", "kube-apiserver"} {
		text, err := os.ReadFile(filepath.Join(dir, name+".pid"))
		g.Expect(err).NotTo(HaveOccurred())
		var pid int
		_, err = fmt.Sscan(string(text), &pid)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(syscall.Kill(pid, 0)).To(Succeed(), "%s runs as %d", name, pid)
		pids = append(pids, pid)
	}

	g.Expect(command.Process.Kill()).To(Succeed())
	var exit *exec.ExitError
	g.Expect(errors.As(command.Wait(), &exit)).To(BeTrue())
	for _, pid := range pids {
		g.Eventually(func() error { return syscall.Kill(pid, 0) }, time.Minute).Should(MatchError(syscall.ESRCH))
	}
	g.Eventually(func() bool { _, err := os.Stat(dir); return os.IsNotExist(err) }, time.Minute).Should(BeTrue(), "%s is still there", dir)
}
