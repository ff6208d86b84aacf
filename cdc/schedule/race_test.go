//go:build race

package schedule

// underRace makes the simulation play fewer histories: the detector makes each ten times slower,
// and finds nothing in a program of one goroutine.
const underRace = true
