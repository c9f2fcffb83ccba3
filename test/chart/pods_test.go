// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package chart

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
)

func deployments(t testing.TB, args ...string) map[string]appsv1.Deployment {
	t.Helper()
	out := map[string]appsv1.Deployment{}
	for _, o := range only(render(t, args...), "Deployment") {
		out[o.GetName()] = as[appsv1.Deployment](t, o)
	}
	if len(out) != 2 {
		t.Fatalf("found %d Deployments, expected two", len(out))
	}
	return out
}

func TestF279PodsAreLockedDown(t *testing.T) {
	t.Parallel()
	for _, name := range profiles() {
		for _, d := range deployments(t, profile(name)...) {
			pod := d.Spec.Template.Spec
			if s := pod.SecurityContext; s == nil || !*s.RunAsNonRoot || *s.RunAsUser != 65532 || s.SeccompProfile.Type != corev1.SeccompProfileTypeRuntimeDefault {
				t.Errorf("%s of profile %s: the Pod's security is %+v", d.Name, name, s)
			}
			if pod.HostNetwork || pod.HostPID || pod.HostIPC {
				t.Errorf("%s of profile %s shares the host's namespaces", d.Name, name)
			}
			for _, c := range pod.Containers {
				s := c.SecurityContext
				if s == nil || *s.AllowPrivilegeEscalation || !*s.ReadOnlyRootFilesystem || *s.Privileged || !slices.Equal(s.Capabilities.Drop, []corev1.Capability{"ALL"}) {
					t.Errorf("%s of profile %s: the container's security is %+v", d.Name, name, s)
				}
			}
			for _, v := range pod.Volumes {
				if v.HostPath != nil || v.EmptyDir != nil && v.EmptyDir.Medium != corev1.StorageMediumMemory {
					t.Errorf("%s of profile %s: volume %s reaches the node's disk", d.Name, name, v.Name)
				}
			}
		}
	}
}

func TestF280TokensAreProjectedAndLiveAnHour(t *testing.T) {
	t.Parallel()
	for _, o := range only(render(t), "ServiceAccount") {
		if a := as[corev1.ServiceAccount](t, o); a.AutomountServiceAccountToken == nil || *a.AutomountServiceAccountToken {
			t.Errorf("%s is mounted by whatever Pod uses it", o)
		}
	}
	for name, d := range deployments(t) {
		pod := d.Spec.Template.Spec
		if pod.AutomountServiceAccountToken == nil || *pod.AutomountServiceAccountToken {
			t.Errorf("%s mounts the default token", name)
		}
		found := 0
		for _, v := range pod.Volumes {
			if v.Projected == nil {
				continue
			}
			for _, s := range v.Projected.Sources {
				if s.ServiceAccountToken == nil {
					continue
				}
				found++
				// 3607 s is what the API server stretches to a year.
				if seconds := *s.ServiceAccountToken.ExpirationSeconds; seconds > 3600 {
					t.Errorf("%s: a token lives %d s", name, seconds)
				}
			}
		}
		if found != 1 {
			t.Errorf("%s has %d projected tokens, expected the API server's alone", name, found)
		}
	}
}

func TestF334ARolloutTakesNoReplicaAwayBeforeTheNextServes(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		args     []string
		strategy appsv1.DeploymentStrategyType
		store    string
		replicas int32
	}{
		"two replicas, the default":               {nil, appsv1.RollingUpdateDeploymentStrategyType, "none", 2},
		"one replica keeps its state to itself":   {[]string{"--set", "exchanger.replicas=1"}, appsv1.RecreateDeploymentStrategyType, "memory", 1},
		"one replica without one-time state":      {[]string{"--set", "exchanger.replicas=1,exchanger.store=none"}, appsv1.RollingUpdateDeploymentStrategyType, "none", 1},
		"an autoscaler decides how many there be": {[]string{"--set", "exchanger.autoscaling.enabled=true"}, appsv1.RollingUpdateDeploymentStrategyType, "none", -1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := deployments(t, tc.args...)["exchequer-exchanger"]
			if d.Spec.Strategy.Type != tc.strategy {
				t.Errorf("strategy %s, expected %s", d.Spec.Strategy.Type, tc.strategy)
			}
			if r := d.Spec.Strategy.RollingUpdate; tc.strategy == appsv1.RollingUpdateDeploymentStrategyType && (r == nil || r.MaxUnavailable.IntValue() != 0) {
				t.Errorf("a rollout may take replicas away: %+v", r)
			}
			if got := d.Spec.Replicas; (got == nil) != (tc.replicas < 0) || got != nil && *got != tc.replicas {
				t.Errorf("replicas: %v, expected %d", got, tc.replicas)
			}
			c := d.Spec.Template.Spec.Containers[0]
			if !slices.Contains(c.Args, "--store="+tc.store) {
				t.Errorf("the store is not %s: %v", tc.store, c.Args)
			}
			if c.Lifecycle == nil || c.Lifecycle.PreStop == nil || c.Lifecycle.PreStop.Sleep == nil || c.Lifecycle.PreStop.Sleep.Seconds < 3 {
				t.Errorf("a Pod ends before proxies know of it: %+v", c.Lifecycle)
			}
			if c.ReadinessProbe == nil || c.ReadinessProbe.HTTPGet.Path != "/readyz" || c.LivenessProbe == nil || c.LivenessProbe.HTTPGet.Path != "/livez" {
				t.Errorf("probes: %+v, %+v", c.ReadinessProbe, c.LivenessProbe)
			}
		})
	}
}

func TestAPodHasTheTimeItNeedsToDrain(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		set  string
		want int64
	}{
		"as it comes":                {"", 40},
		"with a long drain":          {"exchanger.drainDelay=1m30s", 127},
		"with a part of a second":    {"exchanger.drainDelay=1500ms", 39},
		"with neither sleep":         {"exchanger.drainDelay=0s,exchanger.preStopSleepSeconds=0", 32},
		"with a long sleep before":   {"exchanger.preStopSleepSeconds=30", 65},
		"with a drain of many units": {"exchanger.drainDelay=1m1s1ms", 99},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := *deployments(t, "--set", tc.set)["exchequer-exchanger"].Spec.Template.Spec.TerminationGracePeriodSeconds; got != tc.want {
				t.Errorf("the Pod is killed after %d s, expected %d", got, tc.want)
			}
		})
	}
}

func TestF336TheCollectorKnowsTheMemoryThatIsLeft(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		set                   string
		controller, exchanger string
	}{
		"as it comes":               {"", "483183820", "422785843"}, // 0.9 × 512 Mi; 0.9 × (512 - 64) Mi
		"with other limits":         {"controller.resources.limits.memory=1Gi,exchanger.resources.limits.memory=2G", "966367641", "1739602022"},
		"without a limit of memory": {"controller.resources.limits=null,exchanger.resources.limits=null", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			all := deployments(t, "--set", tc.set)
			for deployment, want := range map[string]string{"exchequer-controller": tc.controller, "exchequer-exchanger": tc.exchanger} {
				got := ""
				for _, e := range all[deployment].Spec.Template.Spec.Containers[0].Env {
					if e.Name == "GOMEMLIMIT" {
						got = e.Value
					}
				}
				if got != want {
					t.Errorf("%s: GOMEMLIMIT is %q, expected %q", deployment, got, want)
				}
			}
		})
	}
}

func TestTheCheckpointNeverTouchesADisk(t *testing.T) {
	t.Parallel()
	pod := deployments(t)["exchequer-exchanger"].Spec.Template.Spec
	for _, v := range pod.Volumes {
		if v.Name == "run" {
			if v.EmptyDir == nil || v.EmptyDir.Medium != corev1.StorageMediumMemory || v.EmptyDir.SizeLimit.String() != "64Mi" {
				t.Errorf("the checkpoint's volume is %+v", v.VolumeSource)
			}
			return
		}
	}
	t.Error("there is no volume for the checkpoint")
}

func TestF335ADrainOfNodesLeavesReplicas(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		args      []string
		budgets   []string
		available string
	}{
		"two replicas":               {nil, []string{"exchequer-controller", "exchequer-exchanger"}, "1"},
		"many replicas":              {profile("ha"), []string{"exchequer-controller", "exchequer-exchanger"}, "2"},
		"one replica can be drained": {profile("minimal"), nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var budgets []string
			objects := render(t, tc.args...)
			for _, o := range only(objects, "PodDisruptionBudget") {
				budgets = append(budgets, o.GetName())
				b := as[policyv1.PodDisruptionBudget](t, o)
				if *b.Spec.UnhealthyPodEvictionPolicy != policyv1.AlwaysAllow {
					t.Errorf("%s: a broken Pod would keep its node", o)
				}
				if b.Spec.MinAvailable != nil && b.Spec.MinAvailable.String() != tc.available {
					t.Errorf("%s keeps %s, expected %s", o, b.Spec.MinAvailable, tc.available)
				}
			}
			if slices.Sort(budgets); !slices.Equal(budgets, tc.budgets) {
				t.Errorf("budgets %v, expected %v", budgets, tc.budgets)
			}
			spread := as[appsv1.Deployment](t, one(t, objects, "Deployment", "exchequer-exchanger")).Spec.Template.Spec.TopologySpreadConstraints
			keys := make([]string, 0, len(spread))
			for _, s := range spread {
				keys = append(keys, s.TopologyKey)
			}
			if fmt.Sprint(keys) != "[kubernetes.io/hostname topology.kubernetes.io/zone]" {
				t.Errorf("replicas are spread over %v", keys)
			}
		})
	}
}

func TestServicesReachTheListenersTheyAreNamedFor(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		args  []string
		ports map[string]string
	}{
		"plain":                  {nil, map[string]string{"exchequer": "http 80 token", "exchequer-public": "http 80 public"}},
		"TLS":                    {profile("tls-cert-manager"), map[string]string{"exchequer": "https 443 token", "exchequer-public": "https 443 public"}},
		"without public, 8080":   {[]string{"--set", "publicService.enabled=false,service.port=8080"}, map[string]string{"exchequer": "http 8080 token"}},
		"its own Secret of TLS":  {[]string{"--set", "tls.mode=Secret"}, map[string]string{"exchequer": "https 443 token", "exchequer-public": "https 443 public"}},
		"with scraping, besides": {[]string{"--set", "monitoring.serviceMonitor.enabled=true"}, map[string]string{"exchequer": "http 80 token", "exchequer-public": "http 80 public", "exchequer-metrics": "ops 8081 ops"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			objects := render(t, tc.args...)
			containers := as[appsv1.Deployment](t, one(t, objects, "Deployment", "exchequer-exchanger")).Spec.Template.Spec.Containers[0]
			got := map[string]string{}
			for _, o := range only(objects, "Service") {
				s := as[corev1.Service](t, o)
				p := s.Spec.Ports[0]
				got[s.Name] = fmt.Sprintf("%s %d %s", p.Name, p.Port, p.TargetPort.String())
				if !slices.ContainsFunc(containers.Ports, func(c corev1.ContainerPort) bool { return c.Name == p.TargetPort.String() }) {
					t.Errorf("%s leads to port %s, which no container has", o, p.TargetPort.String())
				}
			}
			if fmt.Sprint(got) != fmt.Sprint(tc.ports) {
				t.Errorf("Services %v, expected %v", got, tc.ports)
			}
			tls := slices.ContainsFunc(containers.Args, func(a string) bool { return strings.HasPrefix(a, "--tls-cert=") })
			if tls != strings.HasPrefix(tc.ports["exchequer"], "https") {
				t.Errorf("the process serves TLS: %v", tls)
			}
		})
	}
}

func TestProgramsKnowTheFlagsThatTheyGet(t *testing.T) {
	t.Parallel()
	defined := regexp.MustCompile(`Var\(&?[\w.]+, "([a-z-]+)"`)
	for deployment, d := range deployments(t, append(profile("everything-on"), "--set", "controller.extraArgs=null,exchanger.extraArgs=null")...) {
		program := strings.TrimPrefix(deployment, "exchequer-")
		known := map[string]bool{}
		dirs := []string{"../../cmd/" + program, "../../cmd/internal/flags", "../../cmd/internal/engine"}
		if program == "exchanger" {
			dirs = append(dirs, "../../cmd/internal/flags/serving")
		}
		for _, dir := range dirs {
			sources, err := filepath.Glob(filepath.Join(dir, "*.go"))
			if err != nil {
				t.Fatal(err)
			}
			for _, source := range sources {
				text, err := os.ReadFile(source)
				if err != nil {
					t.Fatal(err)
				}
				for _, match := range defined.FindAllStringSubmatch(string(text), -1) {
					known[match[1]] = true
				}
			}
		}
		if len(known) < 5 {
			t.Fatalf("found %d flags in cmd/%s: the test would say nothing", len(known), program)
		}
		c := d.Spec.Template.Spec.Containers[0]
		if want := "/usr/local/bin/" + program; !slices.Equal(c.Command, []string{want}) {
			t.Errorf("%s runs %v, expected %s", deployment, c.Command, want)
		}
		for _, arg := range c.Args {
			name, _, _ := strings.Cut(strings.TrimPrefix(arg, "--"), "=")
			if !known[name] {
				t.Errorf("%s is started with --%s, which it does not know", deployment, name)
			}
		}
		for _, e := range c.Env {
			// EXCHEQUER_X is --x; whatever else begins so stops the program.
			if strings.HasPrefix(e.Name, "EXCHEQUER_") {
				t.Errorf("%s has %s in its environment, where flags belong", deployment, e.Name)
			}
		}
		if links := d.Spec.Template.Spec.EnableServiceLinks; links == nil || *links {
			t.Errorf("%s: Service exchequer would put EXCHEQUER_PORT and its like into the environment", deployment)
		}
	}
}
