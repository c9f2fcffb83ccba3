// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/exchequer-dev/exchequer/cmd/internal/flags"
)

func TestF345WhateverIsWrongWithTheSettingsIsToldAtOnceAndEndsWith2(t *testing.T) {
	t.Parallel()
	for name, of := range map[string]struct {
		args, environ []string
		says          []string
	}{
		"an unknown flag":               {[]string{"--leader-elekt=true"}, nil, []string{"leader-elekt"}},
		"F346: an unknown variable":     {nil, []string{"EXCHEQUER_FEATURE_GATES=X=true"}, []string{"FEATURE_GATES"}},
		"an empty selector":             {[]string{"--replicas-selector="}, nil, []string{"--replicas-selector"}},
		"a namespace that is none":      {[]string{"--namespace=Not A Namespace"}, nil, []string{"--namespace"}},
		"everything that is wrong":      {[]string{"--namespace=?", "--service-account=?", "--replicas-selector=((", "--nothing"}, nil, []string{"--namespace", "--service-account", "--replicas-selector", "--nothing"}},
		"a value of another type":       {[]string{"--shared-store=perhaps"}, nil, []string{"--shared-store"}},
		"an argument that is no flag":   {[]string{"start"}, nil, []string{"start"}},
		"a variable of another type":    {nil, []string{"EXCHEQUER_LEADER_ELECT=perhaps"}, []string{"LEADER_ELECT"}},
		"a file of settings not there":  {[]string{"--config=/does/not/exist"}, nil, []string{"/does/not/exist"}},
		"a selector in another grammar": {[]string{"--replicas-selector=a=b=c"}, nil, []string{"--replicas-selector"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			_, err := parse(of.args, of.environ, &out)
			if err == nil {
				t.Fatal("it starts")
			}
			for _, s := range of.says {
				if !strings.Contains(err.Error(), s) {
					t.Errorf("%q is not told in: %v", s, err)
				}
			}
		})
	}
	var out bytes.Buffer
	if code := run(t.Context(), []string{"--nothing"}, &out); code != exitUsage || !strings.Contains(out.String(), "--nothing") {
		t.Errorf("exit code %d: %s", code, out.String())
	}
}

func TestTheDefaultsAreThoseOfTheChart(t *testing.T) {
	t.Parallel()
	s, err := parse(nil, []string{"EXCHEQUER_NAMESPACE=sts"}, &bytes.Buffer{})
	if err != nil {
		t.Fatal(err)
	}
	o := s.options(nil)
	if o.Namespace != "sts" || o.ServiceAccount != "exchequer-controller" || !s.leaderElect || s.opsListen != ":8081" || o.SharedStore {
		t.Errorf("%+v %+v", o, s)
	}
	if _, err := parse([]string{"--help"}, nil, &bytes.Buffer{}); err != flags.ErrHelp { //nolint:errorlint // it is that very value
		t.Errorf("help: %v", err)
	}
}
