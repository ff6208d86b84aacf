package main

import (
	"encoding/json"
	"io"
	"os"
	"slices"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"changeover/internal/config"
	"changeover/internal/fault"
)

// globals are the flags that every command has.
type globals struct {
	configFile string
	logLevel   string
	logFormat  string
	stderr     io.Writer
}

func (g *globals) register(root *cobra.Command) {
	flags := root.PersistentFlags()
	flags.StringVarP(&g.configFile, "config", "c", "changeover.yaml", "the migration's `FILE`")
	flags.StringVar(&g.logLevel, "log-level", "info", "debug, info, warn or error")
	flags.StringVar(&g.logFormat, "log-format", "text", "text or json; the log goes to stderr")
}

// check looks at the values before any command runs.
func (g *globals) check() error {
	if !slices.Contains([]string{"debug", "info", "warn", "error"}, g.logLevel) {
		return fault.New(fault.Usage, "--log-level %s: it must be debug, info, warn or error", g.logLevel)
	}
	if g.logFormat != "text" && g.logFormat != "json" {
		return fault.New(fault.Usage, "--log-format %s: it must be text or json", g.logFormat)
	}
	return nil
}

// load reads the configuration; what is unwise in it goes to the log.
func (g *globals) load() (*config.Config, error) {
	c, err := config.Load(g.configFile)
	if err != nil {
		return nil, err
	}
	log := g.log(g.stderr)
	for _, w := range c.Warnings() {
		log.Warn().Msg(w)
	}
	return c, nil
}

// log writes to w: a command's stderr, so that stdout has nothing but the answer.
func (g *globals) log(w io.Writer) zerolog.Logger {
	level, err := zerolog.ParseLevel(g.logLevel)
	if err != nil { // check was here before
		level = zerolog.InfoLevel
	}
	if g.logFormat == "text" {
		w = zerolog.ConsoleWriter{Out: w, NoColor: !isTerminal(w), TimeFormat: "15:04:05.000"}
	}
	return zerolog.New(w).Level(level).With().Timestamp().Logger()
}

// isTerminal tells whether w is a person's screen; NO_COLOR counts as none.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd())) && os.Getenv("NO_COLOR") == ""
}

// printJSON writes a command's answer for a program.
func printJSON(w io.Writer, answer any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(answer)
}

// answerNo ends a command whose output is the answer already, and the answer is no: not another
// word is printed, and the exit code is 1.
type answerNo struct{}

func (*answerNo) Error() string { return "the answer is no" }

// ExitCode is 1.
func (*answerNo) ExitCode() int { return exitNo }
