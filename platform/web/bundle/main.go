// Command bundle turns platform/web/src and the npm packages that it imports into platform/web/dist.
// What comes out is committed, so that `go build` needs neither Node nor the packages; what goes in is
// pinned by package-lock.json. Run it from the top of the module:
//
//	(cd platform/web && npm ci --ignore-scripts) && go run ./platform/web/bundle
//
// Every file but manifest.json and LICENSES.txt carries a hash of its content in its name or its
// directory's, so a browser may keep it for ever.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	web := flag.String("web", "platform/web", "directory that holds src, node_modules and dist")
	flag.Parse()
	if err := run(*web); err != nil {
		fmt.Fprintln(os.Stderr, "bundle:", err)
		os.Exit(1)
	}
}

func run(web string) error {
	web, err := filepath.Abs(web)
	if err != nil {
		return err
	}
	files, err := build(web)
	if err != nil {
		return err
	}
	if err := write(filepath.Join(web, "dist"), files); err != nil {
		return err
	}
	size, err := weighPuzzle(web)
	if err != nil {
		return err
	}
	fmt.Printf("%d files; first puzzle page: %s\n", len(files), size)
	return nil
}

// write replaces what dist holds by files. A file that is the same already is left alone, so that a
// running server's embedded copy and the working tree differ only where something changed.
func write(dist string, files map[string][]byte) error {
	for name, content := range files {
		file := filepath.Join(dist, filepath.FromSlash(name))
		if old, err := os.ReadFile(file); err == nil && string(old) == string(content) {
			continue
		}
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(file, content, 0o644); err != nil {
			return err
		}
	}
	return removeOthers(dist, files)
}

func removeOthers(dist string, files map[string][]byte) error {
	var directories []string
	err := filepath.WalkDir(dist, func(path string, entry os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			directories = append(directories, path)
			return nil
		}
		name, err := filepath.Rel(dist, path)
		if err != nil {
			return err
		}
		if _, keep := files[filepath.ToSlash(name)]; keep {
			return nil
		}
		return os.Remove(path)
	})
	if err != nil {
		return err
	}
	for i := len(directories) - 1; i > 0; i-- {
		if left, err := os.ReadDir(directories[i]); err == nil && len(left) == 0 {
			if err := os.Remove(directories[i]); err != nil && !errors.Is(err, os.ErrNotExist) {
				return err
			}
		}
	}
	return nil
}
