package curriculum

import (
	"maps"
	"slices"
)

// The solver finds a program with as few blocks as there are for a maze. A program is statements one
// after the other, and each leads from one figure (a place and a direction) to another; so it is a
// shortest way over figures, where a statement is as long as it has blocks. Statements that hold others
// are tried with every body up to a size.
type solver struct {
	*maze
	blocks []string
	bodies [][]Program // by their number of blocks
}

// largestBody bounds what is tried inside a loop: there are some ten thousand bodies of that size.
func largestBody(blocks []string) int {
	switch {
	case slices.Contains(blocks, "if_path"):
		return 5
	case slices.Contains(blocks, "repeat"):
		return 6
	}
	return 7
}

// enumerate lists all bodies that the blocks can make, by size. A body never has a turn and then the
// turn back, nor three turns of one kind: another body without them does the same. Of loops it has only
// those that move, and none where it can look for paths.
func enumerate(blocks []string, largest int) [][]Program {
	bodies := make([][]Program, largest+1)
	bodies[0] = []Program{nil}
	statements := make([][]Block, largest+1)
	for size := 1; size <= largest; size++ {
		statements[size] = statementsOf(blocks, bodies, size)
		for first := 1; first <= size; first++ {
			for _, s := range statements[first] {
				for _, rest := range bodies[size-first] {
					if len(rest) > 0 && idle(s, rest) {
						continue
					}
					bodies[size] = append(bodies[size], append(Program{s}, rest...))
				}
			}
		}
	}
	return bodies
}

func idle(s Block, rest Program) bool {
	switch {
	case s.Type == "left" && rest[0].Type == "right", s.Type == "right" && rest[0].Type == "left":
		return true
	case s.Type == "right" || s.Type == "left":
		return s.Type == "right" && rest[0].Type == "right" || // two rights are two lefts
			len(rest) > 1 && rest[0].Type == s.Type && rest[1].Type == s.Type
	}
	return false
}

func statementsOf(blocks []string, bodies [][]Program, size int) (all []Block) {
	for _, b := range blocks {
		switch b {
		case "move", "left", "right":
			if size == 1 {
				all = append(all, Block{Type: b})
			}
		case "repeat":
			if size != 2 || slices.Contains(blocks, "if_path") {
				continue
			}
			for n := 2; n <= 8; n++ {
				all = append(all, Block{Type: b, Fields: []Field{{"TIMES", float64(n)}}, Do: Program{{Type: "move"}}})
			}
		case "if_path":
			if size < 2 {
				continue
			}
			for _, dir := range []string{"ahead", "left", "right"} {
				for _, do := range bodies[size-1] {
					all = append(all, Block{Type: b, Fields: []Field{{"DIR", dir}}, Do: do})
				}
			}
		}
	}
	return all
}

// way is how a figure is reached.
type way struct {
	cost int
	from figure
	last Block
}

// solve finds a smallest program; nil where there is none that it tries.
func (s *solver) solve() Program {
	best := map[figure]way{s.start: {}}
	done := map[figure]bool{}
	for {
		at, ok := nearest(best, done)
		if !ok {
			return nil
		}
		done[at] = true
		if at.point == s.goal {
			return s.program(best, at)
		}
		reach := func(to figure, cost int, b Block) {
			if known, ok := best[to]; !ok || best[at].cost+cost < known.cost {
				best[to] = way{best[at].cost + cost, at, b}
			}
		}
		for _, b := range s.blocks {
			switch b {
			case "move", "left", "right":
				w := walk{maze: s.maze, figure: at}
				if w.do(&Block{Type: b}); !w.failed {
					reach(w.figure, 1, Block{Type: b})
				}
			case "repeat":
				s.repeats(at, reach)
			case "while_goal":
				s.whiles(at, reach)
			}
		}
	}
}

// repeats tries a repeat with every body.
func (s *solver) repeats(at figure, reach func(figure, int, Block)) {
	for size := 1; size < len(s.bodies); size++ {
		for _, do := range s.bodies[size] {
			w := walk{maze: s.maze, figure: at}
			for n := 1; n <= 10; n++ {
				if w.run(do); w.failed {
					break
				}
				if n > 1 {
					reach(w.figure, 1+size, Block{Type: "repeat", Fields: []Field{{"TIMES", float64(n)}}, Do: do})
				}
				if w.over() {
					break
				}
			}
		}
	}
}

// whiles tries a loop until the goal with every body.
func (s *solver) whiles(at figure, reach func(figure, int, Block)) {
	for size := 1; size < len(s.bodies); size++ {
		for _, do := range s.bodies[size] {
			w := walk{maze: s.maze, figure: at}
			for n := 0; n < 60 && !w.over(); n++ {
				was := w.figure
				if w.run(do); w.figure == was {
					w.failed = true // and so for ever
				}
			}
			if w.solved() {
				reach(w.figure, 1+size, Block{Type: "while_goal", Do: do})
			}
		}
	}
}

func nearest(best map[figure]way, done map[figure]bool) (at figure, ok bool) {
	for f, w := range best {
		if !done[f] && (!ok || w.cost < best[at].cost) {
			at, ok = f, true
		}
	}
	return at, ok
}

func (s *solver) program(best map[figure]way, at figure) (p Program) {
	for at != s.start {
		p = append(p, best[at].last)
		at = best[at].from
	}
	slices.Reverse(p)
	return p
}

// used are the kinds of blocks of a program.
func used(p Program) []string {
	kinds := map[string]bool{}
	var add func(Program)
	add = func(p Program) {
		for _, b := range p {
			kinds[b.Type] = true
			add(b.Do)
		}
	}
	add(p)
	return slices.Sorted(maps.Keys(kinds))
}
