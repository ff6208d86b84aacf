package sandbox

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// initOptions are options that are baked into a data directory when it is made.
var initOptions = []string{
	"--lower-case-table-names", "--lower_case_table_names",
	"--innodb-page-size", "--innodb_page_size",
	"--innodb-data-file-path", "--innodb_data_file_path",
	"--innodb-undo-tablespaces", "--innodb_undo_tablespaces",
	"--innodb-checksum-algorithm", "--innodb_checksum_algorithm",
}

// bakedIn picks from options those that a data directory is made with.
func bakedIn(options []string) (out []string) {
	for _, o := range options {
		name, _, _ := strings.Cut(o, "=")
		for _, baked := range initOptions {
			if name == baked {
				out = append(out, o)
			}
		}
	}
	return out
}

// template returns an initialised data directory that has never run: initialising takes seconds,
// a copy a fraction of one. It is made once for each program and class of options.
func template(ctx context.Context, b binary, options []string) (string, error) {
	cache, err := cacheDir()
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256([]byte(strings.Join(append(append([]string{b.version}, b.Argv...), options...), "\x00")))
	dir := filepath.Join(cache, "data", fmt.Sprintf("%s-%s-%s", b.flavor, b.version, hex.EncodeToString(sum[:4])))
	if exists(dir) {
		return dir, nil
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return "", err
	}
	l, err := lock(ctx, dir+".lock")
	if err != nil {
		return "", err
	}
	defer l.unlock()
	if exists(dir) {
		return dir, nil
	}
	work := dir + ".part"
	if err := os.RemoveAll(work); err != nil {
		return "", err
	}
	defer os.RemoveAll(work)
	if err := os.Mkdir(work, 0o700); err != nil {
		return "", err
	}
	if b.flavor == MariaDB {
		err = bootstrapMariaDB(ctx, b, work, options)
	} else {
		err = run(ctx, b, nil, append(append([]string{"--no-defaults", "--initialize-insecure"},
			b.serverArgs(work)...), options...))
	}
	if err != nil {
		return "", fmt.Errorf("initialise a data directory of %s %s: %w", b.flavor, b.version, err)
	}
	// The copies must not all be the same server.
	if err := os.Remove(filepath.Join(work, "auto.cnf")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	return dir, os.Rename(work, dir)
}

// bootstrapMariaDB does what mariadb-install-db does; that script wants its helpers installed in
// the system.
func bootstrapMariaDB(ctx context.Context, b binary, dir string, options []string) error {
	share, err := b.mariadbShare()
	if err != nil {
		return err
	}
	sql := bytes.NewBufferString("CREATE DATABASE mysql;\nUSE mysql;\nSET @auth_root_socket=NULL;\n")
	for _, names := range [][]string{
		{"mariadb_system_tables.sql", "mysql_system_tables.sql"},
		{"mariadb_performance_tables.sql", "mysql_performance_tables.sql"},
		{"mariadb_system_tables_data.sql", "mysql_system_tables_data.sql"},
		{"fill_help_tables.sql"},
		{"maria_add_gis_sp_bootstrap.sql"},
		{"mariadb_sys_schema.sql", "mysql_sys_schema.sql"},
	} {
		text, err := firstFile(share, names)
		if err != nil {
			return err
		}
		sql.Write(text)
		sql.WriteByte('\n')
	}
	// root without a password at other hosts' names, which is no use behind skip-name-resolve.
	sql.WriteString("DELETE FROM mysql.global_priv WHERE Host <> 'localhost';\n")
	args := append([]string{"--no-defaults", "--bootstrap", "--enforce-storage-engine=",
		"--skip-log-bin", "--innodb-log-file-size=16M"}, b.serverArgs(dir)...)
	return run(ctx, b, sql, append(args, options...))
}

func firstFile(dir string, names []string) ([]byte, error) {
	var text []byte
	var err error
	for _, name := range names {
		if text, err = os.ReadFile(filepath.Join(dir, name)); err == nil {
			return text, nil
		}
	}
	return nil, err
}

// mariadbShare is the folder of the SQL that makes MariaDB's system tables.
func (b binary) mariadbShare() (string, error) {
	prefix := filepath.Join(b.Root, "usr")
	if b.Root == "" {
		path, err := filepath.EvalSymlinks(b.Argv[0])
		if err != nil {
			return "", err
		}
		prefix = filepath.Dir(filepath.Dir(path))
	}
	for _, dir := range []string{"share/mysql", "share/mariadb"} {
		if exists(filepath.Join(prefix, dir, "fill_help_tables.sql")) {
			return filepath.Join(prefix, dir), nil
		}
	}
	return "", fmt.Errorf("no fill_help_tables.sql under %s/share", prefix)
}

func run(ctx context.Context, b binary, stdin io.Reader, args []string) error {
	cmd := b.Command(ctx, args...)
	var out bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, &out, &out
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%w: %s", err, lastLines(out.String(), 5))
	}
	return nil
}

// copyTree copies a folder of plain files. io.Copy between two files is copy_file_range on
// Linux: a reflink where the file system can.
func copyTree(to, from string) error {
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		dst := filepath.Join(to, rel)
		if d.IsDir() {
			return os.MkdirAll(dst, 0o700)
		}
		return copyFile(dst, path)
	})
}

func copyFile(to, from string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return err
	}
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_EXCL, info.Mode().Perm())
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, in); err != nil {
		out.Close()
		return err
	}
	return out.Close()
}
