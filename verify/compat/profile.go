package compat

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
)

// Profile is what a target has, as far as rules ask: a file of profiles/, or one that was captured from a
// server. What it says nothing about is not checked.
type Profile struct {
	Name    string `yaml:"name" json:"name"`
	Aurora  bool   `yaml:"aurora" json:"aurora"`
	Version string `yaml:"version" json:"version"` // of MySQL: "8.0.39"
	Source  string `yaml:"source" json:"source"`   // where what it says comes from
	// Collations and Charsets are all that the server has; empty: not known.
	Collations []string `yaml:"collations" json:"-"`
	Charsets   []string `yaml:"charsets" json:"-"`
	// Reserved are the reserved words, in capitals; empty: not known.
	Reserved []string `yaml:"reserved" json:"-"`
	// Variables are global variables as the server has them; a name that is not there is not known.
	Variables map[string]string `yaml:"variables" json:"-"`
}

//go:embed profiles/*.yaml
var profileFiles embed.FS

// ProfileNames are the profiles that are built in.
func ProfileNames() []string {
	files, _ := fs.Glob(profileFiles, "profiles/*.yaml")
	for i, f := range files {
		files[i] = strings.TrimSuffix(strings.TrimPrefix(f, "profiles/"), ".yaml")
	}
	return files
}

// LoadProfile reads a built-in profile by its name, or one from a file.
func LoadProfile(nameOrFile string) (*Profile, error) {
	text, err := profileFiles.ReadFile("profiles/" + nameOrFile + ".yaml")
	if errors.Is(err, fs.ErrNotExist) {
		text, err = os.ReadFile(nameOrFile)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("no target profile %q: there are %s, or name a file that `changeover check capture` wrote", nameOrFile, strings.Join(ProfileNames(), ", "))
		}
	}
	if err != nil {
		return nil, err
	}
	p := &Profile{}
	if err := yaml.UnmarshalWithOptions(text, p, yaml.Strict()); err != nil {
		return nil, fmt.Errorf("target profile %s: %w", nameOrFile, err)
	}
	if p.Name == "" || p.version() == [3]int{} {
		return nil, fmt.Errorf("target profile %s: name and version are needed", nameOrFile)
	}
	return p, nil
}

func (p *Profile) version() [3]int { return parseVersion(p.Version) }

func parseVersion(s string) (v [3]int) {
	for i, part := range strings.SplitN(s, ".", 3) {
		v[i], _ = strconv.Atoi(part)
	}
	return v
}

// meets tells whether a condition of a rule holds: "aurora", "!aurora", ">=8.4", "<9.0".
func (p *Profile) meets(condition string) bool {
	has := p.version()
	switch {
	case condition == "aurora":
		return p.Aurora
	case condition == "!aurora":
		return !p.Aurora
	case strings.HasPrefix(condition, ">="):
		v := parseVersion(condition[2:])
		return slices.Compare(has[:], v[:]) >= 0
	case strings.HasPrefix(condition, "<"):
		v := parseVersion(condition[1:])
		return slices.Compare(has[:], v[:]) < 0
	}
	return false
}
