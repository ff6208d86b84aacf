package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/evanw/esbuild/pkg/api"
)

// build returns everything that belongs into dist, by slash-separated name.
func build(web string) (map[string][]byte, error) {
	files := map[string][]byte{}
	manifest := map[string]string{}

	media, err := blocklyMedia(web)
	if err != nil {
		return nil, err
	}
	texts, err := blocklyTexts(web)
	if err != nil {
		return nil, err
	}
	for _, directory := range []hashed{media, texts} {
		for name, content := range directory.files {
			files[directory.path()+"/"+name] = content
			manifest[directory.name+"/"+name] = directory.path() + "/" + name
		}
	}

	bundled, inputs, err := bundle(web, virtualModules(media, texts))
	if err != nil {
		return nil, err
	}
	for name, output := range bundled {
		files[name] = output.content
		if output.entry != "" {
			manifest[output.entry] = name
		}
	}

	if files["LICENSES.txt"], err = licences(web, inputs); err != nil {
		return nil, err
	}
	if files["manifest.json"], err = json.MarshalIndent(manifest, "", " "); err != nil {
		return nil, err
	}
	return files, nil
}

// output is a file that esbuild made; entry is the name that the manifest knows it by, "" for a shared chunk.
type output struct {
	entry   string
	content []byte
}

// bundle runs esbuild over every module and style sheet that lies directly in src: those are the entries.
func bundle(web string, modules map[string]string) (map[string]output, []string, error) {
	var entries []string
	for _, pattern := range []string{"*.js", "*.css"} {
		found, err := filepath.Glob(filepath.Join(web, "src", pattern))
		if err != nil {
			return nil, nil, err
		}
		entries = append(entries, found...)
	}
	result := api.Build(api.BuildOptions{
		EntryPoints:       entries,
		AbsWorkingDir:     web,
		Outdir:            filepath.Join(web, "dist"),
		Outbase:           filepath.Join(web, "src"),
		EntryNames:        "[name]-[hash]",
		ChunkNames:        "chunk-[hash]",
		AssetNames:        "[name]-[hash]",
		Bundle:            true,
		Splitting:         true,
		Format:            api.FormatESModule,
		Platform:          api.PlatformBrowser,
		Target:            api.ES2022,
		MinifyWhitespace:  true,
		MinifyIdentifiers: true,
		MinifySyntax:      true,
		Charset:           api.CharsetUTF8,
		LegalComments:     api.LegalCommentsNone, // all of them are in LICENSES.txt
		Metafile:          true,
		Loader:            map[string]api.Loader{".svg": api.LoaderFile, ".png": api.LoaderFile},
		Plugins:           []api.Plugin{virtual(modules)},
	})
	if len(result.Errors) > 0 {
		return nil, nil, errors.New(strings.Join(api.FormatMessages(result.Errors, api.FormatMessagesOptions{}), ""))
	}

	var meta struct {
		Outputs map[string]struct {
			EntryPoint string
			Inputs     map[string]struct{ BytesInOutput int }
		}
	}
	if err := json.Unmarshal([]byte(result.Metafile), &meta); err != nil {
		return nil, nil, fmt.Errorf("read esbuild's metafile: %w", err)
	}
	outputs := map[string]output{}
	var inputs []string
	for _, file := range result.OutputFiles {
		name := filepath.Base(file.Path)
		described := meta.Outputs["dist/"+name]
		made := output{content: file.Contents}
		// A module that is imported on demand is an "entry" to esbuild too; only those in src are ours.
		if directory, entry := filepath.Split(described.EntryPoint); directory == "src/" {
			made.entry = entry
		}
		outputs[name] = made
		for input := range described.Inputs {
			inputs = append(inputs, input)
		}
	}
	return outputs, inputs, nil
}

// virtualModules are what bundled code imports without there being a file.
func virtualModules(media, texts hashed) map[string]string {
	var locales []string
	for name := range texts.files {
		locales = append(locales, strings.TrimSuffix(name, ".json"))
	}
	return map[string]string{
		"blockly-files": fmt.Sprintf("export const media = %q, texts = %q, locales = %q.split(' ');",
			media.path()+"/", texts.path()+"/", strings.Join(sorted(locales), " ")),
		// js-interpreter runs regular expressions in Node's vm where there is one. Here there is none.
		"vm": "export default null;",
	}
}

func virtual(modules map[string]string) api.Plugin {
	const namespace = "virtual"
	return api.Plugin{
		Name: namespace,
		Setup: func(build api.PluginBuild) {
			for name, source := range modules {
				build.OnResolve(api.OnResolveOptions{Filter: "^" + name + "$"}, func(api.OnResolveArgs) (api.OnResolveResult, error) {
					return api.OnResolveResult{Path: name, Namespace: namespace}, nil
				})
				build.OnLoad(api.OnLoadOptions{Filter: "^" + name + "$", Namespace: namespace}, func(api.OnLoadArgs) (api.OnLoadResult, error) {
					return api.OnLoadResult{Contents: &source, Loader: api.LoaderJS}, nil
				})
			}
		},
	}
}
