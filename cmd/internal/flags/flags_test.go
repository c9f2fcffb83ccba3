// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package flags

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"
)

// settings are those of the test's program.
type settings struct {
	listen string
	age    time.Duration
	elect  bool
	number int
}

func parse(t *testing.T, config string, args, environ []string, checks ...func() error) (*settings, string, error) {
	t.Helper()
	var out bytes.Buffer
	s := &settings{}
	f := pflag.NewFlagSet("program", pflag.ContinueOnError)
	f.SetOutput(&out)
	f.StringVar(&s.listen, "listen", ":8080", "where")
	f.DurationVar(&s.age, "max-snapshot-age", 24*time.Hour, "how old")
	f.BoolVar(&s.elect, "leader-elect", true, "whether")
	f.IntVar(&s.number, "number", 1, "how many")
	if config != "" {
		file := filepath.Join(t.TempDir(), "config.yaml")
		if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, "--config", file)
	}
	err := Parse(f, args, environ, checks...)
	return s, out.String(), err
}

func TestFlagsWinOverTheEnvironmentAndThatOverTheFile(t *testing.T) {
	t.Parallel()
	config := "listen: file\nmax-snapshot-age: 1h\nleader-elect: false\nnumber: 1000000\n"
	for name, tc := range map[string]struct {
		config        string
		args, environ []string
		want          settings
	}{
		"nothing is given": {want: settings{":8080", 24 * time.Hour, true, 1}},
		"the file alone":   {config: config, want: settings{"file", time.Hour, false, 1000000}},
		"the environment over the file": {
			config: config, environ: []string{"EXCHEQUER_LISTEN=env", "EXCHEQUER_LEADER_ELECT=true", "OTHER=x"}, want: settings{"env", time.Hour, true, 1000000},
		},
		"a flag over all": {
			config: config, environ: []string{"EXCHEQUER_LISTEN=env", "EXCHEQUER_NUMBER=2"}, args: []string{"--listen=flag"}, want: settings{"flag", time.Hour, false, 2},
		},
		"a flag and its value apart, and one without": {
			args: []string{"--max-snapshot-age", "5m", "--leader-elect", "--number", "-3"}, want: settings{":8080", 5 * time.Minute, true, -3},
		},
		"a flag twice: the last":      {args: []string{"--listen=a", "--listen=b"}, want: settings{"b", 24 * time.Hour, true, 1}},
		"a switch that is turned off": {args: []string{"--leader-elect=false"}, want: settings{":8080", 24 * time.Hour, false, 1}},
		"what Kubernetes says of Services of our names": {
			environ: []string{
				"EXCHEQUER_SERVICE_HOST=10.0.0.1", "EXCHEQUER_SERVICE_PORT=443", "EXCHEQUER_SERVICE_PORT_TOKEN=443", "EXCHEQUER_PORT=tcp://10.0.0.1:443",
				"EXCHEQUER_PORT_443_TCP=tcp://10.0.0.1:443", "EXCHEQUER_PORT_443_TCP_PROTO=tcp", "EXCHEQUER_PORT_443_TCP_PORT=443", "EXCHEQUER_PORT_443_TCP_ADDR=10.0.0.1",
				"EXCHEQUER_PUBLIC_SERVICE_HOST=10.0.0.2", "EXCHEQUER_PUBLIC_PORT=tcp://10.0.0.2:443", "EXCHEQUER_PUBLIC_PORT_443_TCP_ADDR=10.0.0.2",
			},
			want: settings{":8080", 24 * time.Hour, true, 1},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, _, err := parse(t, tc.config, tc.args, tc.environ)
			if err != nil {
				t.Fatal(err)
			}
			if *got != tc.want {
				t.Errorf("got %+v, want %+v", *got, tc.want)
			}
		})
	}
}

func TestF345EverythingThatIsWrongIsSaidAtOnce(t *testing.T) {
	t.Parallel()
	_, _, err := parse(t, "nonsense: 1\nleader-elect: [true]\nconfig: other\nnumber: many\n",
		[]string{"stray", "--unknown=1", "--max-snapshot-age", "long", "--", "-x"},
		[]string{"EXCHEQUER_LISTENER=x", "EXCHEQUER_LEADER_ELECT=perhaps"},
		func() error { return errors.New("--a and --b: only one of them") }, func() error { return nil })
	if err == nil {
		t.Fatal("nothing is wrong")
	}
	for _, want := range []string{
		`expected flags only, found "stray"`, "--unknown: there is no such setting", `--max-snapshot-age: expected a duration such as 3s or 24h, found "long"`,
		`found "--"`, `found "-x"`, "environment variable EXCHEQUER_LISTENER: there is no such setting",
		`environment variable EXCHEQUER_LEADER_ELECT: expected true or false, found "perhaps"`,
		"nonsense: there is no such setting", "leader-elect: expected a string, a number", "config: a file cannot name another one",
		`number: expected a number, found "many"`, "--a and --b",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("it does not say %s", want)
		}
	}
	if t.Failed() {
		t.Log(err)
	}
}

func TestFilesThatAreNoSettingsAreRefused(t *testing.T) {
	t.Parallel()
	for name, config := range map[string]string{
		"a list":                "- a",
		"no YAML":               "a: b: c",
		"a key twice":           "listen: a\nlisten: b\n",
		"a value that is empty": "listen:\n",
		"too long":              strings.Repeat("#", maxConfigBytes+1),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, _, err := parse(t, config, nil, nil); err == nil || !strings.Contains(err.Error(), "config file") {
				t.Errorf("got %v", err)
			}
		})
	}
	if _, _, err := parse(t, "", []string{"--config=/does/not/exist"}, nil); err == nil || !strings.Contains(err.Error(), "/does/not/exist: no such file") {
		t.Errorf("a file that is missing: %v", err)
	}
	if _, _, err := parse(t, "", []string{"--listen"}, nil); err == nil || !strings.Contains(err.Error(), "found nothing") {
		t.Errorf("a flag without its value: %v", err)
	}
}

func TestHelpIsPrinted(t *testing.T) {
	t.Parallel()
	for _, ask := range []string{"-h", "--help"} {
		_, out, err := parse(t, "", []string{ask}, nil)
		if !errors.Is(err, ErrHelp) || !strings.Contains(out, "--max-snapshot-age duration") || !strings.Contains(out, "EXCHEQUER_LISTEN") {
			t.Errorf("%s: %v\n%s", ask, err, out)
		}
	}
}
