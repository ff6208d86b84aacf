package sandbox

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// RunDir is a temporary folder for the servers of one process. The process holds a lock beside
// it; a folder whose lock is free belongs to a process that died, and the next NewRunDir
// removes it with whatever still runs in it.
type RunDir struct {
	Path string
	lock *lockFile
}

// NewRunDir makes a folder and sweeps those of dead processes.
func NewRunDir() (*RunDir, error) {
	base := filepath.Join(os.TempDir(), fmt.Sprintf("changeover-sandbox-%d", os.Getuid()))
	if err := os.MkdirAll(base, 0o700); err != nil {
		return nil, err
	}
	if err := sweep(base); err != nil {
		return nil, fmt.Errorf("sweep %s: %w", base, err)
	}
	for {
		// The lock comes first: between the two steps there is no folder without an owner.
		f, err := os.CreateTemp(base, "run-*.lock")
		if err != nil {
			return nil, err
		}
		f.Close()
		l, err := tryLock(f.Name())
		if errors.Is(err, errLocked) { // a sweeper was quicker, and has removed it
			continue
		}
		if err != nil {
			return nil, err
		}
		dir := strings.TrimSuffix(f.Name(), ".lock")
		if err := os.Mkdir(dir, 0o700); err != nil {
			l.unlock()
			return nil, err
		}
		return &RunDir{Path: dir, lock: l}, nil
	}
}

// Close removes the folder. Its servers must have been stopped; it is an error if one runs.
func (d *RunDir) Close() error {
	var err error
	if pids := serversUnder(d.Path); len(pids) > 0 {
		err = fmt.Errorf("servers left behind in %s: pids %v", d.Path, pids)
		killAll(pids)
	}
	err = errors.Join(err, removeSockets(d.Path), os.RemoveAll(d.Path), os.Remove(d.Path+".lock"))
	d.lock.unlock()
	return err
}

// sweep removes the folders of dead processes.
func sweep(base string) error {
	locks, err := filepath.Glob(filepath.Join(base, "run-*.lock"))
	if err != nil {
		return err
	}
	for _, name := range locks {
		l, err := tryLock(name)
		if errors.Is(err, errLocked) || errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		dir := strings.TrimSuffix(name, ".lock")
		killAll(serversUnder(dir))
		err = errors.Join(removeSockets(dir), os.RemoveAll(dir), os.Remove(name))
		l.unlock()
		if err != nil {
			return err
		}
	}
	return nil
}

// removeSockets removes what the servers whose folders are in dir have outside of it.
func removeSockets(dir string) error {
	homes, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	for _, home := range homes {
		path := filepath.Join(dir, home.Name())
		if err := (&Server{Dir: path, Socket: socketPath(path)}).removeSocket(); err != nil {
			return err
		}
	}
	return nil
}

// serversUnder returns the pids of the servers whose data directory lies under dir.
func serversUnder(dir string) []int {
	pids, err := processesWith(func(arg string) bool {
		data, ok := strings.CutPrefix(arg, "--datadir=")
		return ok && strings.HasPrefix(data, dir+string(filepath.Separator))
	})
	if err != nil {
		return nil
	}
	return pids
}

// killAll kills the processes and waits until they are gone.
func killAll(pids []int) {
	for _, pid := range pids {
		_ = signal(pid, syscall.SIGKILL)
	}
	for _, pid := range pids {
		ctx, cancel := contextForKill()
		_ = waitDead(ctx, pid)
		cancel()
	}
}
