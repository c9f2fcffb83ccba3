// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package law

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/yaml"
)

// pipeline is what this package looks at in a file of .github/workflows.
type pipeline struct {
	Permissions map[string]string `json:"permissions"`
	Jobs        map[string]struct {
		Permissions map[string]string `json:"permissions"`
		Timeout     int               `json:"timeout-minutes"`
		Steps       []struct {
			Uses string         `json:"uses"`
			Run  string         `json:"run"`
			With map[string]any `json:"with"`
		} `json:"steps"`
	} `json:"jobs"`
	text string
}

func pipelines(t *testing.T) map[string]pipeline {
	t.Helper()
	dir := filepath.Join(root(t), ".github", "workflows")
	names, err := fs.Glob(os.DirFS(dir), "*.y*ml")
	if err != nil || len(names) == 0 {
		t.Fatalf("no workflows: %v", err)
	}
	out := map[string]pipeline{}
	for _, name := range names {
		var p pipeline
		p.text = string(read(t, ".github/workflows/"+name))
		if err := yaml.Unmarshal([]byte(p.text), &p); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		out[name] = p
	}
	return out
}

// Who can change what a workflow runs, or what it runs on, can sign as us.
func TestWorkflowsRunWhatWasReviewedWithTheRightsThatTheyNeed(t *testing.T) {
	t.Parallel()
	pinned := regexp.MustCompile(`^\s*(?:- )?uses: \S+@[0-9a-f]{40} # v\d+\.\d+\.\d+$`)
	writes := map[string]string{ // job: why it may write
		"ci.yml codeql": "security-events", "release.yml publish": "contents, packages, id-token, attestations",
	}
	for name, p := range pipelines(t) {
		if strings.Contains(p.text, "pull_request_target") || strings.Contains(p.text, "workflow_run") {
			t.Errorf("%s: a trigger that gives strangers' code our rights", name)
		}
		for line := range strings.Lines(p.text) {
			if strings.Contains(line, "uses: ") && !pinned.MatchString(strings.TrimRight(line, "\n")) {
				t.Errorf("%s: pin it by its full commit, with the version in a comment: %s", name, strings.TrimSpace(line))
			}
		}
		if p.Permissions == nil && !strings.Contains(p.text, "\npermissions: {}\n") {
			t.Errorf("%s: no permissions at the top: jobs would get the repository's default", name)
		}
		rights := map[string]map[string]string{"": p.Permissions}
		for job, j := range p.Jobs {
			rights[job] = j.Permissions
			if j.Timeout == 0 {
				t.Errorf("%s: job %s has no timeout-minutes", name, job)
			}
			for _, step := range j.Steps {
				if strings.Contains(step.Run, "${{") {
					t.Errorf("%s: job %s: an expression inside a script is text that a shell reads as code; pass it in env:\n%s", name, job, step.Run)
				}
				if strings.HasPrefix(step.Uses, "actions/checkout@") && step.With["persist-credentials"] != false {
					t.Errorf("%s: job %s: checkout leaves its token behind: persist-credentials: false", name, job)
				}
			}
		}
		for job, granted := range rights {
			for right, level := range granted {
				if level != "read" && !strings.Contains(writes[name+" "+job], right) {
					t.Errorf("%s: job %q may %s %s", name, job, level, right)
				}
			}
		}
	}
}

func TestF372WorkflowsBuildWithTheToolchainOfTheImage(t *testing.T) {
	t.Parallel()
	builder := submatch(t, "Dockerfile", `(?m)^FROM (?:--platform=\S+ )?golang:([0-9.]+)\S* AS build$`)
	for name, p := range pipelines(t) {
		for job, j := range p.Jobs {
			for _, step := range j.Steps {
				if strings.HasPrefix(step.Uses, "actions/setup-go@") && fmt.Sprint(step.With["go-version"]) != builder {
					t.Errorf("%s: job %s sets up Go %v, the image is built with %s", name, job, step.With["go-version"], builder)
				}
			}
		}
	}
}

// runs tells whether a job of the workflow runs the command, as a line of a
// step.
func (p pipeline) runs(command string) bool {
	for _, j := range p.Jobs {
		for _, step := range j.Steps {
			if slices.Contains(strings.Split(strings.TrimSpace(step.Run), "\n"), command) {
				return true
			}
		}
	}
	return false
}

func TestF363ChangesAndNightsAndReleasesAreCheckedForVulnerabilities(t *testing.T) {
	t.Parallel()
	all := pipelines(t)
	for _, name := range []string{"ci.yml", "nightly.yml", "release.yml"} {
		if !all[name].runs("make vuln") {
			t.Errorf("%s does not run `make vuln`", name)
		}
	}
	if !strings.Contains(all["ci.yml"].text, "uses: github/codeql-action/analyze@") {
		t.Error("ci.yml does not run CodeQL")
	}
	for _, linter := range []string{"gosec", "staticcheck"} {
		if !regexp.MustCompile(`(?m)^    - ` + linter + `$`).Match(read(t, ".golangci.yml")) {
			t.Errorf(".golangci.yml does not enable %s, which `make verify` runs", linter)
		}
	}
}

func TestF371AddressesAreComparedWithIANAsEveryNightAndForAReleaseOnce(t *testing.T) {
	t.Parallel()
	all := pipelines(t)
	for _, name := range []string{"nightly.yml", "release.yml"} {
		if !all[name].runs("make special-addresses") {
			t.Errorf("%s does not run `make special-addresses`", name)
		}
	}
}

func TestF364TargetsAreFuzzedForAMinuteInPullRequestsAndForAnHourANight(t *testing.T) {
	t.Parallel()
	all := pipelines(t)
	for name, want := range map[string]time.Duration{"ci.yml": time.Minute, "nightly.yml": time.Hour} {
		m := regexp.MustCompile(`(?m)run: hack/fuzz\.sh (\S+)`).FindStringSubmatch(all[name].text)
		if m == nil {
			t.Errorf("%s does not fuzz", name)
			continue
		}
		if got, err := time.ParseDuration(m[1]); err != nil || got < want {
			t.Errorf("%s fuzzes each target for %s, want %s or more", name, m[1], want)
		}
	}
}

func TestPullRequestsAndReleasesRunWhatALaptopRuns(t *testing.T) {
	t.Parallel()
	all := pipelines(t)
	for _, name := range []string{"ci.yml", "release.yml"} {
		if !strings.Contains(all[name].text, "bash .ci/run\n") {
			t.Errorf("%s does not run .ci/run", name)
		}
	}
}

// What SECURITY.md tells users to run is what the release has run already.
func TestAReleaseIsVerifiedAsUsersAreToldTo(t *testing.T) {
	t.Parallel()
	release, page := pipelines(t)["release.yml"].text, string(read(t, "SECURITY.md"))
	for _, command := range []string{"cosign verify ", "cosign verify-attestation ", "cosign verify-blob ", "gh attestation verify "} {
		sign := strings.LastIndex(release, "cosign sign --yes")
		if at := strings.LastIndex(release, command); sign < 0 || at < sign {
			t.Errorf("release.yml does not run %safter it signed", command)
		}
		if !strings.Contains(page, command) {
			t.Errorf("SECURITY.md does not say how to %s", command)
		}
	}
	if at := strings.Index(release, "gh release create"); at < strings.LastIndex(release, "gh attestation verify") {
		t.Error("release.yml announces what it has not verified yet")
	}
}
