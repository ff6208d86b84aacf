package hook

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"changeover/internal/fault"
)

func TestAnEntryThatCantBeIsRefused(t *testing.T) {
	proxy := func(change func(*HAProxy)) Config {
		h := &HAProxy{Socket: "/s", Backend: "b", Source: "s", Target: "t"}
		change(h)
		return Config{Name: "x", HAProxy: h}
	}
	for name, c := range map[string]struct {
		config Config
		says   string
	}{
		"no name":                   {Config{Exec: []string{"a"}}, "name must"},
		"a name with a space":       {Config{Name: "a b", Exec: []string{"a"}}, "name must"},
		"neither":                   {Config{Name: "x"}, "either exec or haproxy"},
		"both":                      {Config{Name: "x", Exec: []string{"a"}, HAProxy: &HAProxy{}}, "either exec or haproxy"},
		"no program":                {Config{Name: "x", Exec: []string{""}}, "no program"},
		"a time below nothing":      {Config{Name: "x", Exec: []string{"a"}, Timeout: -1}, "timeout"},
		"a time that is too long":   {Config{Name: "x", Exec: []string{"a"}, Timeout: time.Hour}, "timeout"},
		"a variable with its value": {Config{Name: "x", Exec: []string{"a"}, Environment: []string{"A=b"}}, "without values"},
		"a variable of ours":        {Config{Name: "x", Exec: []string{"a"}, Environment: []string{"CHANGEOVER_STEP"}}, "are Changeover's"},
		"holds for HAProxy":         {Config{Name: "x", Holds: true, HAProxy: &HAProxy{}}, "for exec"},
		"no socket":                 {proxy(func(h *HAProxy) { h.Socket = "" }), "socket is missing"},
		"a command in a name":       {proxy(func(h *HAProxy) { h.Backend = "b;shutdown" }), "backend must be a name"},
		"a line in a name":          {proxy(func(h *HAProxy) { h.Target = "t\nquit" }), "target must be a name"},
		"a command in a path":       {proxy(func(h *HAProxy) { h.Map = "/m;show" }), "map must be a path"},
		"one server for both":       {proxy(func(h *HAProxy) { h.Target = "s" }), "same server"},
	} {
		t.Run(name, func(t *testing.T) {
			if h, err := New(c.config); !fault.Is(err, fault.HookConfig) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v, %v", h, err)
			}
		})
	}
}

func TestASetSaysAllThatIsWrong(t *testing.T) {
	_, err := NewSet([]Config{{Name: "a", Exec: []string{"x"}}, {Name: "b"}, {Name: "a", Exec: []string{"y"}}, {Name: "c d"}})
	if err == nil {
		t.Fatal("it is taken")
	}
	for _, want := range []string{`"b": it must have`, `"a": the name is there twice`, `"c d": name`} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("no %s in %v", want, err)
		}
	}
	if s, err := NewSet(nil); err != nil || len(s) != 0 || s.Hold(t.Context(), Event{}) != nil {
		t.Errorf("no entries: %v, %v", s, err)
	}
}

// meeting is a hook that waits for the others.
type meeting struct {
	name string
	all  *sync.WaitGroup
	err  error
}

func (m meeting) Name() string                { return m.name }
func (m meeting) Holds() bool                 { return true }
func (m meeting) Check(context.Context) error { return m.meet() }

func (m meeting) Hold(context.Context, Event) error    { return m.meet() }
func (m meeting) Flip(context.Context, Event) error    { return m.meet() }
func (m meeting) Release(context.Context, Event) error { return m.meet() }

func (m meeting) meet() error {
	m.all.Done()
	m.all.Wait()
	return m.err
}

func TestAStepGoesToAllAtTheSameTimeAndSaysAllThatFailed(t *testing.T) {
	var all sync.WaitGroup
	no, never := errors.New("no"), errors.New("never")
	s := Set{meeting{"a", &all, no}, meeting{"b", &all, nil}, meeting{"c", &all, never}}
	for name, step := range map[string]func(context.Context, Event) error{"hold": s.Hold, "flip": s.Flip, "release": s.Release,
		"check": func(ctx context.Context, _ Event) error { return s.Check(ctx) }} {
		all.Add(len(s))
		if err := step(t.Context(), Event{}); !errors.Is(err, no) || !errors.Is(err, never) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
