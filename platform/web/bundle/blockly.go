package main

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"changeover/platform/lang"
)

// hashed is a directory of files whose own names must not change (Blockly asks for "sprites.svg",
// a page for its language), so the directory's name carries the hash.
type hashed struct {
	name  string
	files map[string][]byte
}

func (h hashed) path() string {
	sum := sha256.New()
	for _, name := range sorted(slices.Collect(maps.Keys(h.files))) {
		fmt.Fprintf(sum, "%s %d\n", name, len(h.files[name]))
		sum.Write(h.files[name])
	}
	return h.name + "-" + base32.StdEncoding.EncodeToString(sum.Sum(nil))[:8]
}

func sorted(names []string) []string {
	slices.Sort(names)
	return names
}

// blocklyMedia is what Blockly's own code asks for; the rest of its media belongs to blocks that we don't have.
func blocklyMedia(web string) (hashed, error) {
	media := hashed{name: "media", files: map[string][]byte{}}
	for _, name := range []string{
		"sprites.svg", "delete-icon.svg", "foldout-icon.svg", "resize-handle.svg", "dropdown-arrow.svg",
		"handclosed.cur", "handdelete.cur", "handopen.cur",
		"click.mp3", "delete.mp3", "disconnect.mp3", "drop.mp3",
	} {
		content, err := os.ReadFile(filepath.Join(web, "node_modules/blockly/media", name))
		if err != nil {
			return hashed{}, err
		}
		media.files[name] = content
	}
	return media, nil
}

var (
	messageLine = regexp.MustCompile(`(?m)^Blockly\.Msg\["(\w+)"\] = (".*");`)
	aliasLine   = regexp.MustCompile(`(?m)^Blockly\.Msg\["(\w+)"\] = Blockly\.Msg\["(\w+)"\];`)
	// JavaScript allows any character after a backslash, JSON only some.
	needless = regexp.MustCompile(`\\([^"\\/bfnrtu])`)
)

// blocklyTexts has one file for every language of ours that Blockly speaks. Blockly fills the gaps of each
// with English, string by string, so a page needs no second file.
func blocklyTexts(web string) (hashed, error) {
	texts := hashed{name: "msg", files: map[string][]byte{}}
	for _, locale := range lang.All() {
		if locale.Blockly == "" {
			continue
		}
		messages, err := readTexts(filepath.Join(web, "node_modules/blockly/msg", locale.Blockly+".js"))
		if err != nil {
			return hashed{}, err
		}
		// Marshal sorts the keys; a text is never HTML here, so leave <, > and & as they are.
		var content strings.Builder
		encoder := json.NewEncoder(&content)
		encoder.SetEscapeHTML(false)
		if err := encoder.Encode(messages); err != nil {
			return hashed{}, err
		}
		texts.files[locale.Blockly+".json"] = []byte(content.String())
	}
	return texts, nil
}

func readTexts(file string) (map[string]string, error) {
	source, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	messages := map[string]string{}
	for _, line := range messageLine.FindAllSubmatch(source, -1) {
		var text string
		if err := json.Unmarshal(needless.ReplaceAll(line[2], []byte("$1")), &text); err != nil {
			return nil, fmt.Errorf("%s: %s: %w", file, line[1], err)
		}
		messages[string(line[1])] = text
	}
	for _, line := range aliasLine.FindAllSubmatch(source, -1) {
		messages[string(line[1])] = messages[string(line[2])]
	}
	// Help pages are on other hosts, and colours are ours.
	maps.DeleteFunc(messages, func(key, _ string) bool {
		return strings.HasSuffix(key, "_HELPURL") || strings.HasSuffix(key, "_HUE")
	})
	return messages, nil
}
