package sandbox

import (
	"archive/tar"
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestOnlyTheWantedFilesOfAPackageAreKept(t *testing.T) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, f := range []struct {
		name string
		kind byte
	}{
		{"./usr/share/a/one.sql", tar.TypeReg}, {"./usr/share/a/one.txt", tar.TypeReg}, {"./usr/share/a/b/deep.sql", tar.TypeReg},
		{"./usr/share/a/link.sql", tar.TypeSymlink}, {"../../out.sql", tar.TypeReg}, {"./usr/share/a/", tar.TypeDir},
	} {
		h := &tar.Header{Name: f.name, Typeflag: f.kind, Mode: 0o644}
		if f.kind == tar.TypeReg {
			h.Size = 2
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if f.kind == tar.TypeReg {
			if _, err := w.Write([]byte("x\n")); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	a := &apt{dir: filepath.Join(t.TempDir(), "work"), set: packageSet{packages: []string{"a"}, files: []string{"usr/share/a/*.sql", "../../*.sql"}}}
	if err := a.pickFrom(tar.NewReader(&b)); err != nil {
		t.Fatal(err)
	}
	var kept []string
	err := filepath.WalkDir(filepath.Dir(a.dir), func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			kept = append(kept, strings.TrimPrefix(path, a.dir))
		}
		return err
	})
	if err != nil || !slices.Equal(kept, []string{"/root/usr/share/a/one.sql"}) {
		t.Errorf("kept %q, %v", kept, err)
	}
	if err := a.haveAll(); err == nil || !strings.Contains(err.Error(), "../../*.sql in a") {
		t.Errorf("a pattern without a file: %v", err)
	}
	a.set.files = a.set.files[:1]
	if err := a.haveAll(); err != nil {
		t.Error(err)
	}
	if err := os.RemoveAll(a.dir); err != nil {
		t.Fatal(err)
	}
}

func TestFilesOfAPackageAreASetOfTheirOwn(t *testing.T) {
	whole := packageSet{name: "a", suite: "s", packages: []string{"p"}}
	some := whole
	some.files = []string{"*.sql"}
	if whole.key() == some.key() {
		t.Error("files of a package and the whole of it have one folder")
	}
	if _, err := DebianFiles(t.Context(), "a", []string{"p"}, nil, nil); err == nil {
		t.Error("no files are asked for, and that is no error")
	}
}
