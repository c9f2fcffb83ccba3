// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/go-ldap/ldap/v3"
)

// maxGroups is what Exchequer takes.
const maxGroups = 1000

// directory is an LDAP server, and what in it means what.
type directory struct {
	url              string
	plain            bool
	bindDN, password string
	roots            *x509.CertPool

	userBase, userFilter, subject, username string
	groupBase, groupFilter, groupName       string
	// extra has attributes by key.
	extra map[string]string
}

// find looks a subject up with a connection of its own: an example can afford that, and
// a connection that went stale overnight costs more than it saves.
func (d *directory) find(ctx context.Context, subject string) (*response, error) {
	conn, err := d.connect(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close() }()
	user, err := d.user(conn, subject)
	if err != nil {
		return nil, err
	}
	out := &response{Subject: subject, Username: user.GetAttributeValue(d.username), Extra: map[string]any{}}
	if d.subject != "" {
		if out.Subject = user.GetAttributeValue(d.subject); out.Subject == "" {
			return nil, errUnknown
		}
	}
	for key, attribute := range d.extra {
		switch values := user.GetAttributeValues(attribute); len(values) {
		case 0:
		case 1:
			out.Extra[key] = values[0]
		default:
			out.Extra[key] = values
		}
	}
	if d.groupBase != "" {
		if out.Groups, err = d.groups(conn, user.DN); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (d *directory) connect(ctx context.Context) (*ldap.Conn, error) {
	deadline, ok := ctx.Deadline()
	if !ok {
		deadline = time.Now().Add(answer)
	}
	u, err := url.Parse(d.url)
	if err != nil {
		return nil, err
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: d.roots, ServerName: u.Hostname()}
	conn, err := ldap.DialURL(d.url, ldap.DialWithDialer(&net.Dialer{Deadline: deadline}), ldap.DialWithTLSConfig(config))
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	conn.SetTimeout(time.Until(deadline))
	if u.Scheme == "ldap" && !d.plain {
		if err := conn.StartTLS(config); err != nil {
			return nil, fmt.Errorf("StartTLS: %w", closed(conn, err))
		}
	}
	if d.bindDN != "" {
		if err := conn.Bind(d.bindDN, d.password); err != nil {
			return nil, fmt.Errorf("bind: %w", closed(conn, err))
		}
	}
	return conn, nil
}

func closed(conn *ldap.Conn, err error) error {
	_ = conn.Close()
	return err
}

func (d *directory) user(conn *ldap.Conn, subject string) (*ldap.Entry, error) {
	attributes := []string{d.username}
	if d.subject != "" {
		attributes = append(attributes, d.subject)
	}
	for _, a := range d.extra {
		attributes = append(attributes, a)
	}
	filter := strings.ReplaceAll(d.userFilter, "{subject}", ldap.EscapeFilter(subject))
	found, err := conn.Search(ldap.NewSearchRequest(d.userBase, ldap.ScopeWholeSubtree, ldap.NeverDerefAliases, 2, 1, false, filter, attributes, nil))
	switch {
	case ldap.IsErrorWithCode(err, ldap.LDAPResultSizeLimitExceeded):
		return nil, errUnknown // more than one
	case err != nil:
		return nil, fmt.Errorf("search the user: %w", err)
	case len(found.Entries) != 1:
		return nil, errUnknown
	}
	return found.Entries[0], nil
}

// groups are those of a user, none being an answer, too.
func (d *directory) groups(conn *ldap.Conn, dn string) ([]string, error) {
	filter := strings.ReplaceAll(d.groupFilter, "{dn}", ldap.EscapeFilter(dn))
	found, err := conn.Search(ldap.NewSearchRequest(d.groupBase, ldap.ScopeWholeSubtree, ldap.NeverDerefAliases, maxGroups, 1, false, filter, []string{d.groupName}, nil))
	if err != nil {
		return nil, fmt.Errorf("search the groups: %w", err) // also when there are too many: some of them are not all
	}
	groups := make([]string, 0, len(found.Entries))
	for _, e := range found.Entries {
		if name := e.GetAttributeValue(d.groupName); name != "" {
			groups = append(groups, name)
		}
	}
	return groups, nil
}
