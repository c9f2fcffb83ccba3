// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/exchequer-dev/exchequer/cmd/internal/flags/serving"
)

func TestF345SettingsThatCannotBeUsedEndTheProgramWithAllThatIsWrong(t *testing.T) {
	t.Parallel()
	config := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(config, []byte("nonsense: 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var errs bytes.Buffer
	code := run(t.Context(), []string{
		"--config", config, "--listen=:8081", "--public-listen=:8081", "--tls-cert=/no/such.crt", "--namespace=No!", "--pod-name=Pod_1",
		"--store=disk", "--max-snapshot-age=1m", "--drain-delay=-1s", "--manifests=x",
	}, []string{"EXCHEQUER_CHECKPOINTS=x"}, nil, &errs)
	if code != exitUsage {
		t.Errorf("it ends with %d", code)
	}
	for _, want := range []string{
		"nonsense: there is no such setting", "--manifests: there is no such setting", "EXCHEQUER_CHECKPOINTS: there is no such setting",
		"expected different addresses", "--tls-cert and --tls-key", "--namespace: expected", "--pod-name and --pod-uid", "--pod-name: expected",
		`--store: expected memory, redis, none, found "disk"`, "--max-snapshot-age: expected at least 2m0s", "--drain-delay: expected 0s to 2m0s",
	} {
		if !strings.Contains(errs.String(), want) {
			t.Errorf("it does not say %s", want)
		}
	}
	if t.Failed() {
		t.Log(errs.String())
	}
}

func TestSettingsThatNothingSaysAreThoseOfTheContract(t *testing.T) {
	t.Parallel()
	s, err := parse(nil, []string{"EXCHEQUER_POD_NAME=one", "EXCHEQUER_POD_UID=1", "EXCHEQUER_SERVICE_HOST=10.0.0.1", "HOME=/"}, os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	if s.listen != ":8080" || s.operations != ":8081" || s.namespace != "exchequer-system" || s.maxAge != 24*time.Hour || s.drain != 3*time.Second ||
		s.store.Kind != serving.StoreNone || s.pod != "one" {
		t.Errorf("%+v", s)
	}
}

func TestHelpNamesEverySetting(t *testing.T) {
	t.Parallel()
	var errs bytes.Buffer
	if code := run(t.Context(), []string{"--help"}, nil, nil, &errs); code != 0 {
		t.Errorf("it ends with %d", code)
	}
	for _, want := range []string{
		"--listen", "--tls-cert", "--tls-key", "--public-listen", "--ops-listen", "--namespace", "--pod-name", "--pod-uid", "--checkpoint",
		"--max-snapshot-age", "--audit", "--audit-redact", "--audit-redact-key", "--drain-delay", "--store", "--store-address",
		"--store-username", "--store-password-file", "--store-ca", "--store-cert", "--store-key", "--store-replicas", "--kubeconfig", "--config",
	} {
		if !strings.Contains(errs.String(), want+" ") {
			t.Errorf("it does not tell of %s", want)
		}
	}
}

func TestOutsideOfAClusterItSaysWhatToDo(t *testing.T) {
	t.Parallel()
	if os.Getenv("KUBERNETES_SERVICE_HOST") != "" {
		t.Fatal("this test runs inside of a cluster: unset KUBERNETES_SERVICE_HOST")
	}
	var errs bytes.Buffer
	if code := run(t.Context(), nil, nil, nil, &errs); code != exitFailed || !strings.Contains(errs.String(), "--kubeconfig") {
		t.Errorf("it ends with %d: %s", code, errs.String())
	}
}
