//go:build chaos

package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"syscall"
	"time"

	"changeover/cutover/helm"
)

// chaosVariable names a file with a point, side/act/n/when: the n-th statement of an act on a side, and what
// becomes of this process there.
//
//	before  it dies, and the statement is not sent
//	in      it dies while the statement is under way, or with its answer, of which nothing is seen
//	after   it dies when it has the answer
//	stop    it is stopped before the statement is sent, until SIGCONT
//
// The file is read at each statement: while there is none, what is settled passes, and an attempt that is
// made later may be told where to end. A file without a point lets all pass. Each statement that is met
// while there is a file gets a line in the one beside it, whose name ends with .trace.
const chaosVariable = "CHANGEOVER_CHAOS"

// underWay is within how long a process dies in a statement: most take longer.
const underWay = 600 * time.Microsecond

// tap is for the tests of the cutover: they build the command with it.
func tap() helm.Tap {
	file := os.Getenv(chaosVariable)
	if file == "" {
		return nil
	}
	return func(side helm.Side, act string, n int, statement string) func(error) {
		passes := func(error) {}
		point, err := os.ReadFile(file)
		if err != nil {
			return passes
		}
		at := fmt.Sprintf("%s/%s/%d", side, act, n)
		if err := addLine(file+".trace", fmt.Sprintf("%s %.100q", at, statement)); err != nil {
			fmt.Fprintln(os.Stderr, "changeover:", err)
		}
		when, here := strings.CutPrefix(string(point), at+"/")
		if !here {
			return passes
		}
		switch when {
		case "before":
			die()
		case "in":
			time.AfterFunc(rand.N(underWay), die)
			return func(error) { die() }
		case "after":
			return func(error) { die() }
		case "stop":
			_ = syscall.Kill(os.Getpid(), syscall.SIGSTOP)
		}
		return passes
	}
}

func addLine(file, line string) error {
	f, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(f, line)
	if e := f.Close(); err == nil {
		err = e
	}
	return err
}

// die ends the process as kill -9 does: nothing is given back, nothing is written.
func die() {
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {}
}
