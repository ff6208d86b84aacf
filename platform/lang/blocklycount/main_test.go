package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
)

const locale = `Blockly.Msg["HELP"] = "Hilfe";
Blockly.Msg["UNDO"] = "Undo";  // untranslated
Blockly.Msg["DIALOG_OK"] = "OK";
Blockly.Msg["CONTROLS_FOR_INPUT_DO"] = Blockly.Msg["CONTROLS_REPEAT_INPUT_DO"];
`

func TestTranslatedCountsWhatBlocklyDoesNotMarkAsEnglish(t *testing.T) {
	if n := translated(locale, []string{"HELP", "UNDO", "DIALOG_OK", "REDO"}); n != 2 {
		t.Errorf("got %d, want 2: HELP and DIALOG_OK", n)
	}
}

func TestKeysAreReadByBlock(t *testing.T) {
	if _, err := parseKeys(keysFile); err != nil {
		t.Error(err)
	}
	for name, text := range map[string]string{
		"a key twice":             "[a]\nX\n[b]\nX\n",
		"a key before any block":  "X\n",
		"nothing but a comment":   "# X\n",
		"the same key, one block": "[a]\nX X\n",
	} {
		if blocks, err := parseKeys(text); err == nil {
			t.Errorf("%s: got %v, want an error", name, blocks)
		}
	}
}

// standard are the names of Blockly's own blocks, as a toolbox or a level writes them.
var standard = regexp.MustCompile(`['"]((?:controls|logic|math|text|lists|colour|variables|procedures)_[a-zA-Z_]+)['"]`)

func TestEveryBlockOfOurToolboxesIsCounted(t *testing.T) {
	blocks, err := parseKeys(keysFile)
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"../../web/src", "../../curriculum"} {
		err := filepath.WalkDir(dir, func(file string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !slices.Contains([]string{".js", ".json"}, filepath.Ext(file)) {
				return err
			}
			body, err := os.ReadFile(file)
			if err != nil {
				return err
			}
			for _, m := range standard.FindAllStringSubmatch(string(body), -1) {
				if blocks[m[1]] == nil {
					t.Errorf("%s uses the block %s: keys.txt has no keys for it", file, m[1])
				}
			}
			return nil
		})
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
	}
}
