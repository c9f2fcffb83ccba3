// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
)

var (
	fence   = regexp.MustCompile("(?ms)^( *)```([a-z]*)\n(.*?)^ *```")
	link    = regexp.MustCompile(`\[[^\]\n]*\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#{1,6} +(.+)$`)
	target  = regexp.MustCompile(`(?m)^([a-z][a-z0-9-]*):`)
	useMake = regexp.MustCompile("(?m)(?:^|`|&& )make ([a-z][a-z0-9-]*)")
	inline  = regexp.MustCompile("`[^`\n]*`")
)

// brokenLinks returns the relative links of p whose file or heading is missing.
// Links to other sites are not followed: a check that needs the network fails
// for reasons that nobody here can mend.
func brokenLinks(root string, p page, pages []page) []string {
	var mistakes []string
	text := blank(blank(p.text, fence), inline)
	for _, m := range link.FindAllStringSubmatchIndex(text, -1) {
		to := text[m[2]:m[3]]
		if strings.Contains(to, "://") || strings.HasPrefix(to, "mailto:") {
			continue
		}
		file, anchor, _ := strings.Cut(to, "#")
		dest := p.path
		if file != "" {
			dest = path.Join(path.Dir(p.path), file)
		}
		if _, err := os.Stat(filepath.Join(root, filepath.FromSlash(dest))); err != nil {
			mistakes = append(mistakes, fmt.Sprintf("%s:%d: link to %s: no such file", p.path, lineOf(text, m[0]), to))
			continue
		}
		if anchor != "" && !hasAnchor(pages, dest, anchor) {
			mistakes = append(mistakes, fmt.Sprintf("%s:%d: link to %s: no such heading", p.path, lineOf(text, m[0]), to))
		}
	}
	return mistakes
}

func hasAnchor(pages []page, dest, anchor string) bool {
	for _, p := range pages {
		if p.path != dest {
			continue
		}
		for _, h := range heading.FindAllStringSubmatch(blank(p.text, fence), -1) {
			if slug(h[1]) == anchor {
				return true
			}
		}
	}
	return false
}

// slug is how forges turn a heading into an anchor: lower case, spaces to
// hyphens, everything but letters, digits, hyphens and underscores dropped.
func slug(title string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(title) {
		switch {
		case r == ' ':
			b.WriteRune('-')
		case r == '-' || r == '_' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r > 0x7f && r != '·' && r != '→':
			b.WriteRune(r)
		}
	}
	return b.String()
}

// blank overwrites what re matches with spaces and keeps the lines.
func blank(text string, re *regexp.Regexp) string {
	return re.ReplaceAllStringFunc(text, func(s string) string {
		return strings.Map(func(r rune) rune {
			if r == '\n' {
				return r
			}
			return ' '
		}, s)
	})
}

func makeTargets(root string) (map[string]bool, error) {
	files, err := filepath.Glob(filepath.Join(root, "hack", "make", "*.mk"))
	if err != nil {
		return nil, err
	}
	targets := map[string]bool{}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			return nil, err
		}
		for _, m := range target.FindAllStringSubmatch(string(text), -1) {
			targets[m[1]] = true
		}
	}
	return targets, nil
}

func unknownTargets(p page, targets map[string]bool) []string {
	var mistakes []string
	for _, m := range useMake.FindAllStringSubmatchIndex(p.text, -1) {
		if name := p.text[m[2]:m[3]]; !targets[name] {
			mistakes = append(mistakes, fmt.Sprintf("%s:%d: make %s: no such target", p.path, lineOf(p.text, m[2]), name))
		}
	}
	return mistakes
}
