package sandbox

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// chromiumSet has a browser without a window, and fonts for every script that a page may show:
// WenQuanYi has Chinese, Japanese and Korean in 5 MB, where Noto's take 90.
var chromiumSet = packageSet{name: "chromium", suite: "bookworm", packages: []string{"chromium-headless-shell",
	"fonts-noto-core", "fonts-noto-color-emoji", "fonts-wqy-microhei"}}

// chromiumFlags are what the unpacked browser needs to run at all. Its sandbox wants either a
// setuid helper or user namespaces, and a container has neither; so it is only for pages that we
// serve ourselves. Without that sandbox there is no use in a zygote, which would also start its
// children past our script. /dev/shm is 64 MB in a container.
var chromiumFlags = []string{"--no-sandbox", "--no-zygote", "--disable-gpu", "--disable-dev-shm-usage"}

// chromium makes program, the browser in root, runnable. It starts itself again for each page, and looks
// for its data beside the running program, which is the loader here. So the loader is copied to
// where the data is, and a script, which the browser is told to be its child program, puts the
// loader before every process.
func chromium(root, program string) (Tool, error) {
	t, err := inRoot(root, program)
	if err != nil {
		return Tool{}, err
	}
	loader, err := os.ReadFile(t.Argv[0])
	if err != nil {
		return Tool{}, err
	}
	dir := filepath.Join(root, filepath.Dir(program))
	script, fonts := filepath.Join(dir, "run"), filepath.Join(dir, "fonts.conf")
	for _, f := range []struct {
		path    string
		content []byte
		mode    os.FileMode
	}{
		{filepath.Join(dir, "ld.so"), loader, 0o755},
		{script, chromiumScript(dir, t.Argv), 0o755},
		{fonts, fontsConf(root), 0o644},
	} {
		if err := keepFile(f.path, f.content, f.mode); err != nil {
			return Tool{}, fmt.Errorf("prepare chromium: %w", err)
		}
	}
	t.Name = "chromium"
	t.Argv = append([]string{script}, chromiumFlags...)
	t.Env = append(t.Env, "FONTCONFIG_FILE="+fonts)
	return t, nil
}

// chromiumScript is argv (loader, --library-path, libraries, program) with dir's loader.
func chromiumScript(dir string, argv []string) []byte {
	return fmt.Appendf(nil, "#!/bin/sh\nexec %s %s %s %s --browser-subprocess-path=\"$0\" \"$@\"\n",
		shellQuote(filepath.Join(dir, "ld.so")), argv[1], shellQuote(argv[2]), shellQuote(argv[3]))
}

func shellQuote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// fontsConf shows the browser the root's fonts only, so that a page looks the same on every
// machine. Debian's own configuration is of no use: its files are links to the host's /usr.
func fontsConf(root string) []byte {
	var b bytes.Buffer
	element := func(name, path string) {
		fmt.Fprintf(&b, "<%s>", name)
		xml.EscapeText(&b, []byte(filepath.Join(root, path)))
		fmt.Fprintf(&b, "</%s>\n", name)
	}
	b.WriteString("<?xml version=\"1.0\"?>\n<!DOCTYPE fontconfig SYSTEM \"fonts.dtd\">\n<fontconfig>\n")
	element("dir", "usr/share/fonts")
	element("cachedir", "var/cache/fontconfig")
	for _, alias := range [][2]string{{"sans-serif", "Noto Sans"}, {"sans", "Noto Sans"}, {"system-ui", "Noto Sans"},
		{"serif", "Noto Serif"}, {"monospace", "DejaVu Sans Mono"}, {"emoji", "Noto Color Emoji"}} {
		fmt.Fprintf(&b, "<alias><family>%s</family><prefer><family>%s</family></prefer></alias>\n", alias[0], alias[1])
	}
	b.WriteString("</fontconfig>\n")
	return b.Bytes()
}

// keepFile makes path have the content. It replaces the file as a whole, since another process
// may be running it.
func keepFile(path string, content []byte, mode os.FileMode) error {
	if now, err := os.ReadFile(path); err == nil && bytes.Equal(now, content) {
		return nil
	}
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(content)
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Chmod(f.Name(), mode)
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	return err
}
