package kbuild

// Echo is tested against bash.
func Echo(text string) string { return echo(text) }

// Clock is tested against date.
func Clock(seconds int) string { return clock(seconds) }

// Tail is what a MakeError carries of an output.
func Tail(output string) string { return result{output: output}.tail() }
