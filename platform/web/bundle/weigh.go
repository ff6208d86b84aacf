package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// weight is what a browser that has nothing yet fetches for a page, in gzipped bytes.
type weight struct{ html, css, js int }

func (w weight) total() int { return w.html + w.css + w.js }

func (w weight) String() string {
	return fmt.Sprintf("%.1f kB gzipped (html %.1f, css %.1f, js %.1f)",
		float64(w.total())/1000, float64(w.html)/1000, float64(w.css)/1000, float64(w.js)/1000)
}

// weighPuzzle adds up the first puzzle page without its language file: templates with all English texts
// of the page stand for the HTML.
func weighPuzzle(web string) (weight, error) {
	dist := filepath.Join(web, "dist")
	content, err := os.ReadFile(filepath.Join(dist, "manifest.json"))
	if err != nil {
		return weight{}, err
	}
	var manifest map[string]string
	if err := json.Unmarshal(content, &manifest); err != nil {
		return weight{}, err
	}

	var html []byte
	for _, name := range []string{"templates/layout.html", "templates/puzzle.html", "../lang/strings/en/front.json"} {
		part, err := os.ReadFile(filepath.Join(web, name))
		if err != nil {
			return weight{}, err
		}
		html = append(html, part...)
	}
	css, err := os.ReadFile(filepath.Join(dist, manifest["style.css"]))
	if err != nil {
		return weight{}, err
	}
	modules := map[string][]byte{}
	for _, entry := range []string{"site.js", "puzzle.js"} {
		if err := addModule(modules, dist, manifest[entry]); err != nil {
			return weight{}, err
		}
	}
	w := weight{html: gzipped(html), css: gzipped(css)}
	for _, module := range modules {
		w.js += gzipped(module)
	}
	return w, nil
}

// A minified static import is `from"./chunk-X.js"` or `import"./chunk-X.js"`; one on demand has a bracket.
var staticImport = regexp.MustCompile(`(?:from|import)"\./([\w.-]+\.js)"`)

func addModule(modules map[string][]byte, dist, name string) error {
	if _, done := modules[name]; done {
		return nil
	}
	content, err := os.ReadFile(filepath.Join(dist, name))
	if err != nil {
		return err
	}
	modules[name] = content
	for _, imported := range staticImport.FindAllSubmatch(content, -1) {
		if err := addModule(modules, dist, string(imported[1])); err != nil {
			return fmt.Errorf("%s: %w", strings.TrimPrefix(name, dist), err)
		}
	}
	return nil
}

func gzipped(content []byte) int {
	var packed bytes.Buffer
	writer := gzip.NewWriter(&packed)
	writer.Write(content) // a bytes.Buffer never fails
	writer.Close()
	return packed.Len()
}
