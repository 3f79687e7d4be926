//go:build race

package main

// raced says that the race detector is in.
const raced = true
