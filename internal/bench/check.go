package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// The sizes that are promised for: 1,000 tables and 500 migration files.
const (
	checkTables  = 1000
	checkFiles   = 500
	checkRounds  = 5
	checkPromise = 2 * time.Second
)

// runCheck measures `changeover check` on a folder of migrations and on a dump, without a server. Twice as much of
// both shows whether the time grows with the text, or faster.
func runCheck(ctx context.Context, l *lab) (*section, error) {
	if l.tool == "" {
		return nil, errors.New("there is nothing beside changeover to measure: leave -changeover as it is")
	}
	s := &section{
		title: "Checking a schema without a server",
		about: []string{fmt.Sprintf("`changeover check --target mysql-9.7` of a folder of golang-migrate files and of a dump, each with findings in plenty, the report as JSON. "+
			"A table has 12 columns, four keys and a foreign key; a third of the files make tables, the others change them. Medians of %d.", max(l.rounds, checkRounds))},
		head: []string{"what is checked", "text", "findings", "time", "CPU", "memory"},
	}
	var both time.Duration
	for _, times := range []int{1, 2} {
		tables, files := l.size(checkTables)*times, l.size(checkFiles)*times
		for _, c := range []struct {
			what string
			make func(dir string) (path string, size int64, err error)
		}{
			{fmt.Sprintf("%s migration files with %s tables", thousands(int64(files)), thousands(int64(tables))), func(dir string) (string, int64, error) { return migrations(dir, tables, files) }},
			{fmt.Sprintf("a dump of %s tables", thousands(int64(tables))), func(dir string) (string, int64, error) { return dump(dir, tables) }},
		} {
			dir := filepath.Join(l.dir.Path, fmt.Sprintf("check%d", len(s.rows)))
			path, size, err := c.make(dir)
			if err != nil {
				return nil, err
			}
			u, findings, err := l.check(ctx, path)
			if err != nil {
				return nil, err
			}
			l.say("%s: %s", c.what, millis(u.wall))
			s.row(c.what, megabytes(size), thousands(int64(findings)), millis(u.wall), millis(u.cpu), megabytes(u.rss))
			if times == 1 {
				both = max(both, u.wall)
			}
		}
	}
	s.goal(fmt.Sprintf("%s tables and %s migration files", thousands(int64(l.size(checkTables))), thousands(int64(l.size(checkFiles)))), "< "+seconds(checkPromise), seconds(both), both < checkPromise)
	return s, nil
}

// check runs the program some times and counts what it finds.
func (l *lab) check(ctx context.Context, path string) (usage, int, error) {
	var runs []usage
	findings := 0
	for range max(l.rounds, checkRounds) {
		report := filepath.Join(l.dir.Path, "check.json")
		c, err := launch("changeover check", exec.CommandContext(ctx, l.tool, "check", path, "--target", "mysql-9.7", "--format", "json="+report))
		if err != nil {
			return usage{}, 0, err
		}
		<-c.done
		var exit *exec.ExitError
		if c.err != nil && !(errors.As(c.err, &exit) && exit.ExitCode() == 1) { // 1: there are findings
			return usage{}, 0, c.err
		}
		runs = append(runs, c.usage)
		text, err := os.ReadFile(report)
		if err != nil {
			return usage{}, 0, err
		}
		findings = strings.Count(string(text), `"fingerprint"`)
	}
	return median(runs), findings, nil
}

// migrations writes a folder of golang-migrate files: a third makes the tables, each next one changes them, and each
// has its way down.
func migrations(dir string, tables, files int) (path string, size int64, err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", 0, err
	}
	versions := files / 2
	makers := max(versions/3, 1)
	next := 0
	for v := range versions {
		var up, down strings.Builder
		if v < makers {
			for ; next < tables*(v+1)/makers; next++ {
				createTable(&up, next)
				fmt.Fprintf(&down, "DROP TABLE t%d;\n", next)
			}
		} else {
			alterTable(&up, &down, v, (v*7)%max(tables, 1))
		}
		for name, text := range map[string]string{"up": up.String(), "down": down.String()} {
			size += int64(len(text))
			if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%04d_change.%s.sql", v+1, name)), []byte(text), 0o600); err != nil {
				return "", 0, err
			}
		}
	}
	return dir, size, nil
}

// dump writes a file with all tables.
func dump(dir string, tables int) (path string, size int64, err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", 0, err
	}
	var b strings.Builder
	b.WriteString("/*!40101 SET NAMES utf8mb4 */;\n")
	for i := range tables {
		fmt.Fprintf(&b, "DROP TABLE IF EXISTS `t%d`;\n", i)
		createTable(&b, i)
	}
	path = filepath.Join(dir, "dump.sql")
	return path, int64(b.Len()), os.WriteFile(path, []byte(b.String()), 0o600)
}

func createTable(b *strings.Builder, i int) {
	fmt.Fprintf(b, "CREATE TABLE `t%d` (\n  `id` bigint(20) unsigned NOT NULL AUTO_INCREMENT,\n  `parent` bigint(20) unsigned DEFAULT NULL,\n", i)
	for c := range 4 {
		fmt.Fprintf(b, "  `name_%d` varchar(%d) COLLATE utf8mb4_general_ci NOT NULL DEFAULT '' COMMENT 'what it; is',\n", c, 50*(c+1))
	}
	b.WriteString("  `state` enum('new','open','done') NOT NULL DEFAULT 'new',\n  `amount` decimal(12,2) DEFAULT NULL,\n  `ratio` double(8,3) DEFAULT NULL,\n  `made` timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP,\n" +
		"  `changed` datetime(6) DEFAULT NULL ON UPDATE CURRENT_TIMESTAMP(6),\n  `notes` text,\n  PRIMARY KEY (`id`),\n  UNIQUE KEY `names` (`name_0`,`name_1`(20)),\n  KEY `state` (`state`,`made`),\n  KEY `parent` (`parent`),\n")
	fmt.Fprintf(b, "  CONSTRAINT `t%d_parent` FOREIGN KEY (`parent`) REFERENCES `t%d` (`id`) ON DELETE CASCADE\n) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;\n\n", i, max(i-1, 0))
}

func alterTable(up, down *strings.Builder, v, i int) {
	fmt.Fprintf(up, "-- version %d\nALTER TABLE `t%d` ADD COLUMN `added_%d` int(11) NOT NULL DEFAULT 0 AFTER `state`, ADD KEY `k_%d` (`added_%d`), MODIFY `name_0` varchar(300) NOT NULL;\n", v, i, v, v, v)
	fmt.Fprintf(up, "CREATE INDEX `i_%d` ON `t%d` (`amount`, `ratio` DESC);\nUPDATE `t%d` SET `notes` = CONCAT(`notes`, 'v%d') WHERE `id` > 10;\n", v, i, i, v)
	fmt.Fprintf(down, "DROP INDEX `i_%d` ON `t%d`;\nALTER TABLE `t%d` DROP KEY `k_%d`, DROP COLUMN `added_%d`, MODIFY `name_0` varchar(50) NOT NULL;\n", v, i, i, v, v)
}
