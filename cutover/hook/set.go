package hook

import (
	"context"
	"errors"
	"sync"

	"changeover/internal/fault"
)

// Set is all hooks of a migration. A step goes to all of them at the same time, so it takes as long as
// the slowest; what failed is named, and the others have done theirs.
type Set []Hook

// NewSet makes the hooks of all entries, and says of all what is wrong with them.
func NewSet(all []Config) (Set, error) {
	var s Set
	var errs []error
	seen := map[string]bool{}
	for _, c := range all {
		h, err := New(c)
		if err == nil && seen[c.Name] {
			err = nameTwice(c.Name)
		}
		seen[c.Name] = true
		s, errs = append(s, h), append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return s, nil
}

// Check asks all.
func (s Set) Check(ctx context.Context) error {
	return s.all(func(h Hook) error { return h.Check(ctx) })
}

// Hold has all hold.
func (s Set) Hold(ctx context.Context, e Event) error {
	return s.all(func(h Hook) error { return h.Hold(ctx, e) })
}

// Flip has all change servers.
func (s Set) Flip(ctx context.Context, e Event) error {
	return s.all(func(h Hook) error { return h.Flip(ctx, e) })
}

// Release has all go on.
func (s Set) Release(ctx context.Context, e Event) error {
	return s.all(func(h Hook) error { return h.Release(ctx, e) })
}

// all waits for every hook: a step that is under way would otherwise meet the undoing of it.
func (s Set) all(do func(Hook) error) error {
	errs := make([]error, len(s))
	var wg sync.WaitGroup
	for i, h := range s {
		wg.Go(func() { errs[i] = do(h) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

func nameTwice(name string) error {
	return fault.New(fault.HookConfig, "cutover.hooks %q: the name is there twice", name)
}
