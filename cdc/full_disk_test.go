package cdc

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"changeover/internal/fault"
	"changeover/internal/sandbox/sandboxtest"
)

// A disk that is full for everything, the binlog too. The server answers nothing at all to who
// commits, and looks once a minute whether there is room; or it ends itself (binlog_error_action),
// and is started again when somebody has made room.
func TestATargetWhoseDiskIsFullIsWaitedForAndSaidSo(t *testing.T) {
	t.Parallel()
	target := freshTarget(t)
	m := newMigration(t, sandboxtest.MySQLSource(t), target,
		"CREATE TABLE big (id INT PRIMARY KEY, v VARBINARY(8000) NOT NULL)", "INSERT INTO big VALUES (0, 'first')")
	smallDisk(t, target, 1<<30)

	r := m.begin(m.options(Forever))
	r.until("the stream", func(s Status) bool { return s.Phase == phaseStreaming })
	ballast := filepath.Join(target.DataDir, "ballast")
	fill(t, ballast)
	m.exec(fmt.Sprintf("INSERT INTO big SELECT seq, REPEAT('x', 7000) FROM %s", sequence(2000)))
	s := r.until("a full disk", func(s Status) bool {
		waiting := strings.Join(s.Waiting, " ")
		return strings.Contains(waiting, fault.ApplyFull.String()) || strings.Contains(waiting, fault.ApplyTarget.String())
	})
	t.Logf("it waits: %v", s.Waiting)
	r.end() // and can be stopped meanwhile
	m.must(os.Remove(ballast))
	if target.PID() == 0 {
		t.Log("the server has ended itself")
		m.must(target.Restart(t.Context()))
	}
	r = m.begin(m.options(Forever))
	r.within(3*time.Minute, "the stream's going on", func(s Status) bool { return s.Phase == phaseStreaming && len(s.Waiting) == 0 })
	r.end()
	m.mustRun(CaughtUp)
	m.equal()
}

// smallDisk puts a server's data on a disk of its own of so many bytes.
func smallDisk(t *testing.T, s *sandboxtest.Server, size int64) {
	t.Helper()
	if err := s.Kill(); err != nil {
		t.Fatal(err)
	}
	dir, was := s.DataDir, s.DataDir+".was"
	if err := errors.Join(os.Rename(dir, was), os.Mkdir(dir, 0o700)); err != nil {
		t.Fatal(err)
	}
	err := syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d,mode=0700", size))
	if errors.Is(err, syscall.EPERM) {
		t.Skip("only root may mount a small disk; TestATargetWithoutRoomIsWaitedForAndSaidSo has a full target without one")
	}
	if err != nil {
		t.Fatal(err)
	}
	// Before the other clean-ups: a server without room answers none of them.
	t.Cleanup(func() {
		if err := errors.Join(s.Kill(), syscall.Unmount(dir, 0)); err != nil {
			t.Error(err)
		}
	})
	if err := errors.Join(copyFolder(dir, was), os.RemoveAll(was), s.Restart(t.Context())); err != nil {
		t.Fatal(err)
	}
}

// fill writes a file until the disk has no room, but for a few hundred kilobytes.
func fill(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	block := make([]byte, 64<<10)
	for err == nil {
		_, err = f.Write(block)
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	end, err := f.Seek(0, 2)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Truncate(end - 1<<20); err != nil {
		t.Fatal(err)
	}
}
