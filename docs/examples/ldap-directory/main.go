// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "ldap-directory:", err)
		os.Exit(1) //nolint:gocritic // the signals' handler ends with the process
	}
}

func run(ctx context.Context, args []string) error {
	var d directory
	f := flag.NewFlagSet("ldap-directory", flag.ContinueOnError)
	listen := f.String("listen", ":8443", "address to serve at")
	certificate := f.String("tls-cert", "", "PEM file of the serving certificate (required)")
	key := f.String("tls-key", "", "PEM file of its key (required)")
	passwordFile := f.String("bind-password-file", "", "file with the password of --bind-dn")
	authority := f.String("ldap-ca", "", "PEM file of who signs the LDAP server's certificate, instead of the system's authorities")
	extra := f.String("extra", "", "attributes that become extra, as key=attribute, separated by commas")
	f.StringVar(&d.url, "ldap-url", "", "LDAP server: ldaps://host, or ldap://host, which is upgraded with StartTLS (required)")
	f.BoolVar(&d.plain, "ldap-plain", false, "no TLS to the LDAP server; for one on the same machine")
	f.StringVar(&d.bindDN, "bind-dn", "", "who searches; anonymous without it")
	f.StringVar(&d.userBase, "user-base", "", "where users are (required)")
	f.StringVar(&d.userFilter, "user-filter", "(uid={subject})", "what finds one; {subject} is the subject of the review, escaped")
	f.StringVar(&d.subject, "subject-attribute", "", "attribute that becomes the subject; without it the subject stays")
	f.StringVar(&d.username, "username-attribute", "uid", "attribute that becomes the username")
	f.StringVar(&d.groupBase, "group-base", "", "where groups are; without it none are said")
	f.StringVar(&d.groupFilter, "group-filter", "(&(objectClass=groupOfNames)(member={dn}))", "what finds a user's; {dn} is the user's DN, escaped")
	f.StringVar(&d.groupName, "group-attribute", "cn", "attribute that is a group's name")
	if err := f.Parse(args); err != nil {
		return err
	}
	if d.url == "" || d.userBase == "" || *certificate == "" || *key == "" {
		return errors.New("--ldap-url, --user-base, --tls-cert and --tls-key are needed")
	}
	if err := d.read(*passwordFile, *authority, *extra); err != nil {
		return err
	}
	server := &http.Server{
		Addr: *listen, Handler: handler(&d, slog.Default()), ReadTimeout: 5 * time.Second, WriteTimeout: 10 * time.Second, MaxHeaderBytes: 16 << 10,
		TLSConfig: &tls.Config{MinVersion: tls.VersionTLS12},
	}
	ended := context.AfterFunc(ctx, func() {
		closing, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_ = server.Shutdown(closing)
	})
	defer ended()
	if err := server.ListenAndServeTLS(*certificate, *key); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// read reads the files that flags name.
func (d *directory) read(passwordFile, authority, extra string) error {
	if passwordFile != "" {
		b, err := os.ReadFile(passwordFile)
		if err != nil {
			return err
		}
		d.password = strings.TrimRight(string(b), "\r\n")
	}
	if authority != "" {
		b, err := os.ReadFile(authority)
		if err != nil {
			return err
		}
		d.roots = x509.NewCertPool()
		if !d.roots.AppendCertsFromPEM(b) {
			return fmt.Errorf("%s has no certificate", authority)
		}
	}
	d.extra = map[string]string{}
	for part := range strings.SplitSeq(extra, ",") {
		if part == "" {
			continue
		}
		key, attribute, ok := strings.Cut(part, "=")
		if !ok || key == "" || attribute == "" {
			return fmt.Errorf("--extra: expected key=attribute, found %q", part)
		}
		d.extra[key] = attribute
	}
	return nil
}
