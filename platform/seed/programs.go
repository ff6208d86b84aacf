package seed

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"changeover/platform/curriculum"
)

// program is one that somebody ran on a level.
type program struct {
	id     int64 // of its row
	text   string
	digest [20]byte
	lines  int
	result int
	used   bool
	first  int64 // when it was run first, ms
}

// level is a level with the programs that people write there.
type level struct {
	id     int64
	script int64
	right  []*program // solve it, the likeliest first
	wrong  []*program
}

// variants is how many programs a level has at most, of the right and of the wrong ones.
const variants = 120

// newLevel makes the programs by changing the solution here and there.
func newLevel(id, script int64, l curriculum.Level, c chance) (*level, error) {
	judge, err := curriculum.NewJudge(l)
	if err != nil {
		return nil, err
	}
	solution, err := curriculum.Parse(l.Solution)
	if err != nil {
		return nil, err
	}
	d, err := l.Read()
	if err != nil {
		return nil, err
	}
	made := &level{id: id, script: script}
	known := map[string]bool{}
	add := func(p curriculum.Program) {
		words := p.String()
		if known[words] || len(p) == 0 {
			return
		}
		known[words] = true
		result := judge.Result(p)
		into := &made.wrong
		if result >= curriculum.Solved {
			into = &made.right
		}
		if len(*into) < variants {
			*into = append(*into, newProgram(p, result, c))
		}
	}
	add(solution)
	for try := 0; try < 2000 && (len(made.right) < variants || len(made.wrong) < variants); try++ {
		p := solution
		for range 1 + c.IntN(4) {
			p = changed(p, d.Blocks, c)
		}
		add(p)
	}
	if len(made.wrong) == 0 {
		return nil, fmt.Errorf("level %q: nothing is wrong", l.Title)
	}
	return made, nil
}

// A program has a remark now and then; those are what needs every script there is.
var remarks = []string{"🦦 → 🏁", "here is the turn", "Почему налево?", "これで動いた！", "لماذا لا يعمل؟", "दो बार दोहराओ", "TODO: fewer blocks 🙃", "왼쪽으로", "ça marche !", "πάλι από την αρχή"}

func newProgram(p curriculum.Program, result int, c chance) *program {
	text := p.Text()
	if c.of(0.08) {
		remark, _ := json.Marshal([]map[string]any{{"text": pick(c, remarks), "x": 40, "y": 260, "width": 160, "height": 80}})
		text = strings.TrimSuffix(text, "}") + `,"workspaceComments":` + string(remark) + "}"
	}
	made := &program{text: text, lines: p.Count(), result: result}
	sum := sha256.Sum256([]byte(text))
	copy(made.digest[:], sum[:])
	return made
}

// changed is the program with one thing done to it: a block left out, put in, done twice, or chosen
// differently. The one given stays as it is.
func changed(p curriculum.Program, offered []string, c chance) curriculum.Program {
	p = slices.Clone(p)
	if len(p) == 0 {
		return curriculum.Program{block(pick(c, offered), offered, c)}
	}
	at := c.IntN(len(p))
	if len(p[at].Do) > 0 && c.of(0.5) {
		p[at].Do = changed(p[at].Do, offered, c)
		return p
	}
	switch c.IntN(5) {
	case 0:
		return slices.Delete(p, at, at+1)
	case 1:
		return slices.Insert(p, at, block(pick(c, offered), offered, c))
	case 2:
		return slices.Insert(p, at, p[at])
	case 3: // two blocks that do nothing together
		if slices.Contains(offered, "left") {
			return slices.Insert(p, at, curriculum.Block{Type: "left"}, curriculum.Block{Type: "right"})
		}
	}
	if len(p[at].Do) > 0 && c.of(0.3) { // what was in a loop, without the loop
		return slices.Replace(p, at, at+1, p[at].Do...)
	}
	p[at] = otherwise(p[at], c)
	return p
}

// block is a new block of a kind; one that holds others gets the simplest that is offered.
func block(kind string, offered []string, c chance) curriculum.Block {
	b := curriculum.Block{Type: kind}
	inner := curriculum.Program{{Type: "move"}}
	if slices.Contains(offered, "forward") {
		inner = curriculum.Program{block("forward", nil, c)}
	}
	switch kind {
	case "repeat":
		b.Fields = []curriculum.Field{{Name: "TIMES", Value: float64(2 + c.IntN(6))}}
		b.Do = inner
	case "while_goal":
		b.Do = inner
	case "if_path":
		b.Fields = []curriculum.Field{{Name: "DIR", Value: pick(c, []string{"ahead", "left", "right"})}}
		b.Do = inner
	case "forward":
		b.Fields = []curriculum.Field{{Name: "STEPS", Value: float64(10 + 10*c.IntN(15))}}
	case "turn":
		b.Fields = []curriculum.Field{{Name: "DIR", Value: pick(c, []string{"left", "right"})}, {Name: "ANGLE", Value: float64(15 * c.IntN(13))}}
	case "color":
		b.Fields = []curriculum.Field{{Name: "COLOR", Value: pick(c, []string{"red", "orange", "yellow", "green", "blue", "purple", "black"})}}
	}
	return b
}

// otherwise is the block with another choice made in it.
func otherwise(b curriculum.Block, c chance) curriculum.Block {
	switch b.Type {
	case "move", "left", "right":
		b.Type = pick(c, []string{"move", "left", "right"})
	default:
		b.Fields = block(b.Type, nil, c).Fields
	}
	return b
}
