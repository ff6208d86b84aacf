package compat

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"

	"changeover/verify/compat/ddl"
)

func init() {
	maps.Copy(checks, map[string]func(*checker, func(hit)){"edited": edited})
}

// Lock is the hashes of migrations that have run somewhere, by the names of their files. golang-migrate runs a version
// once and looks at its number only: who edits one has databases that differ, and nobody tells.
type Lock struct {
	name   string
	hashes map[string]string
}

// LockOf writes the hashes of all migrations of a folder, as sha256sum does: `sha256sum -c` in the folder checks them.
func LockOf(in *Input) []byte {
	var b strings.Builder
	for _, f := range in.migrations() {
		fmt.Fprintf(&b, "%s  %s\n", hashOf(f), path.Base(f.Name))
	}
	return []byte(b.String())
}

func hashOf(f *ddl.File) string {
	sum := sha256.Sum256([]byte(f.Text))
	return hex.EncodeToString(sum[:])
}

// migrations are the files of the steps, in their order.
func (in *Input) migrations() (files []*ddl.File) {
	for _, s := range in.Steps {
		for _, f := range []*ddl.File{s.Up, s.Down} {
			if f != nil {
				files = append(files, f)
			}
		}
	}
	return files
}

// ReadLock reads what LockOf wrote.
func ReadLock(name string, text []byte) (*Lock, error) {
	l := &Lock{name: name, hashes: map[string]string{}}
	n := 0
	for line := range strings.Lines(string(text)) {
		n++
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		hash, file, ok := strings.Cut(line, "  ")
		if _, err := hex.DecodeString(hash); !ok || err != nil || len(hash) != 2*sha256.Size {
			return nil, fmt.Errorf("%s:%d: a line is a SHA-256, two blanks and a file's name, as sha256sum writes it", name, n)
		}
		l.hashes[strings.TrimPrefix(file, "*")] = hash
	}
	return l, nil
}

// edited compares the folder with its lock: what was changed, what is gone, and what came behind the newest version
// that is locked, which databases that are there pass over.
func edited(c *checker, emit func(hit)) {
	l := c.opts.Lock
	switch {
	case len(c.input.Steps) == 0:
		return
	case l == nil:
		c.unchecked("no hashes of migrations that have run are given: check --write-lock FILE once, then --lock FILE")
		return
	}
	newest, here := uint64(0), map[string]bool{}
	for name := range l.hashes {
		newest = max(newest, versionOf(name))
	}
	for _, f := range c.input.migrations() {
		name := path.Base(f.Name)
		here[name] = true
		switch hash := l.hashes[name]; {
		case hash != "" && hash != hashOf(f):
			emit(hit{st: &ddl.Statement{File: f, End: min(len(f.Text), 1)}, object: name, evidence: name, says: name + " has been edited since it was locked: where it has run it does not run again"})
		case hash == "" && versionOf(name) < newest && strings.Contains(name, ".up."):
			emit(hit{st: &ddl.Statement{File: f, End: min(len(f.Text), 1)}, object: name, evidence: name,
				says: fmt.Sprintf("%s is new and behind version %d, which is locked: where that has run this one never does", name, newest)})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(l.hashes)) {
		if !here[name] {
			emit(hit{object: name, evidence: name, says: name + " is locked, and is not there any more"})
		}
	}
}

func versionOf(name string) uint64 {
	n, _ := strconv.ParseUint(elementOf(stepName.FindStringSubmatch(name), 1), 10, 64)
	return n
}
