package config

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"changeover/internal/fault"
)

// reader walks the YAML tree beside the Config struct. A decoder would stop at the first unknown
// key; the walk finds them all, and remembers the line of each value for the checks that follow.
type reader struct {
	file       string
	lines      map[string]int // by path: "copy.workers", "databases[1]"
	problems   []Problem
	unreadable bool // not YAML, or not a mapping: the checks would only repeat that
}

func (r *reader) add(code fault.Code, line int, format string, args ...any) {
	r.problems = append(r.problems, Problem{Code: code, File: r.file, Line: line, Text: fmt.Sprintf(format, args...)})
}

// bad reports an impossible value at path.
func (r *reader) bad(path, format string, args ...any) {
	r.add(fault.Config, r.lines[path], "%s "+format, append([]any{path}, args...)...)
}

func (r *reader) read(text []byte, c *Config) {
	file, err := parseYAML(text)
	if err != nil {
		r.unreadable = true
		line, message := yamlError(err)
		r.add(fault.Config, line, "not valid YAML: %s", message)
		return
	}
	if len(file.Docs) > 1 {
		r.add(fault.Config, 0, "the file has %d YAML documents; it must be one", len(file.Docs))
	}
	if len(file.Docs) == 0 || file.Docs[0].Body == nil {
		return // empty: the checks say what is missing
	}
	if _, ok := entries(file.Docs[0].Body); !ok {
		r.unreadable = true
		r.add(fault.Config, line(file.Docs[0].Body), "the file must be a mapping of keys to values")
		return
	}
	r.value("", file.Docs[0].Body, reflect.ValueOf(c).Elem())
}

// parseYAML turns a panic of the parser into an error: the file is input like any other.
func parseYAML(text []byte) (file *ast.File, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the parser gave up: %v", p)
		}
	}()
	return parser.ParseBytes(text, 0)
}

func yamlError(err error) (line int, message string) {
	if e, ok := err.(yaml.Error); ok {
		if t := e.GetToken(); t != nil && t.Position != nil {
			line = t.Position.Line
		}
		return line, e.GetMessage()
	}
	return 0, err.Error()
}

func line(n ast.Node) int {
	if n == nil || n.GetToken() == nil || n.GetToken().Position == nil {
		return 0
	}
	return n.GetToken().Position.Line
}

// entries is what a mapping node holds; YAML with one key is a node type of its own.
func entries(n ast.Node) ([]*ast.MappingValueNode, bool) {
	switch n := n.(type) {
	case *ast.MappingNode:
		return n.Values, true
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{n}, true
	}
	return nil, false
}

func (r *reader) value(path string, n ast.Node, into reflect.Value) {
	if a, ok := n.(*ast.AnchorNode); ok {
		n = a.Value
	}
	if _, seen := r.lines[path]; !seen {
		r.lines[path] = line(n)
	}
	if _, ok := n.(*ast.NullNode); ok || n == nil {
		return // "copy:" with nothing under it: the defaults
	}
	switch into.Kind() {
	case reflect.Struct:
		r.mapping(path, n, into)
	case reflect.Slice:
		r.list(path, n, into)
	default:
		r.scalar(path, n, into)
	}
}

func (r *reader) mapping(path string, n ast.Node, into reflect.Value) {
	values, ok := entries(n)
	if !ok {
		r.bad(path, "must be a mapping of keys to values")
		return
	}
	for _, v := range values {
		key := keyText(v.Key)
		field, ok := fieldOf(into, key)
		if !ok {
			r.unknown(path, key, line(v.Key), into.Type())
			continue
		}
		full := join(path, key)
		r.lines[full] = line(v.Key)
		r.value(full, v.Value, field)
	}
}

func keyText(n ast.MapKeyNode) string {
	if n == nil || n.GetToken() == nil {
		return ""
	}
	return n.GetToken().Value
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

func (r *reader) list(path string, n ast.Node, into reflect.Value) {
	seq, ok := n.(*ast.SequenceNode)
	if !ok {
		r.bad(path, "must be a list, such as [a, b]")
		return
	}
	into.Set(reflect.MakeSlice(into.Type(), len(seq.Values), len(seq.Values)))
	for i, v := range seq.Values {
		r.value(fmt.Sprintf("%s[%d]", path, i), v, into.Index(i))
	}
}

func (r *reader) scalar(path string, n ast.Node, into reflect.Value) {
	text, ok := scalarText(n)
	if !ok {
		r.bad(path, "must be a single value")
		return
	}
	if err := setScalar(into, text); err != nil {
		r.bad(path, "is wrong: %v", err)
	}
}

// scalarText is the value as it is written: 010 stays 010 and no stays no, whatever YAML's types
// would make of them.
func scalarText(n ast.Node) (string, bool) {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		if n.Value == nil {
			return "", true
		}
		return n.Value.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		return n.GetToken().Value, true
	}
	return "", false
}

func setScalar(into reflect.Value, text string) error {
	switch into.Interface().(type) {
	case ByteSize:
		b, err := ParseByteSize(text)
		if err == nil {
			into.SetInt(int64(b))
		}
		return err
	case time.Duration:
		d, err := time.ParseDuration(text)
		if err != nil {
			return fmt.Errorf("%q is not a duration: write it like 250ms or 1s", text)
		}
		into.SetInt(int64(d))
		return nil
	case int:
		n, err := strconv.Atoi(text)
		if err != nil {
			return fmt.Errorf("%q is not a whole number", text)
		}
		into.SetInt(int64(n))
		return nil
	case bool:
		if text != "true" && text != "false" {
			return fmt.Errorf("%q is neither true nor false", text)
		}
		into.SetBool(text == "true")
		return nil
	}
	into.SetString(text)
	return nil
}

// tag is a field's key in the file; empty for a field that is not in the file.
func tag(f reflect.StructField) string {
	if t := f.Tag.Get("yaml"); t != "-" {
		return t
	}
	return ""
}

func fieldOf(s reflect.Value, key string) (reflect.Value, bool) {
	for i := range s.NumField() {
		if t := tag(s.Type().Field(i)); t != "" && t == key {
			return s.Field(i), true
		}
	}
	return reflect.Value{}, false
}

// keys lists every key under a struct type: paths, in the order of the struct.
func keys(t reflect.Type, path string) []string {
	var all []string
	for i := range t.NumField() {
		f := t.Field(i)
		if tag(f) == "" {
			continue
		}
		full := join(path, tag(f))
		all = append(all, full)
		if f.Type.Kind() == reflect.Struct {
			all = append(all, keys(f.Type, full)...)
		}
	}
	return all
}

func (r *reader) unknown(path, key string, at int, t reflect.Type) {
	here := []string{}
	for i := range t.NumField() {
		if name := tag(t.Field(i)); name != "" {
			here = append(here, name)
		}
	}
	advice := "known keys here: " + strings.Join(here, ", ")
	if near, ok := nearest(key, here); ok {
		advice = fmt.Sprintf("did you mean %q?", near)
	} else if homes := elsewhere(key); len(homes) > 0 {
		advice = fmt.Sprintf("did you mean %s?", strings.Join(homes, " or "))
	}
	r.add(fault.ConfigUnknown, at, "unknown key %q; %s", join(path, key), advice)
}

// elsewhere finds a key that is right but in the wrong place.
func elsewhere(key string) []string {
	var homes []string
	for _, full := range keys(reflect.TypeFor[Config](), "") {
		if full == key || strings.HasSuffix(full, "."+key) {
			homes = append(homes, full)
		}
	}
	return homes
}

// nearest finds the known key that was most likely meant: at most a third of it, rounded up, is
// spelled differently.
func nearest(key string, known []string) (string, bool) {
	if len(key) > 64 || len(known) == 0 {
		return "", false
	}
	plain := strings.ToLower(strings.ReplaceAll(key, "-", "_"))
	best := slices.MinFunc(known, func(a, b string) int { return cmp.Compare(distance(plain, a), distance(plain, b)) })
	return best, distance(plain, best) <= (len(best)+2)/3
}

// distance is the number of letters to insert, remove or change (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		previous := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := previous
			if a[i] != b[j] {
				change++
			}
			previous = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
