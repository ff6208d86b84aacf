package verify

import (
	"html/template"
	"strings"
)

// Page is a proof as an HTML page that needs nothing else.
func Page(p Proof) string {
	var b strings.Builder
	if err := page.Execute(&b, p); err != nil {
		return template.HTMLEscapeString(err.Error()) // the template is ours, and no writer fails here
	}
	return b.String()
}

var page = template.Must(template.New("proof").Parse(`<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Proof of {{.Migration}}</title>
<style>
body{font:16px/1.5 system-ui,sans-serif;margin:3rem auto;max-width:60rem;padding:0 1rem;color:#222}
h1{font-size:1.6rem} .yes{color:#186a3b} .no{color:#a93226} table{border-collapse:collapse;width:100%}
td,th{text-align:left;padding:.3rem .8rem .3rem 0;border-bottom:1px solid #ddd} .n{text-align:right} code{word-break:break-all}
</style>
<h1>{{.Migration}}: {{if .Complete}}<span class="yes">both sides are equal</span>{{else}}<span class="no">not proven</span>{{end}}</h1>
<p>{{if .Complete}}Every row of every table was compared, and none has changed since.{{else}}What is missing:{{end}}</p>
{{if .Missing}}<ul>{{range .Missing}}<li>{{.}}</li>{{end}}</ul>{{end}}
<p>{{.At.Format "2006-01-02 15:04:05.000"}} UTC, in {{printf "%.1f" .TookMS}} ms: {{.Rows}} rows, of which {{.Keys}} had changed since they
were compared and were compared again now.<br>Source position <code>{{.Position}}</code></p>
<table><tr><th>table<th class="n">rows<th class="n">compared now<th>last compared as a whole</tr>
{{range .Tables}}<tr><td>{{.Table}}<td class="n">{{.Rows}}<td class="n">{{.Keys}}<td>{{if .Compared.IsZero}}–{{else}}{{.Compared.Format "2006-01-02 15:04:05"}}{{end}}</tr>
{{end}}</table></html>
`))
