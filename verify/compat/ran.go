package compat

import (
	"changeover/internal/server"
	"changeover/verify/compat/ddl"
)

// Ran is what came of running migrations on throwaway servers: each version up, down and up again.
type Ran struct{ Servers []RanServer }

// RanServer is one of the servers.
type RanServer struct {
	Flavor   server.Flavor
	Version  string
	Outcomes []Outcome // in the order in which they ran
	// Picture is the server after all versions are up; nil if one failed.
	Picture *Picture
	// Left is what the way down left otherwise than it was before the way up.
	Left []Left
	// Stopped says why not all versions were run; empty: they were. Unrun are those that did not begin, and files of
	// a dump.
	Stopped string
	Unrun   []string
}

// Pass is which way a statement ran.
type Pass string

// The passes, in their order for a version.
const (
	PassUp    Pass = "up"
	PassDown  Pass = "down"
	PassAgain Pass = "up again"
)

// Outcome is what a server said to one statement of a file.
type Outcome struct {
	File       *ddl.File
	Start, End int // the statement's bytes
	Pass       Pass
	Error      *ServerError // nil: it was done, or not sent
	// At is the byte of the file to which the server read when it met a syntax error (1064); -1: it does not say.
	At int
	// Unsent says why it was not sent to the server; empty: it was.
	Unsent   string
	Warnings []ServerError
	// Half are the objects that the file had already changed when this statement failed: it is dirty there.
	Half []string
}

// Left is something that a version's way down left otherwise.
type Left struct {
	Version uint64
	File    *ddl.File // the way down
	Object  string
	What    string
}
