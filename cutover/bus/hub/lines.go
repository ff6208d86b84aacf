package hub

import (
	"fmt"
	"log/slog"
)

// lines is the server's log. What it says of itself when all goes well is for us; that gates can't
// keep up, or are refused, is for a person.
type lines struct {
	log   *slog.Logger
	fatal chan error // the first fatal line: why the server does not come up
}

func newLines(log *slog.Logger) *lines {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &lines{log: log.With("part", "bus"), fatal: make(chan error, 1)}
}

// Noticef and the others are server.Logger.
func (l *lines) Noticef(format string, v ...any) { l.log.Debug(fmt.Sprintf(format, v...)) }

// Warnf is a warning.
func (l *lines) Warnf(format string, v ...any) { l.log.Warn(fmt.Sprintf(format, v...)) }

// Errorf is an error of one connection, mostly.
func (l *lines) Errorf(format string, v ...any) { l.log.Warn(fmt.Sprintf(format, v...)) }

// Debugf is never called: the server's debugging is off.
func (l *lines) Debugf(string, ...any) {}

// Tracef is never called: the server's tracing is off.
func (l *lines) Tracef(string, ...any) {}

// Fatalf is what the server says when it can't go on. It does not end the process.
func (l *lines) Fatalf(format string, v ...any) {
	err := fmt.Errorf(format, v...)
	l.log.Error(err.Error())
	select {
	case l.fatal <- err:
	default:
	}
}
