package sandbox

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// cacheDir is where unpacked servers and initialised data directories are kept between runs.
func cacheDir() (string, error) {
	dir := os.Getenv("CHANGEOVER_CACHE")
	if dir == "" {
		base, err := os.UserCacheDir()
		if err != nil {
			return "", fmt.Errorf("find the cache folder (set CHANGEOVER_CACHE): %w", err)
		}
		dir = filepath.Join(base, "changeover")
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	return dir, os.MkdirAll(dir, 0o755)
}

// errLocked says that somebody else holds the lock.
var errLocked = errors.New("locked by another process")

// lockFile is an flock: the kernel drops it with its holder, however that dies, so a lock is
// never stale and no pid has to be believed.
type lockFile struct{ f *os.File }

// tryLock takes the lock at path, or returns errLocked.
func tryLock(path string) (*lockFile, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, errLocked
		}
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	if !samePath(f, path) { // its last holder removed the file between our open and our flock
		f.Close()
		return nil, errLocked
	}
	return &lockFile{f}, nil
}

func samePath(f *os.File, path string) bool {
	held, err := f.Stat()
	if err != nil {
		return false
	}
	named, err := os.Stat(path)
	return err == nil && os.SameFile(held, named)
}

// lock waits for the lock at path until ctx ends.
func lock(ctx context.Context, path string) (*lockFile, error) {
	for wait := newBackoff(10*time.Millisecond, 200*time.Millisecond); ; {
		l, err := tryLock(path)
		if !errors.Is(err, errLocked) {
			return l, err
		}
		if err := wait.next(ctx); err != nil {
			return nil, fmt.Errorf("wait for %s: %w", path, err)
		}
	}
}

func (l *lockFile) unlock() { l.f.Close() }

// backoff paces a poll for something that has no event: a lock, a server that is coming up.
type backoff struct{ now, max time.Duration }

func newBackoff(first, most time.Duration) *backoff { return &backoff{first, most} }

// next waits a little longer than the last time; it returns ctx's error when that ends first.
func (b *backoff) next(ctx context.Context) error {
	timer := time.NewTimer(b.now)
	defer timer.Stop()
	b.now = min(b.now*3/2, b.max)
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}
