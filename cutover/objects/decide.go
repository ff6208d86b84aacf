package objects

import (
	"slices"
	"strings"

	"changeover/cdc/schema"
)

// side is one server's objects.
type side struct {
	objects []schema.Object
	row     *row
}

// want is an object that the new writer is to have.
type want struct {
	from schema.Object // as the old writer has it; events as if disabled
	to   schema.Object // as it is to be; likewise
	// native: to is the new writer's own text, not a translation.
	native bool
	there  bool // the new writer has it so
	runs   bool // an event that is enabled
}

// decide pairs what the old writer has with what the new one is to have. translate puts an object into
// the new writer's words, where nothing is known of it there.
//
// Known is a pair whose text on the old writer is that of today, whichever of the two servers the pair
// was written down on: then what the new one called it is right, to the last byte. A pair that has become
// old does no harm, since the text is compared and not the time.
func decide(old, new side, translate func(schema.Object) (schema.Object, error)) (wants []want, drop []schema.Object, err error) {
	has := map[name]schema.Object{}
	for _, o := range new.objects {
		has[nameOf(o)] = o
	}
	known := map[name]bool{}
	for _, p := range new.row.Pairs {
		known[nameOf(p.Here.Object)] = true
	}
	for _, p := range old.row.Pairs {
		known[nameOf(p.There.Object)] = true
	}
	for _, o := range old.objects {
		w := want{from: plain(o), runs: o.Kind == schema.KindEvent && o.Enabled()}
		if w.to, w.native = native(w.from, old.row, new.row); !w.native {
			if w.to, err = translate(w.from); err != nil {
				return nil, nil, err
			}
		}
		n := nameOf(o)
		// Triggers are all made in the hold, and an event that runs is made anew: not before its time.
		w.there = has[n] == w.to && o.Kind != schema.KindTrigger
		delete(has, n)
		wants = append(wants, w)
	}
	for n, o := range has {
		if known[n] && n.kind != schema.KindTrigger { // triggers are all made anew
			drop = append(drop, o)
		}
	}
	slices.SortFunc(drop, func(a, b schema.Object) int {
		return strings.Compare(string(a.Kind)+a.Schema+a.Name, string(b.Kind)+b.Schema+b.Name)
	})
	return wants, drop, nil
}

// native is what the new writer called from, if that is known.
func native(from schema.Object, old, new *row) (schema.Object, bool) {
	for _, p := range new.Pairs {
		if p.There.object() == from {
			return p.Here.object(), true
		}
	}
	for _, p := range old.Pairs {
		if p.Here.object() == from {
			return p.There.object(), true
		}
	}
	return schema.Object{}, false
}

// left are objects of the new writer that nobody knows.
func left(old, new side, drop []schema.Object) []schema.Object {
	known := map[name]bool{}
	for _, o := range slices.Concat(old.objects, drop) {
		known[nameOf(o)] = true
	}
	return slices.DeleteFunc(slices.Clone(new.objects), func(o schema.Object) bool { return known[nameOf(o)] })
}
