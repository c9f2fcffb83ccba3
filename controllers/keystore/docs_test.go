// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package keystore_test

import (
	"encoding/base64"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/exchequer-dev/exchequer/api/v1alpha1"
	"github.com/exchequer-dev/exchequer/controllers/keystore"
	"github.com/exchequer-dev/exchequer/exchanger/keys"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
	"github.com/exchequer-dev/exchequer/test/cluster"
)

const operator = "exchequer-system"

func TestMain(m *testing.M) { os.Exit(cluster.Main(m)) }

// commands are the blocks of docs/keys.md that say that they were tried.
func commands(t *testing.T) map[string]string {
	t.Helper()
	page, err := os.ReadFile("../../docs/keys.md")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, m := range regexp.MustCompile("(?s)<!-- tried: ([a-z-]+) -->\n```sh\n(.*?)```").FindAllStringSubmatch(string(page), -1) {
		out[m[1]] = m[2]
	}
	return out
}

// desk is where somebody sits with kubectl and the page.
type desk struct {
	dir, kubeconfig, path string
	page                  map[string]string
}

func (d *desk) run(t *testing.T, name string, environment ...string) string {
	t.Helper()
	script, ok := d.page[name]
	if !ok {
		t.Fatalf("docs/keys.md has no block %q", name)
	}
	cmd := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", script)
	cmd.Dir = d.dir
	cmd.Env = append(os.Environ(), append(environment, "KUBECONFIG="+d.kubeconfig, "PATH="+d.path+":"+os.Getenv("PATH"))...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s\n%s", name, err, script, out)
	}
	return string(out)
}

func TestTheCommandsOfThePageOnARealAPIServer(t *testing.T) {
	t.Parallel()
	plane := cluster.Shared(t)
	d := &desk{dir: t.TempDir(), kubeconfig: plane.KubeConfig(t), path: cluster.Assets(t), page: commands(t)}
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientscheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	api, err := client.New(plane.Admin(), client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range []client.Object{
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: operator}},
		deployment(),
		&v1alpha1.TokenService{ObjectMeta: metav1.ObjectMeta{Name: "default"}, Spec: v1alpha1.TokenServiceSpec{Issuer: "https://sts.example.com"}},
	} {
		if err := api.Create(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
	now := time.Now()
	start := func() *keystore.Manager {
		return keystore.NewManager(keystore.Options{Client: api, Namespace: operator, Now: func() time.Time { return now }})
	}
	ensure := func(m *keystore.Manager) (*keys.Current, error) {
		t.Helper()
		now = now.Add(time.Minute)
		var o v1alpha1.TokenService
		if err := api.Get(t.Context(), client.ObjectKey{Name: "default"}, &o); err != nil {
			t.Fatal(err)
		}
		spec := &policy.Spec{Services: []policy.Service{{
			Name: "default", Algorithm: "ES256", MaxLifetime: time.Hour, RevokedKeyIDs: o.Spec.Signing.RevokedKeyIDs,
			Rotation: policy.Rotation{Period: 720 * time.Hour, PrePublish: time.Hour},
		}}}
		err := m.Ensure(t.Context(), []v1alpha1.TokenService{o}, spec)
		k, _ := m.Ring().Current("default")
		return k, err
	}
	must := func(m *keystore.Manager) *keys.Current {
		t.Helper()
		k, err := ensure(m)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}

	running := start()
	first := must(running)
	d.run(t, "backup")

	breakKey(t, api)
	if _, err := ensure(running); err == nil || !strings.Contains(err.Error(), "default.json of Secret exchequer-system/exchequer-keys") {
		t.Errorf("F278: what is broken is not named: %v", err)
	}
	d.run(t, "restore-key")
	if k := must(start()); k.Signing.KeyID() != first.Signing.KeyID() {
		t.Error("restoring one data key brought another key")
	}
	must(running)

	breakKey(t, api)
	d.run(t, "rewrite-key")
	must(running)
	if k := must(start()); k.Signing.KeyID() != first.Signing.KeyID() {
		t.Error("what was taken away was not written anew from memory")
	}

	follower := keys.NewFollower()
	follow(t, api, follower)
	breakKey(t, api)
	d.run(t, "restore")
	if k := must(start()); k.Signing.KeyID() != first.Signing.KeyID() {
		t.Error("restoring the Secret brought another key")
	}
	follow(t, api, follower)
	if k, ok := follower.Current("default"); !ok || k.Signing.KeyID() != first.Signing.KeyID() {
		t.Error("a replica does not follow what was restored")
	}

	running = start()
	must(running)
	d.run(t, "revoke", "KID="+first.Signing.KeyID())
	second := must(running)
	if second.Signing.KeyID() == first.Signing.KeyID() || second.Public.Len() != 1 {
		t.Errorf("F304: after the revocation: %v", second.Slots)
	}
	now = now.Add(719 * time.Hour) // the next key is prepared
	listed := list(t, api, must(running))
	stolen := secretOf(t, api)
	d.run(t, "revoke-all")
	if third := must(running); len(listed) != 2 || third.Public.Len() != 1 || strings.Contains(stolen, third.Signing.KeyID()) {
		t.Errorf("F304: the thief has the key that signs, or one that is published: %v of %v", third.Slots, listed)
	}
	d.run(t, "restore") // a backup of before the revocation
	if k := must(start()); k.Signing.KeyID() == first.Signing.KeyID() {
		t.Error("F304: the backup brought a key back that the manifest revokes")
	}
	if out := d.run(t, "backup"); strings.Contains(out, "PRIVATE") {
		t.Error("the backup is printed")
	}
}

// list writes a TokenService's keys into its status, as the controller does.
func list(t *testing.T, api client.Client, k *keys.Current) []v1alpha1.SigningKeyStatus {
	t.Helper()
	var o v1alpha1.TokenService
	if err := api.Get(t.Context(), client.ObjectKey{Name: "default"}, &o); err != nil {
		t.Fatal(err)
	}
	for _, s := range k.Slots {
		o.Status.Keys = append(o.Status.Keys, v1alpha1.SigningKeyStatus{KeyID: s.KeyID, Algorithm: s.Algorithm, State: v1alpha1.SigningKeyState(s.State)})
	}
	if err := api.Status().Update(t.Context(), &o); err != nil {
		t.Fatal(err)
	}
	return o.Status.Keys
}

// secretOf is what a thief gets.
func secretOf(t *testing.T, api client.Client) string {
	t.Helper()
	var s corev1.Secret
	if err := api.Get(t.Context(), client.ObjectKey{Namespace: operator, Name: "exchequer-keys"}, &s); err != nil {
		t.Fatal(err)
	}
	return string(s.Data["default.json"])
}

func deployment() *appsv1.Deployment {
	labels := map[string]string{"app": "controller"}
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Namespace: operator, Name: "exchequer-controller"},
		Spec: appsv1.DeploymentSpec{
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "x", Image: "x"}}}},
		},
	}
}

func breakKey(t *testing.T, api client.Client) {
	t.Helper()
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: operator, Name: "exchequer-keys"}}
	patch := fmt.Sprintf(`{"data":{"default.json":%q}}`, base64.StdEncoding.EncodeToString([]byte("garbage")))
	if err := api.Patch(t.Context(), secret, client.RawPatch("application/merge-patch+json", []byte(patch))); err != nil {
		t.Fatal(err)
	}
}

func follow(t *testing.T, api client.Client, r *keys.Ring) {
	t.Helper()
	var secret corev1.Secret
	if err := api.Get(t.Context(), client.ObjectKey{Namespace: operator, Name: "exchequer-keys"}, &secret); err != nil {
		t.Fatal(err)
	}
	if err := r.Follow(map[string][]byte{"default": secret.Data["default.json"]}); err != nil {
		t.Fatal(err)
	}
}

func TestTheCommandsOfThePageOnADirectory(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d := &desk{dir: dir, page: commands(t)}
	place := filepath.Join(dir, "var", "keys")
	if err := os.Mkdir(filepath.Dir(place), 0o700); err != nil {
		t.Fatal(err)
	}
	open := func() string {
		t.Helper()
		r, err := keys.OpenDir(place)
		if err != nil {
			t.Fatal(err)
		}
		plan := keys.Plan{Algorithm: "ES256", Rotation: keys.Rotation{Period: 720 * time.Hour, PrePublish: time.Hour}, Retain: time.Hour}
		if err := r.Ensure("default", plan, time.Now()); err != nil {
			t.Fatal(err)
		}
		k, _ := r.Current("default")
		return k.Signing.KeyID()
	}
	first := open()
	d.run(t, "backup-directory", "KEYS="+place)
	if err := os.RemoveAll(place); err != nil {
		t.Fatal(err)
	}
	d.run(t, "restore-directory", "KEYS="+place)
	if got := open(); got != first {
		t.Error("restoring the directory brought another key")
	}
}
