// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package serving_test

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"github.com/exchequer-dev/exchequer/cmd/internal/flags"
	"github.com/exchequer-dev/exchequer/cmd/internal/flags/serving"
)

func TestWhereOneTimeStateIsKept(t *testing.T) {
	t.Parallel()
	password := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(password, []byte("secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		args []string
		want string
	}{
		"nothing said":                        {nil, ""},
		"the memory":                          {[]string{"--store=memory"}, ""},
		"a Redis on this machine":             {[]string{"--store=redis", "--store-address=redis://127.0.0.1:6379"}, ""},
		"a Redis elsewhere":                   {[]string{"--store=redis", "--store-address=rediss://redis.example:6379", "--store-password-file=" + password, "--store-replicas=1"}, ""},
		"F296: a Redis elsewhere without TLS": {[]string{"--store=redis", "--store-address=redis://redis.example:6379"}, "--store-address and what belongs to it: the store's address: expected rediss://"},
		"a Redis nowhere":                     {[]string{"--store=redis"}, "--store=redis: expected --store-address"},
		"settings of a Redis, and no Redis":   {[]string{"--store=memory", "--store-address=rediss://redis.example", "--store-replicas=1"}, "--store-address, --store-replicas: expected with --store=redis only"},
		"another one":                         {[]string{"--store=disk"}, `--store: expected memory, redis, none, found "disk"`},
		"too many replicas":                   {[]string{"--store=redis", "--store-address=rediss://redis.example", "--store-replicas=17"}, "--store-replicas: expected 0 to 16"},
		"a password that is not there":        {[]string{"--store=redis", "--store-address=rediss://redis.example", "--store-password-file=/absent"}, "/absent"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var s serving.Store
			f := pflag.NewFlagSet("test", pflag.ContinueOnError)
			f.SetOutput(io.Discard)
			s.Add(f, serving.StoreNone)
			err := flags.Parse(f, test.args, nil, s.Check)
			if test.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				if shared, err := s.Redis(nil); err != nil || (shared != nil) != (s.Kind == serving.StoreRedis) {
					t.Errorf("%v, %v", shared, err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "secret") {
				t.Errorf("%v, want %q", err, test.want)
			}
		})
	}
}
