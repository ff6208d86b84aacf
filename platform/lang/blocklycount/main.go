// Command blocklycount counts, for each of Blockly's locales, how many of the strings that a puzzle
// shows are translated, and writes platform/lang/strings/blockly.json.
//
// In: keys.txt, and Blockly's own locale files in platform/web/node_modules (npm ci). Out: one small
// file that is committed, so that neither a build nor a test needs Node. Run it from the top of the
// repository when Blockly's version or keys.txt changes: go run ./platform/lang/blocklycount
package main

import (
	_ "embed"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

//go:embed keys.txt
var keysFile string

type counts struct {
	Version string         `json:"version"`
	Total   int            `json:"total"`
	Have    map[string]int `json:"have"`
}

func main() {
	blockly := flag.String("blockly", "platform/web/node_modules/blockly", "Blockly's `folder`")
	out := flag.String("out", "platform/lang/strings/blockly.json", "the `file` to write")
	flag.Parse()
	if err := run(*blockly, *out); err != nil {
		fmt.Fprintln(os.Stderr, "blocklycount:", err)
		os.Exit(1)
	}
}

func run(blockly, out string) error {
	blocks, err := parseKeys(keysFile)
	if err != nil {
		return err
	}
	var keys []string
	for _, block := range blocks {
		keys = append(keys, block...)
	}
	version, err := packageVersion(blockly)
	if err != nil {
		return err
	}
	paths, err := filepath.Glob(filepath.Join(blockly, "msg", "*.js"))
	if err != nil {
		return err
	}
	if len(paths) == 0 {
		return fmt.Errorf("no locale files in %s/msg: npm ci first", blockly)
	}
	c := counts{Version: version, Total: len(keys), Have: map[string]int{}}
	for _, path := range paths {
		body, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		c.Have[strings.TrimSuffix(filepath.Base(path), ".js")] = translated(string(body), keys)
	}
	// A key that Blockly no longer has would count as missing in every language.
	if c.Have["en"] != len(keys) {
		return fmt.Errorf("only %d of the %d keys of keys.txt are in Blockly %s", c.Have["en"], len(keys), version)
	}
	body, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(out, append(body, '\n'), 0o644)
}

func packageVersion(blockly string) (string, error) {
	body, err := os.ReadFile(filepath.Join(blockly, "package.json"))
	if err != nil {
		return "", err
	}
	var p struct{ Version string }
	if err := json.Unmarshal(body, &p); err != nil {
		return "", fmt.Errorf("read Blockly's package.json: %w", err)
	}
	return p.Version, nil
}

// parseKeys returns the keys by the block that shows them. A line in brackets names the block, #
// begins a comment.
func parseKeys(text string) (map[string][]string, error) {
	blocks, seen, block := map[string][]string{}, map[string]bool{}, ""
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), "["); ok {
			block = strings.TrimSuffix(name, "]")
			continue
		}
		for _, key := range strings.Fields(line) {
			if block == "" || seen[key] {
				return nil, fmt.Errorf("keys.txt: %s is there twice, or before any block", key)
			}
			seen[key] = true
			blocks[block] = append(blocks[block], key)
		}
	}
	if len(blocks) == 0 {
		return nil, errors.New("keys.txt is empty")
	}
	return blocks, nil
}

var message = regexp.MustCompile(`(?m)^Blockly\.Msg\["([^"]+)"\] = (.*)$`)

// translated counts the keys that a locale file translates. Blockly writes the English text where
// it has no translation, with a comment that says so, and that comment is what is believed: many
// languages rightly say "OK".
func translated(file string, keys []string) int {
	has := map[string]bool{}
	for _, m := range message.FindAllStringSubmatch(file, -1) {
		has[m[1]] = !strings.HasSuffix(strings.TrimSpace(m[2]), "// untranslated")
	}
	n := 0
	for _, key := range keys {
		if has[key] {
			n++
		}
	}
	return n
}
