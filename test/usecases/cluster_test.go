// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package usecases

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/exchequer-dev/exchequer/test/cluster"
	"github.com/exchequer-dev/exchequer/test/faults/rig"
	"github.com/exchequer-dev/exchequer/test/ports"
	"github.com/exchequer-dev/exchequer/test/redis"
)

// The stories in a cluster: a real API server, a controller and an exchanger with the
// rights of the chart. What a page serves from a directory is applied; everything else
// of the page is as on one machine, but over TLS: a cluster takes https alone.
func TestEveryPageRunsAgainstACluster(t *testing.T) {
	t.Parallel()
	in := install(t)
	all := pages(t)
	// One after the other: each has a TokenService of its own, and a cluster has one.
	for _, name := range slices.Sorted(maps.Keys(all)) {
		t.Run(name, func(t *testing.T) { //nolint:paralleltest // they share the one TokenService of a cluster
			blocks, err := readPage(all[name])
			if err != nil {
				t.Fatal(err)
			}
			in.applied = 0
			newPage(t, blocks, in).run(all[name])
			if in.applied == 0 {
				t.Error("nothing of this page was applied: its first service is at 127.0.0.1:8080")
			}
		})
	}
}

// installation is a cluster with one exchanger, which keeps one-time state in memory.
type installation struct {
	*rig.Cluster
	authority *redis.Authority
	// kubectl is the program, kubeconfig how it reaches the API server.
	kubectl, kubeconfig string
	// proxy is the only way to outside.
	proxy     string
	exchanger *rig.Replica
	// applied are the objects that the page has brought.
	applied int
}

func install(t *testing.T) *installation {
	t.Helper()
	programs, err := rig.Build(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	c, err := rig.New(t.Context(), rig.Options{Assets: cluster.Assets(t), Dir: t.TempDir(), Programs: programs})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(c.Logs())
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	in := &installation{Cluster: c, authority: redis.NewAuthority(t), kubectl: filepath.Join(cluster.Assets(t), "kubectl")}
	if in.kubeconfig, err = c.Kubeconfig(); err != nil {
		t.Fatal(err)
	}
	controller, err := c.NewController(t.Context(), "controller-0", rig.ProcessOptions{})
	if err != nil {
		t.Fatal(err)
	}
	certificate, key := in.authority.Server(t, outside)
	proxy := httptest.NewServer(http.HandlerFunc(connect))
	t.Cleanup(proxy.Close)
	in.proxy = proxy.URL
	in.exchanger, err = c.NewReplica(t.Context(), "exchanger-0", rig.ProcessOptions{
		Store: "memory", Flags: []string{"--tls-cert", certificate, "--tls-key", key, "--egress-ca", in.authority.File, "--egress-proxy", in.proxy},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := controller.Start(); err != nil {
		t.Fatal(err)
	}
	if err := in.exchanger.Start(); err != nil {
		t.Fatal(err)
	}
	return in
}

// outside names every server of a page, through a proxy that resolves it: a cluster
// dials loopback addresses for nobody.
const outside = "outside.example"

var (
	http80   = regexp.MustCompile(`http://127\.0\.0\.1:(80\d\d)\b`)
	loopback = regexp.MustCompile(`(?m)^ *network: \{allowedCIDRs: \["127\.0\.0\.0/8"\]\}\n`)
	listens  = regexp.MustCompile(`127\.0\.0\.1:\d+`)
	manifest = regexp.MustCompile(`--manifests (\S+)`)
)

// overTLS has every address of a page and its manifests speak TLS. Another installation
// than the cluster's may dial loopback addresses, and has no proxy.
func overTLS(text string) string {
	return http80.ReplaceAllString(text, "https://127.0.0.1:$1")
}

// outward names the servers of a command, and of a manifest that is applied.
func outward(text string) string {
	return loopback.ReplaceAllString(strings.ReplaceAll(text, "https://127.0.0.1:", "https://"+outside+":"), "")
}

// connect is an egress proxy to whom every name is this machine.
func connect(w http.ResponseWriter, r *http.Request) {
	_, port, err := net.SplitHostPort(r.Host)
	if err != nil || r.Method != http.MethodConnect {
		http.Error(w, "CONNECT host:port", http.StatusBadRequest)
		return
	}
	there, err := (&net.Dialer{}).DialContext(r.Context(), "tcp", net.JoinHostPort("127.0.0.1", port))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer func() { _ = there.Close() }()
	here, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer func() { _ = here.Close() }()
	if _, err := io.WriteString(here, "HTTP/1.1 200 OK\r\n\r\n"); err != nil {
		return
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = io.Copy(there, buffered)
		_ = there.Close()
	}()
	_, _ = io.Copy(here, there)
	_ = here.Close()
	<-done
}

// environment is what the commands of a page need besides: whom to trust, how to reach
// the cluster, and where the exchanger is that the page knows at port 8080.
func (in *installation) environment() []string {
	_, port, _ := strings.Cut(in.exchanger.Address, ":")
	return []string{
		"SSL_CERT_FILE=" + in.authority.File, "CURL_CA_BUNDLE=" + in.authority.File,
		"HTTPS_PROXY=" + in.proxy, "https_proxy=" + in.proxy,
		"KUBECONFIG=" + in.kubeconfig, "PORT_OF_8080=" + port,
	}
}

// start does what a block of a page does that starts a service: it is the cluster's,
// another installation, or a program that plays somebody else.
func (in *installation) start(p *page, b *block) {
	p.t.Helper()
	ours, client := strings.HasPrefix(b.text, "exchequer"), &http.Client{Transport: &http.Transport{TLSClientConfig: in.authority.Config()}}
	p.t.Cleanup(client.CloseIdleConnections)
	switch {
	case ours && strings.Contains(b.text, in.exchanger.Address):
		in.apply(p, manifest.FindStringSubmatch(b.text)[1])
	case ours:
		certificate, key := in.authority.Server(p.t, outside)
		p.launch(b.line, strings.TrimSpace(b.text)+" --tls-cert "+certificate+" --tls-key "+key, client, "https://")
	default:
		behind := in.front(p, listens.FindString(b.text))
		p.launch(b.line, listens.ReplaceAllString(b.text, behind), http.DefaultClient, "http://")
	}
}

// front ends TLS before a program that knows http alone, and returns where that is to
// listen.
func (in *installation) front(p *page, listen string) string {
	p.t.Helper()
	port, err := ports.Free()
	if err != nil {
		p.t.Fatal(err)
	}
	behind := fmt.Sprintf("127.0.0.1:%d", port)
	certificate, key := in.authority.Server(p.t, outside)
	server := &http.Server{
		Addr: listen, ReadHeaderTimeout: time.Minute,
		Handler: httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: behind}),
	}
	ended := make(chan error, 1)
	go func() { ended <- server.ListenAndServeTLS(certificate, key) }()
	p.t.Cleanup(func() {
		_ = server.Close()
		<-ended
	})
	return behind
}

// apply does what somebody does who has a cluster, until all is in force; when the page
// is over, everything is deleted, and gone.
func (in *installation) apply(p *page, folder string) {
	p.t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*.yaml"))
	if err != nil {
		p.t.Fatal(err)
	}
	files = slices.DeleteFunc(files, func(file string) bool {
		name := filepath.Base(file)
		// There is no controller here that could end a namespace.
		return name == "kustomization.yaml" || name == "namespaces.yaml" || strings.HasSuffix(name, "_test.yaml")
	})
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			p.t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(outward(string(text))), 0o600); err != nil {
			p.t.Fatal(err)
		}
	}
	p.t.Cleanup(func() {
		in.run(context.WithoutCancel(p.t.Context()), p, in.kubectl, "delete", "--wait", "--ignore-not-found", "-f", strings.Join(files, ","))
	})
	out := in.run(p.t.Context(), p, in.kubectl, "apply", "--server-side", "--validate=strict", "-k", folder)
	if strings.Contains(strings.ToLower(out), "warning") {
		p.t.Errorf("the API server warns:\n%s", out)
	}
	var group sync.WaitGroup
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			p.t.Fatal(err)
		}
		objects, err := rig.Objects(string(text), nil)
		if err != nil {
			p.t.Fatal(err)
		}
		for _, o := range objects {
			if o.GroupVersionKind().Group == rig.Group {
				in.applied++
				name := strings.TrimPrefix(o.GetNamespace()+"/"+o.GetName(), "/")
				group.Go(func() {
					in.run(p.t.Context(), p, "exchequer", "wait", "--for", "ready", "--timeout", "1m", o.GetKind()+"/"+name)
				})
			}
		}
	}
	group.Wait()
	if p.t.Failed() {
		p.t.FailNow()
	}
	if err := in.exchanger.AwaitReady(p.t.Context()); err != nil {
		p.t.Fatal(err)
	}
}

// run runs a program in the page's environment and returns what it printed.
func (in *installation) run(ctx context.Context, p *page, name string, args ...string) string {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	if name == "exchequer" {
		name = filepath.Join(bin, name)
	}
	c := exec.CommandContext(ctx, name, args...)
	c.Env = p.env
	out, err := c.CombinedOutput()
	if err != nil {
		p.t.Errorf("%s %s: %v\n%s", filepath.Base(name), strings.Join(args, " "), err, out)
	}
	return string(out)
}
