package sandbox

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
)

const debianKeyring = "/usr/share/keyrings/debian-archive-keyring.gpg"

// packageSet is a group of Debian packages that are unpacked into one root.
type packageSet struct {
	name     string
	suite    string
	packages []string
	files    []string // patterns of the only files that are wanted, as path.Match has them; none: all, and what the packages depend on
}

// The suites are those whose builds were seen to work together: Debian has MySQL only in sid.
// sid moves on; whatever version it has when the set is first unpacked is kept.
var (
	mysqlSet   = packageSet{name: "mysql", suite: "sid", packages: []string{"mysql-server-core", "mysql-client-core"}}
	mariadbSet = packageSet{name: "mariadb", suite: "bookworm", packages: []string{"mariadb-server-core", "mariadb-client-core"}}
	dumpSet    = packageSet{name: "mariadb-client", suite: "sid", packages: []string{"mariadb-client"}}
	loadSet    = packageSet{name: "load", suite: "sid", packages: []string{"sysbench", "mydumper"}}
	perlSet    = packageSet{name: "percona-toolkit", suite: "sid", packages: []string{"percona-toolkit"}}
	haproxySet = packageSet{name: "haproxy", suite: "bookworm", packages: []string{"haproxy"}}
	spinSet    = packageSet{name: "spin", suite: "bookworm", packages: []string{"spin"}}
)

// key names the unpacked root. It changes with the package list, so that an old cache is not
// mistaken for a complete one.
func (s packageSet) key() string {
	sum := sha256.Sum256([]byte(strings.Join(slices.Concat(s.packages, s.files), " ")))
	return fmt.Sprintf("%s-%s-%s-%s", s.suite, s.name, runtime.GOARCH, hex.EncodeToString(sum[:4]))
}

func (s packageSet) String() string { return s.name + " from Debian " + s.suite }

// cachedRoot is the folder of a set that is already unpacked; ok is false if it isn't.
func (s packageSet) cachedRoot() (root string, ok bool, err error) {
	cache, err := cacheDir()
	if err != nil {
		return "", false, err
	}
	root = filepath.Join(cache, "roots", s.key())
	_, err = os.Stat(root)
	return root, err == nil, nil
}

// unpack returns the set's root folder, downloading and unpacking it if this is the first time.
// Two processes that want the same set take turns; a root appears under its name only when it
// is whole.
func (s packageSet) unpack(ctx context.Context, progress Progress) (string, error) {
	root, ok, err := s.cachedRoot()
	if err != nil || ok {
		return root, err
	}
	if err := canUnpack(); err != nil {
		return "", err
	}
	if err := os.MkdirAll(filepath.Dir(root), 0o755); err != nil {
		return "", err
	}
	l, err := lock(ctx, root+".lock")
	if err != nil {
		return "", err
	}
	defer l.unlock()
	if _, err := os.Stat(root); err == nil { // the one who held the lock has done it
		return root, nil
	}
	work := root + ".part" // only the lock's holder touches it; what a crash left is thrown away
	if err := os.RemoveAll(work); err != nil {
		return "", err
	}
	defer os.RemoveAll(work)
	a := apt{dir: work, set: s, progress: progress}
	if err := a.run(ctx); err != nil {
		return "", fmt.Errorf("unpack %s: %w", s, err)
	}
	return root, os.Rename(filepath.Join(work, "root"), root)
}

// canUnpack tells what this machine lacks for unpacking.
func canUnpack() error {
	for _, tool := range []string{"apt-get", "dpkg-deb"} {
		if _, err := exec.LookPath(tool); err != nil {
			return fmt.Errorf("no %s on this machine", tool)
		}
	}
	if _, err := os.Stat(debianKeyring); err != nil {
		return fmt.Errorf("no %s to check Debian's signatures (apt-get install debian-archive-keyring)", debianKeyring)
	}
	return nil
}

// apt resolves, downloads and unpacks in a folder of its own: own sources, own lists, own cache,
// and an empty status file, so that every dependency down to libc is fetched and the system's
// packages are neither looked at nor touched.
type apt struct {
	dir      string
	set      packageSet
	progress Progress
}

func (a *apt) run(ctx context.Context) error {
	if err := a.configure(); err != nil {
		return err
	}
	if _, err := a.get(ctx, "update", "-qq"); err != nil {
		return err
	}
	uris, err := a.get(ctx, a.fetch("--print-uris", "-qq")...)
	if err != nil {
		return err
	}
	step := Step{What: a.set.String(), Doing: "downloading"}
	for line := range strings.Lines(uris) { // 'http://…/x.deb' x.deb 12345 SHA256:…
		if f := strings.Fields(line); len(f) >= 3 && strings.HasPrefix(f[0], "'") {
			n, _ := strconv.ParseInt(f[2], 10, 64)
			step.PackagesTotal++
			step.BytesTotal += n
		}
	}
	if err := a.download(ctx, step); err != nil {
		return err
	}
	return a.extract(ctx, step)
}

func (a *apt) path(elem ...string) string {
	return filepath.Join(append([]string{a.dir}, elem...)...)
}

func (a *apt) configure() error {
	for _, d := range []string{"etc", "lists/partial", "cache/archives/partial", "root"} {
		if err := os.MkdirAll(a.path(d), 0o755); err != nil {
			return err
		}
	}
	from := mirror()
	if from == "" {
		return errors.New("apt's sources name no Debian archive: set CHANGEOVER_DEBIAN_MIRROR to the URL of one, which ends in /debian")
	}
	files := map[string]string{
		"status":           "",
		"etc/sources.list": fmt.Sprintf("deb [signed-by=%s] %s %s main\n", debianKeyring, from, a.set.suite),
		// A file, not -o options: only a file can clear the machine's hooks, which expect to
		// run as root on the system's own cache.
		"etc/apt.conf": fmt.Sprintf(`#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear DPkg::Pre-Invoke;
#clear DPkg::Post-Invoke;
#clear DPkg::Pre-Install-Pkgs;
Dir::Etc::sourcelist "%[1]s/etc/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
Dir::State::lists "%[1]s/lists";
Dir::State::status "%[1]s/status";
Dir::State::extended_states "%[1]s/extended_states";
Dir::Cache "%[1]s/cache";
APT::Sandbox::User "root";
APT::Get::Assume-Yes "true";
Acquire::Languages "none";
Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
Acquire::Retries "3";
`, a.dir),
	}
	for name, text := range files {
		if err := os.WriteFile(a.path(name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

func (a *apt) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "apt-get", append([]string{"-c", a.path("etc/apt.conf")}, args...)...)
	cmd.Env = append(os.Environ(), "LC_ALL=C", "DEBIAN_FRONTEND=noninteractive")
	return cmd
}

// fetch are the arguments that get the packages into the folder where apt-get runs: alone if only files of
// them are wanted, else with all that they need.
func (a *apt) fetch(flags ...string) []string {
	verb := []string{"install", "--no-install-recommends", "-d"}
	if len(a.set.files) > 0 {
		verb = []string{"download"}
	}
	return slices.Concat(verb, flags, a.set.packages)
}

func (a *apt) get(ctx context.Context, args ...string) (string, error) {
	cmd := a.command(ctx, args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("apt-get %s: %w: %s", args[0], err, lastLines(errs.String(), 5))
	}
	return out.String(), nil
}

// download fetches the packages; apt tells on a pipe how far it is.
func (a *apt) download(ctx context.Context, step Step) error {
	a.progress.tell(step)
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer r.Close()
	cmd := a.command(ctx, a.fetch("-qq", "-o", "APT::Status-Fd=3")...)
	cmd.Dir = a.path("cache/archives")
	var errs bytes.Buffer
	cmd.Stderr = &errs
	cmd.ExtraFiles = []*os.File{w}
	err = cmd.Start()
	w.Close()
	if err != nil {
		return err
	}
	for in := bufio.NewScanner(r); in.Scan(); { // dlstatus:12:34.5678:Retrieving file 12 of 60
		f := strings.SplitN(in.Text(), ":", 4)
		if len(f) < 3 || f[0] != "dlstatus" {
			continue
		}
		n, _ := strconv.Atoi(f[1])
		percent, _ := strconv.ParseFloat(f[2], 64)
		step.Packages = min(n, step.PackagesTotal)
		step.Bytes = int64(percent / 100 * float64(step.BytesTotal))
		a.progress.tell(step)
	}
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("apt-get %s: %w: %s", cmd.Args[3], err, lastLines(errs.String(), 5))
	}
	return nil
}

func (a *apt) extract(ctx context.Context, step Step) error {
	debs, err := filepath.Glob(a.path("cache/archives/*.deb"))
	if err != nil {
		return err
	}
	if len(debs) == 0 {
		return errors.New("apt downloaded nothing")
	}
	step.Doing, step.Packages, step.PackagesTotal, step.Bytes = "unpacking", 0, len(debs), 0
	for _, deb := range debs {
		if err := a.extractOne(ctx, deb); err != nil {
			return err
		}
		step.Packages++
		if info, err := os.Stat(deb); err == nil {
			step.Bytes += info.Size()
		}
		a.progress.tell(step)
	}
	if len(a.set.files) > 0 {
		return a.haveAll()
	}
	for _, unused := range []string{"doc", "man", "locale", "info"} {
		if err := os.RemoveAll(a.path("root/usr/share", unused)); err != nil {
			return err
		}
	}
	return nil
}

func (a *apt) extractOne(ctx context.Context, deb string) error {
	if len(a.set.files) > 0 {
		return a.pick(ctx, deb)
	}
	out, err := exec.CommandContext(ctx, "dpkg-deb", "-x", deb, a.path("root")).CombinedOutput()
	if err != nil {
		return fmt.Errorf("dpkg-deb -x %s: %w: %s", filepath.Base(deb), err, out)
	}
	return nil
}

var aptURI = regexp.MustCompile(`\bhttps?://[^\s'"]+`)

// mirror is the Debian mirror that this machine already uses, since that is the one it can reach;
// empty if it uses none, as on Ubuntu.
func mirror() string {
	if m := os.Getenv("CHANGEOVER_DEBIAN_MIRROR"); m != "" {
		return m
	}
	files := []string{"/etc/apt/sources.list"}
	for _, ext := range []string{"*.list", "*.sources"} {
		more, _ := filepath.Glob("/etc/apt/sources.list.d/" + ext)
		files = append(files, more...)
	}
	for _, name := range files {
		f, err := os.Open(name)
		if err != nil {
			continue
		}
		uri := mirrorIn(f)
		f.Close()
		if uri != "" {
			return uri
		}
	}
	return ""
}

// mirrorIn finds the first Debian archive in a sources file, one-line or deb822. Third parties
// and the security archive have other paths.
func mirrorIn(r io.Reader) string {
	for in := bufio.NewScanner(r); in.Scan(); {
		line, _, _ := strings.Cut(in.Text(), "#")
		for _, uri := range aptURI.FindAllString(line, -1) {
			if uri = strings.TrimRight(uri, "/"); strings.HasSuffix(uri, "/debian") {
				return uri
			}
		}
	}
	return ""
}

func lastLines(s string, n int) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
