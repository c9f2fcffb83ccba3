// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package chart

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

var metricName = regexp.MustCompile(`\bexchequer_[a-z_]+`)

// exported are the names of metrics in the programs' sources.
func exported(t testing.TB) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	quoted := regexp.MustCompile(`"(exchequer_[a-z_]+)"`)
	for _, dir := range []string{"../../exchanger", "../../controllers", "../../cmd"} {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			text, err := os.ReadFile(path)
			for _, match := range quoted.FindAllStringSubmatch(string(text), -1) {
				names[match[1]] = true
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if len(names) < 10 {
		t.Fatalf("found %d metrics in the sources: the test would say nothing", len(names))
	}
	return names
}

func TestAlertsAndDashboardAskForMetricsThatThereAre(t *testing.T) {
	t.Parallel()
	known := exported(t)
	for _, file := range []string{"alerts.yaml", "dashboard.json"} {
		text, err := os.ReadFile(filepath.Join(chartDir, "files", file))
		if err != nil {
			t.Fatal(err)
		}
		found := metricName.FindAllString(string(text), -1)
		if len(found) < 10 {
			t.Errorf("%s asks for %d metrics only", file, len(found))
		}
		for _, name := range found {
			plain := name
			for _, suffix := range []string{"_bucket", "_sum", "_count"} {
				plain = strings.TrimSuffix(plain, suffix)
			}
			if !known[name] && !known[plain] {
				t.Errorf("%s asks for %s, which no program exports", file, name)
			}
		}
	}
}

func TestEveryAlertSaysWhatIsWrongAndWhatToDo(t *testing.T) {
	t.Parallel()
	rules := one(t, render(t, profile("everything-on")...), "PrometheusRule", "exchequer")
	groups, _, _ := unstructured.NestedSlice(rules.Object, "spec", "groups")
	names := map[string]bool{}
	for _, g := range groups {
		list, _, _ := unstructured.NestedSlice(g.(map[string]any), "rules")
		for _, r := range list {
			rule, _ := r.(map[string]any)
			name, _, _ := unstructured.NestedString(rule, "alert")
			expr, _, _ := unstructured.NestedString(rule, "expr")
			severity, _, _ := unstructured.NestedString(rule, "labels", "severity")
			summary, _, _ := unstructured.NestedString(rule, "annotations", "summary")
			description, _, _ := unstructured.NestedString(rule, "annotations", "description")
			if names[name] || !strings.HasPrefix(name, "Exchequer") || severity != "warning" && severity != "critical" || summary == "" || description == "" {
				t.Errorf("alert %q is incomplete or there twice: %v", name, rule)
			}
			if strings.Contains(expr, "MAX_") {
				t.Errorf("alert %s: %s has a hole", name, expr)
			}
			names[name] = true
		}
	}
	for _, want := range []string{"SnapshotOld", "SnapshotExpires", "PublishBlocked", "IssuerKeysOld", "ReplicasDisagree", "NoActiveSigningKey", "SigningKeyOverdue", "NamespaceLeftOut", "ControllerSilent", "ClockWrong"} {
		if !names["Exchequer"+want] {
			t.Errorf("there is no alert %s", want)
		}
	}
}

func TestAnAgeIsAlertedBeforeItsBound(t *testing.T) {
	t.Parallel()
	rules := one(t, render(t, "--set", "monitoring.prometheusRule.enabled=true,exchanger.maxSnapshotAge=2h"), "PrometheusRule", "exchequer")
	if !strings.Contains(rules.text, "exchequer_snapshot_age_seconds) > 7200 * 0.75") {
		t.Error("no alert at three quarters of the two hours that values allow")
	}
}

func TestTheDashboardIsOneThatGrafanaReads(t *testing.T) {
	t.Parallel()
	data, _, _ := unstructured.NestedStringMap(one(t, render(t, profile("everything-on")...), "ConfigMap", "exchequer-dashboard").Object, "data")
	var dashboard struct {
		Title  string
		UID    string
		Panels []struct {
			ID      int
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal([]byte(data["exchequer.json"]), &dashboard); err != nil {
		t.Fatal(err)
	}
	if dashboard.Title == "" || dashboard.UID == "" || len(dashboard.Panels) < 10 {
		t.Errorf("the dashboard has no title, no uid or few panels: %+v", dashboard)
	}
	for _, p := range dashboard.Panels {
		if p.Title == "" || len(p.Targets) == 0 || p.Targets[0].Expr == "" {
			t.Errorf("panel %d shows nothing: %+v", p.ID, p)
		}
	}
}
