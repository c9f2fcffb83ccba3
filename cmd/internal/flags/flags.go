// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package flags

import (
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/pflag"
	"sigs.k8s.io/yaml"
)

const (
	// Prefix is what the environment variables of flags begin with.
	Prefix = "EXCHEQUER_"
	// Config is the flag that names a file.
	Config = "config"
	// maxConfigBytes bounds that file: some dozens of settings are 4 KiB.
	maxConfigBytes = 64 << 10
)

// ErrHelp means that help was asked for and printed.
var ErrHelp = pflag.ErrHelp

// Parse sets the flags of f, to which it adds --config, and then runs the checks. It
// returns everything that is wrong, joined, one line each; [ErrHelp] when help was
// asked for.
func Parse(f *pflag.FlagSet, args, environ []string, checks ...func() error) error {
	file := f.String(Config, "", "YAML file of settings, by the names of flags")
	p := &parser{flags: f}
	if p.arguments(args) {
		fmt.Fprintf(f.Output(), "Usage of %s:\n%sEvery flag can be an environment variable, %sLISTEN for --listen, or a key of the file that --config names.\n",
			f.Name(), f.FlagUsages(), Prefix)
		return ErrHelp
	}
	p.environment(environ)
	if *file != "" {
		p.file(*file)
	}
	for _, check := range checks {
		p.wrong("", check())
	}
	return errors.Join(p.errs...)
}

type parser struct {
	flags *pflag.FlagSet
	errs  []error
}

func (p *parser) wrong(where string, err error) {
	switch {
	case err == nil:
	case where == "":
		p.errs = append(p.errs, err)
	default:
		p.errs = append(p.errs, fmt.Errorf("%s: %w", where, err))
	}
}

// set sets a flag that nothing of a higher rank has set.
func (p *parser) set(where, name, value string) {
	flag := p.flags.Lookup(name)
	if flag == nil {
		p.wrong(where, errors.New("there is no such setting"))
		return
	}
	if err := flag.Value.Set(value); err != nil {
		p.wrong(where, fmt.Errorf("expected %s, found %q", kind(flag), value))
	}
	flag.Changed = true
}

// kind says in words what a flag takes.
func kind(flag *pflag.Flag) string {
	switch t := flag.Value.Type(); t {
	case "duration":
		return "a duration such as 3s or 24h"
	case "bool":
		return "true or false"
	case "int":
		return "a number"
	default:
		return "a " + t
	}
}

// arguments reads the command line; true when help was asked for. It does not stop
// at what is wrong, as pflag does, so that all of it is told.
func (p *parser) arguments(args []string) (help bool) {
	for len(args) > 0 {
		arg := args[0]
		args = args[1:]
		name, isFlag := strings.CutPrefix(arg, "--")
		switch {
		case arg == "-h" || arg == "--help":
			return true
		case !isFlag || name == "":
			p.wrong("", fmt.Errorf("expected flags only, found %q", arg))
			continue
		}
		name, value, given := strings.Cut(name, "=")
		if flag := p.flags.Lookup(name); flag != nil && !given {
			switch {
			case flag.NoOptDefVal != "":
				value = flag.NoOptDefVal
			case len(args) == 0:
				p.wrong("--"+name, fmt.Errorf("expected %s, found nothing", kind(flag)))
				continue
			default:
				value, args = args[0], args[1:]
			}
		}
		p.set("--"+name, name, value)
	}
	return false
}

// serviceLink are the variables that Kubernetes makes of Services in a Pod's
// namespace: a Service called exchequer is in ours.
var serviceLink = regexp.MustCompile(`_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT(_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)$`)

func (p *parser) environment(environ []string) {
	given := p.given()
	for _, variable := range slices.Sorted(slices.Values(environ)) {
		name, value, _ := strings.Cut(variable, "=")
		rest, ours := strings.CutPrefix(name, Prefix)
		if !ours || serviceLink.MatchString("_"+rest) {
			continue
		}
		flag := strings.ReplaceAll(strings.ToLower(rest), "_", "-")
		if !given[flag] {
			p.set("environment variable "+name, flag, value)
		}
	}
}

// given are the flags that are set already.
func (p *parser) given() map[string]bool {
	given := map[string]bool{}
	p.flags.VisitAll(func(f *pflag.Flag) { given[f.Name] = f.Changed })
	return given
}

func (p *parser) file(path string) {
	where := "config file " + path
	settings, err := read(path)
	if err != nil {
		p.wrong(where, err)
		return
	}
	given := p.given()
	names := make([]string, 0, len(settings))
	for name := range settings {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		value, ok := scalar(settings[name])
		switch at := where + ": " + name; {
		case !ok:
			p.wrong(at, errors.New("expected a string, a number, true or false"))
		case name == Config:
			p.wrong(at, errors.New("a file cannot name another one"))
		case !given[name]:
			p.set(at, name, value)
		}
	}
}

func read(path string) (map[string]any, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, errors.Unwrap(err)
	}
	defer func() { _ = f.Close() }()
	b, err := io.ReadAll(io.LimitReader(f, maxConfigBytes+1))
	switch {
	case err != nil:
		return nil, err
	case len(b) > maxConfigBytes:
		return nil, fmt.Errorf("expected at most %d bytes, found more", maxConfigBytes)
	}
	settings := map[string]any{}
	if err := yaml.UnmarshalStrict(b, &settings); err != nil {
		return nil, fmt.Errorf("expected YAML of settings: %w", err)
	}
	return settings, nil
}

func scalar(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case bool:
		return strconv.FormatBool(v), true
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64), true
	}
	return "", false
}
