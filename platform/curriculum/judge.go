package curriculum

import "fmt"

// The results of a program, as the page reports them.
const (
	Unsolved = 0
	Solved   = 20
	Ideal    = 30  // solved with the fewest blocks
	Free     = 100 // there is nothing to solve
)

// Judge tells a program's result on one level.
type Judge struct {
	definition Definition
	maze       *maze
	target     [][2]float64
}

// NewJudge reads the level.
func NewJudge(l Level) (*Judge, error) {
	d, err := l.Read()
	if err != nil {
		return nil, err
	}
	j := &Judge{definition: d}
	switch d.Type {
	case "maze":
		j.maze, err = newMaze(d)
	case "draw":
		j.target = corners(d.Target)
	case "dance", "applab":
	default:
		err = fmt.Errorf("%q is no type of level", d.Type)
	}
	return j, err
}

// Result is what the program is worth.
func (j *Judge) Result(p Program) int {
	var solved bool
	switch j.definition.Type {
	case "maze":
		solved = j.maze.solves(p)
	case "draw":
		solved = alike(drawing(p), j.target)
	default:
		return Free
	}
	switch {
	case !solved:
		return Unsolved
	case p.Count() > j.definition.Ideal:
		return Solved
	}
	return Ideal
}
