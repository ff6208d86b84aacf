package compat

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"changeover/internal/server"
	"changeover/verify/compat/ddl"
)

// Input is what is checked: SQL text, in the order in which it runs.
type Input struct {
	Files []*ddl.File
	// Steps are golang-migrate's, in the order of their versions; empty for a dump.
	Steps []Step
	// Odd are files of a folder of migrations that golang-migrate would pass over.
	Odd []string
	// Flavor is whose dump it is, as its head says; empty: it says nothing.
	Flavor server.Flavor

	live map[*ddl.File]*Object // what a file shows, if the input is a server
}

// Step is one version of a folder of migrations.
type Step struct {
	Version  uint64
	Title    string
	Up, Down *ddl.File // nil if there is none
}

// stepName is what golang-migrate takes for a migration.
var stepName = regexp.MustCompile(`^([0-9]+)_(.*)\.(up|down)\.(.*)$`)

// ReadInput reads a folder of golang-migrate files, or one file of statements (a dump). Files are named as
// path has them.
func ReadInput(path string) (*Input, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	in := &Input{}
	if !info.IsDir() {
		f, err := readFile(path)
		if err != nil {
			return nil, err
		}
		if strings.TrimSpace(f.Text) == "" {
			return nil, fmt.Errorf("%s is empty: there is nothing to check", path)
		}
		in.Files, in.Flavor = append(in.Files, f), flavorOf(f.Text)
		return in, nil
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		name := filepath.Join(path, e.Name())
		m := stepName.FindStringSubmatch(e.Name())
		switch {
		case e.IsDir():
			if nested, _ := filepath.Glob(filepath.Join(name, "*.sql")); len(nested) > 0 {
				in.Odd = append(in.Odd, filepath.ToSlash(name)+"/")
			}
			continue
		case strings.EqualFold(filepath.Ext(name), ".sql") && filepath.Ext(name) != ".sql":
			in.Odd = append(in.Odd, filepath.ToSlash(name))
			continue
		case filepath.Ext(name) != ".sql":
			continue
		}
		version, err := strconv.ParseUint(cmp.Or(elementOf(m, 1), "x"), 10, 64)
		if err != nil {
			in.Odd = append(in.Odd, filepath.ToSlash(name))
			continue
		}
		f, err := readFile(name)
		if err != nil {
			return nil, err
		}
		s := Step{Version: version, Title: m[2]}
		if m[3] == "up" {
			s.Up = f
		} else {
			s.Down = f
		}
		in.Steps = append(in.Steps, s)
	}
	if len(in.Steps) == 0 {
		return nil, fmt.Errorf("%s has no migrations: files are named as golang-migrate has them, 0001_title.up.sql", path)
	}
	in.pair()
	return in, nil
}

func elementOf(m []string, i int) string {
	if i < len(m) {
		return m[i]
	}
	return ""
}

// pair puts up and down of one version together, where they have one title, and orders all.
func (in *Input) pair() {
	slices.SortStableFunc(in.Steps, func(a, b Step) int {
		return cmp.Or(cmp.Compare(a.Version, b.Version), strings.Compare(a.Title, b.Title))
	})
	var paired []Step
	for _, s := range in.Steps {
		if n := len(paired); n > 0 && paired[n-1].Version == s.Version && paired[n-1].Title == s.Title &&
			(paired[n-1].Up == nil || s.Up == nil) && (paired[n-1].Down == nil || s.Down == nil) {
			paired[n-1].Up, paired[n-1].Down = cmp.Or(paired[n-1].Up, s.Up), cmp.Or(paired[n-1].Down, s.Down)
			continue
		}
		paired = append(paired, s)
	}
	in.Steps = paired
	for _, s := range in.Steps {
		for _, f := range []*ddl.File{s.Up, s.Down} {
			if f != nil {
				in.Files = append(in.Files, f)
			}
		}
	}
}

// flavorOf is what the head of a dump says of where it was made.
func flavorOf(text string) server.Flavor {
	head := text[:min(len(text), 2000)]
	switch {
	case strings.Contains(head, "-- MariaDB dump"), strings.Contains(head, "-MariaDB"), strings.Contains(head, "/*M!999999"):
		return server.MariaDB
	case strings.Contains(head, "-- MySQL dump"):
		return server.MySQL
	}
	return ""
}

// maxFile is the largest text that is read: 256 MiB.
const maxFile = 256 << 20

// readFile reads a text, also one that is compressed, as dumps often are (.gz).
func readFile(name string) (*ddl.File, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	var r io.Reader = f
	if filepath.Ext(name) == ".gz" {
		if r, err = gzip.NewReader(f); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	text, err := io.ReadAll(io.LimitReader(r, maxFile+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s: %w", name, err)
	case bytes.IndexByte(text, 0) >= 0:
		return nil, fmt.Errorf("%s is no text of statements: it has bytes that no text has (of UTF-16? convert it to UTF-8)", name)
	case len(text) > maxFile:
		return nil, fmt.Errorf("%s has more than %d bytes of text; check reads definitions, not rows: dump without them (mysqldump --no-data --routines --triggers --events)", name, maxFile)
	}
	return ddl.NewFile(filepath.ToSlash(name), string(text)), nil
}
