package sandbox

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
)

func TestTheMirrorIsTheFirstDebianArchiveOfTheMachine(t *testing.T) {
	for _, c := range []struct{ name, sources, want string }{
		{"one line", "deb http://ftp.example.org/debian bookworm main\n", "http://ftp.example.org/debian"},
		{"one line with options", "deb [arch=amd64 signed-by=/k.gpg] https://m.example.org/debian/ sid main\n", "https://m.example.org/debian"},
		{"deb822", "Types: deb\nURIs: http://ftp.example.org/debian\nSuites: bookworm\n", "http://ftp.example.org/debian"},
		{"several URIs", "URIs: https://other.example.org/x https://m.example.org/debian\n", "https://m.example.org/debian"},
		{"a comment", "# http://old.example.org/archive/debian\n", ""},
		{"security only", "deb http://ftp.example.org/debian-security bookworm-security main\n", ""},
		{"a third party", "deb https://packages.example.com/apt cloud main\n", ""},
		{"a CD", "deb cdrom:[Debian]/ bookworm main\n", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := mirrorIn(strings.NewReader(c.sources)); got != c.want {
				t.Errorf("mirror %q, want %q", got, c.want)
			}
		})
	}
}

func TestALockHasOneHolder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	first, err := tryLock(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tryLock(path); !errors.Is(err, errLocked) {
		t.Errorf("a second holder got %v", err)
	}
	first.unlock()
	second, err := tryLock(path)
	if err != nil {
		t.Errorf("a free lock is refused: %v", err)
	}
	second.unlock()
}

func TestOnlyOptionsThatShapeTheDataDirectoryChooseItsTemplate(t *testing.T) {
	got := bakedIn([]string{"--max-binlog-size=4096", "--lower-case-table-names=1", "--innodb_page_size=4k"})
	if want := "--lower-case-table-names=1 --innodb_page_size=4k"; strings.Join(got, " ") != want {
		t.Errorf("got %v, want %s", got, want)
	}
}

func TestAnExplicitServerThatIsNotOneIsAnError(t *testing.T) {
	for _, c := range []struct{ name, path, want string }{
		{"missing", "/nonexistent/mysqld", "CHANGEOVER_MYSQLD=/nonexistent/mysqld"},
		{"no server", "/bin/true", "is not understood"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Setenv("CHANGEOVER_MYSQLD", c.path)
			_, err := findServer(t.Context(), MySQL, nil)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an error with %q", err, c.want)
			}
		})
	}
}
