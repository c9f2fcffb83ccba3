// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package flags_test

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"github.com/exchequer-dev/exchequer/cmd/internal/flags"
	fake "github.com/exchequer-dev/exchequer/test/fakes/issuer"
)

func TestTheWayOutIsDeclared(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ca, err := fake.NewCA()
	if err != nil {
		t.Fatal(err)
	}
	write := func(name string, text []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good, bad, large := write("ca.pem", ca), write("bad.pem", []byte("no certificate")), write("large.pem", make([]byte, 300<<10))
	for name, of := range map[string]struct {
		args, environ []string
		says          []string
		proxy, roots  bool
	}{
		"nothing": {},
		"F163: the environment's proxy means nothing": {environ: []string{"HTTPS_PROXY=http://proxy.example:3128", "https_proxy=http://proxy.example:3128"}},
		"a proxy":                        {args: []string{"--egress-proxy=http://proxy.example:3128"}, proxy: true},
		"a proxy, by our own variable":   {environ: []string{"EXCHEQUER_EGRESS_PROXY=http://user:pass@proxy.example:3128"}, proxy: true},
		"authorities":                    {args: []string{"--egress-ca=" + good}, roots: true},
		"what is wrong, all of it":       {args: []string{"--egress-proxy=proxy.example", "--egress-ca=" + bad}, says: []string{"--egress-proxy", "--egress-ca"}},
		"a file that is not there":       {args: []string{"--egress-ca=" + filepath.Join(dir, "none.pem")}, says: []string{"--egress-ca", "none.pem"}},
		"a file that is too large":       {args: []string{"--egress-ca=" + large}, says: []string{"--egress-ca", "bytes"}},
		"a credential is never repeated": {args: []string{"--egress-proxy=http://user:secretword@proxy.example/x"}, says: []string{"--egress-proxy"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var e flags.Egress
			f := pflag.NewFlagSet("test", pflag.ContinueOnError)
			f.SetOutput(io.Discard)
			e.Add(f)
			err := flags.Parse(f, of.args, of.environ, e.Check)
			if (err == nil) != (len(of.says) == 0) || (e.Proxy != nil) != of.proxy || (e.Roots != nil) != of.roots {
				t.Fatalf("%v, %v, %v", err, e.Proxy, e.Roots != nil)
			}
			for _, want := range of.says {
				if !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secretword") {
					t.Errorf("%v does not say %q", err, want)
				}
			}
		})
	}
}
