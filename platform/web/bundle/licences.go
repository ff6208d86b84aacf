package main

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
)

// js-interpreter carries a copy of Acorn 0.1 without its own licence file.
//
//go:embed acorn-license.txt
var acornLicence []byte

var packageOf = regexp.MustCompile(`(?:^|/)node_modules/((?:@[^/]+/)?[^/]+)/`)

// licences gathers the licence of every package that gave at least one file to the bundle.
// Blockly's media and texts come with its code.
func licences(web string, inputs []string) ([]byte, error) {
	packages := map[string]bool{}
	for _, input := range inputs {
		if found := packageOf.FindStringSubmatch(input); found != nil {
			packages[found[1]] = true
		}
	}
	var names []string
	for name := range packages {
		names = append(names, name)
	}

	var all bytes.Buffer
	all.WriteString("The files of this directory contain the following packages, under their own licences.\n")
	for _, name := range sorted(names) {
		directory := filepath.Join(web, "node_modules", filepath.FromSlash(name))
		described, err := os.ReadFile(filepath.Join(directory, "package.json"))
		if err != nil {
			return nil, err
		}
		var about struct{ Version, License string }
		if err := json.Unmarshal(described, &about); err != nil {
			return nil, fmt.Errorf("%s: package.json: %w", name, err)
		}
		licence, err := os.ReadFile(filepath.Join(directory, "LICENSE"))
		if err != nil {
			return nil, fmt.Errorf("%s has no licence to pass on: %w", name, err)
		}
		section(&all, name+" "+about.Version+" ("+about.License+")", licence)
		if name == "js-interpreter" {
			section(&all, "acorn, inside js-interpreter (MIT)", acornLicence)
		}
	}
	return all.Bytes(), nil
}

func section(to *bytes.Buffer, title string, licence []byte) {
	fmt.Fprintf(to, "\n%s\n%s\n\n%s\n", title, bytes.Repeat([]byte("-"), len(title)), bytes.TrimSpace(licence))
}
