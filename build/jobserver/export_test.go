package jobserver

// Hurried is how many calls of Acquire wait.
func (s *Server) Hurried() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.hurried
}

// Name returns the name of the pipe, "" where it has none any more.
func (s *Server) Name() string { return s.abs }
