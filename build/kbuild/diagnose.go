package kbuild

import (
	"bufio"
	"io"
	"regexp"
	"strings"
)

// Cause is the guessed reason why a build failed.
type Cause string

// The causes that a log can tell.
const (
	CauseUnknown           Cause = ""
	CauseKernelAPI         Cause = "kernel-api"         // the source does not fit this kernel's functions, types or headers
	CauseHeadersIncomplete Cause = "headers-incomplete" // the kernel's headers are not there, or not all of them
	CauseHeaderMissing     Cause = "header-missing"     // a header that is not the kernel's
	CauseSymbolMissing     Cause = "symbol-missing"     // a symbol that neither the kernel nor a known module exports
	CauseLicense           Cause = "license"            // a symbol for modules under the GPL only
	CauseSourceMissing     Cause = "source-missing"     // a file that the Makefile wants
	CauseCompilerMissing   Cause = "compiler-missing"
	CauseCompilerMismatch  Cause = "compiler-mismatch" // not the kind or version of compiler that the kernel was made with
	CauseToolMissing       Cause = "tool-missing"      // another program
	CauseOutOfMemory       Cause = "out-of-memory"
	CauseDiskFull          Cause = "disk-full"
)

// Diagnosis is what a make.log says about a failure.
type Diagnosis struct {
	Cause   Cause
	Subject string   // what is missing or does not fit: a header, a program, a function; or ""
	Lines   []string // the first error and what the compiler says about it; at most 8 lines
}

// Diagnose reads a make.log and looks for the first error of the last command in
// it that failed, or that came to no end. A log without such a command gives the
// zero Diagnosis. What cannot be read is taken for the end of the log.
func Diagnose(log io.Reader) Diagnosis {
	var d Diagnosis
	var record []string
	scanner := bufio.NewScanner(log)
	scanner.Buffer(nil, 1<<20)
	for scanner.Scan() {
		line := scanner.Text()
		if line != ruler {
			record = append(record, line)
			continue
		}
		if output, failed := outputOf(record); failed {
			d = diagnose(output)
		}
		record = record[:0]
	}
	if output, _ := outputOf(record); output != nil {
		d = diagnose(output)
	}
	return d
}

// outputOf returns what the command of a record wrote, and whether it failed.
func outputOf(record []string) (output []string, failed bool) {
	for i, line := range record {
		switch {
		case output == nil && strings.HasPrefix(line, "# command: "):
			output = record[i+1:]
		case output != nil && strings.HasPrefix(line, "# exit code: "):
			return output[:len(output)-(len(record)-i)], line != "# exit code: 0"
		}
	}
	return output, false
}

// sign is a line that tells the cause of a failure. The first group, if there is
// one, is the subject.
type sign struct {
	cause   Cause
	pattern *regexp.Regexp
}

// disasters are signs that count wherever they stand: what the compiler says
// before or after is their consequence. The wording is that of gcc, clang, bash,
// dash, make and strerror(3).
//
//nolint:gochecknoglobals // compiled once, never changed
var disasters = []sign{
	{CauseDiskFull, regexp.MustCompile(`No space left on device|Disk quota exceeded`)},
	{CauseOutOfMemory, regexp.MustCompile(`Killed signal terminated program|(?:error|fault): Killed|(?:line )?\d+:? +\d* *Killed|` +
		`\] Killed$|\] Error 137$|[Cc]annot allocate memory|[Oo]ut of memory|memory exhausted`)},
}

// signs are tried in this order on each line, and the first line with one counts.
//
//nolint:gochecknoglobals // compiled once, never changed
var signs = []sign{
	{CauseHeadersIncomplete, regexp.MustCompile(`\*\*\* (/\S+): No such file or directory\.  Stop|Kernel configuration is invalid|` +
		`(scripts/\S+): (?:not found|No such file)|No rule to make target '(?:modules|scripts/\S+)'|fatal error: generated/`)},
	{CauseKernelAPI, regexp.MustCompile(`fatal error: ['‘]?((?:linux|asm|asm-generic|uapi|net|drm|media|sound|crypto|scsi|rdma|video|acpi|trace|xen|target|pcmcia|` +
		`config|std(?:arg|def|int|bool))(?:/[^:'’]+|\.h))['’]?:? (?:No such file|file not found)`)},
	{CauseHeaderMissing, regexp.MustCompile(`fatal error: ['‘]?([^:'’]+\.h)['’]?:? (?:No such file|file not found)`)},
	{CauseCompilerMissing, regexp.MustCompile(`(?:^|[ /])([^ /:]*(?:gcc|clang|\bcc)[^ /:]*): (?:command )?not found`)},
	{CauseCompilerMissing, regexp.MustCompile(`^make.*: ([^ /:]*(?:gcc|clang|\bcc)[^ /:]*): No such file`)},
	{CauseToolMissing, regexp.MustCompile(`cannot execute ['‘]([^'’]+)['’]|^\S*sh: (?:line )?\d+: ([^ :]+): (?:command )?not found`)},
	{CauseCompilerMismatch, regexp.MustCompile(`unrecognized command-line option ['‘]([^'’]+)|unknown argument: '([^']+)|` +
		`unrecognized argument in option ['‘]([^'’]+)|incompatible gcc/plugin versions`)},
	{CauseLicense, regexp.MustCompile(`uses GPL-only symbol '([^']+)'`)},
	{CauseSymbolMissing, regexp.MustCompile(`modpost: "([^"]+)" \[.*\] undefined!|undefined reference to ['‘\x60]([^'’]+)`)},
	{CauseKernelAPI, regexp.MustCompile(`error: (?:implicit declaration of function|call to undeclared function|unknown type name|conflicting types for|` +
		`redefinition of|static declaration of) ['‘]([^'’]+)`)},
	{CauseKernelAPI, regexp.MustCompile(`error: .*(?:has no member named|no member named) ['‘]([^'’]+)`)},
	{CauseKernelAPI, regexp.MustCompile(`error: (?:too (?:few|many) arguments to function(?: call)?|passing argument \d+ of) ?['‘]?([^'’, ]*)`)},
	{CauseKernelAPI, regexp.MustCompile(`error: .*['‘]([^'’]+)['’] undeclared|error: use of undeclared identifier '([^']+)`)},
	{CauseKernelAPI, regexp.MustCompile(`error: .*(?:incompatible.* pointer type|incomplete (?:definition of )?type)`)},
	{CauseSourceMissing, regexp.MustCompile(`No rule to make target '([^']+)'`)},
}

// find returns the sign that a line bears, and its subject.
func find(among []sign, line string) (Cause, string) {
	for _, s := range among {
		m := s.pattern.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		return s.cause, strings.Join(m[1:], "") // at most one group has matched
	}
	return CauseUnknown, ""
}

// diagnose looks at the output of a command that failed. The first line that
// reports an error decides, unless there has been a disaster.
func diagnose(output []string) Diagnosis {
	d, first := Diagnosis{}, -1
	for i, line := range output {
		quoted := strings.HasPrefix(line, " ") // a line of the source
		if cause, _ := find(disasters, line); cause != CauseUnknown && !quoted {
			return Diagnosis{Cause: cause, Lines: explanation(output[i:])}
		}
		if first >= 0 {
			continue
		}
		cause, subject := find(signs, line)
		if cause != CauseUnknown || reportsError(line) {
			first, d.Cause, d.Subject = i, cause, subject
		}
	}
	if first >= 0 {
		d.Lines = explanation(output[first:])
	} else {
		d.Lines = lastLines(output)
	}
	return d
}

// most is how many lines a diagnosis quotes.
const most = 8

// explanation returns the lines that belong to the error in the first one: up to
// where make, the next error or another file begins.
func explanation(lines []string) []string {
	end := 1
	for end < min(len(lines), most) && strings.TrimSpace(lines[end]) != "" && (strings.HasPrefix(lines[end], " ") || strings.Contains(lines[end], ": note: ")) &&
		!strings.Contains(lines[end], "[M]") {
		end++
	}
	return trimmed(lines[:end])
}

// lastLines returns the end of an output that reports no error.
func lastLines(output []string) []string {
	var said []string
	for _, line := range output {
		if strings.TrimSpace(line) != "" && !isMakeDirectory(line) {
			said = append(said, line)
		}
	}
	return trimmed(said[max(0, len(said)-most):])
}

// trimmed returns a copy without what a terminal would make of line ends.
func trimmed(lines []string) []string {
	var kept []string
	for _, line := range lines {
		kept = append(kept, strings.TrimRight(line, "\r \t"))
	}
	return kept
}
