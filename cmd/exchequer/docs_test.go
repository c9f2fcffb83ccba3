// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

const page = "../../docs/cli.md"

// every returns every command that does something, by its full name.
func every() map[string]*cobra.Command {
	started := false
	out := map[string]*cobra.Command{}
	var walk func(*cobra.Command)
	walk = func(c *cobra.Command) {
		if c.Runnable() && !c.HasSubCommands() {
			out[c.CommandPath()] = c
		}
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(newRootCommand("exchequer", today, &started))
	return out
}

// flagTable is the part of the page that is written from a command.
func flagTable(c *cobra.Command) string {
	var b strings.Builder
	b.WriteString("| flag | |\n|---|---|\n")
	c.LocalFlags().VisitAll(func(f *pflag.Flag) {
		if f.Name == "help" {
			return
		}
		name := "`--" + f.Name
		if f.Shorthand != "" {
			name = "`-" + f.Shorthand + "`, " + name
		}
		value, text := pflag.UnquoteUsage(f)
		if value != "" {
			name += " " + value
		}
		if f.DefValue != "" && f.DefValue != "false" && f.DefValue != "[]" && f.DefValue != "0s" {
			text += " (default `" + f.DefValue + "`)"
		}
		fmt.Fprintf(&b, "| %s` | %s |\n", strings.ReplaceAll(name, "|", `\|`), strings.ReplaceAll(text, "|", `\|`))
	})
	return b.String()
}

var tables = regexp.MustCompile(`(?s)(<!-- flags of (exchequer[a-z -]*): [^>]*-->\n).*?(<!-- end of flags -->)`)

func TestThePageHasEveryFlagOfEveryCommand(t *testing.T) {
	t.Parallel()
	commands := every()
	b, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	text := tables.ReplaceAllStringFunc(string(b), func(old string) string {
		m := tables.FindStringSubmatch(old)
		found = append(found, m[2])
		c, ok := commands[m[2]]
		if !ok {
			t.Errorf("%s: there is no command %q", page, m[2])
			return old
		}
		return m[1] + flagTable(c) + m[3]
	})
	for name := range commands {
		if !slices.Contains(found, name) {
			t.Errorf("%s says nothing of %q", page, name)
		}
	}
	if *update {
		if err := os.WriteFile(page, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if text != string(b) {
		t.Errorf("%s does not have the flags that there are: run this test with -update", page)
	}
}

var (
	shellBlock = regexp.MustCompile("(?s)```sh\n(.*?)```")
	longFlag   = regexp.MustCompile(`(?:^|\s)(--[a-z][a-z-]*|-[a-z])\b`)
)

// flagsExist checks the flags of every `exchequer …` line in a text.
func flagsExist(t *testing.T, where, text string) int {
	t.Helper()
	commands, seen := every(), 0
	text = strings.ReplaceAll(text, "\\\n", " ")
	for line := range strings.Lines(text) {
		for _, part := range regexp.MustCompile(`\||\$\(`).Split(line, -1) {
			_, call, found := strings.Cut(" "+strings.TrimSpace(part), " exchequer ")
			if !found {
				continue
			}
			words := strings.Fields(call)
			name := "exchequer " + words[0]
			if (words[0] == "token" || words[0] == "audit") && len(words) > 1 {
				name += " " + words[1]
			}
			c, ok := commands[name]
			if !ok {
				t.Errorf("%s: there is no %q: %s", where, name, strings.TrimSpace(line))
				continue
			}
			seen++
			for _, m := range longFlag.FindAllStringSubmatch(call, -1) {
				flag := c.Flags().Lookup(strings.TrimPrefix(m[1], "--"))
				if strings.HasPrefix(m[1], "--") && flag == nil || len(m[1]) == 2 && c.Flags().ShorthandLookup(m[1][1:]) == nil {
					t.Errorf("%s: %s has no flag %s: %s", where, name, m[1], strings.TrimSpace(line))
				}
			}
		}
	}
	return seen
}

func TestWhatThePagesTellPeopleToTypeCanBeTyped(t *testing.T) {
	t.Parallel()
	for path, least := range map[string]int{page: 12, "../../docs/getting-started.md": 4} {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		seen := 0
		for _, m := range shellBlock.FindAllStringSubmatch(string(b), -1) {
			seen += flagsExist(t, path, m[1])
		}
		if seen < least {
			t.Errorf("%s: found %d commands, expected %d: does the test still see them?", path, seen, least)
		}
	}
}

func TestTheActionCallsCommandsThatThereAre(t *testing.T) {
	t.Parallel()
	seen := 0
	for _, name := range []string{"access.yaml", "access-diff.sh"} {
		b, err := os.ReadFile("../../docs/examples/github-action/" + name)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(b)) {
			line = strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(line), "run:"))
			if strings.HasPrefix(line, "exchequer ") {
				line, _, _ = strings.Cut(line, "||")
				seen += flagsExist(t, name, line)
			}
		}
	}
	if seen != 3 {
		t.Errorf("found %d commands, expected 3: does the test still see them?", seen)
	}
}

func TestEveryCommandHelpsWithWordsAndExamplesThatWork(t *testing.T) {
	t.Parallel()
	for name, c := range every() {
		if c.Short == "" || c.Long == "" || c.Example == "" {
			t.Errorf("%s: Short, Long or Example is missing", name)
		}
		if flagsExist(t, name+" --help", c.Example) == 0 {
			t.Errorf("%s: no example calls it", name)
		}
		r := exchequer(t, "", append(strings.Fields(name)[1:], "--help")...).must(t, exitOK)
		says(t, r.out, "Usage:", c.Example)
		for line := range strings.Lines(c.Long) {
			if len(strings.TrimRight(line, "\n")) > 85 {
				t.Errorf("%s: a line of the help is longer than a terminal is wide: %s", name, line)
			}
		}
	}
}

func TestASecretIsNeverTheValueOfAFlag(t *testing.T) {
	t.Parallel()
	secret := regexp.MustCompile(`secret|token|assertion|password|key|proof|credential`)
	// What has such a word in its name takes a file, a type, a name or nothing.
	harmless := map[string]string{
		"subject-token": "FILE", "subject-token-file": "FILE", "subject-token-type": "TYPE", "requested-token-type": "TYPE", "token-type": "CLASS",
		"token-service": "NAME", "client-secret-file": "FILE", "assertion-file": "FILE", "assertion-audience": "AUD", "private-key": "FILE",
		"key": "FILE", "keys": "DIR", "new-key": "", "dpop-key": "FILE", "subject-token-proof-file": "FILE",
		"actor-token-file": "FILE", "actor-token-type": "TYPE", "token-file": "FILE",
		"proof-jkt": "THUMBPRINT", "proof-x5t": "THUMBPRINT", "received-proof-jkt": "THUMBPRINT",
	}
	for name, c := range every() {
		if name == "exchequer serve" {
			// Its flags are files and directories; it reads no secret by itself.
			continue
		}
		c.LocalFlags().VisitAll(func(f *pflag.Flag) {
			value, _ := pflag.UnquoteUsage(f)
			if secret.MatchString(f.Name) && (harmless[f.Name] != value) {
				t.Errorf("%s --%s %s: a secret on the command line can be read by everybody on the machine", name, f.Name, value)
			}
		})
	}
}

func TestTheProgramIsKubectlsPluginToo(t *testing.T) {
	t.Parallel()
	r := runAs(t, "kubectl-exchequer", "", "check", "--help").must(t, exitOK)
	says(t, r.out, "kubectl exchequer check DIR|FILE...")
	r = runAs(t, "kubectl-exchequer", "", "check").must(t, exitUsage)
	says(t, r.errs, "see 'kubectl exchequer check --help'")
}

func TestTheVersionSaysWhichAPIItReads(t *testing.T) {
	t.Parallel()
	r := exchequer(t, "", "version").must(t, exitOK)
	says(t, r.out, "exchequer dev (go1.", "API exchequer.dev/v1alpha1")
	v := decode[versionReport](t, exchequer(t, "", "version", "-o", "json").must(t, exitOK).out)
	if v.API != "exchequer.dev/v1alpha1" || v.SnapshotFormat == 0 {
		t.Errorf("%+v", v)
	}
}

func TestAFamilyOfCommandsWithoutOneIsHelp(t *testing.T) {
	t.Parallel()
	exchequer(t, "").must(t, exitOK)
	exchequer(t, "", "token").must(t, exitOK)
	exchequer(t, "", "token", "forge").must(t, exitUsage)
}
