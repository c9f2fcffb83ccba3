// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-ldap/ldap/v3"
)

const (
	suffix   = "dc=corp,dc=example"
	admin    = "cn=admin," + suffix
	password = "admin-of-a-test"
	// modules is where Debian has the database of slapd.
	modules = "/usr/lib/ldap"
	schemas = "/etc/ldap/schema"
)

// slapd runs Debian's LDAP server until the test ends. Where it is missing the test
// fails: an example that nobody tried is worth less than none.
func slapd(t *testing.T) (url string) {
	t.Helper()
	path, err := exec.LookPath("slapd")
	if err != nil {
		path = "/usr/sbin/slapd"
	}
	if _, err := os.Stat(path); err != nil {
		t.Fatal("slapd is missing: apt-get install --no-install-recommends slapd, or run test.sh, which does")
	}
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "db"), 0o700); err != nil {
		t.Fatal(err)
	}
	config := fmt.Sprintf(`include %[1]s/core.schema
include %[1]s/cosine.schema
include %[1]s/inetorgperson.schema
modulepath %[2]s
moduleload back_mdb
pidfile %[3]s/pid
database mdb
suffix "%[4]s"
rootdn "%[5]s"
rootpw %[6]s
directory %[3]s/db
`, schemas, modules, dir, suffix, admin, password)
	file := filepath.Join(dir, "slapd.conf")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	url = "ldap://" + l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	ctx, stop := context.WithCancel(t.Context())
	cmd := exec.CommandContext(ctx, path, "-h", url, "-f", file, "-d", "0")
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stop()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("slapd said:\n%s", said.String())
		}
	})
	until := time.Now().Add(20 * time.Second)
	for {
		conn, err := ldap.DialURL(url)
		if err == nil {
			fill(t, conn)
			return url
		}
		if time.Now().After(until) {
			t.Fatalf("slapd does not answer: %v\n%s", err, said.String())
		}
		<-time.After(20 * time.Millisecond)
	}
}

func fill(t *testing.T, conn *ldap.Conn) {
	t.Helper()
	defer func() { _ = conn.Close() }()
	if err := conn.Bind(admin, password); err != nil {
		t.Fatal(err)
	}
	add := func(dn string, attributes map[string][]string) {
		r := ldap.NewAddRequest(dn, nil)
		for name, values := range attributes {
			r.Attribute(name, values)
		}
		if err := conn.Add(r); err != nil {
			t.Fatalf("add %s: %v", dn, err)
		}
	}
	add(suffix, map[string][]string{"objectClass": {"dcObject", "organization"}, "dc": {"corp"}, "o": {"Corp"}})
	for _, ou := range []string{"people", "groups", "former"} {
		add("ou="+ou+","+suffix, map[string][]string{"objectClass": {"organizationalUnit"}, "ou": {ou}})
	}
	person := func(uid, ou, number string, departments ...string) string {
		dn := "uid=" + uid + ",ou=" + ou + "," + suffix
		add(dn, map[string][]string{
			"objectClass": {"inetOrgPerson"}, "uid": {uid}, "cn": {uid}, "sn": {uid}, "employeeNumber": {number}, "departmentNumber": departments,
		})
		return dn
	}
	alice := person("alice", "people", "17", "press", "web")
	bob := person("bob", "people", "18", "press")
	person("twice", "people", "19", "x")
	person("twice", "former", "20", "x")
	for name, members := range map[string][]string{"staff": {alice, bob}, "press": {alice}} {
		add("cn="+name+",ou=groups,"+suffix, map[string][]string{"objectClass": {"groupOfNames"}, "cn": {name}, "member": members})
	}
}

func testDirectory(url string) *directory {
	return &directory{
		url: url, plain: true, bindDN: admin, password: password, userBase: suffix, userFilter: "(uid={subject})", username: "uid", subject: "employeeNumber",
		groupBase: "ou=groups," + suffix, groupFilter: "(&(objectClass=groupOfNames)(member={dn}))", groupName: "cn", extra: map[string]string{"department": "departmentNumber"},
	}
}

func ask(t *testing.T, d finder, body string) (int, *response) {
	t.Helper()
	w := httptest.NewRecorder()
	handler(d, slog.New(slog.DiscardHandler)).ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader(body)))
	var out review
	if w.Code == http.StatusOK {
		if err := json.Unmarshal(w.Body.Bytes(), &out); err != nil || out.APIVersion != apiVersion || out.Kind != kind || out.Response == nil {
			t.Fatalf("answered %s", w.Body)
		}
		slices.Sort(out.Response.Groups)
	}
	return w.Code, out.Response
}

func about(subject string) string {
	b, _ := json.Marshal(review{APIVersion: apiVersion, Kind: kind, Request: &request{Subject: subject}})
	return string(b)
}

func TestADirectoryOfPeople(t *testing.T) {
	t.Parallel()
	d := testDirectory(slapd(t))
	for name, c := range map[string]struct {
		subject string
		want    *response
	}{
		"somebody in two groups":                       {"alice", &response{Subject: "17", Username: "alice", Groups: []string{"press", "staff"}, Extra: map[string]any{"department": []any{"press", "web"}}}},
		"somebody in one":                              {"bob", &response{Subject: "18", Username: "bob", Groups: []string{"staff"}, Extra: map[string]any{"department": "press"}}},
		"somebody who is not there":                    {"carol", &response{Error: "not in the directory"}},
		"somebody who is there twice":                  {"twice", &response{Error: "not in the directory"}},
		"a subject that would be a filter of its own":  {"*", &response{Error: "not in the directory"}},
		"a subject that would end the filter":          {"alice)(uid=bob", &response{Error: "not in the directory"}},
		"a subject that would be everybody, in pieces": {"a*", &response{Error: "not in the directory"}},
	} {
		t.Run(name, func(t *testing.T) {
			code, got := ask(t, d, about(c.subject))
			if code != http.StatusOK || !reflect.DeepEqual(got, c.want) {
				t.Errorf("answered %d %+v, want %+v", code, got, c.want)
			}
		})
	}
	t.Run("a wrong password is an outage", func(t *testing.T) {
		wrong := *d
		wrong.password = "wrong"
		if code, _ := ask(t, &wrong, about("alice")); code != http.StatusInternalServerError {
			t.Errorf("answered %d", code)
		}
	})
	t.Run("a server that speaks no TLS is an outage, unless that is declared", func(t *testing.T) {
		secure := *d
		secure.plain = false
		if code, _ := ask(t, &secure, about("alice")); code != http.StatusInternalServerError {
			t.Errorf("answered %d", code)
		}
	})
}

type broken struct{}

func (broken) find(context.Context, string) (*response, error) { return nil, errors.New("down") }

func TestWhatIsNoReviewIsRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		body string
		code int
	}{
		"no JSON":           {"{", http.StatusBadRequest},
		"another kind":      {`{"apiVersion":"` + apiVersion + `","kind":"VerifyReview","request":{"subject":"a"}}`, http.StatusBadRequest},
		"another version":   {`{"apiVersion":"x","kind":"DirectoryReview","request":{"subject":"a"}}`, http.StatusBadRequest},
		"nobody":            {about(""), http.StatusBadRequest},
		"too much":          {about(strings.Repeat("x", maxReview)), http.StatusBadRequest},
		"LDAP is not there": {about("alice"), http.StatusInternalServerError},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if code, _ := ask(t, broken{}, c.body); code != c.code {
				t.Errorf("answered %d, want %d", code, c.code)
			}
		})
	}
	w := httptest.NewRecorder()
	handler(broken{}, slog.New(slog.DiscardHandler)).ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil))
	if w.Code != http.StatusMethodNotAllowed {
		t.Errorf("GET: %d", w.Code)
	}
}
