// Package curriculum is what there is to learn: courses and their levels, as data.
//
// In: nothing; the courses are in scripts/*.json, one file each. Out: the courses, and a judge that says
// what a program is worth on a level. The decision that matters: every level carries a solution with
// as few blocks as its ideal allows, and a test proves that it solves the level with the blocks that
// the level offers, and that no smaller program does.
//
// A level's definition is what the page gets. In a maze the rows of the grid have '#' for a wall, '.'
// for a way, 'S' for the start and 'G' for the goal; dir is where the figure looks at first: N, E, S or
// W. A turtle's picture (draw) begins at [0, 0]; x grows to the right and y downwards, and the turtle
// looks up at first; target has the corners of its way, rounded to hundredths.
package curriculum

import (
	"bytes"
	"cmp"
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"slices"
)

// Script is a course.
type Script struct {
	Name     string  `json:"name"` // in addresses
	Title    string  `json:"title"`
	Kind     string  `json:"kind"`  // hoc, course, dance or applab
	Group    string  `json:"group"` // courses are shown by group, in the order of their positions
	Position int     `json:"position"`
	Levels   []Level `json:"levels"` // level 1 is the first
}

// Level is a puzzle, or for dance and applab the place where something is made.
type Level struct {
	Title        string          `json:"title"`
	Instructions string          `json:"instructions"`
	Concepts     []string        `json:"concepts"`
	Definition   json.RawMessage `json:"definition"`
	// Solution is a program of as many blocks as the definition's ideal, for Parse; empty where there
	// is nothing to solve. It is not for the page.
	Solution string `json:"solution,omitempty"`
}

// Definition is a level's definition, read.
type Definition struct {
	Type   string          `json:"type"`             // maze, draw, dance or applab
	Blocks []string        `json:"blocks,omitempty"` // the blocks that it offers
	Ideal  int             `json:"ideal,omitempty"`  // the number of blocks of a good solution
	Grid   []string        `json:"grid,omitempty"`
	Dir    string          `json:"dir,omitempty"`
	Start  json.RawMessage `json:"start,omitempty"`  // the program that is there at first, or null
	Target [][2]float64    `json:"target,omitempty"` // of a turtle: the corners of its way
}

//go:embed scripts/*.json
var files embed.FS

// Scripts are all courses, by group and position.
func Scripts() []Script {
	names, _ := fs.Glob(files, "scripts/*.json") // the pattern is a valid one
	var all []Script
	for _, name := range names {
		s, err := read(name)
		if err != nil {
			panic(err) // a file of this program is broken: its tests have not run
		}
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b Script) int {
		return cmp.Or(cmp.Compare(a.Group, b.Group), cmp.Compare(a.Position, b.Position))
	})
	return all
}

func read(name string) (s Script, err error) {
	text, err := files.ReadFile(name)
	if err != nil {
		return s, err
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&s); err != nil {
		return s, fmt.Errorf("%s: %w", name, err)
	}
	for i, l := range s.Levels {
		if _, err := l.Read(); err != nil {
			return s, fmt.Errorf("%s: level %d: %w", name, i+1, err)
		}
		var short bytes.Buffer
		if err := json.Compact(&short, l.Definition); err != nil {
			return s, err
		}
		s.Levels[i].Definition = short.Bytes()
	}
	return s, nil
}

// Read reads the level's definition.
func (l Level) Read() (d Definition, err error) {
	r := json.NewDecoder(bytes.NewReader(l.Definition))
	r.DisallowUnknownFields()
	err = r.Decode(&d)
	return d, err
}
