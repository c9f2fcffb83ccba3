// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package usecases

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

const root = "../.."

// bin has the programs that pages use; it is the first entry of PATH.
var bin string //nolint:gochecknoglobals // made once, by TestMain

func TestMain(m *testing.M) { os.Exit(runTests(m)) }

func runTests(m *testing.M) int {
	dir, err := os.MkdirTemp("", "exchequer-usecases-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	bin = dir
	for _, args := range [][]string{
		{"build", "-o", filepath.Join(dir, "exchequer"), "github.com/exchequer-dev/exchequer/cmd/exchequer"},
		// What the pages call jq is jq in Go, pinned with the other tools.
		{"build", "-modfile=" + root + "/hack/tools/go.mod", "-o", filepath.Join(dir, "jq"), "github.com/itchyny/gojq/cmd/gojq"},
	} {
		out, err := exec.Command("go", args...).CombinedOutput()
		if err != nil {
			fmt.Fprintf(os.Stderr, "go %s: %v\n%s", strings.Join(args, " "), err, out)
			return 1
		}
	}
	return m.Run()
}

// pages are the pages of stories, without the index and those that tell no story.
func pages(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, "docs/use-cases/*.md"))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, f := range files {
		if name := strings.TrimSuffix(filepath.Base(f), ".md"); name != "README" {
			out[name] = f
		}
	}
	return out
}

func TestEveryPageRunsAsItIsWritten(t *testing.T) {
	t.Parallel()
	for name, path := range pages(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			blocks, err := readPage(path)
			if err != nil {
				t.Fatal(err)
			}
			newPage(t, blocks, nil).run(path)
		})
	}
}

func TestEveryStoryHasItsManifestsItsTestAndItsPage(t *testing.T) {
	t.Parallel()
	all := pages(t)
	folders, err := filepath.Glob(filepath.Join(root, "config/samples/*/"))
	if err != nil || len(folders) == 0 {
		t.Fatalf("no stories: %v", err)
	}
	index, err := os.ReadFile(filepath.Join(root, "docs/use-cases/README.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range folders {
		if info, err := os.Stat(f); err != nil || !info.IsDir() {
			continue
		}
		name := filepath.Base(f)
		tests, _ := filepath.Glob(filepath.Join(f, "*_test.yaml"))
		below, _ := filepath.Glob(filepath.Join(f, "*", "*_test.yaml"))
		if len(tests)+len(below) == 0 {
			t.Errorf("config/samples/%s has no *_test.yaml", name)
		}
		if _, ok := all[name]; !ok {
			t.Errorf("config/samples/%s has no page docs/use-cases/%s.md", name, name)
		}
		if !strings.Contains(string(index), "]("+name+".md)") {
			t.Errorf("docs/use-cases/README.md does not lead to %s.md", name)
		}
		delete(all, name)
	}
	for name, path := range all {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !regexp.MustCompile(`\.\./\.\./config/samples/[a-z0-9-]+`).Match(text) {
			t.Errorf("docs/use-cases/%s.md leads to no manifests", name)
		}
	}
}

// page is one page under way.
type page struct {
	t      *testing.T
	blocks []block
	dir    string
	env    []string
	// cluster has the page's first service; nil when the page starts it itself.
	cluster *installation
}

func newPage(t *testing.T, blocks []block, in *installation) *page {
	t.Helper()
	p := &page{t: t, blocks: blocks, dir: t.TempDir(), cluster: in}
	path, err := filepath.Abs(bin)
	if err != nil {
		t.Fatal(err)
	}
	p.env = append(os.Environ(), "PATH="+path+string(os.PathListSeparator)+os.Getenv("PATH"), "TMPDIR="+p.dir, "NO_COLOR=1")
	if in != nil {
		p.env = append(p.env, in.environment()...)
	}
	for i := range p.blocks {
		p.copyStories(p.blocks[i].text)
		p.blocks[i].text = story.ReplaceAllStringFunc(p.elsewhere(p.blocks[i].text), func(folder string) string {
			return filepath.Join(p.dir, folder)
		})
		p.blocks[i].want = p.elsewhere(p.blocks[i].want)
		if in != nil {
			p.blocks[i].text, p.blocks[i].want = outward(p.blocks[i].text), outward(p.blocks[i].want)
		}
	}
	return p
}

var story = regexp.MustCompile(`config/samples/[a-z0-9-]+`)

// copyStories copies the manifests that a block names, with the page's ports in them:
// one service may name another's.
func (p *page) copyStories(text string) {
	p.t.Helper()
	for _, folder := range story.FindAllString(text, -1) {
		err := filepath.WalkDir(filepath.Join(root, folder), func(path string, d os.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			rel, err := filepath.Rel(root, path)
			if err == nil {
				p.copy(rel)
			}
			return err
		})
		if err != nil {
			p.t.Fatal(err)
		}
	}
}

func (p *page) copy(name string) {
	p.t.Helper()
	text, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		p.t.Fatal(err)
	}
	to := filepath.Join(p.dir, name)
	if err := os.MkdirAll(filepath.Dir(to), 0o750); err != nil {
		p.t.Fatal(err)
	}
	if err := os.WriteFile(to, []byte(p.elsewhere(string(text))), 0o600); err != nil {
		p.t.Fatal(err)
	}
}

var address = regexp.MustCompile(`\b127\.0\.0\.1:(80\d\d)\b`)

// elsewhere gives every address of the page a free port, the same one everywhere:
// pages run at the same time, and beside whatever else there is.
func (p *page) elsewhere(text string) string {
	if p.cluster != nil {
		text = overTLS(text)
	}
	return address.ReplaceAllStringFunc(text, func(found string) string {
		key := "PORT_OF_" + found[len(found)-4:]
		for _, e := range p.env {
			if port, ok := strings.CutPrefix(e, key+"="); ok {
				return "127.0.0.1:" + port
			}
		}
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			p.t.Fatal(err)
		}
		defer func() { _ = l.Close() }()
		_, port, err := net.SplitHostPort(l.Addr().String())
		if err != nil {
			p.t.Fatal(err)
		}
		p.env = append(p.env, key+"="+port)
		return "127.0.0.1:" + port
	})
}

// run starts the services and then runs the commands in one shell.
func (p *page) run(path string) {
	p.t.Helper()
	var script strings.Builder
	for i := range p.blocks {
		b := &p.blocks[i]
		if b.serve {
			p.start(b)
			continue
		}
		fmt.Fprintf(&script, "{\n%s\n} > %s 2> %s\necho $? > %s\n", b.text, p.file(i, "out"), p.file(i, "err"), p.file(i, "exit"))
	}
	ctx, cancel := context.WithTimeout(p.t.Context(), 2*time.Minute)
	defer cancel()
	shell := exec.CommandContext(ctx, "bash", "-uc", script.String())
	shell.Dir, shell.Env = root, p.env
	if out, err := shell.CombinedOutput(); err != nil {
		p.t.Errorf("%s: the shell: %v\n%s", path, err, out)
	}
	for i := range p.blocks {
		b := &p.blocks[i]
		if b.serve {
			continue
		}
		out, errs, exit := p.read(i, "out"), p.read(i, "err"), strings.TrimSpace(p.read(i, "exit"))
		if exit != b.exit {
			p.t.Errorf("%s:%d: exit code %q, the page says %s\n%s%s", path, b.line, exit, b.exit, out, errs)
			continue
		}
		if b.want == "" {
			continue
		}
		if what := differs(b.kind, b.want, out); what != "" {
			p.t.Errorf("%s:%d: %s\nprinted:\n%s%s", path, b.wantLine, what, out, errs)
		}
	}
}

func (p *page) file(i int, what string) string {
	return filepath.Join(p.dir, fmt.Sprintf("%02d.%s", i, what))
}

func (p *page) read(i int, what string) string {
	b, err := os.ReadFile(p.file(i, what))
	if err != nil {
		return ""
	}
	return string(b)
}

// start runs a service until the page's end, and waits until it answers.
func (p *page) start(b *block) {
	p.t.Helper()
	if p.cluster != nil {
		p.cluster.start(p, b)
		return
	}
	p.launch(b.line, b.text, http.DefaultClient, "http://")
}

// launch runs the program of a block and waits until it answers to a client.
func (p *page) launch(line int, text string, client *http.Client, scheme string) {
	p.t.Helper()
	log, err := os.Create(filepath.Join(p.dir, fmt.Sprintf("serve-%d.log", line)))
	if err != nil {
		p.t.Fatal(err)
	}
	c := exec.Command("bash", "-c", "exec "+strings.TrimSpace(text))
	c.Dir, c.Env, c.Stdout, c.Stderr = root, p.env, log, log
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	began := time.Now().Unix()
	if err := c.Start(); err != nil {
		p.t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	p.t.Cleanup(func() {
		_ = c.Process.Kill()
		<-ended
		_ = log.Close()
	})
	listen := regexp.MustCompile(`127\.0\.0\.1:\d+`).FindString(text)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(60 * time.Second)
	for {
		select {
		case err := <-ended:
			ended <- err
			p.t.Fatalf("the service of line %d ended: %v\n%s", line, err, p.log(log.Name()))
		case <-deadline:
			p.t.Fatalf("the service of line %d does not answer\n%s", line, p.log(log.Name()))
		case <-tick.C:
			// The second in which it starts is over: what is good once, and is made from
			// now on, is not older than what it remembers.
			if answers(p.t.Context(), client, scheme+listen, strings.HasPrefix(text, "exchequer")) && time.Now().Unix() > began+1 {
				return
			}
		}
	}
}

func (p *page) log(name string) string {
	b, err := os.ReadFile(name)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// answers says whether a service is there: ours when it has keys, another's when it
// says anything at all.
func answers(ctx context.Context, client *http.Client, base string, ours bool) bool {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/jwks", nil)
	if err != nil {
		return false
	}
	answer, err := client.Do(r)
	if err != nil {
		return false
	}
	defer func() { _ = answer.Body.Close() }()
	return answer.StatusCode == http.StatusOK || !ours
}
