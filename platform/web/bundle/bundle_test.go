package main

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"changeover/platform/lang"
)

const web = ".." // the tests run where they are

func readManifest(t *testing.T) map[string]string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(web, "dist", "manifest.json"))
	if err != nil {
		t.Fatal(err)
	}
	var manifest map[string]string
	if err := json.Unmarshal(content, &manifest); err != nil {
		t.Fatal(err)
	}
	return manifest
}

// bundledFiles are the files of dist, by slash-separated name.
func bundledFiles(t *testing.T) map[string][]byte {
	t.Helper()
	dist := os.DirFS(filepath.Join(web, "dist"))
	files := map[string][]byte{}
	err := fs.WalkDir(dist, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		files[name], err = fs.ReadFile(dist, name)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestTheManifestNamesWhatIsThereAndNothingElseIs(t *testing.T) {
	files := bundledFiles(t)
	named := map[string]bool{"manifest.json": true, "LICENSES.txt": true}
	for name, file := range readManifest(t) {
		if _, there := files[file]; !there {
			t.Errorf("%s is %s, which is not there", name, file)
		}
		named[file] = true
	}
	// Chunks are named by the modules that import them.
	chunk := regexp.MustCompile(`(?:from|import|import\()"\./([\w.-]+\.js)"`)
	for name, content := range files {
		if strings.HasSuffix(name, ".js") {
			for _, imported := range chunk.FindAllStringSubmatch(string(content), -1) {
				if _, there := files[imported[1]]; !there {
					t.Errorf("%s imports %s, which is not there", name, imported[1])
				}
				named[imported[1]] = true
			}
		}
	}
	for name := range files {
		if !named[name] {
			t.Errorf("nothing names %s", name)
		}
	}
}

func TestEveryModuleAndStyleSheetIsBundled(t *testing.T) {
	manifest := readManifest(t)
	for _, pattern := range []string{"*.js", "*.css"} {
		entries, err := filepath.Glob(filepath.Join(web, "src", pattern))
		if err != nil || len(entries) == 0 {
			t.Fatalf("%s: %v, %v", pattern, entries, err)
		}
		for _, entry := range entries {
			if manifest[filepath.Base(entry)] == "" {
				t.Errorf("%s is not in the manifest: run go run ./platform/web/bundle", entry)
			}
		}
	}
}

func TestEveryLanguageThatBlocklySpeaksHasItsFile(t *testing.T) {
	manifest := readManifest(t)
	for _, locale := range lang.All() {
		if locale.Blockly != "" && manifest["msg/"+locale.Blockly+".json"] == "" {
			t.Errorf("%s: no file of Blockly's texts (%s): run go run ./platform/web/bundle", locale.Tag, locale.Blockly)
		}
	}
}

func TestTheFirstPuzzlePageIsLight(t *testing.T) {
	const most = 400_000 // bytes, gzipped, without the language's file
	weight, err := weighPuzzle(web)
	if err != nil {
		t.Fatal(err)
	}
	t.Log(weight)
	if weight.total() >= most {
		t.Errorf("the first puzzle page is %s, it must be under %d bytes", weight, most)
	}
	// What is far too light is not the page.
	if weight.js < 100_000 || weight.css < 1000 || weight.html < 1000 {
		t.Errorf("%s can't be all of it", weight)
	}
}

// foreign are addresses in the bundle that are never fetched: names of XML's, comments in generated code,
// and Blockly's own default for the media that we set.
var foreign = regexp.MustCompile(`^https?://(www\.w3\.org/|developers\.google\.com/blockly/xml$|bugzilla\.mozilla\.org/|en\.wikipedia\.org/wiki/Primality_test$|static\.blockly\.com/media/$)`)

func TestNothingIsLoadedFromOtherHosts(t *testing.T) {
	address := regexp.MustCompile(`https?://[\w./-]+`)
	for name, content := range bundledFiles(t) {
		if name == "LICENSES.txt" || strings.HasSuffix(name, ".mp3") { // a sound says who made it
			continue
		}
		for _, found := range address.FindAllString(string(content), -1) {
			if !foreign.MatchString(found) {
				t.Errorf("%s has the address %s", name, found)
			}
		}
	}
}

func TestThereAreNoSourceMaps(t *testing.T) {
	for name, content := range bundledFiles(t) {
		if strings.HasSuffix(name, ".map") || strings.Contains(string(content), "sourceMappingURL") {
			t.Errorf("%s is, or names, a source map", name)
		}
	}
}

func TestEveryBundledPackageHasItsLicence(t *testing.T) {
	content, err := os.ReadFile(filepath.Join(web, "dist", "LICENSES.txt"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"blockly 13.", "js-interpreter 6.", "acorn, inside js-interpreter", "uplot 1.6", "codemirror 6.0.2 "} {
		if !strings.Contains(string(content), "\n"+name) {
			t.Errorf("LICENSES.txt has no section for %s", name)
		}
	}
}

// The committed bundle is what the committed sources give, where the packages are at hand.
func TestTheBundleIsUpToDate(t *testing.T) {
	if _, err := os.Stat(filepath.Join(web, "node_modules")); err != nil {
		t.Skip("no node_modules: npm ci brings them")
	}
	absolute, err := filepath.Abs(web)
	if err != nil {
		t.Fatal(err)
	}
	want, err := build(absolute)
	if err != nil {
		t.Fatal(err)
	}
	have := bundledFiles(t)
	for name, content := range want {
		if string(have[name]) != string(content) {
			t.Errorf("%s is out of date: run go run ./platform/web/bundle", name)
		}
	}
}
