package compat

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"changeover/verify/compat/ddl"
)

// Input is what is checked: SQL text, in the order in which it runs.
type Input struct {
	Files []*ddl.File
	// Steps are golang-migrate's, in the order of their versions; empty for a dump.
	Steps []Step
	// Odd are files of a folder of migrations that golang-migrate would pass over.
	Odd []string
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
		in.Files = append(in.Files, f)
		return in, nil
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		name := filepath.Join(path, e.Name())
		m := stepName.FindStringSubmatch(e.Name())
		if e.IsDir() || filepath.Ext(e.Name()) != ".sql" {
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

// maxFile is the largest text that is read: 256 MiB.
const maxFile = 256 << 20

func readFile(name string) (*ddl.File, error) {
	if info, err := os.Stat(name); err == nil && info.Size() > maxFile {
		return nil, fmt.Errorf("%s has %d bytes; check reads definitions, not rows: dump without them (mysqldump --no-data --routines --triggers --events)", name, info.Size())
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	return ddl.NewFile(filepath.ToSlash(name), string(text)), nil
}
