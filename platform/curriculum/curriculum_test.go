package curriculum

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestEveryMazeCanBeSolvedWithTheBlocksItOffersAndNoFewerThanItsIdeal(t *testing.T) {
	bodies := map[string][][]Program{}
	for _, s := range Scripts() {
		for i, l := range s.Levels {
			d, err := l.Read()
			if err != nil || d.Type != "maze" {
				continue
			}
			t.Run(fmt.Sprintf("%s/%d", s.Name, i+1), func(t *testing.T) {
				m, err := newMaze(d)
				if err != nil {
					t.Fatal(err)
				}
				kinds := strings.Join(d.Blocks, " ")
				if bodies[kinds] == nil {
					bodies[kinds] = enumerate(d.Blocks, largestBody(d.Blocks))
				}
				found := (&solver{maze: m, blocks: d.Blocks, bodies: bodies[kinds]}).solve()
				if found == nil {
					t.Fatalf("%q: no program solves it", l.Title)
				}
				if !m.solves(found) {
					t.Fatalf("the solver is wrong: %s solves nothing", found)
				}
				if found.Count() != d.Ideal {
					t.Errorf("%q: ideal is %d, and the smallest program has %d: %s", l.Title, d.Ideal, found.Count(), found)
				}
			})
		}
	}
}

func TestEverySolutionIsIdeal(t *testing.T) {
	for _, s := range Scripts() {
		for i, l := range s.Levels {
			name := fmt.Sprintf("%s/%d %q", s.Name, i+1, l.Title)
			d, err := l.Read()
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			j, err := NewJudge(l)
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			if d.Type == "dance" || d.Type == "applab" {
				if d.Type != s.Kind || j.Result(nil) != Free {
					t.Errorf("%s: a level of type %s in a %s script", name, d.Type, s.Kind)
				}
				continue
			}
			p, err := Parse(l.Solution)
			if err != nil {
				t.Errorf("%s: its solution: %v", name, err)
				continue
			}
			if got := j.Result(p); got != Ideal || p.Count() != d.Ideal {
				t.Errorf("%s: its solution of %d blocks has result %d; the ideal is %d blocks", name, p.Count(), got, d.Ideal)
			}
			for _, kind := range used(p) {
				if !slices.Contains(d.Blocks, kind) {
					t.Errorf("%s: its solution needs %s, which it doesn't offer", name, kind)
				}
			}
			if got := j.Result(nil); got != Unsolved {
				t.Errorf("%s: the empty program has result %d", name, got)
			}
		}
	}
}

func TestScriptsFitTheirTables(t *testing.T) {
	names, places := map[string]bool{}, map[string]bool{}
	for _, s := range Scripts() {
		if !regexp.MustCompile(`^[a-z][a-z-]{1,39}$`).MatchString(s.Name) || names[s.Name] {
			t.Errorf("%q: name", s.Name)
		}
		names[s.Name] = true
		if place := fmt.Sprint(s.Group, s.Position); places[place] {
			t.Errorf("%s: there is another script at %s", s.Name, place)
		} else {
			places[place] = true
		}
		if !slices.Contains([]string{"hoc", "course", "dance", "applab"}, s.Kind) || !slices.Contains([]string{"beginner", "course", "make"}, s.Group) || s.Position < 1 {
			t.Errorf("%s: kind %q, group %q, position %d", s.Name, s.Kind, s.Group, s.Position)
		}
		if len(s.Levels) == 0 || len(s.Title) == 0 || len(s.Title) > 120 {
			t.Errorf("%s: title %q, %d levels", s.Name, s.Title, len(s.Levels))
		}
		for i, l := range s.Levels {
			if l.Title == "" || len(l.Title) > 120 || l.Instructions == "" || len(l.Concepts) == 0 {
				t.Errorf("%s/%d: title, instructions or concepts", s.Name, i+1)
			}
			for _, c := range l.Concepts {
				if !regexp.MustCompile(`^[a-z-]{1,40}$`).MatchString(c) {
					t.Errorf("%s/%d: concept %q", s.Name, i+1, c)
				}
			}
		}
	}
	for _, want := range []string{"dance", "applab"} {
		if !slices.ContainsFunc(Scripts(), func(s Script) bool { return s.Kind == want }) {
			t.Errorf("there is no %s", want)
		}
	}
}

func TestProgramsInWords(t *testing.T) {
	for _, text := range []string{"", "move", "repeat 3 { move left }", "while_goal { if_path ahead { move } if_path left { left } }", "turn left 45 forward 10.5 color red", "repeat 2 { }"} {
		p, err := Parse(text)
		if err != nil || p.String() != text {
			t.Errorf("%q is read as %q, error %v", text, p, err)
		}
	}
	for text, want := range map[string]string{
		"jump": "word 1: there is no block \"jump\"", "move }": "word 2: \"}\" closes nothing", "repeat 3": "needs {",
		"repeat 3 { move": "never closed", "move turn": "turn has no DIR",
	} {
		if _, err := Parse(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

func TestAProgramIsSavedAsBlocklySavesIt(t *testing.T) {
	p, err := Parse("move repeat 3 { left } turn right 90")
	if err != nil {
		t.Fatal(err)
	}
	want := `{"blocks":{"blocks":[{"type":"when_run","x":30,"y":30,"deletable":false,"next":{"block":{"type":"move","next":{"block":` +
		`{"type":"repeat","fields":{"TIMES":3},"inputs":{"DO":{"block":{"type":"left"}}},"next":{"block":` +
		`{"type":"turn","fields":{"ANGLE":90,"DIR":"right"}}}}}}}}],"languageVersion":0}}`
	if got := p.Text(); got != want || !json.Valid([]byte(got)) {
		t.Errorf("%s\nwant\n%s", got, want)
	}
}

func TestTheJudge(t *testing.T) {
	maze := Level{Definition: []byte(`{"type":"maze","grid":["#####","#S.G#","#####"],"dir":"E","blocks":["move","left","right","repeat","while_goal","if_path"],"ideal":2,"start":null}`)}
	square := Level{Definition: []byte(`{"type":"draw","blocks":["forward","turn","repeat"],"target":[[0,0],[0,-100],[100,-100]],"ideal":3}`)}
	for _, c := range []struct {
		name    string
		level   Level
		program string
		want    int
	}{
		{"the shortest way", maze, "move move", Ideal},
		{"a loop with as many blocks", maze, "repeat 2 { move }", Ideal},
		{"a way with more blocks", maze, "left right move move", Solved},
		{"not far enough", maze, "move", Unsolved},
		{"against the wall", maze, "left move", Unsolved},
		{"on beyond the goal", maze, "repeat 5 { move }", Ideal},
		{"through a wall", maze, "right move move", Unsolved},
		{"until the goal", maze, "while_goal { if_path ahead { move } }", Solved},
		{"for ever", maze, "while_goal { left }", Unsolved},
		{"nothing for ever", maze, "while_goal { }", Unsolved},
		{"the picture", square, "forward 100 turn right 90 forward 100", Ideal},
		{"the picture in pieces", square, "repeat 2 { forward 50 } turn right 90 forward 100", Solved},
		{"too short", square, "forward 100 turn right 90 forward 90", Unsolved},
		{"the other way round", square, "forward 100 turn left 90 forward 100", Unsolved},
	} {
		j, err := NewJudge(c.level)
		if err != nil {
			t.Fatal(err)
		}
		p, err := Parse(c.program)
		if err != nil {
			t.Fatal(err)
		}
		if got := j.Result(p); got != c.want {
			t.Errorf("%s: %q has result %d, want %d", c.name, c.program, got, c.want)
		}
	}
	for _, broken := range []string{`{"type":"chess"}`, `{"type":"maze","grid":["#S#"],"dir":"E"}`, `{"type":"maze","grid":["SG"],"dir":"X"}`, `{"type":"maze","colour":1}`, `{"type":"maze","grid":["SG","#"],"dir":"E"}`} {
		if _, err := NewJudge(Level{Definition: []byte(broken)}); err == nil {
			t.Errorf("%s is taken for a level", broken)
		}
	}
}
