package browser

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/chromedp/cdproto/inspector"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
)

// Request is one that a page made.
type Request struct {
	Method, URL string
	Status      int64 // 0 while there is no answer
}

func (r Request) String() string { return fmt.Sprintf("%s %s (%d)", r.Method, r.URL, r.Status) }

// journal is what a visitor's pages asked for and complained about. Pages write it from their
// event loops, tests read it.
type journal struct {
	mu       sync.Mutex
	requests map[network.RequestID]*Request
	order    []*Request
	problems []string
	allowed  []*regexp.Regexp
}

// hear takes an event of a page. It runs inside the loop that reads them, so it only notes.
func (j *journal) hear(ev any) {
	j.mu.Lock()
	defer j.mu.Unlock()
	switch ev := ev.(type) {
	case *network.EventRequestWillBeSent:
		r := &Request{Method: ev.Request.Method, URL: ev.Request.URL}
		j.requests[ev.RequestID] = r
		j.order = append(j.order, r)
	case *network.EventResponseReceived:
		j.answered(ev)
	case *network.EventLoadingFailed:
		j.failed(ev)
	case *runtime.EventExceptionThrown:
		j.problem("exception: %s", exceptionText(ev.ExceptionDetails))
	case *runtime.EventConsoleAPICalled:
		if ev.Type == runtime.ConsoleAPICalledTypeError || ev.Type == runtime.ConsoleAPICalledTypeAssert {
			j.problem("console: %s", consoleText(ev.Args))
		}
	case *log.EventEntryAdded:
		// The network's own complaints are the two cases above once more.
		if ev.Entry.Level == log.EntryLevelError && ev.Entry.Source != log.EntrySourceNetwork {
			j.problem("%s: %s %s", ev.Entry.Source, ev.Entry.Text, ev.Entry.URL)
		}
	case *inspector.EventTargetCrashed:
		j.problem("the page crashed")
	}
}

func (j *journal) answered(ev *network.EventResponseReceived) {
	r := j.requests[ev.RequestID]
	if r == nil {
		return
	}
	r.Status = ev.Response.Status
	if r.Status >= 400 {
		j.problem("%s", r)
	}
}

func (j *journal) failed(ev *network.EventLoadingFailed) {
	r := j.requests[ev.RequestID]
	if r == nil || ev.Canceled { // the page went on before it had loaded
		return
	}
	j.problem("%s %s: %s", r.Method, r.URL, ev.ErrorText)
}

func (j *journal) problem(format string, args ...any) {
	j.problems = append(j.problems, fmt.Sprintf(format, args...))
}

// unexpected are the problems that nobody allowed.
func (j *journal) unexpected() []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(j.problems), func(problem string) bool {
		return slices.ContainsFunc(j.allowed, func(r *regexp.Regexp) bool { return r.MatchString(problem) })
	})
}

func exceptionText(d *runtime.ExceptionDetails) string {
	if d.Exception != nil && d.Exception.Description != "" {
		return d.Exception.Description
	}
	return fmt.Sprintf("%s (%s:%d)", d.Text, d.URL, d.LineNumber+1)
}

func consoleText(args []*runtime.RemoteObject) string {
	var parts []string
	for _, a := range args {
		text := a.Description
		if text == "" && json.Unmarshal(a.Value, &text) != nil { // a string, or another value as JSON
			text = string(a.Value)
		}
		parts = append(parts, text)
	}
	return strings.Join(parts, " ")
}
