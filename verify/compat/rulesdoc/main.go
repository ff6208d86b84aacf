// Command rulesdoc writes docs/rules from the catalogue of rules and the fixtures that show each.
package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"changeover/verify/compat"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: rulesdoc FIXTURES FOLDER")
		os.Exit(64)
	}
	if err := write(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
}

// write makes a folder have all pages and no other.
func write(fixtures, folder string) error {
	pages, err := compat.RulePages(os.DirFS(fixtures))
	if err != nil {
		return err
	}
	old, err := filepath.Glob(filepath.Join(folder, "*.md"))
	if err != nil {
		return err
	}
	for _, name := range old {
		if _, ok := pages[filepath.Base(name)]; !ok {
			err = errors.Join(err, os.Remove(name))
		}
	}
	err = errors.Join(err, os.MkdirAll(folder, 0o755))
	for name, text := range pages {
		err = errors.Join(err, os.WriteFile(filepath.Join(folder, name), []byte(text), 0o644))
	}
	return err
}
