// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package usecases

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"strings"
)

// block is one fenced block of a page that counts.
type block struct {
	line  int
	serve bool
	text  string
	// exit is the exit code that the page says the block ends with.
	exit string
	// kind and want are what the page says that the block prints, empty for nothing.
	kind, want string
	wantLine   int
}

// readPage reads the blocks of a page.
func readPage(path string) ([]block, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var blocks []block
	scanner := bufio.NewScanner(bytes.NewReader(raw))
	for n := 1; scanner.Scan(); n++ {
		info, fenced := strings.CutPrefix(scanner.Text(), "```")
		if !fenced {
			continue
		}
		start := n + 1
		var text strings.Builder
		for n++; scanner.Scan() && !strings.HasPrefix(scanner.Text(), "```"); n++ {
			text.WriteString(scanner.Text() + "\n")
		}
		switch words := strings.Fields(info); {
		case len(words) == 0:
		case words[0] == "sh":
			b := block{line: start, text: text.String(), exit: "0"}
			for _, w := range words[1:] {
				code, isExit := strings.CutPrefix(w, "exit=")
				switch {
				case isExit:
					b.exit = code
				case w == "serve":
					b.serve = true
				default:
					return nil, fmt.Errorf("%s:%d: a block of sh is called %q: expected serve or exit=N", path, start-1, w)
				}
			}
			blocks = append(blocks, b)
		case words[0] == "json" || words[0] == "text":
			if len(blocks) == 0 {
				return nil, fmt.Errorf("%s:%d: an answer to no command", path, start-1)
			}
			last := &blocks[len(blocks)-1]
			if last.want != "" {
				return nil, fmt.Errorf("%s:%d: a second answer to the command of line %d", path, start-1, last.line)
			}
			last.kind, last.want, last.wantLine = words[0], text.String(), start
		}
	}
	return blocks, scanner.Err()
}
