package curriculum

import (
	"fmt"
	"strings"
)

// maze is a maze's map.
type maze struct {
	grid  []string
	start figure
	goal  point
}

type point struct{ x, y int }

// figure is where somebody stands, and where they look: 0 north, 1 east, 2 south, 3 west.
type figure struct {
	point
	dir int
}

const compass = "NESW"

var ahead = [4]point{{0, -1}, {1, 0}, {0, 1}, {-1, 0}}

func newMaze(d Definition) (*maze, error) {
	m := &maze{grid: d.Grid, start: figure{dir: strings.Index(compass, d.Dir)}}
	if len(d.Dir) != 1 || m.start.dir < 0 {
		return nil, fmt.Errorf("dir %q is none of N, E, S, W", d.Dir)
	}
	starts, goals := 0, 0
	for y, row := range d.Grid {
		if len(row) != len(d.Grid[0]) {
			return nil, fmt.Errorf("row %d has another width than the first", y+1)
		}
		for x, c := range row {
			switch c {
			case 'S':
				m.start.point = point{x, y}
				starts++
			case 'G':
				m.goal = point{x, y}
				goals++
			case '#', '.':
			default:
				return nil, fmt.Errorf("row %d has a %q", y+1, c)
			}
		}
	}
	if starts != 1 || goals != 1 {
		return nil, fmt.Errorf("%d starts and %d goals", starts, goals)
	}
	return m, nil
}

// open tells whether one can stand there.
func (m *maze) open(p point) bool {
	return p.y >= 0 && p.y < len(m.grid) && p.x >= 0 && p.x < len(m.grid[p.y]) && m.grid[p.y][p.x] != '#'
}

func (f figure) to(turn int) point {
	d := ahead[(f.dir+turn)&3]
	return point{f.x + d.x, f.y + d.y}
}

// walk is a program at work in a maze.
type walk struct {
	*maze
	figure
	steps  int
	failed bool // against a wall, or without an end
}

// mostSteps is more than any sensible walk needs.
const mostSteps = 2000

// solves tells whether the program leads from the start to the goal. It ends there, whatever of it is
// left: so the page does it.
func (m *maze) solves(p Program) bool {
	w := walk{maze: m, figure: m.start}
	w.run(p)
	return w.solved()
}

func (w *walk) solved() bool { return !w.failed && w.point == w.goal }

// over tells whether the program goes on no further.
func (w *walk) over() bool { return w.failed || w.point == w.goal }

func (w *walk) run(p Program) {
	for i := range p {
		if w.over() {
			return
		}
		w.do(&p[i])
	}
}

func (w *walk) do(b *Block) {
	if w.steps++; w.steps > mostSteps {
		w.failed = true
		return
	}
	switch b.Type {
	case "move":
		next := w.to(0)
		if w.failed = !w.open(next); !w.failed {
			w.point = next
		}
	case "left":
		w.dir = (w.dir + 3) & 3
	case "right":
		w.dir = (w.dir + 1) & 3
	case "repeat":
		for n := int(b.number("TIMES")); n > 0 && !w.over(); n-- {
			w.run(b.Do)
		}
	case "if_path":
		if w.open(w.to(turns[b.text("DIR")])) {
			w.run(b.Do)
		}
	case "while_goal":
		for !w.over() {
			if w.steps++; w.steps > mostSteps {
				w.failed = true
			}
			w.run(b.Do)
		}
	}
}

var turns = map[string]int{"ahead": 0, "right": 1, "left": 3}
