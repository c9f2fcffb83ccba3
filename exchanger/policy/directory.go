// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"maps"
	"slices"
)

// Entry is what an issuer's directory says of a subject, as it says it. A zero
// member was not said.
type Entry struct {
	Subject  string
	Username string
	Groups   []string
	// Extra values are strings or []string.
	Extra map[string]any
}

// Settle makes a mapped token a subject: with what the directory says of it, held
// against the issuer's userValidationRules. The mapped token stays as it is, since
// the directory may say something else next time. An issuer that has a directory
// settles nothing without its answer.
func (i *TrustedIssuer) Settle(mapped *Token, said *Entry) (*Token, *Refusal) {
	t := mapped
	switch {
	case said == nil && i.spec.Directory != nil:
		return nil, &Refusal{Outcome: Unable, Reason: UpstreamUnavailable, Detail: "TrustedIssuer " + i.spec.Name + " has a directory, and it was not asked"}
	case said != nil:
		settled := *mapped
		t = &settled
		if ref := i.told(t, said); ref != nil {
			return nil, ref
		}
	}
	if ref := i.checkUser(t); ref != nil {
		return nil, ref
	}
	return t, nil
}

// Knows makes the facts about a subject that a request names, and of whom there is
// no token, from what the directory says: nobody, when it does not say who it is.
func (i *TrustedIssuer) Knows(said *Entry) (*KnownSubject, *Refusal) {
	if said.Subject == "" {
		return nil, deny(DirectoryRefused, "the directory of TrustedIssuer "+i.spec.Name+" does not say who that is")
	}
	t := &Token{Issuer: i.spec.Name, Origin: i.spec.Name, Partial: true}
	if ref := i.told(t, said); ref != nil {
		return nil, ref
	}
	if ref := i.checkUser(t); ref != nil {
		return nil, ref
	}
	return &KnownSubject{Subject: t.Subject, Username: t.Username, Groups: t.Groups, Extra: t.Extra}, nil
}

// told replaces what was mapped by what the directory says. Its names get the
// issuer's prefix: a directory can only name people and groups of its own issuer.
func (i *TrustedIssuer) told(t *Token, said *Entry) *Refusal {
	if said.Subject != "" {
		if len(said.Subject) > maxIdentity || hasControl(said.Subject) {
			return deny(DirectoryRefused, "the directory's subject is longer than 255 bytes or has control characters")
		}
		t.Subject = i.spec.Prefix + said.Subject
		if ref := i.ownName(t.Subject, "subject"); ref != nil {
			return deny(DirectoryRefused, "the directory names somebody else's subject")
		}
	}
	if said.Username != "" {
		if len(said.Username) > maxIdentity || hasControl(said.Username) {
			return deny(DirectoryRefused, "the directory's username is longer than 255 bytes or has control characters")
		}
		t.Username = said.Username
	}
	if said.Groups != nil {
		if len(said.Groups) > maxList {
			return deny(DirectoryRefused, "the directory names more than 1000 groups")
		}
		groups := make([]string, 0, len(said.Groups))
		for _, g := range said.Groups {
			if g == "" || len(g) > maxIdentity || hasControl(g) || i.ownName(i.spec.Prefix+g, "groups") != nil {
				return deny(DirectoryRefused, "one of the directory's groups is empty, too long, somebody else's, or has control characters")
			}
			groups = append(groups, i.spec.Prefix+g)
		}
		t.Groups = groups
	}
	return i.toldExtra(t, said.Extra)
}

func (i *TrustedIssuer) toldExtra(t *Token, extra map[string]any) *Refusal {
	if len(extra) == 0 {
		return nil
	}
	all := maps.Clone(t.Extra)
	if all == nil {
		all = make(map[string]any, len(extra))
	}
	for key, value := range extra {
		var list []string
		switch v := value.(type) {
		case string:
			list = []string{v}
		case []string:
			list = v
		default:
			return deny(DirectoryRefused, "one of the directory's extra values is not a string or a list of strings")
		}
		long := slices.ContainsFunc(list, func(s string) bool { return len(s) > maxEntry || hasControl(s) })
		if long || len(list) > maxList || key == "" || len(key) > maxIdentity {
			return deny(DirectoryRefused, "one of the directory's extra values is too long or has control characters")
		}
		all[key] = value
	}
	if len(all) > maxList {
		return deny(DirectoryRefused, "the directory has more than 1000 extra values")
	}
	t.Extra = all
	return nil
}
