package curriculum

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// Program is blocks one below the other, as they hang under the block that starts them.
type Program []Block

// Block is one block of a program.
type Block struct {
	Type   string
	Fields []Field // what is chosen or typed in it
	Do     Program // what it holds
}

// Field is one value of a block.
type Field struct {
	Name  string
	Value any // a string or a float64
}

// blocks lists the blocks of puzzles: their fields in the order in which Parse wants them, and whether
// they hold others.
var blocks = map[string]struct {
	fields []string
	holds  bool
}{
	"move": {}, "left": {}, "right": {},
	"repeat":     {fields: []string{"TIMES"}, holds: true},
	"while_goal": {holds: true},
	"if_path":    {fields: []string{"DIR"}, holds: true},
	"forward":    {fields: []string{"STEPS"}},
	"turn":       {fields: []string{"DIR", "ANGLE"}},
	"color":      {fields: []string{"COLOR"}},
}

// Parse reads a program in words: move repeat 4 { left move } turn right 90.
func Parse(text string) (Program, error) {
	words := strings.Fields(text)
	p, rest, err := parse(words)
	if err == nil && len(rest) > 0 {
		err = fmt.Errorf("%q closes nothing", rest[0])
	}
	if err != nil {
		return nil, fmt.Errorf("program, word %d: %w", len(words)-len(rest)+1, err)
	}
	return p, nil
}

// parse reads blocks up to a closing brace or the end.
func parse(words []string) (p Program, rest []string, err error) {
	for len(words) > 0 && words[0] != "}" {
		var b Block
		if b, words, err = parseBlock(words); err != nil {
			return nil, words, err
		}
		p = append(p, b)
	}
	return p, words, nil
}

func parseBlock(words []string) (b Block, rest []string, err error) {
	kind, known := blocks[words[0]]
	if !known {
		return b, words, fmt.Errorf("there is no block %q", words[0])
	}
	b.Type, rest = words[0], words[1:]
	for _, name := range kind.fields {
		if len(rest) == 0 {
			return b, rest, fmt.Errorf("%s has no %s", b.Type, name)
		}
		var value any = rest[0]
		if n, err := strconv.ParseFloat(rest[0], 64); err == nil {
			value = n
		}
		b.Fields, rest = append(b.Fields, Field{name, value}), rest[1:]
	}
	if !kind.holds {
		return b, rest, nil
	}
	if len(rest) == 0 || rest[0] != "{" {
		return b, rest, fmt.Errorf("%s needs { … }", b.Type)
	}
	b.Do, rest, err = parse(rest[1:])
	if err == nil && len(rest) == 0 {
		err = fmt.Errorf("the { of %s is never closed", b.Type)
	}
	if err != nil {
		return b, rest, err
	}
	return b, rest[1:], nil
}

// String is the program in words, as Parse reads it.
func (p Program) String() string {
	var words []string
	for _, b := range p {
		words = append(words, b.Type)
		for _, f := range b.Fields {
			words = append(words, fmt.Sprint(f.Value))
		}
		if blocks[b.Type].holds {
			words = append(words, "{")
			if len(b.Do) > 0 {
				words = append(words, b.Do.String())
			}
			words = append(words, "}")
		}
	}
	return strings.Join(words, " ")
}

// Count is how many blocks the program has, without the one that starts it.
func (p Program) Count() int {
	n := len(p)
	for _, b := range p {
		n += b.Do.Count()
	}
	return n
}

func (b Block) text(name string) string {
	for _, f := range b.Fields {
		if text, ok := f.Value.(string); ok && f.Name == name {
			return text
		}
	}
	return ""
}

func (b Block) number(name string) float64 {
	for _, f := range b.Fields {
		if n, ok := f.Value.(float64); ok && f.Name == name {
			return n
		}
	}
	return 0
}

// block is a block as Blockly saves it.
type block struct {
	Type      string           `json:"type"`
	X         int              `json:"x,omitempty"`
	Y         int              `json:"y,omitempty"`
	Deletable *bool            `json:"deletable,omitempty"`
	Fields    map[string]any   `json:"fields,omitempty"`
	Inputs    map[string]input `json:"inputs,omitempty"`
	Next      *input           `json:"next,omitempty"`
}

type input struct {
	Block *block `json:"block"`
}

// Text is the program as the page sends it: Blockly's JSON, under the block that starts it.
func (p Program) Text() string {
	fixed := false
	start := &block{Type: "when_run", X: 30, Y: 30, Deletable: &fixed, Next: p.chain()}
	text, _ := json.Marshal(map[string]any{"blocks": map[string]any{"languageVersion": 0, "blocks": []*block{start}}}) // always can
	return string(text)
}

func (p Program) chain() *input {
	if len(p) == 0 {
		return nil
	}
	b := &block{Type: p[0].Type, Next: p[1:].chain()}
	for _, f := range p[0].Fields {
		if b.Fields == nil {
			b.Fields = map[string]any{}
		}
		b.Fields[f.Name] = f.Value
	}
	if do := p[0].Do.chain(); do != nil {
		b.Inputs = map[string]input{"DO": *do}
	}
	return &input{b}
}
