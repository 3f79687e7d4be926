package jobserver

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"dkms-go/dkms/proc"
)

// Member is a make run that may draw tokens. It owns one, from Join to Leave.
type Member struct{ server *Server }

// Join waits for the token that a make run owns. It fails when ctx ends first,
// with its cause. Leave must follow.
func (s *Server) Join(ctx context.Context) (*Member, error) {
	if err := s.wait(ctx, true); err != nil {
		return nil, err
	}
	return &Member{server: s}, nil
}

// Leave gives the token back after the make run has ended. With killed true
// tokens that it drew may be lost: nobody joins until those have left that are
// members now, and then the tokens are counted.
func (m *Member) Leave(killed bool) {
	s := m.server
	s.mu.Lock()
	defer s.mu.Unlock()
	s.own--
	s.put(1)
	s.members--
	if killed && s.settled == nil {
		s.settled = make(chan struct{})
	}
	if s.members == 0 {
		s.count()
	}
}

// Attach returns the command with what make, or a shell that runs make, needs to
// draw tokens: MAKEFLAGS in its environment, and two more ExtraFiles where the
// style is Pipe. c itself is not touched.
func (m *Member) Attach(c proc.Cmd) proc.Cmd {
	s := m.server
	auth := "--jobserver-auth=fifo:" + s.abs
	if s.style == Pipe {
		first := 3 + len(c.ExtraFiles)
		pair := fmt.Sprintf("%d,%d", first, first+1)
		auth = "--jobserver-fds=" + pair + " --jobserver-auth=" + pair
		c.ExtraFiles = append(slices.Clone(c.ExtraFiles), s.ends[:]...)
	}
	const name = "MAKEFLAGS="
	flags := ""
	c.Env = slices.DeleteFunc(slices.Clone(c.Env), func(setting string) bool {
		value, ok := strings.CutPrefix(setting, name)
		if ok {
			flags = value
		}
		return ok
	})
	c.Env = append(c.Env, name+merge(flags, fmt.Sprintf("-j%d %s", s.tokens, auth)))
	return c
}

// merge puts options into a value of MAKEFLAGS, in place of what it says about
// jobs. Such a value is a group of letters without a dash, options, and after
// "--" variables (section "Communicating Options to a Sub-make" of make's manual).
func merge(makeflags, options string) string {
	words := strings.Fields(makeflags)
	variables := len(words)
	if i := slices.Index(words, "--"); i >= 0 {
		variables = i
	}
	kept := slices.DeleteFunc(slices.Clone(words[:variables]), func(word string) bool {
		return strings.HasPrefix(word, "-j") || strings.HasPrefix(word, "--jobs") || strings.HasPrefix(word, "--jobserver")
	})
	if len(kept) == 0 {
		kept = append(kept, "") // the group of letters, empty
	}
	return strings.Join(slices.Concat(kept, []string{options}, words[variables:]), " ")
}
