package sandbox

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// DebianFiles are files of Debian packages, which are read, not run: the packages are downloaded without what
// they depend on, and of all of them only the files that match a pattern of path.Match are kept, such as
// "usr/share/cacti/conf_templates/*.sql". It returns their root, kept between runs under the name; it is an
// error if a package can't be had or a pattern matches nothing.
func DebianFiles(ctx context.Context, name string, packages, patterns []string, progress Progress) (root string, err error) {
	if len(patterns) == 0 {
		return "", errors.New("no files of the packages are asked for")
	}
	return packageSet{name: name, suite: "bookworm", packages: packages, files: patterns}.unpack(ctx, progress)
}

// pick writes the wanted files of a package below root.
func (a *apt) pick(ctx context.Context, deb string) error {
	cmd := exec.CommandContext(ctx, "dpkg-deb", "--fsys-tarfile", deb)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	err = a.pickFrom(tar.NewReader(out))
	_, _ = io.Copy(io.Discard, out) // so that it ends, whatever we made of it
	if err := errors.Join(err, cmd.Wait()); err != nil {
		return fmt.Errorf("files of %s: %w", filepath.Base(deb), err)
	}
	return nil
}

func (a *apt) pickFrom(files *tar.Reader) error {
	for {
		f, err := files.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		name := path.Clean(strings.TrimPrefix(f.Name, "./"))
		if f.Typeflag != tar.TypeReg || !filepath.IsLocal(name) || !a.wanted(name) {
			continue
		}
		to := a.path("root", filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		text, err := io.ReadAll(files)
		if err != nil {
			return err
		}
		if err := os.WriteFile(to, text, 0o644); err != nil {
			return err
		}
	}
}

func (a *apt) wanted(name string) bool {
	return slices.ContainsFunc(a.set.files, func(pattern string) bool {
		ok, err := path.Match(pattern, name)
		return ok && err == nil
	})
}

// haveAll tells what a package has no more, or never had.
func (a *apt) haveAll() error {
	for _, pattern := range a.set.files {
		found, err := filepath.Glob(a.path("root", filepath.FromSlash(pattern)))
		if err != nil {
			return err
		}
		if len(found) == 0 {
			return fmt.Errorf("no file %s in %s", pattern, strings.Join(a.set.packages, ", "))
		}
	}
	return nil
}
