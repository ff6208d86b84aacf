//go:build !chaos

package main

import "changeover/cutover/helm"

// tap is nobody's: only a binary that is built with the tag chaos, for the tests, has one.
func tap() helm.Tap { return nil }
