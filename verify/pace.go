package verify

import (
	"context"
	"database/sql"
	"fmt"
	"strconv"
	"sync"
	"time"
)

// pace bounds how much of the source's time a verifier takes. A share of 0.5 means that the source
// works for it half of the time that one connection has; 2 means that two do, all the time.
//
// It gives way to others: their running statements beyond a few make the share smaller, in
// proportion; beyond maxRunning nothing is asked at all. Safe for concurrent use.
type pace struct {
	share      float64
	maxRunning int // of others' statements; 0: no bound

	mu     sync.Mutex
	next   time.Time // when the source may be asked again
	others int       // statements that others run, as last seen
	open   chan struct{}
	shut   bool
}

// calm is how many running statements of others leave the share as it is.
const calm = 4

func newPace(share float64, maxRunning int) *pace {
	return &pace{share: share, maxRunning: maxRunning, open: make(chan struct{})}
}

// wait waits until the source may be asked something.
func (p *pace) wait(ctx context.Context) error {
	for {
		p.mu.Lock()
		left, open, shut := time.Until(p.next), p.open, p.shut
		p.mu.Unlock()
		var timer <-chan time.Time
		switch {
		case shut:
		case left <= 0:
			return ctx.Err()
		default:
			timer = time.After(left)
		}
		select {
		case <-timer:
		case <-open:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// spent notes that the source has worked for d, from began on.
func (p *pace) spent(began time.Time, d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	from := began
	if p.next.After(from) {
		from = p.next
	}
	p.next = from.Add(time.Duration(float64(d) / p.now()))
}

// now is the share at present.
func (p *pace) now() float64 {
	if p.others > calm {
		return p.share * calm / float64(p.others)
	}
	return p.share
}

// sees notes how many statements others run on the source.
func (p *pace) sees(others int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.others = others
	shut := p.maxRunning > 0 && others > p.maxRunning
	if p.shut && !shut {
		close(p.open)
		p.open = make(chan struct{})
	}
	p.shut = shut
}

// reason says what holds it back; empty: nothing does.
func (p *pace) reason() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.shut:
		return fmt.Sprintf("%d statements run on the source, more than verify.max_running (%d): nothing is compared until there are fewer", p.others, p.maxRunning)
	case p.others > calm:
		return fmt.Sprintf("%d statements run on the source: the share is down from %.0f %% to %.0f %%", p.others, p.share*100, p.now()*100)
	}
	return ""
}

// running counts the statements that run on a server, the one that asks left out. Who reads its binlog
// counts as one.
func running(ctx context.Context, db *sql.DB) (int, error) {
	var name, value string
	if err := db.QueryRowContext(ctx, "SHOW GLOBAL STATUS LIKE 'Threads_running'").Scan(&name, &value); err != nil {
		return 0, err
	}
	n, err := strconv.Atoi(value)
	return n - 1, err
}
