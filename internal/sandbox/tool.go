package sandbox

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Tool is a program that can be run where it is: installed on the machine, or inside an
// unpacked root with that root's loader and libraries.
type Tool struct {
	Name string
	Root string   // the unpacked root; empty for a program of the machine's own
	Argv []string // program and first arguments
	Env  []string // added to the environment
	Dir  string   // working directory; empty for the caller's
}

// Command is a call of the tool with args. Cancelling ctx kills it. Paths in args are absolute
// where the tool has a Dir.
func (t Tool) Command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, t.Argv[0], append(append([]string(nil), t.Argv[1:]...), args...)...)
	cmd.Env = append(slices.DeleteFunc(os.Environ(), t.isHostLibrary), t.Env...)
	cmd.Dir = t.Dir
	return cmd
}

// isHostLibrary: what the caller preloads is built for the host's libc, not for the root's.
func (t Tool) isHostLibrary(env string) bool {
	return t.Root != "" && (strings.HasPrefix(env, "LD_PRELOAD=") || strings.HasPrefix(env, "LD_LIBRARY_PATH="))
}

// toolSets says which package set has a tool. All of them speak to MySQL 9.7, which the
// machine's own (often MariaDB's) clients may not, so the PATH is asked last.
var toolSets = map[string]struct {
	set  packageSet
	path string // inside the root
}{
	"mysql":             {mysqlSet, "usr/bin/mysql"},
	"mysqldump":         {mysqlSet, "usr/bin/mysqldump"},
	"mysqlbinlog":       {mysqlSet, "usr/bin/mysqlbinlog"},
	"mariadb":           {mariadbSet, "usr/bin/mariadb"},
	"mariadb-dump":      {dumpSet, "usr/bin/mariadb-dump"}, // newer than the server: dumps change
	"sysbench":          {loadSet, "usr/bin/sysbench"},
	"mydumper":          {loadSet, "usr/bin/mydumper"},
	"myloader":          {loadSet, "usr/bin/myloader"},
	"pt-table-checksum": {perlSet, "usr/bin/pt-table-checksum"},
	"pt-table-sync":     {perlSet, "usr/bin/pt-table-sync"},
	"pt-archiver":       {perlSet, "usr/bin/pt-archiver"},
	"haproxy":           {haproxySet, "usr/sbin/haproxy"},
	"spin":              {spinSet, "usr/bin/spin"},
	"chromium":          {chromiumSet, "usr/lib/chromium/chromium-headless-shell"},

	"pt-online-schema-change": {perlSet, "usr/bin/pt-online-schema-change"},
}

// FindTool returns a tool that tests and the demo use beside the servers: mysql, mysqldump,
// mysqlbinlog, mariadb, mariadb-dump, sysbench, mydumper, myloader, pt-online-schema-change and others of
// percona-toolkit, haproxy, spin, and chromium. The first call may download; progress hears of it.
func FindTool(ctx context.Context, name string, progress Progress) (Tool, error) {
	where, ok := toolSets[name]
	if !ok {
		return Tool{}, fmt.Errorf("no such tool in the sandbox: %s", name)
	}
	root, err := where.set.unpack(ctx, progress)
	switch {
	case err == nil && name == "chromium":
		return chromium(root, where.path)
	case err == nil:
		return inRoot(root, where.path)
	}
	// Where nothing can be unpacked, such as on a Mac, the machine's own has to do.
	if path, pathErr := exec.LookPath(name); pathErr == nil {
		return Tool{Name: name, Argv: []string{path}}, nil
	}
	return Tool{}, fmt.Errorf("no %s on this machine, and none could be unpacked: %w", name, err)
}

// inRoot makes path, a program inside root, runnable: its libraries, libc included, are the
// root's, so it needs the root's loader.
func inRoot(root, path string) (Tool, error) {
	program := filepath.Join(root, path)
	if _, err := os.Stat(program); err != nil {
		return Tool{}, err
	}
	libs, err := filepath.Glob(filepath.Join(root, "usr/lib/*-linux-gnu*"))
	if err != nil {
		return Tool{}, err
	}
	more, err := filepath.Glob(filepath.Join(root, "lib/*-linux-gnu*"))
	if err != nil {
		return Tool{}, err
	}
	libs = append(libs, more...)
	var loader string
	for _, lib := range libs {
		// Not lib64/ld-linux…: before Debian 13 that is an absolute link, to the host's loader.
		if found, _ := filepath.Glob(filepath.Join(lib, "ld-linux*.so.*")); len(found) > 0 {
			loader = found[0]
		}
	}
	if loader == "" {
		return Tool{}, fmt.Errorf("no loader in %s", root)
	}
	t := Tool{Name: filepath.Base(path), Root: root}
	t.Argv = []string{loader, "--library-path", strings.Join(libs, ":")}
	for _, lib := range libs { // the connector looks for caching_sha2_password there
		if plugins := filepath.Join(lib, "libmariadb3/plugin"); exists(plugins) {
			t.Env = append(t.Env, "MARIADB_PLUGIN_DIR="+plugins)
		}
	}
	if isPerl(program) {
		t.Env = append(t.Env, "PERL5LIB="+strings.Join(perlLibs(root, libs), ":"))
		t.Argv = append(t.Argv, filepath.Join(root, "usr/bin/perl"))
	}
	if t.Name == "sysbench" { // its scripts load each other from here, or from the host's /usr
		t.Dir = filepath.Join(root, "usr/share/sysbench")
	}
	t.Argv = append(t.Argv, program)
	return t, nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func isPerl(program string) bool {
	f, err := os.Open(program)
	if err != nil {
		return false
	}
	defer f.Close()
	head := make([]byte, 64)
	n, _ := f.Read(head)
	line, _, _ := bytes.Cut(head[:n], []byte("\n"))
	return bytes.HasPrefix(line, []byte("#!")) && bytes.Contains(line, []byte("perl"))
}

// perlLibs are the folders of the root's @INC; perl itself looks only under the host's /usr.
func perlLibs(root string, libs []string) []string {
	found := []string{filepath.Join(root, "usr/share/perl5")}
	for _, pattern := range append([]string{filepath.Join(root, "usr/share/perl/5*")},
		prefixed(libs, "perl5/5*", "perl/5*", "perl-base")...) {
		more, _ := filepath.Glob(pattern)
		found = append(found, more...)
	}
	return found
}

func prefixed(dirs []string, patterns ...string) (out []string) {
	for _, d := range dirs {
		for _, p := range patterns {
			out = append(out, filepath.Join(d, p))
		}
	}
	return out
}

// binary is a server's program.
type binary struct {
	Tool
	flavor  Flavor
	version string // as the program says: "9.7.4-2"
}

var versionPattern = regexp.MustCompile(`(?i)\bVer\s+([0-9]+)\.([0-9]+)\.([0-9]+)(\S*)`)

// atLeast compares the program's version.
func (b binary) atLeast(major, minor int) bool {
	var ma, mi int
	fmt.Sscanf(b.version, "%d.%d", &ma, &mi)
	return ma > major || ma == major && mi >= minor
}

// findServer looks for a server program: an explicit setting, the cache, the PATH, and at last
// unpacks one.
func findServer(ctx context.Context, flavor Flavor, progress Progress) (binary, error) {
	set, env, names := mysqlSet, "CHANGEOVER_MYSQLD", []string{"mysqld"}
	if flavor == MariaDB {
		set, env, names = mariadbSet, "CHANGEOVER_MARIADBD", []string{"mariadbd", "mysqld"}
	}
	if path := os.Getenv(env); path != "" {
		b, err := identify(ctx, Tool{Name: filepath.Base(path), Argv: []string{path}}, flavor)
		if err != nil {
			return binary{}, fmt.Errorf("%s=%s: %w", env, path, err)
		}
		return b, nil
	}
	root, cached, err := set.cachedRoot()
	if err != nil {
		return binary{}, err
	}
	if !cached {
		for _, name := range names {
			path, err := lookPath(name)
			if err != nil {
				continue
			}
			// A name proves nothing: Debian's mysqld is MariaDB.
			if b, err := identify(ctx, Tool{Name: name, Argv: []string{path}}, flavor); err == nil {
				return b, nil
			}
		}
		if root, err = set.unpack(ctx, progress); err != nil {
			return binary{}, fmt.Errorf("no %s server found, and none could be unpacked (%w): install one (%s) or set %s to its path",
				flavor, err, howToInstall(flavor), env)
		}
	}
	t, err := inRoot(root, filepath.Join("usr/sbin", names[0]))
	if err != nil {
		return binary{}, err
	}
	return identify(ctx, t, flavor)
}

// lookPath finds servers in the sbin folders too: they are seldom on a user's PATH.
func lookPath(name string) (string, error) {
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	for _, dir := range []string{"/usr/sbin", "/usr/local/sbin", "/usr/libexec"} {
		if path, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return path, nil
		}
	}
	return "", exec.ErrNotFound
}

// identify asks the program what it is; it is an error if it isn't a server we can use.
func identify(ctx context.Context, t Tool, flavor Flavor) (binary, error) {
	out, err := t.Command(ctx, "--no-defaults", "--version").CombinedOutput()
	if err != nil {
		return binary{}, fmt.Errorf("%s --version: %w: %s", t.Name, err, lastLines(string(out), 3))
	}
	m := versionPattern.FindStringSubmatch(string(out))
	if m == nil {
		return binary{}, fmt.Errorf("%s --version is not understood: %s", t.Name, lastLines(string(out), 1))
	}
	is := MySQL
	if strings.Contains(string(out), "MariaDB") {
		is = MariaDB
	}
	if is != flavor {
		return binary{}, fmt.Errorf("%s is %s, not %s", t.Name, is, flavor)
	}
	b := binary{Tool: t, flavor: flavor, version: strings.Join(m[1:4], ".") + m[4]}
	if major, _ := strconv.Atoi(m[1]); flavor == MySQL && major < 8 {
		return binary{}, fmt.Errorf("%s is MySQL %s; a sandbox needs 8.0 or newer", t.Name, b.version)
	}
	return b, nil
}

func howToInstall(flavor Flavor) string {
	if flavor == MariaDB {
		return "brew install mariadb, apt-get install mariadb-server-core"
	}
	return "brew install mysql, apt-get install mysql-server-core"
}
